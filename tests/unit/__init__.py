"""Values in, values out: no services, no mocks."""

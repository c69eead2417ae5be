"""The demonstration: the worker as in production, on embedded parts, with a simulated fleet and the page."""

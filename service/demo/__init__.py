"""The demonstration: the same worker as in production, on embedded parts, with a simulated fleet and the page."""

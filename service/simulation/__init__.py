"""A fleet of chargers that behaves like a real one."""

"""A fleet of chargers that behaves like a real one."""

from service.simulation.fleet import Fleet

__all__ = ["Fleet"]

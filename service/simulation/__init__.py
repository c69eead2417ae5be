"""A fleet of chargers that behaves like a real one."""

from __future__ import annotations

from service.simulation.fleet import Fleet, PowerCut

__all__ = ["Fleet", "PowerCut"]

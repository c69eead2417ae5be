"""
What an operator does to view and ledger: look whether they fit the log, make them anew, lay them out anew.

Builds what that needs and follows it; knows neither the command line nor the environment.
"""

from __future__ import annotations

from service.maintenance.rebuilding import fit, rebuild
from service.maintenance.repartitioning import Step, repartition

__all__ = ["Step", "fit", "rebuild", "repartition"]

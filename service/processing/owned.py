"""What a worker holds of the partitions it owns."""

from __future__ import annotations

from dataclasses import dataclass

from service.processing.assignment import Assignment
from service.processing.states import States
from service.processing.watching import Watching


@dataclass(frozen=True, slots=True)
class Owned:
    """The partitions and how far they are, the states of their EVSEs, and the watch over both."""

    assignment: Assignment
    states: States
    watching: Watching

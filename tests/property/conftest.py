"""
Copies of states in these tests.

`deepcopy` makes an instance and fills it afterwards, which a compiled class with a written `__init__`
refuses: it is told to make one of its fields.
"""

from __future__ import annotations

import copyreg
from dataclasses import fields
from typing import Any

from service.domain.timeline import Item
from service.domain.track import Cause, Report, Span


def _of_fields(value: Any) -> tuple[type, tuple[Any, ...]]:
    return type(value), tuple(getattr(value, each.name) for each in fields(value))


for kept in (Cause, Item, Report, Span):
    copyreg.pickle(kept, _of_fields)

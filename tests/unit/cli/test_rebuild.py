"""`rebuild`: which EVSEs it names."""

from __future__ import annotations

from service.commands.rebuild import named


def test_of_many_evses_some_are_named_and_how_to_see_the_rest() -> None:
    """Never the first of them alone, as if they were all."""
    uids = [f"e{number}" for number in range(12)]

    some = "12 EVSEs (e0, e1, e2, e3, e4, e5, e6, e7, e8, e9 and 2 more, which --all names)"
    assert named(uids, every=False) == some
    assert named(uids, every=True) == f"12 EVSEs ({', '.join(uids)})"
    assert named(uids[:10], every=False).endswith("e8, e9)")
    assert named(["e1"], every=False) == "1 EVSE (e1)"

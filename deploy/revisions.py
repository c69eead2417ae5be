"""
Tell whether revisions were lost or repeated: `python3 deploy/revisions.py VIEW REPLAYED SNAPSHOTS`.

VIEW is what `evse-status list --json` says, REPLAYED what `evse-status replay` makes of the whole input
log, as a run without any disturbance would. SNAPSHOTS are the lines of `evse.snapshots`, each a key, a tab
and a value. The slow tick, exclusions and gaps publish a revision anew with a newer `as_of`; the very same
snapshot twice is what counts as repeated. Ends with 1 if there is anything to tell; needs Python alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


def differing(view: Iterable[str], replayed: Iterable[str]) -> Iterator[str]:
    """Give a line for each EVSE whose revision is not that of an undisturbed run."""
    stands = {each["uid"]: int(each["revision"]) for each in map(json.loads, view)}
    should = {each["evse"]["uid"]: each["revision"] for each in map(json.loads, replayed)}
    for uid in sorted(stands.keys() | should.keys()):
        if stands.get(uid) != should.get(uid):
            yield f"{uid} stands at revision {stands.get(uid)}, undisturbed it would be {should.get(uid)}"


def disordered(snapshots: Iterable[str]) -> Iterator[str]:
    """Give a line for each snapshot that goes back or comes twice."""
    last: dict[str, tuple[int, str]] = {}
    for line in snapshots:
        key, tab, value = line.rstrip("\n").partition("\t")
        snapshot = json.loads(value) if tab else None
        if (
            snapshot is None
        ):  # no line of a snapshot, or a tombstone: one that comes back goes on where it was
            continue
        came = (snapshot["revision"], snapshot["as_of"])
        if key in last and came == last[key]:
            yield f"{key} came twice with revision {came[0]}"
        elif key in last and came[0] < last[key][0]:
            yield f"{key} went back from revision {last[key][0]} to {came[0]}"
        last[key] = came


def main(view: str, replayed: str, snapshots: str) -> int:
    """Say what is wrong, a line each, and how much there is."""
    texts = [Path(name).read_text(encoding="utf-8").splitlines() for name in (view, replayed, snapshots)]
    wrong = [*differing(texts[0], texts[1]), *disordered(texts[2])]
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    sys.stdout.write(f"{len(texts[0])} EVSEs, {len(texts[2])} snapshots, {len(wrong)} faults\n")
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

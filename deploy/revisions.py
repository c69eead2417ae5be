r"""
Count what an upgrade must not do: revisions of an EVSE that are missing among its snapshots, go back, or come
twice.

    kafka-console-consumer.sh --bootstrap-server KAFKA --topic evse.snapshots --from-beginning \
      --property print.key=true --timeout-ms 10000 | python3 deploy/revisions.py

Reads a key, a tab and a snapshot from each line. The slow tick, exclusions and gaps publish a revision anew
with a newer `as_of`; the very same snapshot twice is what counts as repeated. Of a topic that was compacted
since, older revisions are gone and look missing. Ends with 1 if there is anything to tell.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable


def count(lines: Iterable[str]) -> Counter[str]:
    """Count snapshots, EVSEs, and what is missing, went back or came twice."""
    counts: Counter[str] = Counter(dict.fromkeys(("snapshots", "evses", "missing", "back", "repeated"), 0))
    last: dict[str, tuple[int, str]] = {}
    for line in lines:
        key, tab, value = line.rstrip("\n").partition("\t")
        if not tab:
            continue
        snapshot = None if value == "null" else json.loads(value)
        if snapshot is None:  # removed; if it comes back it goes on where it was
            continue
        counts["snapshots"] += 1
        revision, as_of = snapshot["revision"], snapshot["as_of"]
        if key in last:
            step = revision - last[key][0]
            counts["missing"] += max(0, step - 1)
            counts["back"] += step < 0
            counts["repeated"] += last[key] == (revision, as_of)
        last[key] = (revision, as_of)
    counts["evses"] = len(last)
    return counts


if __name__ == "__main__":
    found = count(sys.stdin)
    sys.stdout.write(", ".join(f"{amount} {name}" for name, amount in found.items()) + "\n")
    sys.exit(bool(found["missing"] + found["back"] + found["repeated"]))

"""
What the events of a batch ask to be done, as values: what is saved and what is published, an EVSE at a time.

Nothing here waits or talks to anybody. States are folded in place, so a plan is carried out or its state is
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.vocabulary import Verdict
from service.domain.events import EvseRemoved
from service.domain.fold import fold
from service.domain.outcomes import Folded
from service.domain.packing import adds_little
from service.domain.rules import Rules
from service.domain.time import Micros
from service.domain.vitals import pack_vitals, vitals
from service.processing import ledger, rendering, storing
from service.processing.outputs import Kept, Topics, described, unpacked
from service.processing.sifting import Item
from service.processing.states import Held
from service.processing.values import ClosedHistory, Epochs, Message, Position, Record, Resend, ViewWrite

TOPIC_SHIFT: Final = 48
EPOCH_SHIFT: Final = 56
"""
An event's position is `epoch << 56 | topic index << 48 | offset`: ties go to the later log, the later topic,
then the later offset.
"""

_TOLD: Final = frozenset({Verdict.CORRECTED, Verdict.LATE})
"""Verdicts that are kept beside history where the event changed it; `applied` goes without saying."""

_VERDICTS_KEPT: Final = 64
"""So many of them go with the state, and so into the bases; the view has all of the history it keeps."""


class Defect(Exception):
    """
    Our own code failed on a record: a bug, not bad input.

    The worker stops with the record uncommitted, since going on could only lose what the record says.
    """

    def __init__(self, uid: str, record: Record | None) -> None:
        place, remedy = "while it refreshed the numbers", ""
        if record is not None:
            place = f"at topic {record.topic}, partition {record.partition}, offset {record.offset}"
            place += " (not committed)"
            skip = f"{record.topic}:{record.partition}:{record.offset}"
            remedy = f"; `run --skip {skip}` goes on without this record, which becomes a dead letter"
        super().__init__(
            f"a bug of this program stopped it {place} (EVSE {uid!r}); report it with the trace{remedy}"
        )
        self.uid = uid
        self.record = record


def grouped(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Group by EVSE, each group in log order."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.event.evse_uid, []).append(item)
    return groups


@dataclass(frozen=True, slots=True)
class Planning:
    """What planning asks: the rules of the fold, the input topics by their place, and how outputs look."""

    rules: Rules
    topics: Topics
    inputs: tuple[str, ...]
    epochs: Epochs = field(default_factory=Epochs)

    def position(self, record: Record) -> int:
        """Give the position of a record's event."""
        epoch = self.epochs.of(record.topic)
        return epoch << EPOCH_SHIFT | self.inputs.index(record.topic) << TOPIC_SHIFT | record.offset


@dataclass(slots=True, init=False)
class Plan:
    """
    What one EVSE's records ask for.

    `write` is None where all of them had been applied before. `folded` holds what became of the new ones,
    `publish` tells whether any of these asks for a snapshot, `removed_now` whether one removes the EVSE, and
    `told` holds (time, position, verdict) of those that changed history and were not simply applied.
    `repeated` counts the others. `messages` are in the order in which they are published.
    """

    uid: str
    held: Held
    items: Sequence[Item]
    write: ViewWrite | None
    rendered: rendering.RenderedEvse | None
    folded: list[tuple[Item, Folded]]
    publish: bool
    removed_now: bool
    told: list[tuple[Micros, int, str]]
    repeated: int
    messages: list[Message]

    def __init__(self, uid: str, held: Held, items: Sequence[Item]) -> None:
        self.uid, self.held, self.items = uid, held, items
        self.write = self.rendered = None
        self.folded, self.publish, self.removed_now, self.told = [], False, False, []
        self.repeated, self.messages = 0, []

    def take(self, item: Item, folded: Folded) -> None:
        """Note what became of a record's event."""
        self.folded.append((item, folded))
        if folded.publish:
            self.publish = True
            if folded.verdict in _TOLD:
                self.told.append((item.event.at, item.event.position, str(folded.verdict)))
            if folded.removed_now:
                self.removed_now = True

    def saved(self) -> None:
        """Take over what the store now holds."""
        if self.write is None or self.rendered is None:
            return
        # Where nothing was new nothing was written, and another whole stands.
        if self.write.adds_to is None and self.write.position != self.held.position:
            self.held.whole_at = self.write.position
            self.held.state.was_written()
        self.held.position, self.held.pending = self.write.position, self.write.pending
        self.held.acknowledged = self.held.replace = False
        self.held.stored = True
        self.rendered.mark_saved(self.held.state)
        # What is published is in the messages; the rest need not wait for a large batch to end.
        self.write = self.rendered = None

    def published(self) -> None:
        """Note that everything of the last save is written."""
        self.held.acknowledged = True


def plan(uid: str, items: Sequence[Item], held: Held, planning: Planning) -> Plan:
    """
    Fold the new ones of an EVSE's records, and say what to save and what to publish.

    A record applied before asks for the current snapshot and the outputs of the last save once more: whoever
    saved them may have gone before they were written. Raises `Defect` where our own code fails.
    """
    record = items[0].record
    try:
        made = Plan(uid, held, items)
        if held.state.partition is None:
            held.state.partition = record.partition
        offsets = list(held.position.offsets)
        for item in items:
            record = item.record
            index = planning.inputs.index(record.topic)
            if offsets[index] >= record.offset:
                made.repeated += 1
                continue
            made.take(item, fold(held.state, item.event, planning.rules))
            offsets[index] = record.offset
        _finish(made, offsets, planning)
    except Exception as error:  # whatever it is, it is ours, and has to be told with the record it came from
        raise Defect(uid, record) from error
    return made


def _finish(made: Plan, offsets: Sequence[int], planning: Planning) -> None:
    held, topics = made.held, planning.topics
    again = unpacked(held.pending if made.repeated or _may_be_unwritten(held, planning) else b"")
    position, kept = held.position, again
    publish = made.repeated > 0 or made.publish
    if made.folded:
        position = Position(position.epoch, tuple(offsets), held.state.as_of)
    if made.folded or publish:
        made.rendered = rendering.document(held.state, position.as_of_us, planning.rules)
    if made.folded and made.rendered is not None:
        kept = _with_fresh(again, made, made.rendered)
        if made.told:
            held.state.verdicts = [*held.state.verdicts, *made.told][-_VERDICTS_KEPT:]
        words = _verdict_words(made.told)
        made.write = write(made.uid, held, made.rendered, position, kept.packed(), words)
    elif publish and made.rendered is not None:
        # The view has it; asking again lets the lists follow, which a crash may have left behind, and finds
        # out who is further.
        made.write = write(made.uid, held, made.rendered, position, held.pending)
    made.messages += topics.kept(made.uid, _home(held), kept)
    if publish and made.rendered is not None:
        made.messages += _snapshots(
            made.uid, held, made.rendered, position, topics, removed_now=made.removed_now
        )


def _with_fresh(again: Kept, made: Plan, rendered: rendering.RenderedEvse) -> Kept:
    """Give the outputs that are kept with this save: those that may be unwritten, then its own."""
    transitions, entries = list(again.transitions), [*again.ledger, *rendered.ledger]
    for item, folded in made.folded:
        if folded.transitions:
            transitions += described(made.uid, item.record, folded.transitions)
    if rendered.removed and any(isinstance(item.event, EvseRemoved) for item, _ in made.folded):
        entries.append(ledger.removal_entry(made.uid, rendered.fields["removed_at"].decode()))
    return Kept(transitions, entries)


def _verdict_words(told: Iterable[tuple[Micros, int, str]]) -> list[tuple[Micros, bytes]]:
    return [(at, f"{position} {word}".encode()) for at, position, word in told]


def _may_be_unwritten(held: Held, planning: Planning) -> bool:
    """
    Tell whether outputs of the last save may be missing although none of its records was read again.

    With one topic they cannot: its records are read again before any newer one. With several they can.
    """
    return not held.acknowledged and len(planning.inputs) > 1


def _snapshots(
    uid: str,
    held: Held,
    rendered: rendering.RenderedEvse,
    position: Position,
    topics: Topics,
    *,
    removed_now: bool,
) -> list[Message]:
    """Make the snapshot's message; of a removed EVSE the tombstone, once with the last snapshot before."""
    snapshot = topics.snapshot(uid, _home(held), position, held.state.revision, rendered.snapshot)
    if not held.state.removed:
        return [snapshot]
    tombstone = topics.tombstone(uid, _home(held), position)
    return [snapshot, tombstone] if removed_now else [tombstone]


def tick(uid: str, held: Held, now: Micros, planning: Planning) -> Plan | None:
    """
    Plan the refresh of an EVSE's numbers as of `now`, under the same revision; None where nothing is newer.

    Also None for one that was never saved, for a removed EVSE, which has no snapshot, and while outputs of
    the last save may be unwritten: `is_unsure` tells, and `outputs_again` plans to write them.
    """
    as_of = max(now, held.state.as_of)
    if not held.stored or held.state.removed or is_unsure(held) or as_of <= held.position.as_of_us:
        return None
    position = Position(held.position.epoch, held.position.offsets, as_of)
    made = Plan(uid, held, ())
    try:
        made.rendered = rendering.document(held.state, as_of, planning.rules)
        made.write = write(uid, held, made.rendered, position, b"")
        made.messages = _snapshots(uid, held, made.rendered, position, planning.topics, removed_now=False)
    except Exception as error:  # as in `plan`
        raise Defect(uid, None) from error
    return made


def is_unsure(held: Held) -> bool:
    """Tell whether outputs that are kept with the last save may be unwritten, as after loading."""
    return not held.acknowledged and bool(held.pending)


def outputs_again(uid: str, held: Held, planning: Planning) -> Plan:
    """Plan to publish the outputs that are kept with the last save once more, and no snapshot."""
    made = Plan(uid, held, ())
    made.messages = planning.topics.kept_from(uid, _home(held), held.pending)
    return made


def again(uid: str, held: Held, planning: Planning) -> Plan:
    """Plan to publish the current snapshot and the outputs of the last save once more, with nothing new."""
    made = Plan(uid, held, ())
    try:
        made.rendered = rendering.document(held.state, held.position.as_of_us, planning.rules)
        topics = planning.topics
        made.messages = topics.kept_from(uid, _home(held), held.pending)
        made.messages += _snapshots(uid, held, made.rendered, held.position, topics, removed_now=False)
    except Exception as error:  # as in `plan`
        raise Defect(uid, None) from error
    return made


def resend(uid: str, held: Held, planning: Planning, what: Resend = Resend.LAST_WORDS) -> Plan:
    """Plan to publish what the output topics should end with of an EVSE, or all of its history, too."""
    made = again(uid, held, planning)
    is_all = what is Resend.HISTORY
    entries = rendering.all_entries(held.state) if is_all else rendering.entries_again(held.state)
    made.messages += [planning.topics.entry(_home(held), entry) for entry in entries]
    return made


def rewrite(uid: str, held: Held, rules: Rules, *, replace: bool = False) -> ViewWrite:
    """
    Plan to write an EVSE as it is held, with nothing new.

    `replace`: in place of all that is stored of it, with all but the closed history that was stored before
    (`with_history`); what the state has closed since comes with it.
    Raises `Defect` where our own code fails.
    """
    try:
        rendered = rendering.document(held.state, held.position.as_of_us, rules)
        whole = write(uid, held, rendered, held.position, held.pending, is_whole=True)
        if replace:
            whole.replace, whole.previous = True, None
            whole.exclusions, whole.gaps = rendering.all_declared(held.state)
            whole.verdicts = _verdict_words(held.state.verdicts)
    except Exception as error:  # as in `plan`
        raise Defect(uid, None) from error
    return whole


def with_history(whole: ViewWrite, history: ClosedHistory | None, staged: str = "") -> ViewWrite:
    """
    Let a write that replaces, and that nobody has seen yet, bring closed history, and give it.

    `staged`: it takes over what was staged under this token, which is that history. What the write itself
    closes and drops stands above it.
    """
    if history is None:
        return whole
    if staged:
        whole.staged = staged
        whole.staged_amount = (len(history.closed_days), len(history.closed_outages))
        return whole
    dropped = set(whole.drop_outages)
    outages = [each for each in history.closed_outages if each[1] not in dropped]
    whole.closed_days = {**history.closed_days, **whole.closed_days}
    whole.closed_outages = [*outages, *whole.closed_outages]
    return whole


def write(
    uid: str,
    held: Held,
    rendered: rendering.RenderedEvse,
    position: Position,
    pending: bytes,
    verdicts: Sequence[tuple[Micros, bytes]] = (),
    *,
    is_whole: bool = False,
) -> ViewWrite:
    """Put together everything that one save changes; `is_whole`: of the state all, whatever is stored."""
    state = held.state
    adds_to = None if is_whole or held.replace or not adds_little(state) else held.whole_at
    since = None if adds_to is None else state.whole
    return ViewWrite(
        uid=uid,
        partition=_home(held),
        position=position,
        state=storing.pack_state(state) if since is None else storing.pack_since(state, since),
        pending=pending,
        vitals=pack_vitals(vitals(state)).encode(),
        adds_to=adds_to,
        previous=held.position if held.stored else None,
        replace=held.replace,
        document=rendered.fields,
        closed_days=rendered.closed_days,
        closed_outages=rendered.closed_outages,
        exclusions=rendered.exclusions,
        gaps=rendered.gaps,
        drop_days=rendered.drop_days,
        drop_outages=rendered.drop_outages,
        drop_gaps=rendered.drop_gaps,
        keep_from_us=rendered.keep_from_us,
        status=rendered.status,
        online=rendered.online,
        last_updated_ms=rendered.last_updated_ms,
        coordinates=rendered.coordinates,
        removed=rendered.removed,
        verdicts=verdicts,
    )


def _home(held: Held) -> int:
    return held.state.partition or 0

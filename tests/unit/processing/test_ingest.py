"""Gaps in a partition's ingest, found from the log (promise P5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import orjson
import pytest

from schemas.vocabulary import Status
from service.domain import events
from service.domain.packing import UnknownVersion
from service.domain.time import HOUR, MINUTE, SECOND, Micros
from service.processing.decoding import decode
from service.processing.ingest import Gap, Ingest, gap_event, is_from_charger
from service.processing.watching import spread

MONDAY: Micros = 1_767_571_200 * SECOND
FIVE = 5 * MINUTE


def every(interval: Micros, start: Micros, count: int) -> Iterator[Micros]:
    """Give so many times, one each interval."""
    return (start + number * interval for number in range(count))


class Partition:
    """One partition of one topic, and what is observed of it."""

    def __init__(self, silent_after: Micros = FIVE) -> None:
        self.ingest = Ingest(silent_after)
        self.offset = 0

    def append(self, *times: Micros | None, charger: bool = True) -> list[Gap]:
        """Observe the next records."""
        gaps: list[Gap] = []
        for time in times:
            gaps += self.ingest.observe(0, self.offset, time, charger)
            self.offset += 1
        return gaps

    def steady(self, interval: Micros = MINUTE, start: Micros = MONDAY, count: int = 61) -> Micros:
        """Observe charger events at a steady pace, by default an hour of one a minute; give the last time."""
        *_, last = times = list(every(interval, start, count))
        assert self.append(*times) == []
        return last


@pytest.mark.parametrize(
    ("interval", "lasted", "is_gap"),
    [
        (SECOND, 5 * MINUTE, False),
        (SECOND, 5 * MINUTE + 1, True),
        (MINUTE, 19 * MINUTE, False),
        (MINUTE, 21 * MINUTE, True),
        (10 * MINUTE, 190 * MINUTE, False),
        (10 * MINUTE, 210 * MINUTE, True),
    ],
)
def test_a_gap_is_longer_than_five_minutes_and_20_times_the_median(
    interval: Micros, lasted: Micros, is_gap: bool
) -> None:
    """The longer of the two; the median is known to half a bucket."""
    partition = Partition()
    last = partition.steady(interval, count=361)

    expected = [Gap(last, last + lasted)] if is_gap else []
    assert partition.append(last + lasted) == expected


def test_the_median_is_that_of_the_last_day() -> None:
    """A pace of long ago says nothing."""
    partition = Partition()
    last = partition.steady(SECOND, count=3_600)
    last = partition.steady(MINUTE, last + MINUTE, count=25 * 60)

    assert partition.append(last + 15 * MINUTE) == []


@pytest.mark.parametrize(("events_before", "is_gap"), [(10, False), (11, True)])
def test_fewer_than_ten_intervals_tell_no_median(events_before: int, is_gap: bool) -> None:
    """Then nothing is a gap: three chargers without heartbeats may well say nothing for an hour."""
    partition = Partition()
    last = partition.steady(2 * MINUTE, count=events_before)

    assert partition.append(last + HOUR) == ([Gap(last, last + HOUR)] if is_gap else [])


def test_a_minute_of_reports_says_nothing_of_hours() -> None:
    """A fleet that comes into service reports at once, and waits for its first driver."""
    partition = Partition()
    last = partition.steady(4 * SECOND, count=16)

    assert partition.append(last + 3 * HOUR) == []


def test_an_hour_tells_of_silences_of_any_length() -> None:
    """A collection that stood still for days has stood still."""
    partition = Partition()
    last = partition.steady(MINUTE, count=62)

    assert partition.append(last + 70 * HOUR) == [Gap(last, last + 70 * HOUR)]


def test_bursts_are_no_measure_of_the_hours_between_them() -> None:
    """A small fleet without heartbeats: two days of a driver each hour, with some reports within a minute."""
    partition = Partition()
    gaps = [
        gap
        for hour in range(48)
        for second in (0, 15, 40, 60)
        for gap in partition.append(MONDAY + hour * HOUR + second * SECOND)
    ]

    assert gaps == []


@pytest.mark.parametrize(("hours", "is_gap"), [(12, False), (30, True)])
def test_a_first_night_is_no_silence_of_chargers_that_report_in_bursts(hours: int, is_gap: bool) -> None:
    """How quiet they are is not known before a day of them is."""
    partition = Partition()
    bursts = [
        MONDAY + third * 20 * MINUTE + second * SECOND for third in range(3 * hours) for second in (0, 9, 30)
    ]
    assert partition.append(*bursts) == []

    expected = [Gap(bursts[-1], bursts[-1] + 9 * HOUR)] if is_gap else []
    assert partition.append(bursts[-1] + 9 * HOUR) == expected


def test_a_true_silence_does_not_hide_the_next_one() -> None:
    """Though it was longer than all else of the day together."""
    partition = Partition()
    last = partition.steady(10 * SECOND, count=7 * 360)
    night = last + 10 * HOUR
    assert partition.append(night) == [Gap(last, night)]

    last = partition.steady(10 * SECOND, night + 10 * SECOND, count=360)
    assert partition.append(last + 10 * MINUTE) == [Gap(last, last + 10 * MINUTE)]


def test_only_charger_events_count() -> None:
    """What people and the worker write does not show that chargers are heard."""
    partition = Partition()
    last = partition.steady()
    partition.append(*every(MINUTE, last, 30), charger=False)

    assert partition.append(last + 30 * MINUTE) == [Gap(last, last + 30 * MINUTE)]


def test_a_record_time_that_goes_back_counts_as_the_newest_before_it() -> None:
    """No interval is negative, and no gap begins before what was already heard."""
    partition = Partition()
    last = partition.steady()
    assert partition.append(last - 2 * HOUR) == []

    assert partition.append(last + 30 * MINUTE) == [Gap(last, last + 30 * MINUTE)]


@pytest.mark.parametrize("time", [None, 0, -1, 40 * SECOND])
def test_a_record_without_a_time_tells_nothing(time: Micros | None) -> None:
    """None, 0 and a clock that was never set."""
    partition = Partition()
    last = partition.steady()
    assert partition.append(time) == []

    assert partition.append(last + 30 * MINUTE) == [Gap(last, last + 30 * MINUTE)]
    assert Partition().ingest.newest_charger_record is None


def test_what_was_observed_before_is_ignored() -> None:
    """Records are read again after a crash."""
    partition = Partition()
    last = partition.steady()
    partition.append(last + HOUR)
    before = partition.ingest.pack()
    partition.offset = 0

    assert partition.append(*every(7 * MINUTE, MONDAY, 62)) == []
    assert partition.ingest.pack() == before


def test_lost_records_are_a_gap_however_short() -> None:
    """From the last that is known to the next, once, and no measure of the pace."""
    partition = Partition()
    partition.ingest.lost_until_next()
    assert partition.append(MONDAY - MINUTE) == []
    last = partition.steady()
    partition.ingest.lost_until_next()
    partition.append(last + SECOND, charger=False)

    assert partition.append(last + 2 * SECOND) == [Gap(last, last + 2 * SECOND)]
    assert partition.append(last + 4 * SECOND) == []


def test_the_ingest_is_silent_while_the_gap_is_still_open() -> None:
    """For a metric: by the clock, since nothing else moves."""
    partition = Partition()
    assert not partition.ingest.is_silent(MONDAY)
    last = partition.steady()

    silent = [partition.ingest.is_silent(last + minutes * MINUTE) for minutes in (-1, 0, 19, 21)]
    assert silent == [False, False, False, True]


def test_when_chargers_were_heard_again_is_remembered() -> None:
    """So is up to when they are known to be heard."""
    partition = Partition()
    last = partition.steady()
    before = partition.ingest.resumed_at
    partition.append(last + HOUR)
    partition.append(last + HOUR + MINUTE)

    assert (before, partition.ingest.resumed_at) == (None, last + HOUR)
    assert partition.ingest.newest_charger_record == last + HOUR + MINUTE


@pytest.mark.parametrize(("partitions", "over", "minutes"), [(2, 1, 20), (1, 2, 5), (3, 2, 15), (1, 1, 10)])
def test_in_another_layout_chargers_are_heard_as_often_as_there_are_fewer_of_them(
    partitions: int, over: int, minutes: int
) -> None:
    """An interval of 30 s on 26 hours: 20 times that, by so many partitions in place of the others."""
    partition = Partition()
    last = partition.steady(interval=30 * SECOND, count=26 * 120)
    ingest = partition.ingest.spread([partition.ingest], partitions, over)

    assert ingest.newest_charger_record == last
    assert not ingest.is_silent(last + (minutes - 1) * MINUTE)
    assert ingest.is_silent(last + (minutes + 1) * MINUTE)


def test_in_another_layout_what_was_heard_last_anywhere_was_heard_last() -> None:
    """The next charger ends a gap from there; one that is owed for lost records stays owed."""
    early, late = Partition(), Partition()
    early.steady()
    last = late.steady() + MINUTE
    late.append(last)
    early.ingest.lost_until_next()
    ingest = early.ingest.spread([early.ingest, late.ingest], 3, 2)

    assert ingest.newest_charger_record == last
    assert ingest.observe(0, 1 << 56, last + SECOND, True) == (Gap(last, last + SECOND),)
    assert ingest.observe(0, 1 << 56 | 1, last + 2 * SECOND, True) == ()


def test_in_another_layout_what_is_still_to_be_told_of_an_evse_goes_with_it() -> None:
    """From whichever partition it lived in: one that was first heard in a wrong one may come to any."""
    owing = orjson.dumps({"ingest": None, "unseen": {"stray": MONDAY}, "unseen_until": None})
    laid_out = [spread([owing, b""], Ingest(FIVE), number, 2, lambda _: 1) for number in range(2)]

    assert [b"stray" in each for each in laid_out] == [False, True]


class TestSeveralTopics:
    """A silence of one topic is none of the partition."""

    def both(self, ingest: Ingest) -> None:
        """Observe two topics for 26 hours, an event a minute each."""
        for topic in (0, 1):
            for offset, time in enumerate(every(MINUTE, MONDAY + topic * 30 * SECOND, 26 * 60)):
                assert ingest.observe(topic, offset, time, True) == ()

    def observe(self, ingest: Ingest, topic: int, offset: int, times: Iterable[Micros]) -> list[Gap]:
        """Observe more of one of them."""
        return [
            gap
            for number, time in enumerate(times)
            for gap in ingest.observe(topic, 26 * 60 + offset + number, time, True)
        ]

    def test_a_gap_waits_until_all_were_read_beyond_it(self) -> None:
        """What one says may stand in the middle of another's silence, and be read later."""
        ingest = Ingest(FIVE, topics=2)
        self.both(ingest)
        end = MONDAY + 26 * HOUR
        resumed = end + 2 * HOUR

        assert self.observe(ingest, 0, 0, [resumed]) == []
        assert ingest.newest_charger_record == end - 30 * SECOND
        middle = end + HOUR
        assert self.observe(ingest, 1, 0, [middle]) == [Gap(end - 30 * SECOND, middle)]
        assert self.observe(ingest, 1, 1, [resumed + SECOND]) == [Gap(middle, resumed)]
        assert ingest.newest_charger_record == resumed + SECOND

    def test_one_that_talks_on_leaves_no_gap(self) -> None:
        """However far the other was read before it."""
        ingest = Ingest(FIVE, topics=2)
        self.both(ingest)
        end = MONDAY + 26 * HOUR

        assert self.observe(ingest, 0, 0, [end + 2 * HOUR]) == []
        assert self.observe(ingest, 1, 0, every(MINUTE, end, 3 * 60)) == []

    def test_a_look_at_the_end_tells_that_one_has_nothing_to_say(self) -> None:
        """A minute later, for the clocks differ."""
        ingest = Ingest(FIVE, topics=2)
        self.both(ingest)
        end = MONDAY + 26 * HOUR
        resumed = end + 2 * HOUR
        self.observe(ingest, 0, 0, [resumed])

        assert ingest.looked(resumed + 59 * SECOND) == ()
        assert ingest.looked(resumed + 60 * SECOND) == (Gap(end - 30 * SECOND, resumed),)

    def test_records_of_one_may_be_lost(self) -> None:
        """What it would have said is not known, whatever the other says."""
        ingest = Ingest(FIVE, topics=2)
        self.both(ingest)
        end = MONDAY + 26 * HOUR
        ingest.lost_until_next(0)

        assert self.observe(ingest, 1, 0, every(MINUTE, end, 30)) == []
        assert self.observe(ingest, 0, 0, [end + HOUR]) == [Gap(end - MINUTE, end + HOUR)]

    def test_a_topic_may_be_added(self) -> None:
        """It takes part from its first record on."""
        partition = Partition()
        last = partition.steady(count=26 * 60)
        ingest = Ingest.unpack(partition.ingest.pack(), FIVE, topics=2)

        assert ingest.observe(0, partition.offset, last + HOUR, True) == ()
        assert ingest.observe(1, 0, last + HOUR + SECOND, True) == (Gap(last, last + HOUR),)

    def test_a_look_is_nothing_to_a_single_topic(self) -> None:
        """Its gaps hang on its records alone."""
        partition = Partition()
        last = partition.steady()
        before = partition.ingest.pack()

        assert partition.ingest.looked(last + HOUR) == ()
        assert partition.ingest.pack() == before


class TestPacking:
    """All of it is kept with a checkpoint."""

    def test_it_goes_on_as_if_it_had_never_been_packed(self) -> None:
        """As JSON."""
        partition = Partition()
        last = partition.steady(interval=3 * MINUTE, count=600)
        partition.ingest.lost_until_next()
        packed = json.dumps(partition.ingest.pack())
        partition.ingest = Ingest.unpack(json.loads(packed), FIVE)

        assert json.dumps(partition.ingest.pack()) == packed
        assert partition.append(last + SECOND) == [Gap(last, last + SECOND)]
        assert partition.append(last + 50 * MINUTE) == []
        assert partition.append(last + 2 * HOUR) == [Gap(last + 50 * MINUTE, last + 2 * HOUR)]

    @pytest.mark.parametrize("silent_after", [10 * SECOND, HOUR])
    def test_another_setting_finds_the_same_median(self, silent_after: Micros) -> None:
        """The lengths that were kept are sorted into other buckets."""
        partition = Partition()
        last = partition.steady(interval=3 * MINUTE, count=600)
        partition.append(last + SECOND)
        partition.ingest = Ingest.unpack(partition.ingest.pack(), silent_after)

        assert partition.append(last + 55 * MINUTE) == []
        assert partition.append(last + 121 * MINUTE) == [Gap(last + 55 * MINUTE, last + 121 * MINUTE)]

    def test_a_day_of_any_pace_is_small(self) -> None:
        """Less than 4 kB, busy or not."""
        for interval in (SECOND, 17 * SECOND, 2 * MINUTE, HOUR):
            partition = Partition()
            partition.append(*every(interval, MONDAY, 26 * HOUR // interval))

            assert len(json.dumps(partition.ingest.pack(), separators=(",", ":"))) < 4_000

    def test_another_version_is_refused(self) -> None:
        """It is never guessed at."""
        with pytest.raises(UnknownVersion):
            Ingest.unpack([99], FIVE)


def test_an_interval_of_years_is_one() -> None:
    """A topic that lay idle since its first records."""
    partition = Partition()
    partition.append(*every(HOUR, MONDAY - 900 * 24 * HOUR, 5))

    assert partition.append(*every(HOUR, MONDAY, 30)) == []


def test_the_event_of_a_gap_says_the_same_whoever_writes_it() -> None:
    """And is one that the worker can read."""
    gap = Gap(MONDAY + 1, MONDAY + HOUR)
    event = gap_event("e1", gap)

    decoded = decode(json.dumps(event).encode(), key=b"e1", position=0, record_time=MONDAY + HOUR)
    assert event["event_id"] == "gap:e1:2026-01-05T00:00:00.000001Z"
    assert isinstance(decoded, events.GapObserved)
    assert (decoded.from_, decoded.until, decoded.at, decoded.seen, decoded.source) == (
        gap.from_,
        gap.until,
        gap.until,
        gap.until,
        "evse-status",
    )


COMMON = ("n1", "e1", 0, MONDAY, MONDAY)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (events.StatusReported(*COMMON, connector_uid="c1", status=Status.AVAILABLE), True),
        (events.OnlineReported(*COMMON, online=True), True),
        (events.OnlineReported(*COMMON, online=False), True),
        (events.OnlineReported(*COMMON, online=None), True),
        (events.ChargerNoted(*COMMON), True),
        (events.HeartbeatReceived(*COMMON), True),
        (events.OnlineReported(*COMMON, online=False, reason="silence"), False),
        (events.EvseRemoved(*COMMON), False),
        (events.GapObserved(*COMMON), False),
        (events.InventoryUpserted(*COMMON, evse={}, statuses={}), False),
        (events.ExclusionDeclared(*COMMON), False),
        (events.ExclusionWithdrawn(*COMMON), False),
    ],
)
def test_what_comes_from_chargers_is_told_from_the_rest(event: events.Event, expected: bool) -> None:
    """The rest is the worker's own or people's."""
    assert is_from_charger(event) is expected

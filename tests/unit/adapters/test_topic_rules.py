"""What is said of topics that are not as they have to be."""

from __future__ import annotations

import pytest

from service.adapters.topic_rules import (
    DEFAULT_MESSAGE_BYTES,
    LEDGER_BYTES,
    Cleanup,
    OutputTopic,
    Topic,
    judge_counts,
    judge_input,
    judge_output,
    largest_message,
)
from service.domain.time import HOUR

SNAPSHOTS = OutputTopic("evse.snapshots", Cleanup.COMPACT)
DEAD_LETTERS = OutputTopic("evse.dead-letters", Cleanup.DELETE, carries_input=True)
FIVE_DAYS_MS = 5 * 24 * 3_600_000
GOOD = {"cleanup.policy": "delete", "retention.ms": str(FIVE_DAYS_MS), "retention.bytes": "-1"}


def test_equal_counts_are_fine() -> None:
    """Nothing is said where every topic has as many partitions as the first input."""
    assert list(judge_counts({"in": 6, "out": 6}, "in")) == []


def test_another_count_is_grave_and_names_both() -> None:
    """A topic with fewer or more partitions cannot take what comes from the input."""
    (finding,) = judge_counts({"in": 6, "in2": 6, "out": 4}, "in")

    assert finding.grave
    assert "out has 4" in finding.text
    assert "in has 6" in finding.text
    assert "rebuild --repartition" in finding.text


@pytest.mark.parametrize("kept", ["-1", str(FIVE_DAYS_MS)])
def test_an_input_kept_long_enough_is_fine(kept: str) -> None:
    """For ever, or for the lateness of 48 h and 3 days to the millisecond."""
    assert list(judge_input(Topic("in", 1, {**GOOD, "retention.ms": kept}), 48 * HOUR)) == []


def test_an_input_kept_too_short_is_grave_and_says_how_long() -> None:
    """Late events could not be read again after an outage."""
    (finding,) = judge_input(Topic("in", 1, {**GOOD, "retention.ms": str(FIVE_DAYS_MS - 1)}), 48 * HOUR)

    assert finding.grave
    assert f"retention.ms={FIVE_DAYS_MS}" in finding.text


def test_a_compacted_input_is_grave() -> None:
    """Compaction would delete all events of an EVSE but the last."""
    (finding,) = judge_input(Topic("in", 1, {**GOOD, "cleanup.policy": "compact, delete"}), 48 * HOUR)

    assert finding.grave
    assert "cleanup.policy=delete" in finding.text


def test_an_input_limited_in_size_is_a_warning() -> None:
    """Size may delete earlier than time, but nobody can say whether it will."""
    (finding,) = judge_input(Topic("in", 1, {**GOOD, "retention.bytes": "1000000"}), 48 * HOUR)

    assert not finding.grave


def test_settings_that_may_not_be_read_are_a_warning() -> None:
    """A user without the right to describe topics can still run the worker."""
    findings = [*judge_input(Topic("in", 1, {}), 48 * HOUR), *judge_output(Topic("out", 1, {}), SNAPSHOTS, 1)]

    assert [finding.grave for finding in findings] == [False, False]


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_snapshots_that_do_not_stay_are_grave(policy: str) -> None:
    """A snapshot that is deleted with age leaves its EVSE unknown to new readers."""
    (finding,) = judge_output(Topic("evse.snapshots", 1, {"cleanup.policy": policy}), SNAPSHOTS, 1)

    assert finding.grave
    assert "evse.snapshots --add-config cleanup.policy=compact" in finding.text


def test_dead_letters_want_room_for_the_whole_record() -> None:
    """Room for the input's largest record and its headers; less is a warning, since they are cut to fit."""
    config = {"cleanup.policy": "delete", "max.message.bytes": "1000000"}
    topic = Topic("evse.dead-letters", 1, config)

    (finding,) = judge_output(topic, DEAD_LETTERS, 1_000_000)

    assert not finding.grave
    assert "max.message.bytes=1065536" in finding.text
    assert list(judge_output(topic, DEAD_LETTERS, 1_000_000 - 65_536)) == []


def test_the_ledger_wants_room_for_the_largest_state() -> None:
    """Whatever the input takes: less is a warning, since most never come near it."""
    ledger = OutputTopic("evse.ledger", Cleanup.COMPACT, least_bytes=LEDGER_BYTES)
    config = {"cleanup.policy": "compact"}

    (finding,) = judge_output(Topic("evse.ledger", 1, config), ledger, 1_000)

    assert not finding.grave
    assert "stops its worker" in finding.text
    assert "max.message.bytes=8388608" in finding.text
    roomy = {**config, "max.message.bytes": "8388608"}
    assert list(judge_output(Topic("evse.ledger", 1, roomy), ledger, 9_000_000)) == []


def test_replicas_that_need_not_be_in_sync_are_a_warning() -> None:
    """All acknowledgements are then one, and its broker may be lost; a topic of one replica has no choice."""
    config = {"cleanup.policy": "compact", "min.insync.replicas": "1"}
    (finding,) = judge_output(Topic("evse.snapshots", 1, config, replicas=3), SNAPSHOTS, 1)

    assert not finding.grave
    assert "evse.snapshots --add-config min.insync.replicas=2" in finding.text
    assert list(judge_output(Topic("evse.snapshots", 1, config, replicas=1), SNAPSHOTS, 1)) == []
    kept = {**config, "min.insync.replicas": "2"}
    assert list(judge_output(Topic("evse.snapshots", 1, kept, replicas=3), SNAPSHOTS, 1)) == []


def test_the_largest_record_is_that_of_the_most_generous_input() -> None:
    """Kafka's own default counts where nothing is known."""
    small, large = (Topic("in", 1, {"max.message.bytes": size}) for size in ("10", "5000000"))

    assert largest_message([small, large]) == 5_000_000
    assert largest_message([Topic("in", 1, {})]) == DEFAULT_MESSAGE_BYTES == largest_message([])

"""A tally says what the library's own histogram says of the same values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics.exposition import generate_latest

from service.adapters.prometheus_table import histogram
from service.adapters.prometheus_tally import Tally
from service.domain.time import SECOND, Micros

METRIC = histogram("delay_seconds", "A delay.", (0.01, 0.25, 1, 60))
NOON: Micros = 1_767_614_400 * SECOND

batches = st.lists(
    st.lists(st.sampled_from((0, 9_999, 10_000, 10_001, 250_000, SECOND, 61 * SECOND)), max_size=9)
)


@given(batches)
def test_it_counts_as_the_librarys_histogram_does(drawn: list[list[Micros]]) -> None:
    """Bounds included, however the values are cut into batches."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally, one_by_one = (
        Tally(METRIC),
        Histogram(METRIC.name, METRIC.help, buckets=METRIC.buckets, registry=theirs),
    )
    ours.register(tally)
    for values in drawn:
        tally.observe(values)
        for value in values:
            one_by_one.observe(value / SECOND)
    samples = {(s.name, s.labels.get("le")): s.value for m in ours.collect() for s in m.samples}
    expected = {(s.name, s.labels.get("le")): s.value for m in theirs.collect() for s in m.samples}
    expected = {key: value for key, value in expected.items() if not key[0].endswith("_created")}
    assert samples.keys() == expected.keys()
    assert all(abs(samples[key] - expected[key]) < 1e-6 for key in samples)


def test_an_example_stands_with_the_bucket_it_is_counted_in() -> None:
    """Its value in seconds, and when it was observed."""
    registry, tally = CollectorRegistry(), Tally(METRIC)
    registry.register(tally)
    tally.observe([5_000, 2 * SECOND])
    tally.exemplify(2 * SECOND, {"event_id": "e-1"}, NOON)
    lines = generate_latest(registry).decode().splitlines()
    told = [line for line in lines if "e-1" in line]
    assert told == ['evse_status_delay_seconds_bucket{le="60.0"} 2.0 # {event_id="e-1"} 2.0 1767614400.0']

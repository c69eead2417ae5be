"""
The two dashboards, worker and fleet, a line a panel: `python -m deploy.grafana.generate` writes the JSON.

A test holds the JSON to this file, and every query to the metrics that exist.
"""

from __future__ import annotations

from pathlib import Path

from deploy.grafana.panels import Dashboard, Panel, Row, more, of_workers, quantile, rate, stat, written

HERE = Path(__file__).parent

_DELAY, _AGE = "evse_status_receipt_delay_seconds", "evse_status_event_delay_seconds"
_EACH = "{{instance}} {{worker}}"
_BATCH, _STEP = "evse_status_batch_seconds", "evse_status_step_seconds"

WORKER = Dashboard(
    "evse-status-worker",
    "EVSE status: worker",
    (
        Row(
            "Now",
            (
                stat("Partitions owned", "short", "sum(evse_status_partitions)"),
                stat("Not restored", "short", "sum(evse_status_unrestored_partitions)"),
                stat("Records waiting", "short", "sum(evse_status_lag_records)"),
                stat("Parts that do not answer", "short", "sum(max by (part) (evse_status_blocked))"),
                stat(
                    "Late in the last hour",
                    "percentunit",
                    "evse_status:receipt_delay:late_ratio1h",
                    "Events acknowledged later than 30 s after their receipt; the objective is 1 %.",
                ),
                stat("Loop last turned", "s", "time() - min(evse_status_last_turn_timestamp_seconds)"),
            ),
        ),
        Row(
            "Delay",
            (
                Panel(
                    "From receipt to acknowledged outputs",
                    "s",
                    {"half": quantile(0.5, _DELAY), "99 %": quantile(0.99, _DELAY)},
                    about="The points are the slowest events of batches, by name.",
                    examples=True,
                ),
                Panel(
                    "From when it applied to acknowledged outputs",
                    "s",
                    {"half": quantile(0.5, _AGE), "99 %": quantile(0.99, _AGE)},
                    about="What chargers send late is old by nature: compare with the panel beside it.",
                    examples=True,
                ),
                Panel(
                    "Share of late events, by window",
                    "percentunit",
                    {
                        "5 m": "evse_status:receipt_delay:late_ratio5m",
                        "1 h": "evse_status:receipt_delay:late_ratio1h",
                        "6 h": "evse_status:receipt_delay:late_ratio6h",
                    },
                ),
            ),
        ),
        Row(
            "Work",
            (
                Panel(
                    "Events by verdict",
                    "eps",
                    {"{{verdict}}": rate("evse_status_events_total", "verdict")},
                    stacked=True,
                ),
                Panel(
                    "Records waiting, by partition",
                    "short",
                    {"{{topic}}[{{partition}}]": "max by (topic, partition) (evse_status_lag_records)"},
                ),
                Panel(
                    "Offsets read, by partition",
                    "eps",
                    {
                        "{{topic}}[{{partition}}]": "max by (topic, partition) "
                        "(deriv(evse_status_next_offset[5m]))"
                    },
                    about="Where this is 0 while records wait, the partition stands.",
                ),
                Panel("Messages written", "eps", {"{{kind}}": rate("evse_status_published_total", "kind")}),
                Panel(
                    "Repeated, abandoned",
                    "eps",
                    {
                        "records applied before": rate("evse_status_records_repeated_total"),
                        "batches given up": rate("evse_status_batches_abandoned_total"),
                    },
                ),
                Panel(
                    "EVSEs refreshed by the slow tick",
                    "eps",
                    {"evses": rate("evse_status_ticked_evses_total")},
                ),
            ),
        ),
        Row(
            "Steps",
            (
                Panel(
                    "Time in each step, of a second",
                    "percentunit",
                    {"{{step}}": rate(f"{_STEP}_sum", "step")},
                    stacked=True,
                    about="Waiting for parts outside included; more than 1 a worker is overlap.",
                ),
                Panel(
                    "One batch",
                    "s",
                    {"half": quantile(0.5, _BATCH), "99 %": quantile(0.99, _BATCH)},
                ),
                Panel(
                    "Size of a batch",
                    "short",
                    {
                        "records": f"{rate('evse_status_batch_records_sum')} / "
                        f"{rate('evse_status_batch_records_count')}",
                        "EVSEs": f"{rate('evse_status_batch_evses_sum')} / "
                        f"{rate('evse_status_batch_evses_count')}",
                    },
                ),
            ),
        ),
        Row(
            "Trouble",
            (
                Panel(
                    "Dead letters by reason",
                    "eps",
                    {"{{reason}}": rate("evse_status_rejections_total", "reason")},
                ),
                Panel("Calls tried again", "eps", {"{{part}}": rate("evse_status_retries_total", "part")}),
                Panel(
                    "Errors by part and kind",
                    "eps",
                    {"{{part}}: {{kind}}": rate("evse_status_errors_total", "part, kind")},
                ),
                Panel("Does not answer", "short", {"{{part}}": "max by (part) (evse_status_blocked)"}),
                Panel(
                    "Two owners",
                    "eps",
                    {
                        "writes refused": rate("evse_status_stale_writes_total"),
                        "snapshots sent late": rate("evse_status_late_sends_total"),
                    },
                ),
                Panel(
                    "Assignments, losses of the view",
                    "short",
                    {
                        "assignments": more("evse_status_rebalances_total"),
                        "the view had gone back": more("evse_status_view_behind_total"),
                    },
                ),
                Panel(
                    "Restoring a partition from the ledger",
                    "s",
                    {
                        "half": quantile(0.5, "evse_status_restore_seconds"),
                        "99 %": quantile(0.99, "evse_status_restore_seconds"),
                    },
                ),
            ),
        ),
        Row(
            "Process",
            (
                Panel(
                    "Processors used",
                    "short",
                    {_EACH: of_workers("rate(process_cpu_seconds_total[$__rate_interval])")},
                ),
                Panel(
                    "Memory",
                    "bytes",
                    {_EACH: of_workers("process_resident_memory_bytes")},
                ),
                Panel("States of EVSEs in memory", "short", {_EACH: "evse_status_states"}),
                Panel(
                    "One turn of the loop, 99 %",
                    "s",
                    {_EACH: quantile(0.99, "evse_status_turn_seconds", "instance, worker")},
                ),
                Panel(
                    "Bases written, EVSEs restored",
                    "eps",
                    {
                        "bases": rate("evse_status_bases_total"),
                        "restored": rate("evse_status_restored_evses_total"),
                    },
                ),
                Panel(
                    "Started again by their parent",
                    "short",
                    {_EACH: "increase(evse_status_worker_restarts_total[$__rate_interval])"},
                    about="Where `run --workers` keeps several on one machine.",
                ),
                Panel(
                    "Started",
                    "s",
                    {_EACH: of_workers("time() - process_start_time_seconds")},
                    about="How long each worker has been running.",
                ),
            ),
        ),
    ),
)

_BANDS = "evse_status_evses_by_uptime"
_IN_SERVICE = 'status!~"REMOVED|PLANNED"'

FLEET = Dashboard(
    "evse-status-fleet",
    "EVSE status: fleet",
    (
        Row(
            "Now",
            (
                stat("EVSEs in service", "short", "evse_status:evses:sum"),
                stat("Charging", "short", 'sum(evse_status_evses{status="CHARGING"})'),
                stat("Out of order", "short", 'sum(evse_status_evses{status=~"OUTOFORDER|INOPERATIVE"})'),
                stat(
                    "Offline",
                    "percentunit",
                    "evse_status:evses:offline_ratio",
                    "Of those whose link is known.",
                ),
                stat("Uptime, 30 days", "percentunit", 'evse_status:uptime:ratio{definition="observed"}'),
                stat(
                    "Coverage, 30 days",
                    "percentunit",
                    'evse_status:coverage:ratio{definition="observed"}',
                    "What share of the time was seen; the uptime beside it speaks of that share alone.",
                ),
            ),
        ),
        Row(
            "Status",
            (
                Panel(
                    "EVSEs by status",
                    "short",
                    {"{{status}}": f"sum by (status) (evse_status_evses{{{_IN_SERVICE}}})"},
                    width=12,
                    stacked=True,
                ),
                Panel(
                    "EVSEs by online",
                    "short",
                    {"{{online}}": f"sum by (online) (evse_status_evses{{{_IN_SERVICE}}})"},
                    width=12,
                    stacked=True,
                    about="null: the operator does not tell.",
                ),
            ),
        ),
        Row(
            "Uptime",
            (
                Panel(
                    "EVSEs by uptime",
                    "short",
                    {"{{definition}} {{uptime}}": f"sum by (definition, uptime) ({_BANDS})"},
                    kind="bargauge",
                    about="Bands begin with their lower bound in percent; none: too little was seen of it.",
                ),
                Panel(
                    "Uptime of all windows together",
                    "percentunit",
                    {"{{definition}}": "evse_status:uptime:ratio"},
                ),
                Panel(
                    "Coverage of all windows together",
                    "percentunit",
                    {"{{definition}}": "evse_status:coverage:ratio"},
                ),
                Panel(
                    "What the windows consist of",
                    "s",
                    {"{{time}}": 'sum by (time) (evse_status_window_seconds{definition="observed"})'},
                    stacked=True,
                ),
                Panel(
                    "EVSEs below 97 %",
                    "short",
                    {
                        "{{definition}}": "sum by (definition) "
                        '(evse_status_evses_by_uptime{uptime=~"below_90|from_90|from_95"})'
                    },
                ),
            ),
        ),
        Row(
            "What is heard",
            (
                Panel(
                    "Events",
                    "eps",
                    {"{{verdict}}": rate("evse_status_events_total", "verdict")},
                    stacked=True,
                ),
                Panel(
                    "Declared offline, told of a gap",
                    "short",
                    {
                        "silent": more("evse_status_silences_total"),
                        "gap": more("evse_status_gaps_total"),
                    },
                ),
                Panel(
                    "Silent, but not declared offline, by why",
                    "short",
                    {"{{reason}}": "sum by (reason) (evse_status_silences_withheld)"},
                    stacked=True,
                    about="EVSEs past their deadline by all that was read. catching_up, lagging: the worker "
                    "has not read all; no_later_event: nothing comes from any charger of the partition; "
                    "after_start, after_gap: it does again, and all have a little longer.",
                ),
                Panel(
                    "Clocks not believed, fields left out, words not known",
                    "eps",
                    {
                        "clocks": rate("evse_status_clocks_corrected_total"),
                        "fields": rate("evse_status_fields_left_out_total"),
                        "statuses": rate("evse_status_unknown_statuses_total"),
                    },
                ),
            ),
        ),
    ),
)

DASHBOARDS = {"worker.json": WORKER, "fleet.json": FLEET}
"""By the name of the file."""


if __name__ == "__main__":
    for name, each in DASHBOARDS.items():
        (HERE / name).write_text(written(each), encoding="utf-8")

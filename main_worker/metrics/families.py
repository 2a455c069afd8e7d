"""What is told to Prometheus, under which names: a frozen view of the farm as families of metrics.

Names follow Prometheus: base units, ``_total`` for what only grows, ``_ratio`` for shares from 0 to 1. What grows is
counted from the start of this main worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.domain.figures import Counts, Figures
from shared.records.figures import FiguresRecord


@dataclass(frozen=True)
class View:
    """A farm at one moment.

    Attributes:
        tasks: their number by state.
        nodes: their number by state.
        free_bytes: room in the root; None where that cannot be told.
        rejected: drops that lie in ``trash/invalid/``.
        news: what each node did since the main worker started.
    """

    program: str
    record: FiguresRecord
    tasks: Mapping[str, int] = field(default_factory=dict)
    nodes: Mapping[str, int] = field(default_factory=dict)
    free_bytes: int | None = None
    rejected: int = 0
    news: Mapping[str, Counts] = field(default_factory=dict)


_SECONDS = {
    "rendering": "Time in which a task was rendered.",
    "starved": "Time in which a task waited and none was rendered.",
    "idle": "Time in which no task waited.",
    "exposed": "Transfers beside which nothing was rendered.",
    "fetching": "Time in which files of tasks came.",
    "delivering": "Time in which videos went.",
}
_BYTES = {"fetched_bytes": "Bytes of files that came.", "delivered_bytes": "Bytes of videos that went."}
_OUTCOMES = ("finished", "failed", "given_back")


class Families(Collector):
    """Gives what `view` is; it is replaced, whole, by whoever looks at the farm, and None until then."""

    def __init__(self) -> None:
        self.view: View | None = None

    def collect(self) -> Iterator[Metric]:
        view = self.view
        if view is None:
            return
        yield InfoMetricFamily("reelmill", "The program.", value={"version": view.program})
        yield from _state(view)
        yield from _figures(view.record)
        yield from _counters(view.news)
        damaged = view.record.damaged_lines
        yield CounterMetricFamily("reelmill_damaged_lines", "Lines of figures that could not be read.", value=damaged)


def _state(view: View) -> Iterator[Metric]:
    yield _labelled("reelmill_tasks", "Tasks by state.", "state", view.tasks)
    yield _labelled("reelmill_nodes", "Render nodes by what they do, or late or dead.", "state", view.nodes)
    if view.free_bytes is not None:
        yield GaugeMetricFamily("reelmill_free_bytes", "Free space in the project root.", value=view.free_bytes)
    yield GaugeMetricFamily("reelmill_rejected_drops", "Rejected drops in trash/invalid/.", value=view.rejected)


def _labelled(name: str, words: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _figures(record: FiguresRecord) -> Iterator[Metric]:
    """The four figures of the farm, and of each node; what there is nothing to tell from is left out."""
    for begin, labels, rows in (
        ("reelmill", ["window"], [([window], one) for window, one in record.farm.items()]),
        (
            "reelmill_node",
            ["node", "window"],
            [([node, window], one) for node, windows in record.nodes.items() for window, one in windows.items()],
        ),
    ):
        used = GaugeMetricFamily(
            f"{begin}_render_utilization_ratio", "Share of the time with work that went into rendering.", labels=labels
        )
        took = GaugeMetricFamily(f"{begin}_avg_render_time_seconds", "Rendering for each output.", labels=labels)
        made = GaugeMetricFamily(f"{begin}_task_throughput_per_hour", "Finished tasks an hour.", labels=labels)
        lost = GaugeMetricFamily(
            f"{begin}_io_overhead_seconds", "Transfers for each output that no render hid.", labels=labels
        )
        for values, one in rows:
            for family, value in _values(one, used, took, made, lost):
                family.add_metric(values, value)
        yield from (used, took, made, lost)


def _values(one: Figures, *families: GaugeMetricFamily) -> Iterator[tuple[GaugeMetricFamily, float]]:
    share = one.render_utilization
    values = (None if share is None else share / 100, one.avg_render_time, one.task_throughput, one.io_overhead)
    yield from ((family, value) for family, value in zip(families, values, strict=True) if value is not None)


def _counters(news: Mapping[str, Counts]) -> Iterator[Metric]:
    for name, words in (*_SECONDS.items(), *_BYTES.items()):
        unit = "" if name in _BYTES else "_seconds"
        family = CounterMetricFamily(f"reelmill_node_{name}{unit}", words, labels=["node"])
        for node, counts in news.items():
            family.add_metric([node], getattr(counts, name))
        yield family
    tasks = CounterMetricFamily("reelmill_node_tasks", "Tasks by how they ended on a node.", labels=["node", "outcome"])
    for node, counts in news.items():
        for outcome in _OUTCOMES:
            tasks.add_metric([node, outcome], getattr(counts, outcome))
    yield tasks
    outputs = sum(counts.finished for counts in news.values())
    yield CounterMetricFamily("reelmill_outputs", "Videos that were finished.", value=outputs)

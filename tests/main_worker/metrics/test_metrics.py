"""What Prometheus gets, how, and that the farm goes on where it cannot be told."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from console.init import lay_out
from main_worker.metrics.exporter import FILE
from main_worker.metrics.keeping import Keeping
from shared.domain.figures import Counts
from shared.domain.layout import Layout
from shared.log import open_log
from shared.nodes import Nodes
from shared.records.figures import FiguresLine, FiguresRecord
from shared.settings import Log, Metrics

NOON = 1_795_953_600.0  # 2026-11-29, 12:00 UTC
DASHBOARD = Path(__file__).parents[3] / "docs/grafana/reelmill.json"
WORK = Counts(rendering=30, starved=10, exposed=5, finished=2, failed=1, render_seconds=30, fetched_bytes=7)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return lay_out(tmp_path / "root")


def write(layout: Layout, counts: Counts = WORK, node: str = "a") -> None:
    path = layout.figures_of("2026-11-29", node)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(FiguresLine.of(NOON - 60, counts).to_line())


def keeping(layout: Layout, **settings: Any) -> Keeping:
    return Keeping(Metrics(**settings), layout, Nodes(layout, 90), open_log("tests", Log(file=False)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "textfiles"
    path.mkdir()
    return path


def families(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        yield from ((sample.name, sample.labels, sample.value) for sample in family.samples)


def test_the_figures_are_kept_for_the_console(layout: Layout) -> None:
    """Without any way to tell Prometheus."""
    write(layout)
    keeping(layout).look(NOON)
    record = FiguresRecord.read(layout.figures_record)
    assert record.farm["hour"].render_utilization == 75
    assert record.nodes["a"]["today"].io_overhead == 2.5


def test_the_text_file_is_whole_and_goes_at_the_end(layout: Layout, folder: Path) -> None:
    """What ended before this main worker began is in the figures, and in no counter."""
    write(layout)
    keeper = keeping(layout, textfile=str(folder))
    keeper.look(NOON)
    write(layout)
    keeper.look(NOON)
    found = {(name, *labels.values()): value for name, labels, value in families((folder / FILE).read_text())}
    assert found["reelmill_render_utilization_ratio", "hour"] == 0.75
    assert found["reelmill_node_tasks_total", "a", "finished"] == 2
    assert found["reelmill_outputs_total",] == 2
    assert found["reelmill_tasks", "waiting"] == 0
    assert [path.name for path in folder.iterdir()] == [FILE]
    keeper.exporter.close()
    assert list(folder.iterdir()) == []


def test_it_is_served_and_a_slow_client_holds_nobody_up(layout: Layout) -> None:
    """On a port of this machine."""
    write(layout)
    keeper = keeping(layout, listen="127.0.0.1:0")
    keeper.look(NOON)
    port = keeper.exporter.port
    try:
        with (
            socket.create_connection(("127.0.0.1", port or 0)),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer,
        ):
            assert "reelmill_node_rendering_seconds_total" in answer.read().decode()
    finally:
        keeper.exporter.close()


def test_a_port_in_use_is_told_once_and_tried_again(
    layout: Layout, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the key and what to do; the file is written all the same."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        keeper = keeping(layout, listen=f"127.0.0.1:{port}", textfile=str(folder))
        keeper.look(NOON)
        keeper.look(NOON)
    said = capfd.readouterr().err
    assert said.count(f"metrics.listen = 127.0.0.1:{port}") == 1
    assert "choose another port" in said
    assert (folder / FILE).exists()
    keeper.look(NOON)
    assert keeper.exporter.port == port
    keeper.exporter.close()


@pytest.mark.parametrize(
    "settings",
    [{"textfile": "/nowhere/at/all"}, {"listen": "no-such-host.invalid:9842"}, {"listen": "203.0.113.1:9842"}],
)
def test_what_cannot_be_told_brings_nothing_down(
    layout: Layout, settings: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """The figures are kept, and the trouble names the key."""
    keeping(layout, **settings).look(NOON)
    assert f"metrics.{next(iter(settings))} = " in capfd.readouterr().err
    assert layout.figures_record.exists()


def test_the_dashboard_asks_for_what_is_exported(layout: Layout, folder: Path) -> None:
    """Every metric of its queries, with the labels they name; and it has what Grafana needs."""
    write(layout)
    keeper = keeping(layout, textfile=str(folder))
    keeper.look(NOON)
    text = (folder / FILE).read_text()
    exported = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    board = json.loads(DASHBOARD.read_text("utf-8"))
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= board.keys()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert {"type", "title", "gridPos", "datasource", "targets", "fieldConfig"} <= panel.keys()
        for target in panel["targets"]:
            names = set(re.findall(r"reelmill_\w+", target["expr"]))
            assert names
            assert names <= exported, target["expr"]

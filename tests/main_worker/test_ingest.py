"""One drop's trouble is that drop's alone: it is put off, told once, and tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from main_worker.examination import Content, Examined, Examiner
from main_worker.filing import Filing
from main_worker.ingest import Ingest
from main_worker.library import Library
from main_worker.ready import Ready
from shared.config import Log
from shared.domain.drop import Drop, Kind
from shared.domain.errors import MachineTrouble
from shared.domain.layout import Layout
from shared.log import open_log
from tests.main_worker.conftest import Desk


@dataclass(frozen=True)
class Stumbling(Examiner):
    """An examiner that meets one error after the other, and then finds nothing wrong."""

    errors: list[Exception] = field(default_factory=list)

    def examine(self, ready: Ready, drop: Drop, known: Callable[[Content], None]) -> Examined:
        if self.errors:
            raise self.errors.pop(0)
        return super().examine(ready, drop, known)


@pytest.fixture
def stumble(desk: Desk, tmp_path: Path) -> Iterator[Callable[..., Ingest]]:
    made: list[Ingest] = []

    def make(*errors: Exception) -> Ingest:
        layout = Layout(tmp_path)
        for folder in layout.folders():
            folder.mkdir(parents=True, exist_ok=True)
        log = open_log("main_worker", Log())
        filing = Filing(layout, Library(layout, log), 100)
        examiner = Stumbling(desk.cage(), layout.staging, list(errors))
        made.append(Ingest(layout, filing, examiner, 1, log, lambda: None))
        return made[-1]

    yield make
    for ingest in made:
        ingest.close()


def settle(ingest: Ingest, now: float) -> None:
    """Wait for the examination under way and conclude it."""
    while ingest.checking:
        ingest.finish(now)


@pytest.mark.parametrize(
    "error", [KeyError("a fault of the program"), MachineTrouble("the disk is full"), OSError(5, "Input/output error")]
)
def test_a_drop_in_trouble_stays_and_is_tried_again(
    stumble: Callable[..., Ingest], desk: Desk, tmp_path: Path, error: Exception
) -> None:
    """Whatever was stumbled over, the drop is not refused, and a later try takes it."""
    ingest = stumble(error)
    path = tmp_path / "raw/story/tales/fox/link/a.txt"
    path.parent.mkdir(parents=True)
    path.write_text("nonsense", "utf-8")
    ready, _ = desk.ready(path, Kind.LINK)
    ingest.take(ready, 0.0)
    settle(ingest, 0.0)
    assert path.exists()
    assert list(ingest.put_off()) == [ready.relative]
    assert ingest.trouble
    ingest.take(ready, 1.0)
    assert not ingest.checking, "it must wait before it is tried again"
    ingest.take(ready, 1000.0)
    settle(ingest, 1000.0)
    assert not path.exists()
    assert (tmp_path / "trash/invalid/a.txt").exists()
    assert not ingest.put_off()


def test_after_some_tries_there_is_no_use_in_waiting(
    stumble: Callable[..., Ingest], desk: Desk, tmp_path: Path
) -> None:
    """A run that is to end when nothing is left to do ends all the same."""
    ingest = stumble(*[MachineTrouble("the disk is full")] * 3)
    path = tmp_path / "raw/story/tales/fox/link/a.txt"
    path.parent.mkdir(parents=True)
    path.write_text("nonsense", "utf-8")
    ready, _ = desk.ready(path, Kind.LINK)
    for attempt in range(3):
        assert ingest.is_hopeless() == (attempt == 0), "nothing put off is no reason to wait either"
        ingest.take(ready, attempt * 1000.0)
        settle(ingest, attempt * 1000.0)
    assert ingest.is_hopeless()
    ingest.forget_all_but([])
    assert not ingest.put_off()

"""Names and words from outside upset no terminal, whichever command prints them."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.domain.drop import Kind
from shared.domain.layout import REASON, Layout, retired_of
from shared.domain.task import TaskState
from shared.orders import Orders
from shared.records.main import MainRecord, PendingDrop, WaitingVoice
from shared.records.orders import Order
from shared.records.reason import Reason
from shared.records.retired import RetiredRecord
from tests.terminal import Terminal, line

Add = Callable[..., str]
Reject = Callable[..., Path]
HOSTILE = "e\x1b[31m[red]x\x9b2J\x07\u202e:boom:"
"""Colours what follows, is markup, clears the screen, rings, turns writing round, and is an emoji to rich."""
HARMLESS = r"e\x1b[31m[red]x\x9b2J\x07\u202e:boom:"
FORGED = f"{HOSTILE}\nforged line"
TASK = "5f0c0000-0000-5000-8000-000000000001"


@pytest.fixture
def hostile_farm(
    layout: Layout,
    node: Callable[..., str],
    add_task: Add,
    fail_task: Add,
    finish_task: Add,
    reject: Reject,
    file_drop: Callable[..., Path],
    write_log: Callable[..., None],
) -> None:
    """A root in which whatever can hold a name or words holds hostile ones."""
    titles = (FORGED, "b[/red]", "c")
    add_task(task_id=TASK, titles=titles)
    finish_task(titles=titles, chapter="2")
    failed = fail_task(titles=titles, chapter="3")
    reason = Reason(code=HOSTILE, reason=FORGED, advice=FORGED, task_id=failed, when="2026-11-20T18:03:44Z")
    reason.write(layout.task(TaskState.FAILED, failed) / REASON)
    reject(f"raw/video/{HOSTILE}.mp4", f"{HOSTILE}.mp4", reason=FORGED, advice=FORGED)
    node("a", node=f"{HOSTILE}[/red]", why=FORGED, state=HOSTILE, program=HOSTILE, encoder=HOSTILE)
    node("b", state="rendering", label=FORGED, percent=43.2, phase=HOSTILE)
    Orders(layout).pause(Order(by=HOSTILE, when=HOSTILE, why=FORGED))
    voice = WaitingVoice(voice=HOSTILE, category="nature", story="tale", reason=FORGED)
    pending = PendingDrop(drop=f"raw/{FORGED}", doing=FORGED)
    MainRecord(
        host="h", pid=1, program="1", state="idle", trouble=FORGED, pending=(pending,), waiting=(voice,), updated_at="t"
    ).write(layout.main_record)
    clip = file_drop(f"raw/{FORGED}.mp4", f"video/{HOSTILE}.mp4", Kind.VIDEO)
    RetiredRecord(when=HOSTILE, by=HOSTILE, note=FORGED).write(retired_of(clip))
    (layout.raw / f"{FORGED}.txt").write_bytes(b"x")
    write_log("main_worker.log", line(1, words=HOSTILE), f"    {HOSTILE}")


@pytest.mark.usefixtures("hostile_farm")
@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["status", "--why", TASK],
        ["tasks"],
        ["nodes"],
        ["show", TASK],
        ["where", "*.mp4"],
        ["history"],
        ["logs"],
        ["retry", f"{HOSTILE}.mp4"],
        ["retry", "--all"],
        ["retry", HOSTILE],
        ["cancel", TASK],
        ["priority", "7", TASK],
        ["pause", HOSTILE],
        ["retire", "--list"],
        ["scan"],
        ["status", HOSTILE],
        ["history", "--since", HOSTILE],
        ["nodes", "--root", HOSTILE],
        ["doctor", "--config", HOSTILE],
    ],
    ids=" ".join,
)
def test_nothing_from_outside_upsets_a_terminal(terminal: Callable[..., Terminal], words: list[str]) -> None:
    """Whichever command prints it, it stands there letter by letter, and on its own line."""
    seen = terminal(*words).to_the_end()
    assert HARMLESS in seen
    assert not [char for char in seen.replace("\r\n", "") if not char.isprintable()]
    assert "\nforged" not in seen


@pytest.mark.usefixtures("hostile_farm")
@pytest.mark.parametrize("words", [["top"], ["status", "--watch"], ["run"]], ids=" ".join)
def test_nothing_from_outside_upsets_a_screen(terminal: Callable[..., Terminal], words: list[str]) -> None:
    """Rich moves and colours on it, but not at the word of a name."""
    screen = terminal(*words)
    seen = screen(f"{HARMLESS}[/red]")
    screen.process.send_signal(signal.SIGINT)
    seen += screen.to_the_end()
    left = re.sub(r"\x1b(\[[?;0-9]*[a-zA-Z]|[()][0AB])", "", seen)
    assert not [char for char in left.replace("\r", "").replace("\n", "") if not char.isprintable()]
    assert seen.count(HARMLESS) == seen.count(HARMLESS[:6])  # markup would be gone from it, and be a colour
    assert "\nforged" not in seen

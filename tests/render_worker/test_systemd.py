"""A render worker as a service: a long render is no wedge, and a loop that hangs falls silent."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.layout import METADATA, Layout
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.store import Store

if TYPE_CHECKING:
    from tests.conftest import ServiceManager

AddTask = Callable[..., str]
StartWorker = Callable[..., "subprocess.Popen[bytes]"]
QUICK = {"voice": "voice_short.mp3", "clips": ("h264.mp4",)}


def test_a_render_that_shows_nothing_for_long_is_no_wedge(
    farm: Layout,
    add_task: AddTask,
    start_worker: StartWorker,
    script: Callable[[str], Ffmpeg],
    ffmpeg: Ffmpeg,
    tmp_path: Path,
    service_manager: ServiceManager,
) -> None:
    """Its ffmpeg stands still three times as long as the watchdog waits; its own limit would end it, not systemd."""
    seen = tmp_path / "environment"
    slow = script(f'case "$*" in *-progress*{farm.root}*) env >> {seen}; sleep 3 ;; esac; exec {ffmpeg.path} "$@"')
    worker = start_worker(ffmpeg__path=slow.path, worker__conform_when_idle="false", render__encoder="software")
    service_manager.until_told("READY=1")
    service_manager.until_told("STATUS=idle")
    started = time.monotonic()
    task_id = add_task(**QUICK)
    service_manager.until(lambda: Store(farm).is_finished(task_id))
    assert time.monotonic() - started > 3
    assert service_manager.longest_silence(started) < 1.0
    assert any("dragon_flight/" in message and " %" in message for _, message in service_manager.heard)
    assert "NOTIFY_SOCKET" not in seen.read_text(), "an ffmpeg must not speak for its worker"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    service_manager.until_told("STOPPING=1")


def test_a_loop_that_hangs_falls_silent(
    farm: Layout, add_task: AddTask, start_worker: StartWorker, service_manager: ServiceManager
) -> None:
    """A read that does not come back, here of a pipe that nobody writes into, is what systemd is to notice."""
    start_worker(worker__conform_when_idle="false", render__encoder="software")
    service_manager.until_told("STATUS=idle")
    staged = farm.staging / "task"
    staged.mkdir()
    os.mkfifo(staged / METADATA)
    task_id = "0c6b2a52-8a0e-4a0f-9c39-3c1a5f2b9d11"
    staged.rename(farm.task(TaskState.WAITING, task_id))
    service_manager.until(lambda: time.monotonic() - service_manager.pings[-1] > 3)
    hangs_since = time.monotonic()
    assert service_manager.heard, "the pulse goes on, but it is not what does the work"
    path = farm.task(TaskState.WAITING, task_id) / METADATA
    with path.open("wb"):  # the server is back
        path.unlink()
        path.write_bytes(b"{}")
    service_manager.until(lambda: service_manager.pings[-1] > hangs_since)

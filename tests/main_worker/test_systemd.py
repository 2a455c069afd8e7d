"""The main worker as a service: ready once it takes drops, a word on what it does, no ping from a loop that hangs."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from shared.domain.layout import sidecar_of

if TYPE_CHECKING:
    from tests.conftest import ServiceManager
    from tests.main_worker.conftest import Farm, Media


def test_a_main_worker_says_that_it_is_ready_what_it_does_and_that_it_ends(
    farm: Farm, media: Media, service_manager: ServiceManager
) -> None:
    """`systemctl status` shows what `reelmill status` says of it."""
    main = farm.start()
    service_manager.until_told("READY=1")
    service_manager.until_told("STATUS=idle")
    farm.drop(media.sound(), "story/nature/tale/voice/one.mp3")
    service_manager.until_told("STATUS=idle, 1 waiting for material")
    farm.drop(media.slow_clip(), "video/nature/a.mp4")
    service_manager.until_told("STATUS=working, 1 in raw/, 1 waiting for material")
    started = time.monotonic()
    service_manager.until(lambda: len([at for at in service_manager.pings if at > started]) >= 6)
    assert service_manager.longest_silence(started) < 1.0
    assert main.stop() == 0
    service_manager.until_told("STOPPING=1")


def test_a_loop_that_hangs_falls_silent_and_its_last_word_is_where(
    farm: Farm, media: Media, service_manager: ServiceManager
) -> None:
    """A read that does not come back, as from a mount whose server is gone: here of a pipe that nobody writes into."""
    main = farm.start()
    farm.drop(media.sound(), "story/nature/tale/voice/one.mp3")
    service_manager.until_told("STATUS=idle, 1 waiting for material")
    ((voice, sidecar),) = farm.library().items()
    record = sidecar_of(farm.layout.scanned / voice)
    record.unlink()
    os.mkfifo(record)
    farm.drop(media.clip(), "video/nature/a.mp4")  # the voice is looked at again, and its record read
    farm.drop(media.sound("tune.mp3"), "music/nature/a.mp3")
    hangs_since = silent_for(service_manager, 3)
    with record.open("wb") as pipe:  # the server is back
        pipe.write(sidecar.to_bytes())
    service_manager.until(lambda: service_manager.pings[-1] > hangs_since)
    main.until(farm.tasks)
    assert main.stop() == 0


def test_what_the_watchdog_ends_says_where_it_stood(farm: Farm, service_manager: ServiceManager) -> None:
    """systemd ends a wedged worker by SIGABRT, and the journal then has a line for every call of every thread."""
    main = farm.start()
    service_manager.until_told("READY=1")
    main.process.send_signal(signal.SIGABRT)
    assert main.process.wait(30) == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in main.log
    assert 'main_worker/daemon.py", line' in main.log


def silent_for(manager: ServiceManager, seconds: float) -> float:
    """Wait until no ping has come for some seconds; returns when that was (monotonic seconds)."""
    manager.until(lambda: time.monotonic() - manager.pings[-1] > seconds)
    return time.monotonic()

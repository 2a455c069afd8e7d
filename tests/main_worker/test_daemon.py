"""The main worker as a process: alone on its root, patient with growing drops, and safe to end at any moment."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.domain.drop import Kind

if TYPE_CHECKING:
    from tests.main_worker.conftest import Farm, Media


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tools_of(farm: Farm) -> list[bytes]:
    """The command lines of living tools that work for a root."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("needs /proc")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(farm.layout.raw) in command:
            found.append(command)
    return found


def is_decoding(farm: Farm) -> bool:
    """Whether ffmpeg is at work on a drop."""
    return any(b"-f\0null" in command for command in tools_of(farm))


# -- beginning and end -------------------------------------------------------------------------------


def test_an_empty_root_is_idle_at_once(farm: Farm) -> None:
    """With ``--until-idle`` the worker says so and ends well."""
    main = farm.start("--until-idle")
    assert main.wait() == 0
    assert "event=idle" in main.log
    assert (farm.layout.logs / "main_worker.log").read_text("utf-8") == main.log


def test_a_worker_that_waits_for_idleness_takes_everything_in_first(farm: Farm, media: Media) -> None:
    """Drops that still have to settle are not nothing."""
    farm.drop(media.clip(), "video/nature/a.mp4")
    assert farm.start("--until-idle").wait() == 0
    assert len(farm.library()) == 1


def test_a_worker_that_waits_for_idleness_waits_for_the_renders(farm: Farm, media: Media) -> None:
    """As long as a task is in tasks/ or processing/ the farm is not idle."""
    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.drop(media.sound("tune.mp3"), "music/nature/a.mp3")
    farm.drop(media.sound(), "story/nature/tale/voice/one.mp3")
    main = farm.start("--until-idle")
    main.until(farm.tasks)
    main.until_idle()
    ((task_id, _),) = farm.tasks().items()
    (farm.layout.root / "tasks" / task_id).rename(farm.layout.output / task_id)
    assert main.wait() == 0


def test_a_second_main_worker_is_refused_and_told_of_the_first(farm: Farm) -> None:
    """Exit status 2, naming process and host; the first goes on."""
    first = farm.start()
    first.until_idle()
    second = farm.start("--until-idle")
    assert second.wait() == 2
    assert f"another main worker (process {first.process.pid} on {os.uname().nodename})" in second.log
    assert "Traceback" not in second.log
    assert first.process.poll() is None
    assert first.stop() == 0
    assert farm.start("--until-idle").wait() == 0


def test_a_killed_main_worker_does_not_lock_the_root(farm: Farm) -> None:
    """The kernel lets go of its lock; the file it left says nothing."""
    first = farm.start()
    first.until_idle()
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert farm.start("--until-idle").wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(farm: Farm, number: signal.Signals) -> None:
    """systemd's and the keyboard's."""
    main = farm.start()
    main.until_idle()
    assert main.stop(number) == 0
    assert "event=worker_stopped" in main.log


# -- drops that are not done yet ---------------------------------------------------------------------


def test_a_growing_drop_is_not_taken_until_it_is_quiet(make_farm: Callable[..., Farm], media: Media) -> None:
    """A copy that stalls, goes on and ends is one whole library file."""
    farm = make_farm({"ingest": {"quiet_seconds": 2.0}})
    content = media.clip("late-index.mp4", seconds=6).read_bytes()
    growing = farm.layout.raw / "video/nature/a.mp4"
    growing.parent.mkdir(parents=True)
    main = farm.start()
    main.until_idle()
    step = len(content) // 6 + 1
    for start in range(0, len(content), step):
        with growing.open("ab") as stream:
            stream.write(content[start : start + step])
        main.until_doing("settling")
        time.sleep(0.3)
        assert growing.exists()
    main.until(farm.library)
    assert main.stop() == 0
    ((_, sidecar),) = farm.library().items()
    assert sidecar.sha256 == hashlib.sha256(content).hexdigest()
    assert farm.rejected() == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")
def test_a_copy_that_stalls_for_many_quiet_periods_is_waited_for(farm: Farm, media: Media) -> None:
    """Its program still has it open: half of it is never examined, and status says what is waited for."""
    content = media.clip("late-index.mp4", seconds=6).read_bytes()
    stalled = farm.layout.raw / "video/nature/a.mp4"
    stalled.parent.mkdir(parents=True)
    main = farm.start()
    with stalled.open("wb") as stream:
        stream.write(content[: len(content) // 2])
        stream.flush()
        main.until_doing("open for writing")
        time.sleep(2)  # twenty quiet periods
        assert stalled.exists()
        stream.write(content[len(content) // 2 :])
    main.until(farm.library)
    assert main.stop() == 0
    ((_, sidecar),) = farm.library().items()
    assert sidecar.sha256 == hashlib.sha256(content).hexdigest()
    assert sidecar.origin.evidence.endswith("no program has it open for writing")
    assert farm.rejected() == {}


def test_a_drop_under_a_temporary_name_is_left_until_it_is_renamed(farm: Farm, media: Media) -> None:
    """Downloading programs rename when they are done."""
    part = farm.drop(media.half(media.clip()), "video/nature/a.mp4.part")
    farm.work()
    assert part.exists()
    shutil.copyfile(media.clip(), part)
    part.rename(part.with_suffix(""))
    farm.work()
    assert list(farm.library()) == ["video/nature/mp4_w64_h48/1.0_a.mp4"]


def test_a_drop_that_is_replaced_while_it_is_checked_is_judged_anew(farm: Farm, media: Media) -> None:
    """The better copy is filed; what was learnt of the first is forgotten."""
    path = farm.drop(media.slow_clip(seconds=40), "video/nature/a.mp4")
    main = farm.start()
    main.until(lambda: is_decoding(farm))
    farm.drop(media.clip(), "video/nature/a.mp4")
    main.until(farm.library)
    main.until_idle()
    assert main.stop() == 0
    assert [sidecar.sha256 for sidecar in farm.library().values()] == [sha256(media.clip())]
    assert farm.rejected() == {}
    assert not path.exists()
    assert "event=file_changed" in main.log


def test_a_verdict_is_not_carried_out_on_another_file(make_farm: Callable[..., Farm], media: Media) -> None:
    """A drop that is to be refused was replaced meanwhile: the new one is not put into the trash in its place."""
    farm = make_farm({"ingest": {"check_timeout_seconds": 3, "check_timeout_ratio": 0}})
    farm.drop(media.slow_clip(), "video/nature/a.mp4")
    main = farm.start()
    main.until(lambda: is_decoding(farm))
    farm.drop(media.clip(), "video/nature/a.mp4")
    main.until(farm.library)
    assert main.stop() == 0
    assert farm.rejected() == {}
    assert "event=file_changed" in main.log


def test_a_drop_that_is_taken_away_while_it_is_checked_is_no_trouble(farm: Farm, media: Media) -> None:
    """Its owner may change his mind; nobody else has to wait for it."""
    path = farm.drop(media.slow_clip(seconds=40), "video/nature/a.mp4")
    main = farm.start()
    main.until(lambda: is_decoding(farm))
    path.unlink()
    main.until_idle()
    assert main.stop() == 0
    assert (farm.library(), farm.rejected(), farm.leftovers()) == ({}, {}, [])
    assert "event=ingest_trouble" not in main.log


def test_a_folder_that_is_gone_pauses_and_rejects_nothing(farm: Farm, media: Media) -> None:
    """While a folder of the root is away nothing is taken; the record says why; all goes on when it is back."""
    main = farm.start()
    main.until_idle()
    away = farm.layout.invalid.rename(farm.layout.invalid.with_name("away"))
    main.until(lambda: (record := main.record()) and record.state == "paused")
    path = farm.drop(media.text("a.mkv", "text"), "video/nature/a.mkv")
    farm.drop(media.clip(), "video/nature/b.mp4")
    record = main.record()
    assert record is not None
    assert record.trouble == f"{farm.layout.invalid} is gone"
    assert record.paused_since is not None
    time.sleep(1)  # ten quiet periods
    assert path.exists()
    assert farm.library() == {}
    away.rename(farm.layout.invalid)
    main.until(farm.library)
    main.until_logged("event=file_rejected")
    main.until_idle()
    record = main.record()
    assert record is not None
    assert (record.trouble, record.paused_since) == (None, None)
    assert main.stop() == 0
    assert list(farm.rejected()) == ["raw/video/nature/a.mkv"]
    assert (main.log.count("event=ingest_paused"), main.log.count("event=ingest_resumed")) == (1, 1)


# -- ends in the middle ------------------------------------------------------------------------------


def test_a_signal_in_the_middle_leaves_nothing_half_filed(farm: Farm, media: Media) -> None:
    """Exit status 0, the drop in raw/ as it was, no tool left; the next worker goes on."""
    farm.drop(media.clip(), "video/nature/quick.mp4")
    path = farm.drop(media.slow_clip(), "video/nature/slow.mp4")
    main = farm.start()
    main.until(farm.library)
    main.until(lambda: is_decoding(farm))
    assert main.stop() == 0
    assert path.exists()
    assert tools_of(farm) == []
    assert list(farm.library()) == ["video/nature/mp4_w64_h48/1.0_quick.mp4"]
    assert farm.leftovers() == []
    assert farm.rejected() == {}
    farm.drop(media.variant(media.clip(), 1), "video/nature/slow.mp4")
    farm.work()
    assert len(farm.library()) == 2


def test_tools_do_not_outlive_a_killed_worker(farm: Farm, media: Media) -> None:
    """They hang on a leash: the kernel ends them with their worker."""
    farm.drop(media.slow_clip(), "video/nature/slow.mp4")
    main = farm.start()
    main.until(lambda: is_decoding(farm))
    main.stop(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while tools_of(farm):
        assert time.monotonic() < deadline, tools_of(farm)
        time.sleep(0.02)


def test_deleting_the_machinery_costs_nothing(farm: Farm, media: Media) -> None:
    """Without ``.farm/`` the library is known again, and no task is made twice."""
    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.drop(media.sound("tune.mp3"), "music/nature/a.mp3")
    farm.drop(media.sound(), "story/nature/tale/voice/one.mp3")
    farm.work()
    library, tasks = farm.library(), farm.tasks()
    shutil.rmtree(farm.layout.farm)
    farm.drop(media.clip(), "video/nature/again.mp4")
    farm.drop(media.variant(media.sound(), 1), "story/nature/tale/voice/two.mp3")
    farm.work()
    assert farm.library().items() >= library.items()
    assert [reason.code for _, reason in farm.rejected().values()] == ["duplicate"]
    assert len(tasks) == 1
    assert len(farm.tasks()) == 2
    assert farm.tasks().items() >= tasks.items()


ROUNDS = 10


@pytest.mark.slow
def test_kills_at_any_moment_lose_nothing_and_double_nothing(farm: Farm, media: Media) -> None:
    """After many kills while drops are examined and filed, each is in the library or in the trash, exactly once."""
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)  # noqa: S311
    good: dict[str, str] = {}
    bad: set[str] = set()
    slept = []
    for number in range(ROUNDS):
        for source, where in (
            (media.clip(), f"video/nature/clip{number}.mp4"),
            (media.sound("tune.mp3", seconds=5), f"music/nature/tune{number}.mp3"),
            (media.sound(), f"story/nature/tale/voice/chapter{number}.mp3"),
        ):
            farm.drop(variant := media.variant(source, number), where)
            good[f"raw/{where}"] = sha256(variant)
        for source, where in (
            (media.text("note.txt", f"note {number}"), f"video/nature/note{number}.txt"),
            (media.text("text.mp4", f"text {number}"), f"video/nature/text{number}.mp4"),
        ):
            farm.drop(source, where)
            bad.add(f"raw/{where}")
        main = farm.start()
        main.until_logged("event=worker_started")
        slept.append(dice.uniform(0.0, 0.8))
        time.sleep(slept[-1])
        main.stop(signal.SIGKILL)
    last = farm.work()
    story = f"seed {seed}, killed after {slept}\n{last}"
    library = farm.library()
    origins = [sidecar.origin.path for sidecar in library.values()]
    assert sorted(origins) == sorted(good), story
    for name, sidecar in library.items():
        assert sidecar.origin.sha256 == good[sidecar.origin.path], story
        assert sidecar.sha256 == sha256(farm.layout.scanned / name), story
    assert set(farm.rejected()) == bad, story
    assert len(farm.files(farm.layout.invalid)) == 2 * len(bad), story
    assert farm.files(farm.layout.raw) == [], story
    assert farm.leftovers() == [], story
    voices = {name: sidecar.task_id for name, sidecar in library.items() if sidecar.kind is Kind.VOICE}
    assert sorted(filter(None, voices.values())) == sorted(farm.tasks()), story
    assert len(farm.tasks()) == ROUNDS, story
    for task_id, metadata in farm.tasks().items():
        folder = farm.layout.root / "tasks" / task_id
        assert all((folder / name).exists() for name in metadata.inputs), story

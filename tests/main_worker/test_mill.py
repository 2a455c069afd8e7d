"""One turn after the other of everything, in this process and with the present passed in."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from console.init import lay_out
from main_worker.mill import Mill
from main_worker.once import Inline
from shared.config import Config
from shared.domain.drop import Kind
from shared.domain.layout import METADATA, Layout, sidecar_of
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.log import open_log
from shared.records.metadata import Metadata
from shared.settings import Log
from tests.main_worker.conftest import QUICK, Media, Stock, png, without_privileges


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    """The library of a root that is laid out."""
    return Stock(lay_out(tmp_path / "root", QUICK))


def mill_on(
    layout: Layout, media: Media, ffmpeg: Ffmpeg | None = None, stopping: Callable[[], bool] = lambda: False
) -> Mill:
    """A mill that does in this thread what it does beside it otherwise."""
    log = open_log("main_worker", Log())
    config = Config.model_validate(QUICK)
    return Mill(config, layout, ffmpeg or media.ffmpeg, Inline(), 1, log, stopping=stopping)


@pytest.fixture
def mill(stock: Stock, media: Media, capsys: pytest.CaptureFixture[str]) -> Mill:
    """A mill on the root that has not looked at anything yet."""
    return mill_on(stock.layout, media)


def clips_of_tasks(layout: Layout) -> list[set[str]]:
    """The names of the clips of every task, which are all there."""
    found = []
    for task in layout.state(TaskState.WAITING).iterdir():
        links = list(task.glob("video_part*.mp4"))
        found.append({link.resolve(strict=True).name for link in links})
    return found


def test_a_configuration_without_a_frame_rate_makes_tasks(stock: Stock, mill: Mill) -> None:
    """Of the rate that is written in the manual."""
    stock.music("nature", "tune")
    stock.clip("nature", "a")
    stock.voice("nature", "tale", "one")
    mill.look(0.0)
    mill.prepare()
    (task,) = stock.layout.state(TaskState.WAITING).iterdir()
    assert Metadata.read(task / METADATA).render.frame_rate == 30


# -- what the configuration names in assets/ ----------------------------------------------------------


@pytest.mark.parametrize(("fault", "reason"), [("gone", "does not start"), ("killed", "was killed"), ("stopped", "")])
def test_a_tool_in_trouble_keeps_what_needs_it_waiting_and_ends_nothing(
    stock: Stock, media: Media, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, reason: str
) -> None:
    """It is gone, or killed, or the worker ends while a logo is looked at; all goes on where it can."""
    stock.clip("nature", "a")
    stock.music("nature", "tune")
    stock.voice("nature", "tale", "one")
    (stock.layout.assets / "logo.png").write_bytes(png(255, 0, 0))
    program, stops = tmp_path / "ffmpeg", fault == "stopped"
    if fault == "killed":
        program.write_text("#!/bin/sh\nkill -9 $$\n", "utf-8")
        program.chmod(0o755)
    mill = mill_on(stock.layout, media, Ffmpeg(str(program), "stand-in"), stopping=lambda: stops)
    mill.look(0.0)
    mill.prepare()
    standing = mill.standing(1.0)
    assert standing.trouble is None
    assert [reason in voice.reason for voice in standing.waiting.first] == ([True] if reason else [])
    program.unlink(missing_ok=True)
    program.symlink_to(media.ffmpeg.path)
    stops = False
    mill.look(10.0)
    mill.prepare()
    assert len(clips_of_tasks(stock.layout)) == 1
    assert "event=fault" not in capsys.readouterr().err


# -- what is taken out of the library by hand ---------------------------------------------------------


@pytest.mark.parametrize("parts", [("file",), ("record",), ("file", "record")])
def test_clips_taken_out_by_hand_are_not_used_any_more(
    stock: Stock, mill: Mill, capsys: pytest.CaptureFixture[str], parts: tuple[str, ...]
) -> None:
    """The next voice is made of the others, and the log says once what is not used."""
    stock.music("nature", "tune")
    clips = [stock.clip("nature", name) for name in "abc"]
    for name in ("one", "two", "three"):
        stock.voice("nature", "tale", name, seconds=3.0)
    mark = stock.layout.story_retired("nature", "tale")
    mark.touch()
    mill.look(0.0)
    mill.prepare()
    assert clips_of_tasks(stock.layout) == []
    for part in parts:
        (clips[1] if part == "file" else sidecar_of(clips[1])).unlink()
    mark.unlink()
    mill.look(10.0)
    mill.prepare()
    assert clips_of_tasks(stock.layout) == [{"1.0_a.mp4", "1.0_c.mp4"}] * 3
    assert mill.standing(10.0).waiting.count == 0
    mill.look(20.0)
    mill.prepare()
    assert capsys.readouterr().err.count("event=library_gone") == 1


def test_a_voice_that_is_left_without_clips_is_told_so(stock: Stock, mill: Mill) -> None:
    """As if there had never been any."""
    stock.music("nature", "tune")
    clip = stock.clip("nature", "a")
    stock.voice("nature", "tale", "one", seconds=3.0)
    mill.look(0.0)
    clip.unlink()
    for _ in range(2):
        mill.prepare()
    assert [voice.reason for voice in mill.standing(1.0).waiting.first] == ["there is no clip in raw/video/nature/ yet"]


def test_a_voice_taken_out_by_hand_waits_for_nothing(stock: Stock, mill: Mill) -> None:
    """It is not told of for ever."""
    voice = stock.voice("nature", "tale", "one")
    stock.voice("nature", "tale", "two")
    mill.look(0.0)
    mill.prepare()
    assert mill.standing(0.0).waiting.count == 2
    voice.unlink()
    mill.look(10.0)
    mill.prepare()
    assert [voice.voice for voice in mill.standing(10.0).waiting.first] == ["scanned/story/nature/tale/voice/two.mp3"]


def test_a_lost_folder_is_no_library_that_was_emptied(stock: Stock, mill: Mill) -> None:
    """Nothing is forgotten, and no task is made, until it is back."""
    stock.music("nature", "tune")
    stock.clip("nature", "a")
    stock.voice("nature", "tale", "one")
    mill.look(0.0)
    folder = stock.layout.scanned / "video"
    away = folder.rename(folder.with_name("away"))
    mill.prepare()
    assert mill.standing(0.0).paused
    away.rename(folder)
    mill.look(10.0)
    mill.prepare()
    assert clips_of_tasks(stock.layout) == [{"1.0_a.mp4"}]


# -- what cannot be read ------------------------------------------------------------------------------


def test_a_record_that_cannot_be_read_holds_up_its_own_voices_only(stock: Stock, mill: Mill) -> None:
    """Others get their tasks; those that would use the clip wait, and say which record it is."""
    for category in ("aaa", "bbb"):
        stock.music(category, "tune")
        stock.voice(category, "tale", "one")
    record = sidecar_of(stock.clip("aaa", "a"))
    stock.clip("bbb", "b")
    mill.look(0.0)
    content = record.read_bytes()
    record.unlink()
    record.mkdir()  # which cannot be read either, whoever asks
    mill.prepare()
    assert clips_of_tasks(stock.layout) == [{"1.0_b.mp4"}]
    (waiting,) = mill.standing(0.0).waiting.first
    assert "aaa" in waiting.voice
    assert f"{record}" in waiting.reason
    assert "Is a directory" in waiting.reason
    assert mill.standing(0.0).trouble is None
    record.rmdir()
    record.write_bytes(content)
    mill.look(10.0)
    mill.prepare()
    assert len(clips_of_tasks(stock.layout)) == 2


def test_what_cannot_even_be_looked_at_holds_up_its_own_voices_only(stock: Stock, mill: Mill) -> None:
    """Clips and voices alike."""
    for category in ("aaa", "bbb"):
        stock.music(category, "tune")
        stock.clip(category, "a")
    voices = [stock.voice(category, "tale", "one") for category in ("aaa", "bbb")]
    bad = stock.voice("bbb", "tale", "bad")
    mill.look(0.0)
    clip = stock.layout.clip(Kind.VIDEO, "aaa", (64, 48), 1.0, "a")
    for path in (clip, bad):
        path.unlink()
        path.symlink_to(path)
    mill.prepare()
    told = {voice.voice: voice.reason for voice in mill.standing(0.0).waiting.first}
    assert set(told) == {str(stock.layout.relative(path)) for path in (voices[0], bad)}
    assert all("Too many levels of symbolic links" in reason for reason in told.values())
    assert len(clips_of_tasks(stock.layout)) == 1


def test_a_drop_that_is_gone_is_forgotten_beside_a_folder_that_cannot_be_read(media: Media) -> None:
    """It is no longer told of as put off; what lies in that folder is."""
    with without_privileges() as folder:
        layout = lay_out(folder / "root", QUICK)
        drops = [layout.raw / f"video/{category}/note.txt" for category in ("gone", "secret")]
        for drop in drops:
            drop.parent.mkdir(parents=True)
            drop.touch()
        mill = mill_on(layout, media)
        mill.look(0.0)
        layout.invalid.rmdir()
        layout.invalid.touch()  # nothing can be refused
        mill.look(10.0)
        for now in (10.0, 10.1):
            mill.turn(now)
        names = {str(name) for name, doing in mill.standing(11.0).pending.items() if doing.startswith("put off: ")}
        assert names == {"video/gone/note.txt", "video/secret/note.txt"}
        drops[0].unlink()
        drops[1].parent.chmod(0)
        mill.look(11.0)
        assert [str(name) for name in mill.standing(11.0).pending] == ["video/secret/note.txt"]
        drops[1].parent.chmod(0o755)


# -- what is still written ----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes a file")
def test_a_drop_that_a_program_opens_late_is_not_examined_again_and_again(stock: Stock, mill: Mill) -> None:
    """It is found out when the drop is taken, told, and waited for."""
    path = stock.layout.raw / "story/nature/tale/story.toml"
    path.parent.mkdir(parents=True)
    path.write_text("priority = 60\n", "utf-8")
    mill.look(0.0)
    mill.look(10.0)
    with path.open("ab"):
        mill.turn(10.0)
        mill.look(11.0)
        told = mill.standing(11.0).pending
        assert list(told.values()) == ["waiting for a program that has it open for writing"]
        assert not mill.is_taking
    mill.look(20.0)
    mill.turn(20.0)
    assert not path.exists()
    assert stock.layout.settings("nature", "tale", "story").exists()


# -- when it is done again ----------------------------------------------------------------------------


def test_tasks_do_not_pay_for_what_was_done_before_them(stock: Stock, mill: Mill) -> None:
    """A look and a filing that took long, earlier in the same turn, do not put off the next tasks."""
    stock.music("nature", "tune")
    stock.clip("nature", "a")
    stock.voice("nature", "tale", "one")
    mark = stock.layout.story_retired("nature", "tale")
    mark.touch()
    begun = time.monotonic() - 1000.0
    mill.look(begun)
    mill.turn(begun)
    assert mill.standing(begun).waiting.count == 1
    mark.unlink()
    mill.look(begun + 1000.0)
    mill.turn(begun + 2000.0)
    assert mill.standing(begun + 2000.0).waiting.count == 0
    assert len(clips_of_tasks(stock.layout)) == 1


def test_a_voice_need_not_wait_for_a_drop_that_was_refused(stock: Stock, mill: Mill) -> None:
    """Though nothing has come into the library since it was last looked at."""
    stock.music("nature", "tune")
    stock.clip("nature", "a")
    stock.voice("nature", "tale", "one", seconds=3.0)
    drop = stock.layout.raw / "video/nature/empty.mp4"
    drop.parent.mkdir()
    drop.touch()
    mill.look(0.0)
    mill.look(10.0)
    mill.prepare()
    assert "on their way" in mill.standing(10.0).waiting.first[0].reason
    mill.turn(10.0)
    assert not drop.exists()
    mill.prepare()
    assert mill.standing(10.0).waiting.count == 0


def test_asking_when_something_is_due_costs_the_same_however_much_waits(stock: Stock, mill: Mill) -> None:
    """It is asked after every examination."""
    folder = stock.layout.raw / "video/nature"
    folder.mkdir()
    for number in range(2000):
        (folder / f"{number}.mp4").touch()
    mill.look(0.0)
    mill.look(10.0)
    mill.prepare()
    assert len(mill.standing(10.0).pending) == 2000
    mill.rests_until(hurry=False, now=10.0)
    tracemalloc.start()
    mill.rests_until(hurry=False, now=10.0)
    mill.prepare()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000, "it has gathered the names of all that waits"

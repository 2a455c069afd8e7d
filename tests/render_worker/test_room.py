"""How much room a render asks for, and what is said where there is less."""

from __future__ import annotations

import os
import re
import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from render_worker.room import Room, check_room, needed_bytes
from shared.domain.errors import MachineTrouble
from shared.domain.layout import Layout
from shared.domain.plan import Canvas, Profile, RenderPlan, Shot, Track, Treatment
from shared.log import open_log
from shared.segments import SegmentCache
from shared.settings import Log

SHOTS = (Shot("video_part1.mp4", 1800, 1800, Treatment()),)
PLAN = RenderPlan(
    Canvas(1920, 1080, Fraction(30)),
    Profile("libx264", 21, "medium", 192),
    60.0,
    1800,
    SHOTS,
    (),
    (Track("voice.mp3", 1.0, 1),),
)


def test_a_film_needs_what_its_pixels_take_and_its_segments_as_much_again() -> None:
    """A minute of 1080p is about 60 MB with its sound; what has to be conformed first is counted as well."""
    warm, cold = needed_bytes(PLAN, 0), needed_bytes(PLAN, 1800)
    assert 45e6 < warm < 75e6
    assert 40e6 < cold - warm < 60e6


def test_a_render_without_room_is_the_nodes_trouble(tmp_path: Path) -> None:
    """It says how much there is and how much is needed, in the specification's words."""
    check_room(tmp_path, PLAN, 0)
    with pytest.raises(MachineTrouble, match=re.escape("GB remaining, and this video needs about")) as trouble:
        check_room(tmp_path, PLAN, 10**12)
    assert str(trouble.value).startswith("Low disk space: ")


@pytest.fixture
def room(
    layout: Layout, cache: SegmentCache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Room:
    """A disk of 1,000 bytes, on which nothing but segments takes any room."""

    def usage(_: Path) -> SimpleNamespace:
        used = sum(path.stat().st_size for path in layout.segments.rglob("*") if path.is_file())
        return SimpleNamespace(free=1000 - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    layout.segments.mkdir(parents=True)
    return Room(layout, cache, 400, open_log("render_worker", Log()))


def keep(room: Room, key: str, size: int, used_at: float) -> None:
    folder = room.layout.segment(key)
    folder.mkdir()
    (folder / "segment.mp4").write_bytes(b"x" * size)
    os.utime(folder, (used_at, used_at))


def names(room: Room) -> list[str]:
    return sorted(path.name for path in room.layout.segments.iterdir())


def test_conformed_clips_never_keep_a_farm_from_working(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """What was not used for longest goes until there is room, and no more; and nothing is conformed ahead then."""
    for used_at, key in enumerate("abcd"):
        keep(room, key, 200, used_at)
    assert not room.has_plenty
    assert room.look()
    assert names(room) == ["b", "c", "d"]
    assert not room.has_plenty, "twice the least must be free for that"
    said = capsys.readouterr().err
    assert "event=cache_shrunk" in said
    assert "event=low_disk" not in said


def test_low_space_is_told_in_the_words_of_the_specification(
    room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, and so is that it is over."""
    for free, least in ((2.3e9, 5 * 10**9), (2.3e9, 5 * 10**9), (7.25e9, 5 * 10**9)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=int(free)))
        room.least = least
        assert room.look() == (free >= least)
    said = capsys.readouterr().err
    assert said.count('"Low disk space: 2.3GB remaining"') == 1
    assert said.count('"Disk space is back: 7.2GB remaining"') == 1


def test_room_for_a_task_is_made_without_dropping_what_it_uses(room: Room) -> None:
    """Else it would have to be conformed again."""
    plan = RenderPlan(Canvas(160, 90, Fraction(1)), PLAN.profile, 0.001, 3, (), (), ())
    needed = needed_bytes(plan, 0)
    assert 500 < needed < 800
    keep(room, "a", 200, 1.0)
    keep(room, "b", 300, 2.0)
    assert room.holds("id", "a task", plan, {("a", 5)}, 0.0)
    assert names(room) == ["a"]


def test_what_does_not_fit_is_told_once_and_asked_for_again_when_there_is_more(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what it needs; a task that is gone is forgotten."""
    for _ in range(2):
        assert not room.holds("id", "a task", PLAN, (), 100.0)
    said = capsys.readouterr().err
    assert said.count("event=task_too_large") == 1
    assert not room.may_hold("id", 159.0)
    assert room.may_hold("id", 160.0), "there may be more clips by now that can give way"
    room.forget_all_but([])
    assert room.may_hold("id", 100.0)

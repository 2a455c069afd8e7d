"""The inspection of the torture runs notices what it is there for: a blind checker would pass everything."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from console.init import lay_out
from shared.domain.layout import Layout, reason_of, sidecar_of
from tests.torture.inspection import Dropped, differences, given, picture, problems_at_any_time, problems_at_rest

CLIP, MUSIC, WRONG = b"a clip" * 100, b"a song" * 100, b"no clip" * 100
CLIP_NAME, MUSIC_NAME = "scanned/video/nature/mp4_w64_h48/1.0_clip.mp4", "scanned/music/nature/mp3/3.0_song.mp3"
TASK = "tasks/11111111-2222-5333-8444-555555555555"
Spoil = Callable[[Path], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root after ingest, without a fault: a clip, normalised music, a rejected drop and a task."""
    root = lay_out(tmp_path / "root").root
    _file(root / CLIP_NAME, CLIP, CLIP)
    _file(root / MUSIC_NAME, b"louder", MUSIC, kind="music")
    (root / "trash/invalid/wrong.mp4").write_bytes(WRONG)
    reason_of(root / "trash/invalid/wrong.mp4").write_text("{}")
    (root / TASK).mkdir()
    (root / TASK / "metadata.json").write_text(json.dumps({"inputs": {"video_part1.mp4": {}}}))
    (root / TASK / "video_list.txt").write_text("ffconcat version 1.0\n")
    (root / TASK / "video_part1.mp4").symlink_to(f"../../{CLIP_NAME}")
    return root


DROPPED = tuple(
    Dropped(where, hashlib.sha256(content).hexdigest())
    for where, content in (("video/a.mp4", CLIP), ("music/b.mp3", MUSIC), ("video/wrong.mp4", WRONG))
)


def _file(path: Path, content: bytes, dropped: bytes, kind: str = "video") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    sidecar = {
        "kind": kind,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "scanned_at": "2026-11-20T18:03:44Z",
        "origin": {"sha256": hashlib.sha256(dropped).hexdigest(), "inode": 5},
    }
    sidecar_of(path).write_text(json.dumps(sidecar))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_a_good_root_has_no_problems(root: Path) -> None:
    """Neither in work nor at rest, and it looks like itself."""
    layout = Layout(root)
    assert problems_at_any_time(layout, DROPPED) == []
    assert problems_at_rest(layout) == []
    assert differences(picture(layout), picture(layout)) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / CLIP_NAME).unlink(), "LOST: the bytes of video/a.mp4"),
        (lambda root: _cut(root / CLIP_NAME), "LOST: the bytes of video/a.mp4"),
        (lambda root: _cut(root / CLIP_NAME), "is not the file its record speaks of"),
        (lambda root: _cut(root / MUSIC_NAME), "LOST: the bytes of music/b.mp3"),
        (lambda root: sidecar_of(root / MUSIC_NAME).unlink(), "LOST: the bytes of music/b.mp3"),
        (lambda root: _cut(sidecar_of(root / CLIP_NAME)), "is no whole JSON file"),
        (lambda root: _cut(root / "trash/invalid/wrong.mp4"), "holds other bytes than any drop"),
        (lambda root: reason_of(root / "trash/invalid/wrong.mp4").unlink(), "was rejected without a reason"),
        (lambda root: _cut(root / TASK / "metadata.json"), "is not complete"),
        (lambda root: (root / TASK / "video_list.txt").unlink(), "is not complete"),
        (lambda root: (root / TASK / "video_part1.mp4").unlink(), "has no video_part1.mp4"),
    ],
)
def test_what_is_lost_or_half_is_noticed(root: Path, spoil: Spoil, words: str) -> None:
    """One byte or one file too few, in every place where somebody would miss it."""
    spoil(root)
    assert any(words in problem for problem in problems_at_any_time(Layout(root), DROPPED))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "scanned/.clip.mp4.0123abcd.tmp").touch(), "a private name is left"),
        (lambda root: (root / ".farm/.mounts.json.0123abcd.tmp").touch(), "a private name is left"),
        (lambda root: (root / "raw/video/.reelmill-aside-0123abcd-a.mp4").touch(), "put aside and forgotten"),
        (lambda root: (root / ".farm/staging/copy.mp4").touch(), "left in staging"),
        (lambda root: (root / ".farm/removed/task").mkdir(), "left in removed"),
        (lambda root: (root / CLIP_NAME).unlink(), "a sidecar without its file"),
        (lambda root: (root / "trash/invalid/wrong.mp4").unlink(), "a reason without its drop"),
        (lambda root: (root / "raw/video/a.mp4.done").touch(), "a marker beside nothing"),
    ],
)
def test_what_is_left_over_is_noticed(root: Path, spoil: Spoil, words: str) -> None:
    """Whatever a crash may leave, under its own name or under one of ours."""
    spoil(root)
    assert any(words in problem for problem in problems_at_rest(Layout(root)))


def test_other_outcomes_are_noticed_and_times_are_not(root: Path, tmp_path: Path) -> None:
    """A file too few, one too many and another content differ; when and on which disk place something came does not."""
    wanted = picture(Layout(root))
    again = Layout(tmp_path / "again")
    shutil.copytree(root, again.root, symlinks=True)
    sidecar = sidecar_of(again.root / CLIP_NAME)
    sidecar.write_text(sidecar.read_text().replace("2026", "2027").replace('"inode": 5', '"inode": 6'))
    assert differences(wanted, picture(again)) == []
    sidecar.write_text(sidecar.read_text().replace("video", "frame"))
    (again.root / MUSIC_NAME).unlink()
    (again.raw / "new.mp4").touch()
    found = differences(wanted, picture(again))
    assert [words.partition(":")[0] for words in found] == ["missing", "too much", "other content"]


def test_what_is_given_is_told_by_bytes_and_links_by_where_they_lead(tmp_path: Path) -> None:
    """A link is never followed, so that what it points to cannot stand in for it."""
    (tmp_path / "music").mkdir()
    (tmp_path / "music/a.mp3").write_bytes(MUSIC)
    (tmp_path / "link").symlink_to("music/a.mp3")
    sound, link = given(tmp_path, "music/a.mp3", "link")
    assert (sound.sha256, sound.becomes_other) == (hashlib.sha256(MUSIC).hexdigest(), True)
    assert (link.sha256, link.link) == (None, "music/a.mp3")

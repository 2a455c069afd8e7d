"""A worker without a task conforms the library, stops for a task, and finds its clips conformed when one comes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from render_worker.commands.encoders import Way
from render_worker.idle import Ahead
from render_worker.planning import plan_of
from render_worker.progress import Report
from render_worker.segments.uses import uses_of
from render_worker.ways import Ways
from shared.config import load_config
from shared.domain.drop import Kind
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, SEGMENT_RECORD, Layout, retired_of, sidecar_of
from shared.domain.media import VideoFacts
from shared.domain.task import DEFAULT_PROFILE, TaskState
from shared.ffmpeg import Ffmpeg
from shared.log import open_log
from shared.records.cards import CardFacts, CardsRecord
from shared.records.metadata import Metadata
from shared.records.node import NodeRecord
from shared.records.record import utc_now
from shared.records.render import RenderRecord
from shared.records.segment import SegmentRecord
from shared.records.sidecar import Origin, Sidecar
from shared.records.story import StorySettings
from shared.segments import SegmentCache

StartWorker = Callable[..., "subprocess.Popen[bytes]"]
WaitUntil = Callable[[Callable[[], object]], None]


def quiet(_: Report) -> None:
    """Nobody looks how far it is."""


@pytest.fixture
def shelve(farm: Layout, media: Callable[[str], Path]) -> Callable[[str], Path]:
    """Put a clip into the library with its record, as the main worker does."""

    def put(name: str, seconds: float = 2.0) -> Path:
        path = farm.clip(Kind.VIDEO, "nature", (320, 180), seconds, Path(name).stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(media(name).read_bytes())
        size, sha256 = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
        origin = Origin(
            path=f"raw/{name}", sha256=sha256, size=size, device=1, inode=1, mtime_ns=1, evidence="the test says so"
        )
        facts = VideoFacts(320, 180, 320, 180, 0, 1.0, 30.0, seconds, int(seconds * 30), "AVC", scan="progressive")
        values: dict[str, Any] = {"kind": Kind.VIDEO, "category": "nature", "sha256": sha256, "size": size}
        Sidecar(**values, origin=origin, scanned_at=utc_now(), video=facts).write(sidecar_of(path))
        return path

    return put


@pytest.fixture
def ahead_of(farm: Layout, ffmpeg: Ffmpeg) -> Callable[..., Ahead]:
    """An idle node's work on the farm."""

    def make(
        budget: int = 10**12,
        *,
        stopping: Callable[[], bool] = lambda: False,
        ffmpeg: Ffmpeg = ffmpeg,
        ways: Ways | None = None,
        **settings: object,
    ) -> Ahead:
        ways = ways or Ways({DEFAULT_PROFILE: (Way("libx264"),)})
        config = load_config(farm.config, {f"REELMILL_{name.upper()}": str(value) for name, value in settings.items()})
        cache = SegmentCache(farm, "here", budget)
        cache.tidy()
        return Ahead(config, farm, cache, ffmpeg, ways, "here", open_log("render_worker", config.log), stopping)

    return make


def test_each_clip_is_conformed_once(shelve: Callable[..., Path], ahead_of: Callable[..., Ahead]) -> None:
    """One segment after the other, until there is none left; later ones are found at the next look."""
    shelve("h264.mp4")
    shelve("hevc.mp4")
    ahead = ahead_of()
    made = []
    while wanted := ahead.next(0.0):
        ahead.make(wanted, quiet)
        made.append(wanted)
    assert len({wanted.key for wanted in made}) == len(made) == 2
    assert all(ahead.cache.has(wanted.key) for wanted in made)
    shelve("mpeg4.mp4")
    assert ahead.next(1.0) is None, "a library is not walked every second"
    assert ahead.next(1000.0) is not None
    assert ahead_of().next(0.0) is not None, "another process finds what is missing"


def test_it_works_at_the_lowest_priority(
    farm: Layout, ffmpeg: Ffmpeg, shelve: Callable[..., Path], ahead_of: Callable[..., Ahead], tmp_path: Path
) -> None:
    """Every ffmpeg that it starts lets everybody else go first."""
    shelve("h264.mp4")
    told, witness = tmp_path / "nice.txt", tmp_path / "ffmpeg"
    witness.write_text(f"#!/bin/sh\nnice >> '{told}'\nexec '{ffmpeg.path}' \"$@\"\n", "utf-8")
    witness.chmod(0o755)
    ahead = ahead_of(ffmpeg=replace(ffmpeg, path=os.fspath(witness)))
    wanted = ahead.next(0.0)
    assert wanted
    assert ahead.make(wanted, quiet)
    assert ahead.cache.has(wanted.key)
    assert set(told.read_text("utf-8").split()) == {"19"}


def test_a_card_that_fails_is_not_used_ahead_of_need_again(
    shelve: Callable[..., Path], ahead_of: Callable[..., Ahead], script: Callable[[str], Ffmpeg]
) -> None:
    """A task has to show who is at fault; with another way all clips are looked at again."""
    shelve("h264.mp4")
    shelve("hevc.mp4")
    ways = Ways({DEFAULT_PROFILE: (Way("h264_nvenc"), Way("libx264"))})
    ahead = ahead_of(ffmpeg=script('case "$*" in *nvenc*) kill -9 $$;; esac; exec "$FFMPEG" "$@"'), ways=ways)
    wanted = ahead.next(0.0)
    assert wanted
    assert ahead.make(wanted, quiet)
    assert ahead.next(1000.0) is None
    while ways.usual == Way("h264_nvenc"):
        ways.note(DEFAULT_PROFILE, stepped_down=True)
    ahead.look_again()
    made = []
    while wanted := ahead.next(1000.0):
        assert ahead.make(wanted, quiet)
        made.append(wanted)
    assert len(made) == 2
    assert all(ahead.cache.has(one.key) for one in made)


def test_what_is_retired_or_not_understood_is_left_alone(
    shelve: Callable[..., Path], ahead_of: Callable[..., Ahead]
) -> None:
    """No work for clips that no video will use, and none for records somebody else complains of."""
    retired_of(shelve("h264.mp4")).touch()
    sidecar_of(shelve("hevc.mp4")).write_text("{", "utf-8")
    sidecar_of(shelve("mpeg4.mp4")).unlink()
    assert ahead_of().next(0.0) is None


def test_a_clip_that_cannot_be_conformed_is_passed_over(
    shelve: Callable[..., Path], ahead_of: Callable[..., Ahead]
) -> None:
    """It is the task's business to fail on it, if it is ever used."""
    shelve("h264.mp4").write_bytes(b"no film")
    shelve("hevc.mp4")
    ahead = ahead_of()
    while wanted := ahead.next(0.0):
        ahead.make(wanted, quiet)
    assert len(list(ahead.layout.segments.iterdir())) == 1


def test_what_was_interrupted_comes_first_again(shelve: Callable[..., Path], ahead_of: Callable[..., Ahead]) -> None:
    """A task stops it; nothing half made is left."""
    shelve("long.mp4", seconds=12.0)
    ahead = ahead_of(stopping=lambda: True)
    wanted = ahead.next(0.0)
    assert wanted is not None
    ahead.make(wanted, quiet)
    assert list(ahead.layout.segments.iterdir()) == []
    assert ahead.next(0.0) == wanted


def test_it_is_told_how_far_it_is(shelve: Callable[..., Path], ahead_of: Callable[..., Ahead]) -> None:
    """As of any other work."""
    shelve("h264.mp4")
    ahead = ahead_of()
    wanted = ahead.next(0.0)
    assert wanted is not None
    reports: list[Report] = []
    assert ahead.make(wanted, reports.append)
    assert {report.phase for report in reports} == {"conforming"}
    assert (reports[0].percent, reports[-1].percent) == (0, 100)


@pytest.mark.parametrize("becomes", ["another", "none"])
def test_a_logo_that_is_replaced_meanwhile_is_not_shown_under_the_name_of_the_old_one(
    shelve: Callable[..., Path], ahead_of: Callable[..., Ahead], media: Callable[[str], Path], becomes: str
) -> None:
    """Nobody could tell later."""
    shelve("h264.mp4")
    ahead = ahead_of()
    logo = ahead.layout.assets / "logo.png"
    logo.write_bytes(media("logo.png").read_bytes())
    wanted = ahead.next(0.0)
    assert wanted is not None
    before = logo.read_bytes()
    logo.unlink()
    if becomes == "another":
        logo.write_bytes(before + b"!")
    ahead.make(wanted, quiet)
    assert not ahead.cache.has(wanted.key)
    logo.write_bytes(before)
    ahead.make(wanted, quiet)
    assert ahead.cache.has(wanted.key)


CARDS = {"render__resolution": "320x180", "render__card_seconds": 1.5, "render__transition": "crossfade"}


@pytest.fixture
def shelve_card(farm: Layout, run_ffmpeg: Callable[..., bytes]) -> Callable[..., Path]:
    """Put a card of a story into the library with its record, as the main worker does: a picture, or a film of 2 s."""

    def put(name: str, colour: str, since: str = "2026-11-20T10:00:00Z", story: str = "tale") -> Path:
        path = farm.card("nature", story, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = make_card(run_ffmpeg, path, colour)
        size, sha256 = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
        origin = Origin(
            path=f"raw/{name}", sha256=sha256, size=size, device=1, inode=1, mtime_ns=1, evidence="the test says so"
        )
        told: dict[str, Any] = {
            "kind": Kind.CARD,
            "category": "nature",
            "story": story,
            "chapter": name[: name.index(".")],
        }
        Sidecar(**told, sha256=sha256, size=size, origin=origin, scanned_at=since, video=facts).write(sidecar_of(path))
        return path

    return put


def make_card(run_ffmpeg: Callable[..., bytes], path: Path, colour: str) -> VideoFacts | None:
    """A picture, or a film of two seconds with its facts."""
    still = ("-frames:v", "1") if path.suffix == ".png" else ("-pix_fmt", "yuv420p")
    run_ffmpeg("-f", "lavfi", "-i", f"color={colour}:s=320x180:r=30:d=2", *still, path)
    return (
        None
        if path.suffix == ".png"
        else VideoFacts(320, 180, 320, 180, 0, 1.0, 30.0, 2.0, 60, "AVC", scan="progressive")
    )


def conform_all_of(ahead: Ahead) -> list[str]:
    """Let a node without a task do all that there is to do; the names of what it was made of, in the library."""
    sources = []
    while wanted := ahead.next(0.0):
        assert ahead.make(wanted, quiet)
        assert ahead.cache.has(wanted.key)
        sources.append(wanted.source)
    return sources


def wanted_by(ahead: Ahead, metadata: Metadata) -> dict[str, bool]:
    """Whether each of the segments that a task wants of its cards is conformed, by the card's name in the task."""
    plan = plan_of(metadata, ahead.config, "libx264")
    task = ahead.layout.task(TaskState.WAITING, metadata.task_id)
    uses = uses_of(plan, metadata, task, ahead.ffmpeg.version, ahead.cache.has)
    return {use.wanted.path.name: ahead.cache.has(use.wanted.key) for use in uses if use.card}


def test_cards_are_conformed_as_a_task_wants_them(
    farm: Layout,
    ahead_of: Callable[..., Ahead],
    shelve_card: Callable[..., Path],
    add_task: Callable[..., str],
    run_ffmpeg: Callable[..., bytes],
    media: Callable[[str], Path],
) -> None:
    """A picture and a film, a story's own and the configuration's, with the logo and room for a crossfade."""
    (farm.assets / "logo.png").write_bytes(media("logo.png").read_bytes())
    title, end = shelve_card("title.png", "red"), farm.assets / "ours/Bye.MP4"
    end.parent.mkdir()
    facts = make_card(run_ffmpeg, end.with_suffix(".mp4"), "blue")
    end.with_suffix(".mp4").rename(end)
    content = end.read_bytes()
    noted = CardFacts(
        path="assets/ours/Bye.MP4", sha256=hashlib.sha256(content).hexdigest(), size=len(content), video=facts
    )
    farm.cache.mkdir(exist_ok=True)
    CardsRecord(cards=(noted,)).write(farm.card_facts)
    ahead = ahead_of(**CARDS, render__end_card="ours/Bye.MP4")
    assert sorted(conform_all_of(ahead)) == ["assets/ours/Bye.MP4", str(farm.relative(title))]
    (farm.scanned / "end.mp4").write_bytes(content)
    task_id = add_task(
        clips=("long.mp4",),
        voice="voice_slow.mp3",
        title=title,
        end=farm.scanned / "end.mp4",
        logo="logo.png",
        card_seconds=1.5,
        transition="crossfade",
    )
    metadata = Metadata.read(farm.task(TaskState.WAITING, task_id) / METADATA)
    assert wanted_by(ahead, metadata) == {"title.png": True, "end.mp4": True}


def test_only_cards_that_the_next_video_shows_are_conformed(
    farm: Layout, ahead_of: Callable[..., Ahead], shelve_card: Callable[..., Path]
) -> None:
    """The newest of each that is not retired, of stories that are not, and that do not do without."""
    shelve_card("title.png", "red", "2026-11-20T10:00:00Z")
    newer = shelve_card("title.0a1b.png", "green", "2026-11-21T10:00:00Z")
    retired_of(shelve_card("title.2c3d.png", "blue", "2026-11-22T10:00:00Z")).touch()
    shelve_card("end.png", "red", story="retired")
    farm.story_retired("nature", "retired").touch()
    without = shelve_card("end.png", "yellow", story="without")
    settings = farm.settings("nature", "without", "story")
    settings.touch()
    record = Sidecar.read(sidecar_of(without)).changed(
        kind=Kind.SETTINGS, chapter=None, settings=StorySettings(cards=False)
    )
    record.write(sidecar_of(settings))
    assert conform_all_of(ahead_of(**CARDS)) == [str(farm.relative(newer))]


def test_a_story_says_by_which_profiles_its_cards_are_conformed(
    farm: Layout, ahead_of: Callable[..., Ahead], shelve_card: Callable[..., Path]
) -> None:
    """In the size it asks for, but for profiles that have one of their own; what is not known is passed over."""
    with farm.config.open("a", encoding="utf-8") as config:
        config.write('[profiles.square]\nresolution = "240x240"\n[profiles.plain]\n')
    card = shelve_card("title.png", "red")
    settings = farm.settings("nature", "tale", "story")
    settings.touch()
    told = StorySettings(profiles=("square", "plain", "gone"), resolution="160x90")
    record = Sidecar.read(sidecar_of(card)).changed(kind=Kind.SETTINGS, chapter=None, settings=told)
    record.write(sidecar_of(settings))
    ahead = ahead_of(ways=Ways({name: (Way("libx264"),) for name in (DEFAULT_PROFILE, "square", "plain")}), **CARDS)
    sizes = set()
    while wanted := ahead.next(0.0):
        sizes.add((wanted.recipe.look.canvas.width, wanted.recipe.look.canvas.height))
    assert sizes == {(240, 240), (160, 90)}


def test_a_configured_card_that_was_replaced_is_not_conformed_under_the_name_of_the_old_one(
    farm: Layout, ahead_of: Callable[..., Ahead], run_ffmpeg: Callable[..., bytes]
) -> None:
    """As with a logo; nobody could tell later."""
    card = farm.assets / "hello.png"
    make_card(run_ffmpeg, card, "red")
    before = card.read_bytes()
    noted = CardFacts(path="assets/hello.png", sha256=hashlib.sha256(before).hexdigest(), size=len(before))
    farm.cache.mkdir(exist_ok=True)
    CardsRecord(cards=(noted,)).write(farm.card_facts)
    ahead = ahead_of(**CARDS, render__title_card="hello.png")
    wanted = ahead.next(0.0)
    assert wanted is not None
    make_card(run_ffmpeg, card, "blue")
    assert ahead.make(wanted, quiet)
    assert not ahead.cache.has(wanted.key)
    card.write_bytes(before)
    assert ahead.make(wanted, quiet)
    assert ahead.cache.has(wanted.key)


def test_a_logo_of_any_name_is_laid_over_what_is_conformed_ahead(
    farm: Layout, shelve: Callable[..., Path], ahead_of: Callable[..., Ahead], media: Callable[[str], Path]
) -> None:
    """To ffmpeg a number after a percent sign means a series of pictures; and it may lie in a folder."""
    shelve("h264.mp4")
    logo = farm.assets / "ours/100%02d.png"
    logo.parent.mkdir()
    logo.write_bytes(media("logo.png").read_bytes())
    assert len(conform_all_of(ahead_of(render__logo="ours/100%02d.png"))) == 1


def test_a_full_cache_is_not_filled_further(shelve: Callable[..., Path], ahead_of: Callable[..., Ahead]) -> None:
    """Else the library would go round and round through it."""
    shelve("h264.mp4")
    shelve("hevc.mp4")
    ahead = ahead_of(budget=100_000)
    wanted = ahead.next(0.0)
    assert wanted is not None
    ahead.make(wanted, quiet)
    assert ahead.next(0.0) is None


def test_an_idle_worker_conforms_and_a_task_is_then_only_joined(
    farm: Layout,
    shelve: Callable[..., Path],
    add_task: Callable[..., str],
    start_worker: StartWorker,
    wait_until: WaitUntil,
) -> None:
    """The whole way, with a real worker: what it made ahead is what the task wants."""
    clip = shelve("h264.mp4")
    start_worker(render__resolution="320x180", render__logo="")
    wait_until(lambda: list(farm.segments.glob("[!.]*")))
    task_id = add_task(clips=(clip, clip))
    output = farm.task(TaskState.FINISHED, task_id)
    wait_until((output / FINAL).exists)
    record = RenderRecord.read(output / RENDER_RECORD)
    assert record.mode == "segments"
    assert record.counts["segments_conformed"] == 0


def test_a_task_does_not_wait_for_what_is_conformed_ahead(
    farm: Layout,
    shelve: Callable[..., Path],
    add_task: Callable[..., str],
    start_worker: StartWorker,
    wait_until: WaitUntil,
) -> None:
    """What would take most of a minute is stopped when a task comes; nothing is left that looks like a segment."""
    shelve("h264.mp4")
    start_worker(render__resolution="3840x2160", render__preset="veryslow", render__logo="")
    wait_until(lambda: list(farm.segments.glob(".*/segment.mp4")))
    output = farm.task(TaskState.FINISHED, add_task(clips=("halves.mp4", "white.mp4")))
    wait_until((output / FINAL).exists)
    made = [SegmentRecord.read(path).source for path in farm.segments.glob(f"[!.]*/{SEGMENT_RECORD}")]
    assert len(made) == RenderRecord.read(output / RENDER_RECORD).counts["segments_conformed"]
    assert not [source for source in made if "h264" in source]


@pytest.mark.parametrize(
    "settings",
    [{"worker__conform_when_idle": "false"}, {"render__mode": "direct"}, {"render__captions": "burned"}],
    ids=["off", "of no use", "of little use"],
)
def test_nothing_is_conformed_ahead_where_that_is_not_wanted(
    farm: Layout,
    shelve: Callable[..., Path],
    start_worker: StartWorker,
    wait_until: WaitUntil,
    settings: dict[str, str],
) -> None:
    """The worker is idle, and stays so."""
    shelve("h264.mp4")
    start_worker(worker__node="a", render__resolution="320x180", **settings)
    record = farm.node_record("a")
    wait_until(lambda: record.exists() and NodeRecord.read(record).state == "idle")
    counter = NodeRecord.read(record).counter
    wait_until(lambda: NodeRecord.read(record).counter > counter + 3)
    assert NodeRecord.read(record).state == "idle"
    assert not list(farm.segments.iterdir())


def test_a_task_that_cannot_be_taken_does_not_keep_a_node_from_conforming(
    farm: Layout,
    shelve: Callable[..., Path],
    add_task: Callable[..., str],
    start_worker: StartWorker,
    wait_until: WaitUntil,
) -> None:
    """Its metadata cannot be read, which may pass; meanwhile there is something else to do."""
    metadata = farm.task(TaskState.WAITING, add_task()) / "metadata.json"
    metadata.unlink()
    metadata.mkdir()
    shelve("h264.mp4")
    start_worker(render__resolution="320x180", render__logo="")
    wait_until(lambda: list(farm.segments.glob("[!.]*")))


def test_the_plan_of_burned_captions_has_no_segments(farm: Layout, add_task: Callable[..., str]) -> None:
    """Whatever the mode is."""
    add_task(captions="WEBVTT\n\n00:00:00.250 --> 00:00:01.000\nEin Drache\n", shown="burned")
    command = [sys.executable, "-m", "render_worker", "--root", str(farm.root), "--dry-run"]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout)
    assert (told["mode"], told["segments"], told["plan"]["captions"]["shown"]) == ("direct", [], "burned")


def test_plans_are_printed_and_nothing_is_changed(farm: Layout, add_task: Callable[..., str]) -> None:
    """One line of JSON for each waiting task, a damaged one included."""
    task_id, damaged = add_task(), add_task()
    (farm.task(TaskState.WAITING, damaged) / "metadata.json").write_text("{", "utf-8")
    before = sorted(farm.root.rglob("*"))
    command = [sys.executable, "-m", "render_worker", "--root", str(farm.root), "--dry-run"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout.decode()
    told = {line["task"]: line for line in map(json.loads, printed.splitlines())}
    assert set(told) == {task_id, damaged}
    assert "metadata.json" in told[damaged]["problem"]
    plan = told[task_id]["plan"]
    assert plan["frames"] == sum(shot["frames"] for shot in plan["shots"]) == 76
    assert [segment["frames"] for segment in told[task_id]["segments"]] == [60, 16]
    assert not any(segment["conformed"] for segment in told[task_id]["segments"])
    assert sorted(farm.root.rglob("*")) == before

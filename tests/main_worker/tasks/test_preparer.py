"""Voices become tasks: exactly as the contract says, once, and as soon as there is what they need."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from main_worker.tasks.picking import seed_of
from shared.child import Limits
from shared.domain.layout import sidecar_of
from shared.domain.task import task_id_for
from shared.ffmpeg import Ffmpeg, file_url
from shared.records.metadata import Metadata
from shared.records.sidecar import Sidecar
from tests.main_worker.conftest import png

if TYPE_CHECKING:
    from tests.main_worker.conftest import Farm, Main, Media

VOICE = "story/fantasy/dragon flight/voice/chapter_0001.mp3"
FILED_VOICE = "story/fantasy/dragon_flight/voice/chapter_0001.mp3"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def give(farm: Farm, media: Media, *, clips: int = 3, music: bool = True, voice: str | None = VOICE) -> None:
    """Drop a voice of two and a half seconds, clips of one second, and music."""
    for number in range(clips):
        farm.drop(media.variant(media.clip(), number), f"video/fantasy/clip{number}.mp4")
    if music:
        farm.drop(media.sound("tune.mp3", seconds=5), "music/fantasy/tune.mp3")
    if voice:
        farm.drop(media.sound("speech.mp3", seconds=2.5), voice)


def only_task(farm: Farm) -> Path:
    (task_id,) = farm.tasks()
    return farm.layout.root / "tasks" / task_id


@pytest.fixture(scope="module")
def made(make_farm: Callable[..., Farm], media: Media) -> Farm:
    """A root with one task that uses everything there is."""
    farm = make_farm()
    (farm.layout.assets / "logo.png").write_bytes(png(255, 0, 0))
    give(farm, media)
    farm.work()
    return farm


def listed(ffmpeg: Ffmpeg, listing: Path) -> tuple[int, int]:
    """What ffmpeg makes of a task's list: its exit status and the frames it shows."""
    ended, progress = ffmpeg.run(
        ["-f", "concat", "-i", file_url(listing), "-map", "0:v", "-f", "null", "-"],
        limits=Limits(total_seconds=60),
        stopping=lambda: False,
    )
    return ended.code, progress.frame


def test_a_task_has_the_files_of_the_contract(made: Farm) -> None:
    """Its record, its list, its own copy of the logo, and links to what it is made of; nothing else."""
    assert {path.name for path in only_task(made).iterdir()} == {
        "metadata.json",
        "video_list.txt",
        "voice.mp3",
        "music.mp3",
        "logo.png",
        "video_part1.mp4",
        "video_part2.mp4",
        "video_part3.mp4",
    }


def test_metadata_has_the_keys_of_the_specification(made: Farm) -> None:
    """Exactly these, with values of these kinds."""
    task = only_task(made)
    metadata: dict[str, Any] = json.loads((task / "metadata.json").read_text("utf-8"))
    sidecar = made.library()[FILED_VOICE]
    assert metadata.pop("inputs").keys() == {
        "voice.mp3",
        "music.mp3",
        "logo.png",
        *(f"video_part{n}.mp4" for n in (1, 2, 3)),
    }
    assert metadata.pop("created_at").endswith("Z")
    assert metadata == {
        "schema": 1,
        "task_id": task.name,
        "category": "fantasy",
        "story_name": "dragon_flight",
        "voice_file": "voice.mp3",
        "voice_duration": 2.5,
        "music_file": "music.mp3",
        "video_files": ["video_part1.mp4", "video_part2.mp4", "video_part3.mp4"],
        "render": {
            "resolution": "1920x1080",
            "frame_rate": 30,
            "logo": "logo.png",
            "profile": "default",
            "output_format": "mp4",
            "transition": "cut",
            "card_seconds": 5.0,
            "transition_seconds": 0.5,
        },
        "chapter": "chapter_0001",
        "titles": ["fantasy", "dragon flight", "chapter_0001"],
        "captions": None,
        "frame_file": None,
        "title_file": None,
        "end_file": None,
        "seed": seed_of(task.name),
        "priority": 50,
    }
    assert task.name == task_id_for("fantasy", "dragon_flight", "chapter_0001", sidecar.sha256)


def test_the_links_are_relative_and_resolve_here_and_in_processing(made: Farm) -> None:
    """A claimed task is renamed, and the whole root may be mounted elsewhere."""
    task = only_task(made)
    processing = made.layout.root / "processing" / task.name
    names = made.tasks()[task.name].inputs.keys() - {"logo.png"}
    for folder in (task, processing):
        if folder is processing:
            task.rename(processing)
        for name in names:
            target = (folder / name).readlink()
            assert not target.is_absolute()
            assert (folder / name).resolve(strict=True).is_relative_to(made.layout.root.resolve())
    processing.rename(task)


def test_the_inputs_name_every_file_by_content(made: Farm) -> None:
    """A task whose links dangle still says what it was made of."""
    task = only_task(made)
    for name, wanted in made.tasks()[task.name].inputs.items():
        path = made.layout.root / wanted.path
        assert name == "logo.png" or (task / name).resolve() == path.resolve()
        assert (sha256(task / name), path.stat().st_size) == (wanted.sha256, wanted.size)
    clips = [wanted for name, wanted in made.tasks()[task.name].inputs.items() if name.startswith("video_part")]
    assert {clip.seconds for clip in clips} == {1.0}
    sounds = [wanted for name, wanted in made.tasks()[task.name].inputs.items() if name.endswith(".mp3")]
    assert [sound.loudness for sound in sounds] == [
        made.library()[sound.path.removeprefix("scanned/")].loudness for sound in sounds
    ]
    assert all(sound.loudness for sound in sounds)
    voice = made.tasks()[task.name].inputs["voice.mp3"]
    audio = made.library()[voice.path.removeprefix("scanned/")].audio
    assert audio
    assert voice.pauses == audio.pauses is not None
    assert len({clip.path for clip in clips}) == 3


def test_the_list_is_an_ffconcat_file_in_playing_order(made: Farm, media: Media) -> None:
    """ffmpeg itself plays it, all parts one after the other."""
    task = only_task(made)
    lines = (task / "video_list.txt").read_text("ascii").splitlines()
    assert lines == ["ffconcat version 1.0", *(f"file 'video_part{n}.mp4'" for n in (1, 2, 3))]
    assert listed(media.ffmpeg, task / "video_list.txt") == (0, 30)


def test_the_voice_records_its_task(made: Farm) -> None:
    """Beside the library, so that it outlives the machinery."""
    assert made.library()[FILED_VOICE].task_id == only_task(made).name


def test_the_same_drops_make_the_same_task(made: Farm, make_farm: Callable[..., Farm], media: Media) -> None:
    """On another root, too: same id, same seed, same clips in the same order."""
    other = make_farm()
    (other.layout.assets / "logo.png").write_bytes(png(255, 0, 0))
    give(other, media)
    other.work()
    (first,), (second,) = made.tasks().values(), other.tasks().values()
    assert second.changed(created_at="") == first.changed(created_at="")


# -- once and no more ----------------------------------------------------------------------------------


def test_a_restart_makes_no_second_task(farm: Farm, media: Media) -> None:
    """The folder is the state: nothing about it changes."""
    give(farm, media)
    farm.work()
    task = only_task(farm)
    before = (task.stat().st_ino, (task / "metadata.json").read_bytes())
    log = farm.work()
    assert (task.stat().st_ino, (task / "metadata.json").read_bytes()) == before
    assert "event=task_made" not in log


@pytest.mark.parametrize("where", ["tasks", "processing", "output", "trash/failed"])
def test_a_task_is_known_wherever_it_is(farm: Farm, media: Media, where: str) -> None:
    """A crash before the voice's sidecar was marked does not make it twice."""
    give(farm, media)
    farm.work()
    task = only_task(farm)
    moved = farm.layout.root / where / task.name
    task.rename(moved)
    voice = farm.layout.scanned / FILED_VOICE
    sidecar = Sidecar.read(sidecar_of(voice))
    sidecar.changed(task_id=None).write(sidecar_of(voice))
    main = farm.start()
    main.until(lambda: Sidecar.read(sidecar_of(voice)).task_id)
    main.until_idle()
    assert main.stop() == 0
    assert Sidecar.read(sidecar_of(voice)) == sidecar
    assert "event=task_made" not in main.log


def test_an_archived_output_is_not_made_again(farm: Farm, media: Media) -> None:
    """The operator took the finished video away; neither a restart nor a lost ``.farm/`` makes it anew."""
    give(farm, media)
    farm.work()
    shutil.rmtree(only_task(farm))
    farm.work()
    shutil.rmtree(farm.layout.farm)
    farm.work()
    assert farm.tasks() == {}


def test_a_corrected_chapter_is_a_new_version_and_a_new_task(farm: Farm, media: Media) -> None:
    """Same name, other content: both versions and both tasks stay."""
    give(farm, media)
    farm.work()
    old = only_task(farm)
    before = (old / "metadata.json").read_bytes()
    corrected = media.sound("corrected.mp3", seconds=3)
    farm.drop(corrected, VOICE)
    farm.work()
    library = farm.library()
    new_name = f"story/fantasy/dragon_flight/voice/chapter_0001-{sha256(corrected)[:8]}.mp3"
    assert {name for name in library if "/voice/" in name} == {FILED_VOICE, new_name}
    assert library[new_name].chapter == "chapter_0001"
    tasks = farm.tasks()
    assert len(tasks) == 2
    assert (old / "metadata.json").read_bytes() == before
    new = tasks[library[new_name].task_id or ""]
    assert (new.chapter, new.voice_duration) == ("chapter_0001", 3.0)


# -- waiting -------------------------------------------------------------------------------------------


def reasons(main: Main) -> dict[str, str]:
    """Why which voice waits, as the record says."""
    record = main.record()
    return {voice.voice: voice.reason for voice in record.waiting} if record else {}


def test_a_voice_waits_with_a_reason_and_becomes_a_task_by_itself(farm: Farm, media: Media) -> None:
    """First there is no clip, then no music, then there are both."""
    give(farm, media, clips=0, music=False)
    main = farm.start()
    voice = f"scanned/{FILED_VOICE}"
    main.until(lambda: reasons(main) == {voice: "there is no clip in raw/video/fantasy/ yet"})
    give(farm, media, clips=3, music=False, voice=None)
    main.until(lambda: "no music in raw/music/fantasy/" in reasons(main).get(voice, ""))
    assert farm.tasks() == {}
    give(farm, media, clips=0, music=True, voice=None)
    main.until(farm.tasks)
    main.until(lambda: reasons(main) == {})
    assert main.stop() == 0
    lines = [line for line in main.log.splitlines() if "event=voice_waiting" in line]
    assert "there is no clip" in lines[0]
    assert "music.required = false" in lines[-1]
    assert len(only_task(farm).joinpath("video_list.txt").read_text("ascii").splitlines()) == 4


def test_a_voice_whose_record_lost_its_sound_waits_and_stops_nobody(farm: Farm, media: Media) -> None:
    """Somebody edited its sidecar: the worker says so and goes on, start after start."""
    give(farm, media, clips=0)
    farm.work()
    (record,) = farm.layout.scanned.glob("story/*/*/voice/*.mp3.json")
    record.write_text(json.dumps(json.loads(record.read_text("utf-8")) | {"audio": None}), "utf-8")
    give(farm, media, voice=None)
    main = farm.start()
    main.until_logged("says nothing about its sound")
    assert main.stop() == 0
    assert farm.tasks() == {}


def test_a_waiting_voice_does_not_keep_an_idle_worker_alive(farm: Farm, media: Media) -> None:
    """With ``--until-idle`` there is nothing left to do; the reason is in the log and in the record."""
    give(farm, media, clips=0, music=False)
    main = farm.start("--until-idle")
    assert main.wait() == 0
    assert "waits: there is no clip in raw/video/fantasy/ yet" in main.log
    assert "event=idle" in main.log
    record = main.record()
    assert record is not None
    assert [(voice.category, voice.story) for voice in record.waiting] == [("fantasy", "dragon_flight")]


def test_music_is_optional_by_configuration(make_farm: Callable[..., Farm], media: Media) -> None:
    """Without it the task says so, and has no such file."""
    farm = make_farm({"music": {"required": False}})
    give(farm, media, music=False)
    farm.work()
    task = only_task(farm)
    metadata = farm.tasks()[task.name]
    assert (metadata.music_file, "music.mp3" in metadata.inputs) == (None, False)
    assert not (task / "music.mp3").exists()


def test_fallback_categories_fill_what_the_own_lacks(make_farm: Callable[..., Farm], media: Media) -> None:
    """The own clip plays first, then those of the fallback; music comes from there as well."""
    farm = make_farm({"tasks": {"fallback_categories": ["any", "more"]}})
    farm.drop(media.clip(), "video/fantasy/own.mp4")
    for number in range(4):
        farm.drop(media.variant(media.clip(), number), f"video/any/clip{number}.mp4")
    farm.drop(media.sound("tune.mp3", seconds=5), "music/more/tune.mp3")
    give(farm, media, clips=0, music=False)
    farm.work()
    (metadata,) = farm.tasks().values()
    paths = [metadata.inputs[name].path.split("/")[2] for name in metadata.video_files]
    assert paths == ["fantasy", "any", "any"]
    assert metadata.inputs["music.mp3"].path.startswith("scanned/music/more/")


def test_optional_music_that_is_on_its_way_is_waited_for(make_farm: Callable[..., Farm], media: Media) -> None:
    """A folder dropped at once is used whole, though normalising music takes longest."""
    farm = make_farm({"music": {"required": False}})
    farm.drop(media.sound("long-tune.mp3", seconds=120), "music/fantasy/tune.mp3")
    give(farm, media, music=False)
    farm.work()
    (metadata,) = farm.tasks().values()
    assert metadata.music_file == "music.mp3"


def test_every_fallback_is_named_to_a_voice_that_waits(make_farm: Callable[..., Farm], media: Media) -> None:
    """The operator learns all the places that would do."""
    farm = make_farm({"tasks": {"fallback_categories": ["any"]}})
    give(farm, media, clips=0, music=False)
    assert "there is no clip in raw/video/fantasy/ or raw/video/any/ yet" in farm.work()


def test_few_clips_are_repeated_in_rounds(farm: Farm, media: Media) -> None:
    """Two clips of a second for two and a half: each once before the third shot repeats one."""
    give(farm, media, clips=2)
    farm.work()
    (metadata,) = farm.tasks().values()
    paths = [metadata.inputs[name].path for name in metadata.video_files]
    assert len(paths) == 3
    assert len(set(paths[:2])) == 2


# -- the logo ------------------------------------------------------------------------------------------


def test_a_logo_that_is_missing_is_told_at_the_start(make_farm: Callable[..., Farm]) -> None:
    """Wrong configuration: exit status 2, and what to do."""
    main = make_farm({"render": {"logo": "brand.png"}}).start()
    assert main.wait() == 2
    assert "there is no assets/brand.png" in main.log
    assert "render.logo" in main.log
    assert "Traceback" not in main.log


def test_a_named_logo_goes_into_the_task(make_farm: Callable[..., Farm], media: Media) -> None:
    """Under one name in every task, whatever it is called in assets/."""
    farm = make_farm({"render": {"logo": "Brand.PNG"}})
    (farm.layout.assets / "Brand.PNG").write_bytes(png(0, 255, 0))
    give(farm, media)
    farm.work()
    (metadata,) = farm.tasks().values()
    assert metadata.render.logo == "logo.png"
    assert metadata.inputs["logo.png"].path == "assets/Brand.PNG"
    assert metadata.inputs["logo.png"].sha256 == hashlib.sha256(png(0, 255, 0)).hexdigest()
    (farm.layout.assets / "Brand.PNG").write_bytes(png(0, 0, 255))
    assert (only_task(farm) / "logo.png").read_bytes() == png(0, 255, 0), "whatever is put in its place later"


def test_what_lies_in_a_folder_of_the_assets_goes_into_the_task_as_well(
    make_farm: Callable[..., Farm], media: Media
) -> None:
    """Logos and cards; the links of a task may lead nowhere else but into the library."""
    farm = make_farm({"render": {"logo": "ours/brand.png", "title_card": "ours/hello.png"}})
    (farm.layout.assets / "ours").mkdir()
    for name in ("brand.png", "hello.png"):
        (farm.layout.assets / "ours" / name).write_bytes(png(0, 255, 0))
    give(farm, media)
    farm.work()
    task = only_task(farm)
    for name in ("logo.png", "title.png"):
        assert not (task / name).is_symlink()
        assert (task / name).read_bytes() == png(0, 255, 0)


def test_a_logo_that_is_no_picture_is_told_before_the_first_voice_and_no_task_fails_for_it(
    make_farm: Callable[..., Farm], media: Media
) -> None:
    """What needs it waits, with what to do, and goes on by itself once it is replaced."""
    farm = make_farm()
    logo = farm.layout.assets / "logo.png"
    logo.write_bytes(b"a picture of our name")
    main = farm.start()
    main.until_logged("event=asset_unusable")
    assert "assets/logo.png cannot be shown as the logo: The file cannot be read as a PNG picture." in main.log
    give(farm, media)
    main.until_logged("chapter_0001.mp3 waits: assets/logo.png cannot be shown as the logo")
    assert not farm.tasks()
    logo.write_bytes(png(0, 0, 255))
    main.until(farm.tasks)
    assert main.log.count("event=asset_unusable") == 1
    assert main.stop() == 0


@pytest.mark.parametrize(("logo", "there"), [("auto", False), ("", True)])
def test_no_logo_where_none_is_there_or_none_is_wanted(
    make_farm: Callable[..., Farm], media: Media, logo: str, there: bool
) -> None:
    """``auto`` does without, and an empty name passes over the one that is there."""
    farm = make_farm({"render": {"logo": logo}})
    if there:
        (farm.layout.assets / "logo.png").write_bytes(b"logo")
    give(farm, media)
    farm.work()
    (metadata,) = farm.tasks().values()
    assert (metadata.render.logo, "logo.png" in metadata.inputs) == (None, False)


def test_tasks_follow_the_configuration_of_the_render(make_farm: Callable[..., Farm], media: Media) -> None:
    """Size, rate and priority are written into each task."""
    farm = make_farm({"render": {"resolution": "640x360", "frame_rate": 29.97}, "tasks": {"priority": 70}})
    give(farm, media)
    farm.work()
    (metadata,) = farm.tasks().values()
    assert (metadata.render.resolution, metadata.render.frame_rate, metadata.priority) == ("640x360", 29.97, 70)


def test_a_root_behind_a_link_makes_links_that_resolve(farm: Farm, media: Media, tmp_path: Path) -> None:
    """Operators know the root under another name than its own."""
    alias = tmp_path / "alias"
    alias.symlink_to(farm.layout.root)
    give(farm, media)
    farm.layout = type(farm.layout)(alias)
    farm.work()
    task = only_task(farm)
    assert all((task / name).exists() for name in os.listdir(task))  # noqa: PTH208


# -- captions --------------------------------------------------------------------------------------------------

SUBTITLES = "1\n00:00:00,500 --> 00:00:01,500\nA <i>dragon</i> flies\n\n2\n00:00:01,600 --> 00:00:09,000\n& lands\n"


@pytest.mark.parametrize(
    ("suffix", "content", "shown"),
    [
        (
            ".srt",
            SUBTITLES,
            "00:00:00.500 --> 00:00:01.500\nA dragon flies\n\n00:00:01.600 --> 00:00:02.500\n&amp; lands\n",
        ),
        (".txt", "Once a dragon flew over us.", "00:00:00.000 --> 00:00:02.500\nOnce a dragon flew over us.\n"),
    ],
)
def test_a_voice_with_a_text_has_captions(farm: Farm, media: Media, suffix: str, content: str, shown: str) -> None:
    """Made when its task is, whichever was dropped first; the task says what of."""
    give(farm, media)
    farm.drop(media.text(f"said{suffix}", content), str(Path(VOICE).with_suffix(suffix)))
    farm.work()
    task = only_task(farm)
    assert (task / "captions.vtt").read_text("utf-8") == f"WEBVTT\n\n{shown}"
    metadata = Metadata.read(task / "metadata.json")
    assert metadata.captions
    assert (metadata.captions.file, metadata.captions.language) == ("captions.vtt", "und")
    assert metadata.captions.cues == shown.count("-->")
    made_of = metadata.inputs["captions.vtt"]
    assert made_of.path == str(Path("scanned", FILED_VOICE).with_suffix(suffix))
    assert (made_of.sha256, made_of.size) == (sha256(task / "captions.vtt"), (task / "captions.vtt").stat().st_size)


def test_the_language_of_a_story_is_told(farm: Farm, media: Media) -> None:
    """As its settings say."""
    farm.drop(media.text("story.toml", 'language = "deu"\n'), str(Path(VOICE).parents[1] / "story.toml"))
    give(farm, media)
    farm.drop(media.text("said.txt", "Da flog ein Drache vorbei."), str(Path(VOICE).with_suffix(".txt")))
    farm.work()
    captions = Metadata.read(only_task(farm) / "metadata.json").captions
    assert captions
    assert captions.language == "deu"


@pytest.mark.parametrize(
    ("usual", "wish", "shown"),
    [("track", "", "track"), ("burned", "", "burned"), ("track", "burned", "burned"), ("burned", "track", "track")],
)
def test_captions_are_shown_as_the_story_wishes_or_else_as_usual(
    make_farm: Callable[..., Farm], media: Media, usual: str, wish: str, shown: str
) -> None:
    """As a track of the video, or drawn into it."""
    farm = make_farm({"render": {"captions": usual}})
    if wish:
        farm.drop(media.text("story.toml", f'captions = "{wish}"\n'), str(Path(VOICE).parents[1] / "story.toml"))
    give(farm, media)
    farm.drop(media.text("said.txt", "Da flog ein Drache vorbei."), str(Path(VOICE).with_suffix(".txt")))
    farm.work()
    captions = Metadata.read(only_task(farm) / "metadata.json").captions
    assert captions
    assert captions.shown == shown


def test_the_text_of_another_voice_is_left_out(farm: Farm, media: Media) -> None:
    """The video is made all the same, and the log says why it has no captions."""
    give(farm, media)
    farm.drop(media.text("said.txt", "A dragon. " * 99), str(Path(VOICE).with_suffix(".txt")))
    log = farm.work()
    assert not (only_task(farm) / "captions.vtt").exists()
    assert Metadata.read(only_task(farm) / "metadata.json").captions is None
    assert "event=captions_left_out" in log
    assert "seems to be the text of another voice" in log

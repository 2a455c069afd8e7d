"""How drops get into the library: names, sidecars, duplicates, versions, and what a crash leaves."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from main_worker.arrival.intake import Intake
from main_worker.arrival.ready import DropChanged, Ready
from main_worker.arrival.settling import Patience
from main_worker.checks.examination import Examined, Examiner, content_of
from main_worker.links.article import Article
from main_worker.shelves.filing import Filing
from main_worker.shelves.library import Library
from shared.domain.drop import Drop, Kind
from shared.domain.errors import DropRefused
from shared.domain.layout import Layout, sidecar_of
from shared.files import is_private
from shared.log import open_log
from shared.settings import Log

if TYPE_CHECKING:
    from tests.main_worker.conftest import Desk, Farm, Media

CLEAN = re.compile(r"[A-Za-z0-9._-]+")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- one root with one of everything ---------------------------------------------------------------

ODD = {
    "two words.mp4": "1.0_two_words.mp4",
    "it's 'quoted' \"twice\".mp4": "1.0_it_s__quoted___twice.mp4",
    "new\nline.mp4": "1.0_new_line.mp4",
    "-y.mp4": "1.0_-y.mp4",
    "déjà vu.mp4": "1.0_deja_vu.mp4",
    "日本語.mp4": "1.0_unnamed.mp4",
    "a:b|c*d?.mp4": "1.0_a_b_c_d.mp4",
    "x" * 251 + ".mp4": "1.0_" + "x" * 100 + ".mp4",
    "clip.with.dots.mp4": "1.0_clip.with.dots.mp4",
    os.fsdecode(b"caf\xe9.mp4" if sys.platform == "linux" else b"caf.mp4"): "1.0_caf.mp4",
}


@pytest.fixture(scope="module")
def full(make_farm: Callable[..., Farm], media: Media) -> Farm:
    """A root into which one of every kind, and clips with odd names, were dropped and taken in."""
    farm = make_farm()
    farm.drop(media.clip(), "video/nature/forest.mp4")
    farm.drop(media.clip("plain.mov"), "video/nature/Lake.MOV")
    farm.drop(media.clip("plain.m4v", "-f", "ipod"), "video/nature/hill.m4v")
    farm.drop(media.frame(), "frame/gold/border.mp4")
    farm.drop(media.sound("tune.mp3", seconds=12.4), "music/nature/tune.mp3")
    farm.drop(media.sound(), "story/nature/lamp keeper/voice/chapter_0001.mp3")
    turned = media.made("turned-90.mp4", "-display_rotation", "-90", "-i", media.clip(), "-c", "copy")
    farm.drop(turned, "video/nature/turned.mp4")
    for number, name in enumerate(ODD):
        farm.drop(media.variant(media.clip(), number), f"video/odd/{name}")
    farm.work()
    return farm


def test_every_kind_is_filed_under_the_names_of_the_contract(full: Farm) -> None:
    """Clips by displayed size with their length in front, music by length, voices under their story."""
    names = {name for name in full.library() if not name.startswith("video/odd/")}
    assert names == {
        "video/nature/mp4_w64_h48/1.0_forest.mp4",
        "video/nature/mp4_w64_h48/1.0_Lake.mp4",
        "video/nature/mp4_w64_h48/1.0_hill.mp4",
        "video/nature/mp4_w48_h64/1.0_turned.mp4",
        "frame/gold/mp4_w96_h64/2.0_border.mp4",
        "music/nature/mp3/12.4_tune.mp3",
        "story/nature/lamp_keeper/voice/chapter_0001.mp3",
    }


def test_odd_names_become_plain_ones_and_are_kept_as_data(full: Farm) -> None:
    """Blanks, quotes, newlines, leading dashes, other scripts and very long names are all taken."""
    filed = {
        sidecar.origin.path: Path(name).name
        for name, sidecar in full.library().items()
        if name.startswith("video/odd/")
    }
    assert filed == {f"raw/video/odd/{name}": plain for name, plain in ODD.items()}
    assert all(CLEAN.fullmatch(part) for name in full.library() for part in Path(name).parts)


def test_every_library_file_is_what_its_sidecar_says(full: Farm) -> None:
    """Hash and size are those of the file; the origin is told with its own."""
    for name, sidecar in full.library().items():
        path = full.layout.scanned / name
        assert (sha256(path), path.stat().st_size) == (sidecar.sha256, sidecar.size)
        assert sidecar.version == 1
        assert sidecar.origin.evidence.startswith("unchanged for")
        assert sidecar.scanned_at.endswith("Z")
        if sidecar.kind is not Kind.MUSIC:
            assert (sidecar.origin.sha256, sidecar.origin.size) == (sidecar.sha256, sidecar.size)


def test_the_sidecar_of_each_kind_has_the_facts_of_that_kind(full: Farm) -> None:
    """Pictures have sizes, sounds have lengths, music has its loudness, voices their chapter and titles."""
    library = full.library()
    clip = library["video/nature/mp4_w64_h48/1.0_forest.mp4"]
    assert clip.video is not None
    assert (clip.video.frames, clip.video.seconds, clip.audio) == (10, 1.0, None)
    music = library["music/nature/mp3/12.4_tune.mp3"]
    assert music.loudness is not None
    assert music.loudness.integrated == pytest.approx(-16.0, abs=1.0)
    assert music.origin.sha256 != music.sha256
    voice = library["story/nature/lamp_keeper/voice/chapter_0001.mp3"]
    assert voice.audio is not None
    assert (voice.audio.seconds, voice.audio.channels) == (2.0, 1)
    assert (voice.category, voice.story, voice.chapter) == ("nature", "lamp_keeper", "chapter_0001")
    assert voice.titles == ("nature", "lamp keeper")
    assert voice.origin.path == "raw/story/nature/lamp keeper/voice/chapter_0001.mp3"


def test_nothing_is_left_in_raw_and_nothing_half_made_anywhere(full: Farm) -> None:
    """Every drop went somewhere whole."""
    assert full.files(full.layout.raw) == []
    assert full.leftovers() == []
    assert full.rejected() == {}


# -- the same and the different ----------------------------------------------------------------------


def test_the_same_content_twice_is_one_entry_and_a_told_duplicate(farm: Farm, media: Media) -> None:
    """The second copy, under whatever name, lies in the trash and names the first; other categories may have it."""
    farm.drop(media.frame(), "video/nature/first.mp4")
    farm.work()
    farm.drop(media.frame(), "video/nature/second.mp4")
    farm.drop(media.frame(), "video/city/second.mp4")
    farm.drop(media.frame(), "frame/nature/second.mp4")
    farm.work()
    assert set(farm.library()) == {
        "video/nature/mp4_w96_h64/2.0_first.mp4",
        "video/city/mp4_w96_h64/2.0_second.mp4",
        "frame/nature/mp4_w96_h64/2.0_second.mp4",
    }
    ((original, (name, reason)),) = farm.rejected().items()
    assert (original, name) == ("raw/video/nature/second.mp4", "second.mp4")
    assert reason.code == "duplicate"
    assert "duplicate of scanned/video/nature/mp4_w96_h64/2.0_first.mp4" in reason.reason
    assert "raw/video/nature/first.mp4" in reason.reason


def test_two_copies_dropped_at_once_are_one_entry(farm: Farm, media: Media) -> None:
    """Checked at the same time by two threads, one of them still is the duplicate."""
    for name in "abcd":
        farm.drop(media.sound("tune.mp3"), f"music/calm/{name}.mp3")
    farm.work()
    assert len(farm.library()) == 1
    assert [reason.code for _, reason in farm.rejected().values()] == ["duplicate"] * 3
    assert farm.leftovers() == []


def test_a_voice_is_a_duplicate_only_within_its_story(farm: Farm, media: Media) -> None:
    """Two stories may begin with the same words."""
    farm.drop(media.sound(), "story/nature/one/voice/chapter_0001.mp3")
    farm.drop(media.sound(), "story/nature/two/voice/chapter_0001.mp3")
    farm.drop(media.sound(), "story/nature/two/voice/chapter_0002.mp3")
    farm.work()
    assert len(farm.library()) == 2
    assert {name for name, _ in farm.rejected().values()} <= {"chapter_0001.mp3", "chapter_0002.mp3"}
    assert len(farm.rejected()) == 1


def test_different_content_of_the_same_name_gets_a_hash(farm: Farm, media: Media) -> None:
    """No library file is ever replaced."""
    other = media.variant(media.clip(), 7)
    farm.drop(media.clip(), "video/nature/sky.mp4")
    farm.work()
    farm.drop(other, "video/nature/sky.mp4")
    farm.work()
    assert set(farm.library()) == {
        "video/nature/mp4_w64_h48/1.0_sky.mp4",
        f"video/nature/mp4_w64_h48/1.0_sky-{sha256(other)[:8]}.mp4",
    }
    assert sha256(farm.layout.scanned / "video/nature/mp4_w64_h48/1.0_sky.mp4") == sha256(media.clip())


def test_a_link_file_becomes_chunks_and_lies_with_its_story(
    make_farm: Callable[..., Farm], media: Media, tmp_path: Path
) -> None:
    """The text of the page is found in the story's folder, the link file in its ``link/``."""
    farm = make_farm({"links": {"allow_loopback": True, "chunk_words": 60}})
    paragraphs = "".join(
        f"<p>Paragraph {n} tells of the keeper who climbed the stairs of the tower every evening to light "
        "the lamp, and of the ships that passed below without ever knowing his name.</p>"
        for n in range(6)
    )
    page = (
        f"<html><head><title>The keeper</title></head><body><article><h1>The keeper</h1>{paragraphs}</article></body>"
    )
    (tmp_path / "page.html").write_text(page, "utf-8")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/page.html"
            farm.drop(media.text("links.txt", f"{address}\n"), "story/nature/keeper/link/links.txt")
            farm.work()
        finally:
            server.shutdown()
    library = farm.library()
    chunks = sorted(name for name in library if "chunk_" in name)
    assert chunks[:2] == ["story/nature/keeper/chunk_0001.txt", "story/nature/keeper/chunk_0002.txt"]
    assert set(library) - set(chunks) == {"story/nature/keeper/link/links.txt"}
    text = "\n".join((farm.layout.scanned / name).read_text("utf-8") for name in chunks)
    assert all(f"Paragraph {n} tells" in text for n in range(6))
    for name in chunks:
        sidecar = library[name]
        assert (sidecar.address, sidecar.words) == (address, sidecar.words)
        assert 0 < (sidecar.words or 0) <= 60
        assert sidecar.sha256 == sha256(farm.layout.scanned / name)


@pytest.fixture
def elsewhere(farm: Farm) -> Iterator[Path]:
    """A folder on another filesystem than the farm's, where there is one."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == farm.layout.root.stat().st_dev:
        pytest.skip("there is no second filesystem")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_a_raw_on_another_filesystem_is_taken_in_as_well(farm: Farm, media: Media, elsewhere: Path) -> None:
    """There a move is a copy, and the original goes only when the copy is whole; links are moved by name."""
    for kind in ("video", "music", "story"):
        shutil.rmtree(farm.layout.raw / kind)
        (elsewhere / kind).mkdir()
    shutil.rmtree(farm.layout.raw)
    farm.layout.raw.symlink_to(elsewhere)
    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.drop(media.sound("tune.mp3"), "music/nature/a.mp3")
    farm.drop(media.sound(), "story/nature/tale/voice/a.mp3")
    farm.drop(media.text("a.mkv", "text"), "video/nature/a.mkv")
    (farm.layout.raw / "video/nature/link.mp4").symlink_to("/etc/hostname")
    farm.work()
    for name, sidecar in farm.library().items():
        assert sidecar.sha256 == sha256(farm.layout.scanned / name)
    assert len(farm.library()) == 3
    assert set(farm.rejected()) == {"raw/video/nature/a.mkv", "raw/video/nature/link.mp4"}
    assert (farm.layout.invalid / "a.mkv").read_text("utf-8") == "text"
    assert (farm.layout.invalid / "link.mp4").readlink() == Path("/etc/hostname")
    assert farm.files(elsewhere) == []
    assert farm.leftovers() == []
    assert len(farm.tasks()) == 1


@pytest.mark.parametrize("moved", ["scanned", "trash/invalid", "raw and scanned"])
def test_shelves_on_another_filesystem_are_reached_by_rename_all_the_same(
    farm: Farm, media: Media, elsewhere: Path, moved: str
) -> None:
    """What takes long is done beside the main thread; nothing is left of it on either side."""
    for name in moved.split(" and "):
        place = elsewhere / Path(name).name
        shutil.copytree(farm.layout.root / name, place)
        shutil.rmtree(farm.layout.root / name)
        (farm.layout.root / name).symlink_to(place)
    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.drop(media.sound("tune.mp3"), "music/nature/a.mp3")
    farm.drop(media.sound(), "story/nature/tale/voice/a.mp3")
    farm.drop(media.text("a.mkv", "text"), "video/nature/a.mkv")
    log = farm.work()
    assert "event=ingest_trouble" not in log
    for name, sidecar in farm.library().items():
        assert sidecar.sha256 == sha256(farm.layout.scanned / name)
    assert len(farm.library()) == 3
    assert set(farm.rejected()) == {"raw/video/nature/a.mkv"}
    assert (farm.layout.invalid / "a.mkv").read_text("utf-8") == "text"
    assert farm.files(farm.layout.raw) == []
    assert farm.leftovers() == []
    assert not [path for path in elsewhere.rglob("*") if is_private(path)]
    assert len(farm.tasks()) == 1


# -- step by step ------------------------------------------------------------------------------------


class Steps:
    """A root, its library and its filing, without a worker."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.library = self.reloaded()
        self.filing = Filing(layout, self.library, 10)

    def reloaded(self) -> Library:
        """The library as the next start finds it."""
        library = Library(self.layout, open_log("main_worker", Log()))
        library.load()
        self.filing = Filing(self.layout, library, 10)
        return library

    def ready(self) -> tuple[Ready, Drop]:
        """The one drop that is in raw/."""
        (ready,) = Intake(self.layout.raw, Patience(0.0, 0.0)).look(0.0).ready
        assert isinstance(ready.drop, Drop)
        return ready, ready.drop


@pytest.fixture
def steps(farm: Farm) -> Steps:
    """Filing in this process."""
    return Steps(farm.layout)


def articles(steps: Steps, *texts: str) -> Examined:
    found = tuple(Article("http://a/", "http://a/b", "Title", text) for text in texts)
    return Examined(content_of(steps.ready()[0].path), articles=found)


def test_a_drop_that_changed_while_it_was_checked_stays(farm: Farm, media: Media, steps: Steps) -> None:
    """What was learnt is about other bytes; nothing is filed and nothing is lost."""
    path = farm.drop(media.sound(), "story/nature/one/voice/chapter_0001.mp3")
    ready, drop = steps.ready()
    examined = Examined(content_of(path))
    os.utime(path, ns=(1, 1))
    with pytest.raises(DropChanged):
        steps.filing.file(ready, drop, examined)
    assert path.exists()
    assert farm.files(farm.layout.scanned) == []


def test_a_drop_that_was_taken_away_while_it_was_checked_is_not_filed(farm: Farm, media: Media, steps: Steps) -> None:
    """Its owner changed his mind."""
    path = farm.drop(media.sound(), "story/nature/one/voice/chapter_0001.mp3")
    ready, drop = steps.ready()
    examined = Examined(content_of(path))
    path.unlink()
    with pytest.raises(DropChanged):
        steps.filing.file(ready, drop, examined)
    assert farm.files(farm.layout.scanned) == []


def test_the_texts_of_a_link_file_are_numbered_on(farm: Farm, media: Media, steps: Steps) -> None:
    """A second link file of the story continues after the chunks of the first."""
    farm.drop(media.text("one.txt", "http://a/"), "story/nature/one/link/one.txt")
    steps.filing.file(*steps.ready(), articles(steps, "One two.", "Three."))
    farm.drop(media.text("two.txt", "http://b/"), "story/nature/one/link/two.txt")
    steps.filing.file(*steps.ready(), articles(steps, "Four."))
    story = farm.layout.story("nature", "one")
    assert [path.read_text("utf-8") for path in sorted(story.glob("chunk_*.txt"))] == [
        "One two.\n",
        "Three.\n",
        "Four.\n",
    ]
    assert sorted(path.name for path in (story / "link").glob("*.txt")) == ["one.txt", "two.txt"]


@pytest.mark.parametrize("missing", ["link/one.txt", "chunk_0002.txt", "chunk_0001.txt"])
def test_texts_that_a_crash_interrupted_are_written_again_once(
    farm: Farm, media: Media, steps: Steps, missing: str
) -> None:
    """Wherever the filing of a link file ended, the next one leaves every text exactly once."""
    source = media.text("one.txt", "http://a/")
    story = farm.layout.story("nature", "one")
    raw = farm.drop(source, "story/nature/one/link/one.txt")
    kept = farm.layout.root.with_name("kept")
    kept.hardlink_to(raw)
    steps.filing.file(*steps.ready(), articles(steps, "One two.", "Three."))
    # Sidecar, then file, and the link file last: undo what came after the moment of the crash.
    order = ["chunk_0001.txt", "chunk_0002.txt", "link/one.txt"]
    for name in order[order.index(missing) :]:
        (story / name).unlink()
        if name != missing:
            (story / f"{name}.json").unlink()
    kept.rename(raw)
    steps.reloaded()
    steps.filing.file(*steps.ready(), articles(steps, "One two.", "Three."))
    assert farm.files(story) == sorted(name + end for name in order for end in ("", ".json"))
    assert [(story / name).read_text("utf-8") for name in order[:2]] == ["One two.\n", "Three.\n"]
    assert not raw.exists()


# -- what somebody takes out of the library by hand --------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        "video/nature/a.mp4",
        "music/nature/a.mp3",
        "story/nature/one/voice/a.mp3",
        "story/nature/one/link/a.txt",
        "story/nature/one/story.toml",
    ],
)
def test_a_library_file_that_is_moved_back_is_filed_again(
    farm: Farm, media: Media, desk: Desk, steps: Steps, where: str
) -> None:
    """Under its name; though inode, time and path are those of its record, it is the only copy and no leftover."""
    sources = {
        ".mp4": media.clip(),
        ".mp3": media.sound("tune.mp3", seconds=3),
        ".txt": media.text("a.txt", "http://a/"),
        ".toml": media.text("story.toml", "priority = 60\n"),
    }

    def file() -> tuple[Path, str]:
        """File the one drop; returns the library file and its content's hash."""
        ready, drop = steps.ready()
        if drop.kind is Kind.LINK:
            examined = articles(steps, "One two.")
        else:
            examiner = Examiner(desk.cage(), farm.layout.staging)
            examined = examiner.examine(
                ready, drop, lambda content: steps.filing.refuse_duplicate(ready, drop, content)
            )
        filed = steps.filing.file(ready, drop, examined)[-1]
        return filed, sha256(filed)

    raw = farm.drop(sources[Path(where).suffix], where)
    filed, content = file()
    filed.rename(raw)
    again, content_now = file()
    assert again == filed
    if not where.startswith("music"):  # which is encoded once more
        assert content_now == content
    assert farm.library()[str(filed.relative_to(farm.layout.scanned))].sha256 == content_now
    assert len([name for name in farm.library() if "chunk_" not in name]) == 1
    assert farm.files(farm.layout.raw) == []


@pytest.mark.parametrize("with_record", [True, False])
def test_what_was_taken_out_and_is_dropped_again_is_no_duplicate(
    farm: Farm, media: Media, steps: Steps, with_record: bool
) -> None:
    """Else the advice would be to delete the last copy; it gets its name back."""
    farm.drop(media.sound(), "story/nature/one/voice/a.mp3")
    (filed,) = steps.filing.file(*steps.ready(), Examined(content_of(media.sound())))
    filed.unlink()
    if with_record:
        sidecar_of(filed).unlink()
    farm.drop(media.sound(), "story/nature/one/voice/a.mp3")
    assert steps.filing.file(*steps.ready(), Examined(content_of(media.sound()))) == [filed]
    assert sha256(filed) == sha256(media.sound())


def test_a_leftover_goes_only_where_its_library_file_is_whole(farm: Farm, media: Media, steps: Steps) -> None:
    """Somebody has cut the library file short: the drop is the better copy, and gets a name of its own."""
    raw = farm.drop(media.sound(), "story/nature/one/voice/a.mp3")
    kept = farm.layout.root.with_name("kept")
    kept.hardlink_to(raw)
    examined = Examined(content_of(raw))
    (filed,) = steps.filing.file(*steps.ready(), examined)
    filed.unlink()
    filed.write_bytes(media.sound().read_bytes()[:100])
    kept.rename(raw)
    (again,) = steps.filing.file(*steps.ready(), examined)
    assert again != filed
    assert sha256(again) == examined.dropped.sha256


def test_a_record_that_speaks_of_other_content_makes_no_duplicate(farm: Farm, media: Media, steps: Steps) -> None:
    """The name was given to another drop, after its file had been taken out of the library."""
    farm.drop(media.sound(), "story/nature/one/voice/a.mp3")
    (filed,) = steps.filing.file(*steps.ready(), Examined(content_of(media.sound())))
    filed.unlink()
    other = media.variant(media.sound(), 3)
    farm.drop(other, "story/nature/one/voice/a.mp3")
    assert steps.filing.file(*steps.ready(), Examined(content_of(other))) == [filed]
    farm.drop(media.sound(), "story/nature/one/voice/a.mp3")
    (again,) = steps.filing.file(*steps.ready(), Examined(content_of(media.sound())))
    assert again != filed
    assert sha256(filed) == sha256(other)


# -- what a crash leaves, seen by the next worker ------------------------------------------------------


def test_a_sidecar_without_its_file_is_removed_and_the_drop_filed(farm: Farm, media: Media) -> None:
    """The crash came between the two."""
    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.work()
    (name,) = farm.library()
    filed = farm.layout.scanned / name
    filed.rename(farm.layout.raw / "video/nature/a.mp4")
    orphan = filed.with_name("9.9_gone.mp4.json")
    orphan.write_bytes(filed.with_name(f"{filed.name}.json").read_bytes())
    farm.work()
    assert list(farm.library()) == [name]
    assert filed.exists()
    assert farm.rejected() == {}
    assert not orphan.exists()


@pytest.mark.parametrize("where", ["video/nature/a.mp4", "music/nature/a.mp3", "story/nature/one/voice/a.mp3"])
def test_a_drop_that_was_filed_but_not_removed_is_finished(farm: Farm, media: Media, where: str) -> None:
    """The crash came between link and unlink: the drop is recognised as its own entry, not called a duplicate."""
    raw = farm.layout.raw / where
    farm.drop(media.clip() if where.endswith("mp4") else media.sound("tune.mp3", seconds=3), where)
    kept = farm.layout.root.with_name("kept")
    kept.hardlink_to(raw)
    farm.work()
    library = farm.library()
    kept.rename(raw)
    farm.work()
    assert farm.library() == library
    assert farm.rejected() == {}
    assert farm.files(farm.layout.raw) == []
    assert farm.leftovers() == []


def test_temporary_names_in_the_library_are_cleared(farm: Farm, media: Media) -> None:
    """Also those in staging, among the rejected, and of the worker's own record."""
    folder = farm.layout.scanned / "video/nature/mp4_w64_h48"
    folder.mkdir(parents=True)
    (folder / ".1.0_a.mp4.0badcafe.tmp").write_bytes(b"half")
    (farm.layout.invalid / ".a.mp4.reason.json.0badcafe.tmp").write_bytes(b"{")
    (farm.layout.farm / ".main_worker.json.0badcafe.tmp").write_bytes(b"{")
    (farm.layout.staging / "0badcafe.mp3").write_bytes(b"half")
    (farm.layout.staging / "task").mkdir()
    assert len(farm.leftovers()) == 5
    farm.work()
    assert farm.leftovers() == []


def test_an_entry_with_a_damaged_sidecar_is_told_and_not_used(farm: Farm, media: Media) -> None:
    """The file is kept, the log says how to have it scanned again, and doing so works."""
    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.work()
    (name,) = farm.library()
    sidecar = farm.layout.scanned / f"{name}.json"
    sidecar.write_bytes(b"{}")
    log = farm.work()
    assert "event=sidecar_damaged" in log
    assert "move it back into raw/" in log
    (farm.layout.scanned / name).rename(farm.layout.raw / "video/nature/a.mp4")
    assert "event=file_scanned" in farm.work()
    assert farm.files(farm.layout.raw) == []
    assert farm.rejected() == {}


def test_a_duplicate_is_told_by_content_after_a_restart(farm: Farm, media: Media, steps: Steps) -> None:
    """The index is rebuilt from the sidecars alone."""
    farm.drop(media.sound(), "story/nature/one/voice/a.mp3")
    steps.filing.file(*steps.ready(), Examined(content_of(media.sound())))
    farm.drop(media.sound(), "story/nature/one/voice/b.mp3")
    steps.reloaded()
    ready, drop = steps.ready()
    with pytest.raises(DropRefused, match=r"duplicate of scanned/story/nature/one/voice/a\.mp3"):
        steps.filing.refuse_duplicate(ready, drop, content_of(ready.path))

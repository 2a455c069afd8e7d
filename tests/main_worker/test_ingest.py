"""One drop's trouble is that drop's alone, the machine's is everybody's; and a copy that stalls is waited for."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import ParamSpec, TypeVar

import pytest

from main_worker.arrival.ready import DropChanged, Ready, identity_of
from main_worker.checks.examination import Content, Examined, Examiner
from main_worker.ingest import Ingest
from main_worker.once import Inline
from main_worker.shelves.filing import Filing
from main_worker.shelves.library import Library
from shared.config import Config
from shared.domain.drop import Drop, Kind
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, ToolError, ToolInDoubt
from shared.domain.layout import Layout
from shared.files import is_private
from shared.log import open_log
from shared.settings import Log
from tests.main_worker.conftest import Desk, Media

P = ParamSpec("P")
T = TypeVar("T")

FULL = OSError(errno.ENOSPC, "No space left on device")
CUT_OFF = DropRefused(Rejection("truncated", "It is cut off.", "Copy it again."))


@dataclass(frozen=True)
class Stumbling(Examiner):
    """An examiner that meets one error after the other, and then finds nothing wrong."""

    errors: list[Exception] = field(default_factory=list)
    examined: list[PurePosixPath] = field(default_factory=list)

    def examine(self, ready: Ready, drop: Drop, known: Callable[[Content], None]) -> Examined:
        self.examined.append(ready.relative)
        if self.errors:
            raise self.errors.pop(0)
        return super().examine(ready, drop, known)


@dataclass(frozen=True)
class Table:
    """An ingest whose examinations are done in this thread, on a root of its own."""

    ingest: Ingest
    layout: Layout
    desk: Desk
    examined: list[PurePosixPath]

    @property
    def asked(self) -> list[str]:
        """The names of the drops that were examined, in turn."""
        return [relative.name for relative in self.examined]

    def put(self, name: str = "a.txt", kind: Kind = Kind.LINK) -> Ready:
        """A file, by default for links, with nonsense in it, which is refused once it is examined."""
        relative = PurePosixPath("story/tales/fox", kind.value, name)
        path = self.layout.raw / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("nonsense", "utf-8")
        ready, drop = self.desk.ready(path, kind)
        return replace(ready, relative=relative, drop=replace(drop, relative=relative))

    def turn(self, now: float, *drops: Ready) -> float | None:
        held = self.ingest.offer(drops, now)
        self.ingest.turn(now)
        return held

    def rejected(self) -> list[str]:
        return sorted(path.name for path in self.layout.invalid.iterdir() if not path.name.endswith(".json"))


@pytest.fixture
def table(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Table]:
    """Makes an ingest that meets the errors given, in turn."""

    def make(*errors: Exception, executor: Executor | None = None, **ingest: object) -> Table:
        layout = Layout(tmp_path)
        for folder in layout.folders():
            folder.mkdir(parents=True, exist_ok=True)
        log = open_log("main_worker", Log())
        filing = Filing(layout, Library(layout, log), 100)
        examiner = Stumbling(desk.cage(), layout.staging, list(errors))
        config = Config.model_validate({"ingest": ingest})
        made = Ingest(config, layout, filing, examiner, executor or Inline(), 4, log, lambda: None)
        return Table(made, layout, desk, examiner.examined)

    return make


# -- the trouble of one drop -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a fault of the program"),
        MachineTrouble("ffmpeg was killed"),
        ToolError("no ffmpeg"),
        OSError(errno.EIO, "Input/output error"),
    ],
)
def test_a_drop_in_trouble_stays_and_is_tried_again(table: Callable[..., Table], error: Exception) -> None:
    """Whatever was stumbled over, the drop is not refused, others are taken, and a later try takes it."""
    made = table(error)
    first, other = made.put("a.txt"), made.put("b.txt")
    made.turn(0.0, first)
    made.turn(0.1, first, other)
    assert first.path.exists()
    assert made.rejected() == ["b.txt"]
    assert made.ingest.troubles.pause is None
    assert made.ingest.states(0.1)[first.relative].startswith("put off: ")
    made.turn(1.0, first)
    assert first.path.exists(), "it must wait before it is tried again"
    made.turn(1000.0, first)
    assert not first.path.exists()
    assert made.rejected() == ["a.txt", "b.txt"]
    assert not made.ingest.troubles.drops


def test_after_some_tries_there_is_no_use_in_waiting(table: Callable[..., Table]) -> None:
    """A run that is to end when nothing is left to do ends all the same; the drop is forgotten when it is gone."""
    made = table(*[MachineTrouble("ffmpeg was killed")] * 3)
    drop = made.put()
    for attempt in range(3):
        assert made.ingest.troubles.is_hopeless == (attempt == 0), "nothing put off is no reason to wait either"
        made.turn(attempt * 1000.0, drop)
    assert made.ingest.troubles.is_hopeless
    made.ingest.forget_all_but([])
    assert not made.ingest.troubles.drops


def test_a_file_that_only_the_tool_cannot_read_is_refused_after_some_tries(table: Callable[..., Table]) -> None:
    """The disk has been given its chances; that the file can be read to its end speaks against the file."""
    made = table(*[ToolInDoubt("ffmpeg met an error of the disk")] * 3)
    drop = made.put()
    for attempt in range(3):
        made.turn(attempt * 1000.0, drop)
        assert drop.path.exists()
    made.turn(3000.0, drop)
    assert made.rejected() == ["a.txt"]
    assert made.ingest.troubles.is_hopeless
    assert not made.ingest.troubles.drops


@pytest.fixture
def no_trash(tmp_path: Path) -> Callable[[], None]:
    """Makes every refusal fail at its last step, for a reason that is not everybody's; called again, ends that."""
    invalid = Layout(tmp_path).invalid

    def toggle() -> None:
        if invalid.is_dir():
            invalid.rename(invalid.with_name("away"))
            invalid.touch()
        else:
            invalid.unlink()
            invalid.with_name("away").rename(invalid)

    return toggle


def test_only_the_last_step_is_tried_again(table: Callable[..., Table], no_trash: Callable[[], None]) -> None:
    """A film that nothing lets out of its folder is not decoded each time; its rests grow to an hour."""
    made = table()
    drop, other = made.put("a.txt"), made.put("b.txt")
    no_trash()
    now = 0.0
    for _ in range(15):
        made.turn(now, drop)
        assert made.ingest.states(now)[drop.relative].startswith("put off: ")
        assert not made.ingest.is_working, "it rests"
        assert not made.ingest.arriving
        assert made.ingest.troubles.rests(drop.relative, now + 4.0)
        now += 4000.0
    assert made.ingest.troubles.is_hopeless
    assert made.ingest.troubles.rests(drop.relative, now - 4000.0 + 3599.0)
    assert made.examined == [drop.relative]
    no_trash()
    made.turn(now, drop, other)
    assert made.rejected() == ["a.txt", "b.txt"]
    assert sorted(made.examined) == [drop.relative, other.relative]
    assert not made.ingest.states(now)


def test_a_drop_that_changed_after_its_last_step_failed_is_examined_anew(
    table: Callable[..., Table], no_trash: Callable[[], None]
) -> None:
    """What was found is about other bytes."""
    made = table()
    drop = made.put()
    no_trash()
    made.turn(0.0, drop)
    drop.path.write_text("other nonsense", "utf-8")
    made.turn(1000.0, drop)
    assert drop.path.exists(), "it is no longer what was seen"
    no_trash()
    made.turn(2000.0, made.put())
    assert made.examined == [drop.relative] * 2
    assert made.rejected() == ["a.txt"]


def test_copies_do_not_fill_the_disk_while_their_last_step_fails(
    table: Callable[..., Table], no_trash: Callable[[], None]
) -> None:
    """A few are kept, until their drops are taken or gone."""
    memory = Path("/dev/shm")
    made = table()
    if not memory.is_dir() or memory.stat().st_dev == made.layout.root.stat().st_dev:
        pytest.skip("needs a second filesystem: /dev/shm is none here")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        shutil.rmtree(made.layout.raw)
        made.layout.raw.symlink_to(folder)
        drops = [made.put(f"{name}.txt") for name in "abcdefgh"]
        no_trash()
        for now in (0.0, 1.0, 2.0):
            made.turn(now, *drops)
        assert len(made.ingest.troubles.drops) == 8
        assert len(list(made.layout.staging.iterdir())) == 4
        made.ingest.forget_all_but([drop.relative for drop in drops[4:]])
        assert not list(made.layout.staging.iterdir())
    no_trash()


# -- whose turn it is ------------------------------------------------------------------------------------


def test_kinds_take_turns_and_within_a_kind_the_drop_that_came_first_goes_first(table: Callable[..., Table]) -> None:
    """With one place only: a voice does not wait for all the music, nor a clip for all the frames."""
    made = table(workers=1)
    kinds = {"music": Kind.MUSIC, "frame": Kind.FRAME, "video": Kind.VIDEO, "voice": Kind.VOICE}
    drops = [
        replace(made.put(f"{name}{number}", kind), first_seen=10.0 - number)
        for name, kind in kinds.items()
        for number in range(1 if name in ("voice", "video") else 3)
    ]
    made.ingest.offer(drops, 20.0)
    while made.ingest.is_working:
        made.ingest.turn(20.0)
    assert {name.rstrip("012") for name in made.asked[:4]} == set(kinds), (
        "each kind once before any has its second turn"
    )
    assert [name for name in made.asked if name.startswith("music")] == ["music2", "music1", "music0"]
    assert [name for name in made.asked if name.startswith("frame")] == ["frame2", "frame1", "frame0"]


# -- the trouble of all ----------------------------------------------------------------------------------


def test_a_full_disk_pauses_everything_and_is_told_once(
    table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is refused, one drop at a time tries whether it is over, and then all go on."""
    made = table(FULL, FULL, FULL)
    drops = [made.put(f"{name}.txt") for name in "abcdef"]
    made.turn(0.0, *drops)
    assert made.rejected() == []
    pause = made.ingest.troubles.pause
    assert pause is not None
    assert "No space left on device" in pause.why
    for now in (1.0, 2.0, 3.0):
        made.turn(now, *drops)
    assert made.rejected() == []
    now = 10.0
    while made.ingest.troubles.pause:
        now += 100.0
        made.turn(now, *drops)
        assert now < 2000.0
    made.turn(now + 1, *[drop for drop in drops if drop.path.exists()])
    made.turn(now + 2, *[drop for drop in drops if drop.path.exists()])
    assert made.rejected() == sorted(drop.path.name for drop in drops)
    said = capsys.readouterr().err
    assert (said.count("event=ingest_paused"), said.count("event=ingest_resumed")) == (1, 1)


def test_what_failed_before_a_pause_does_not_lengthen_it(
    table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    """When it is over, one fresh examination tells how things stand; several had met the same full disk."""
    made = table(FULL, FULL, workers=2)
    drops = [made.put(f"{name}.txt") for name in "abc"]
    made.turn(0.0, *drops)
    made.turn(5.0, *drops)
    assert made.ingest.troubles.pause is None
    assert drops[1].relative in made.ingest.again
    made.turn(6.0, *(drop for drop in drops if drop.path.exists()))
    assert made.rejected() == ["a.txt", "b.txt", "c.txt"]
    assert capsys.readouterr().err.count("event=ingest_paused") == 1


def test_a_pause_that_has_nothing_left_to_hold_up_ends(table: Callable[..., Table]) -> None:
    """The operator took all drops away again."""
    made = table(FULL)
    drop = made.put()
    made.turn(0.0, drop)
    assert made.ingest.troubles.pause
    drop.path.unlink()
    made.ingest.forget_all_but([])
    made.turn(100.0)
    assert made.ingest.troubles.pause is None


# -- copies that have not come to their end --------------------------------------------------------------


def test_a_drop_that_looks_unfinished_is_refused_only_after_a_while(table: Callable[..., Table]) -> None:
    """Its copy may go on; what it waits for is shown."""
    made = table(CUT_OFF, CUT_OFF, unfinished_seconds=20)
    drop = made.put()
    made.turn(5.0, drop)
    assert made.rejected() == []
    assert "looks unfinished; refused in 15 s if it stays so: It is cut off." in made.ingest.states(5.0)[drop.relative]
    assert made.turn(19.9, drop) == 20.0
    assert drop.path.exists()
    made.turn(20.0, drop)
    assert made.rejected() == ["a.txt"]
    assert not made.ingest.states(20.0)


def test_an_unfinished_drop_that_goes_on_is_examined_anew(table: Callable[..., Table]) -> None:
    """What was found of its first half is forgotten."""
    made = table(CUT_OFF, unfinished_seconds=20)
    made.turn(5.0, made.put())
    with made.put().path.open("a") as stream:
        stream.write(" and more")
    grown = made.put()
    made.turn(6.0)
    assert not made.ingest.states(6.0)
    made.turn(7.0, grown)
    assert made.rejected() == ["a.txt"], "the second examination found no links in it, and is sure"


@pytest.mark.parametrize("certain", [True, False])
def test_a_drop_that_is_whole_for_sure_is_refused_at_once(table: Callable[..., Table], certain: bool) -> None:
    """It was renamed into place, or its .done is there: its damage is no sign of an unfinished copy."""
    made = table(CUT_OFF, unfinished_seconds=20)
    made.turn(5.0, replace(made.put(), certain=certain))
    assert made.rejected() == (["a.txt"] if certain else [])


def test_what_more_bytes_cannot_mend_is_refused_at_once(table: Callable[..., Table]) -> None:
    """A link file without links is none, however long one waits."""
    made = table(unfinished_seconds=20)
    made.turn(5.0, made.put())
    assert made.rejected() == ["a.txt"]


# -- what has to be looked at again ----------------------------------------------------------------------


def test_a_drop_that_changed_is_not_forgotten_before_it_is_looked_at_again(table: Callable[..., Table]) -> None:
    """Else a run that ends when nothing is left would end while it lies in raw/."""
    made = table(DropChanged("it changed"))
    drop = made.put()
    made.turn(0.0, drop)
    assert made.ingest.states(0.0) == {drop.relative: "to be looked at again"}
    assert made.ingest.again == {drop.relative}
    made.turn(1.0, drop)
    assert not made.ingest.again
    assert made.rejected() == ["a.txt"]


def test_what_met_a_full_disk_lets_others_go_first(table: Callable[..., Table]) -> None:
    """One drop too large for the disk must not hold up all that would fit."""
    made = table(FULL)
    large, small = made.put("a.txt"), made.put("b.txt")
    made.turn(0.0, large)
    assert made.ingest.troubles.pause
    made.turn(6.0, large, small)
    assert made.rejected() == ["a.txt", "b.txt"] or made.rejected() == ["b.txt"]
    made.turn(1000.0, large)
    assert made.rejected() == ["a.txt", "b.txt"]


def test_a_pause_is_told_once_however_often_it_is_tried(
    table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the only drop rests meanwhile, so that there is nothing to do: that is no sign that it is over."""
    made = table(*[FULL] * 3)
    drop = made.put()
    for attempt in range(3):
        made.turn(attempt * 1000.0, drop)
        made.ingest.turn(attempt * 1000.0 + 500.0)
        assert made.ingest.troubles.pause
    made.turn(3000.0, drop)
    assert made.rejected() == ["a.txt"]
    assert made.ingest.troubles.pause is None
    said = capsys.readouterr().err
    assert said.count("event=ingest_paused") == 1
    assert said.count("event=ingest_resumed") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_cannot_be_taken_out_of_its_folder_is_not_examined(table: Callable[..., Table]) -> None:
    """The reason names the folder; decoding a film again and again would be in vain."""
    made = table()
    drop = made.put()
    drop.path.parent.chmod(0o555)
    try:
        made.turn(0.0, drop)
        assert "nothing can be taken out of" in made.ingest.states(0.0)[drop.relative]
    finally:
        drop.path.parent.chmod(0o755)


# -- shelves on another filesystem -----------------------------------------------------------------------


class Looking(Inline):
    """Does what it is given, and looks what lies under private names on a shelf then."""

    def __init__(self, shelf: Path) -> None:
        self.shelf = shelf
        self.seen: dict[Path, int] = {}

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        self.seen = {path: path.stat().st_ino for path in self.shelf.rglob("*") if is_private(path)}
        return future


@pytest.mark.parametrize(
    ("folder", "name", "errors"),
    [
        ("scanned", "a.mp4", []),
        ("scanned", "a.mp3", []),
        ("trash/invalid", "a.txt", []),
        pytest.param("trash/invalid", "a.txt", [CUT_OFF], id="cut off, and not waited for any more"),
    ],
)
def test_no_copy_is_left_to_the_main_thread(
    table: Callable[..., Table], media: Media, tmp_path: Path, folder: str, name: str, errors: list[Exception]
) -> None:
    """It could not say how things stand meanwhile, nor end: what an examination leaves to it is a rename."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second filesystem: /dev/shm is none here")
    with tempfile.TemporaryDirectory(dir=memory) as elsewhere:
        looking = Looking(Path(elsewhere))
        made = table(*errors, executor=looking)
        shelf = made.layout.root / folder
        shutil.rmtree(shelf)
        shelf.symlink_to(elsewhere)
        (Path(elsewhere) / "video" / "nature").mkdir(parents=True)
        source = {"a.mp4": media.clip(), "a.mp3": media.sound()}.get(name)
        drop = made.put(name, {"a.mp4": Kind.VIDEO, "a.mp3": Kind.MUSIC}.get(name, Kind.LINK))
        if source:
            shutil.copyfile(source, drop.path)
            drop = replace(drop, identity=identity_of(drop.path.lstat()))
        made.turn(1000.0, drop)
        assert not drop.path.exists()
        (filed,) = (path for path in Path(elsewhere).rglob(f"*{drop.path.suffix}") if path.is_file())
        ((private, inode),) = looking.seen.items()
        assert inode == filed.stat().st_ino
        assert private.parent == looking.shelf, "a category may be deleted by hand meanwhile"
        assert list(made.layout.staging.iterdir()) == []

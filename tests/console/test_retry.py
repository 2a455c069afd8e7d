"""`reelmill retry`: what was refused or failed gets another chance, and nothing is lost or replaced on the way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import main
from console.farm.snapshot import take_snapshot
from console.retry import chosen, put_back
from shared.domain.layout import METADATA, Layout, reason_of
from shared.domain.task import TaskState
from shared.files import private_name
from shared.records.retries import RetriesRecord
from shared.store import Store

Reject = Callable[..., Path]
Fail = Callable[..., str]

ORIGINAL = "raw/video/nature/My clip (1).mp4"
STORED = "My_clip__1_.mp4"


def retry(layout: Layout, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["retry", "--root", str(layout.root), *map(str, arguments)])


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the READMEs, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "README.md"
    }


def test_a_rejected_drop_goes_back_to_where_it_was_dropped(layout: Layout, reject: Reject) -> None:
    """Under the name it was dropped with, into a folder that is made again; its explanation goes."""
    inode = reject(ORIGINAL, STORED).stat().st_ino
    done = retry(layout, STORED)
    assert done.exit_code == 0, done.output
    assert f"retried   {ORIGINAL}: trash/invalid/{STORED} → {ORIGINAL}" in done.output
    assert "The main worker is not running; it takes the drops when it runs" in done.output
    assert (layout.root / ORIGINAL).read_bytes() == b"drop"
    assert (layout.root / ORIGINAL).stat().st_ino == inode
    assert files_in(layout.invalid) == {}


@pytest.mark.parametrize(
    "word",
    [
        STORED,
        f"trash/invalid/{STORED}",
        f"{STORED}.reason.json",
        ORIGINAL,
        ORIGINAL.removeprefix("raw/"),
        "My clip (1).mp4",
    ],
)
def test_a_drop_is_understood_by_each_of_its_names(layout: Layout, reject: Reject, word: str) -> None:
    """Its name or path in the trash, the path it was dropped at, and the name it was dropped with."""
    reject("raw/video/other/clip.mp4", "clip.mp4")
    path = reject(ORIGINAL, STORED)
    assert [item.path for item in chosen(layout, [word])] == [path]


def test_a_path_is_taken_from_the_current_folder_too(
    layout: Layout, reject: Reject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tab completion gives it, whole or from within the trash."""
    path = reject(ORIGINAL, STORED)
    assert [item.path for item in chosen(layout, [str(path)])] == [path]
    assert [item.path for item in chosen(layout, [str(layout.root / ORIGINAL)])] == [path]
    monkeypatch.chdir(layout.root / "trash")
    assert [item.path for item in chosen(layout, [f"./invalid/{STORED}"])] == [path]


def test_what_several_things_are_called_is_asked_for(layout: Layout, reject: Reject, fail_task: Fail) -> None:
    """Exit status 2, all of them by name, and nothing moves."""
    reject(ORIGINAL, "clip.mp4")
    reject(ORIGINAL, "clip-ab12cd34.mp4")
    before = files_in(layout.root)
    done = retry(layout, ORIGINAL)
    assert done.exit_code == 2
    for name in ("trash/invalid/clip.mp4", "trash/invalid/clip-ab12cd34.mp4"):
        assert name in done.output
    assert files_in(layout.root) == before


def test_every_word_that_names_nothing_is_told_and_nothing_moves(layout: Layout, reject: Reject) -> None:
    """One typing mistake does not leave half of the command done."""
    reject(ORIGINAL, STORED)
    done = retry(layout, STORED, "nothing.mp4", "0123")
    assert done.exit_code == 2
    for word in ("nothing.mp4", "0123"):
        assert f"nothing in trash/invalid/ or trash/failed/ is called {word}" in done.output
    assert (layout.invalid / STORED).exists()


def test_a_file_that_has_the_name_now_is_never_replaced(layout: Layout, reject: Reject) -> None:
    """The other drop goes back all the same; exit status 1."""
    reject(ORIGINAL, STORED)
    reject("raw/music/calm/track.mp3", "track.mp3")
    (layout.root / ORIGINAL).parent.mkdir()
    (layout.root / ORIGINAL).write_bytes(b"the corrected clip")
    done = retry(layout, "--all", "--json")
    assert done.exit_code == 1
    items = {item["was"]: item for item in json.loads(done.stdout)["items"]}
    assert items["trash/invalid/track.mp3"]["now"] == "raw/music/calm/track.mp3"
    assert items[f"trash/invalid/{STORED}"]["outcome"] == "refused"
    assert "is there already" in items[f"trash/invalid/{STORED}"]["why"]
    assert (layout.root / ORIGINAL).read_bytes() == b"the corrected clip"
    assert (layout.invalid / STORED).read_bytes() == b"drop"
    assert reason_of(layout.invalid / STORED).exists()


@pytest.mark.parametrize(
    "original",
    [
        "scanned/video/nature/clip.mp4",
        "raw/../scanned/clip.mp4",
        "raw/video/../../../outside.mp4",
        "/etc/reelmill-test.mp4",
        "raw",
        "raw/nul\0.mp4",
        "",
        None,
    ],
)
def test_no_record_leads_outside_raw(layout: Layout, reject: Reject, original: str | None) -> None:
    """Whatever the explanation says, the drop stays where it is."""
    reject(original, "clip.mp4")
    before = files_in(layout.root.parent)
    done = retry(layout, "clip.mp4")
    assert done.exit_code == 1
    assert "refused" in done.output
    assert files_in(layout.root.parent) == before


def test_a_link_in_raw_leads_nowhere(layout: Layout, reject: Reject, tmp_path: Path) -> None:
    """A folder that somebody replaced by a link to another place is not followed."""
    (tmp_path / "outside").mkdir()
    (layout.raw / "video/nature").symlink_to(tmp_path / "outside")
    (layout.raw / "video/round").symlink_to("round")
    reject(ORIGINAL, STORED)
    reject("raw/video/round/clip.mp4", "clip.mp4")
    done = retry(layout, "--all")
    assert done.exit_code == 1
    assert "which is not in raw/" in done.output
    assert files_in(tmp_path / "outside") == {}
    assert (layout.invalid / STORED).exists()
    assert (layout.invalid / "clip.mp4").exists()


def test_a_name_that_is_not_utf_8_comes_back_byte_by_byte(layout: Layout, reject: Reject) -> None:
    """The explanation keeps it, and it is shown without upsetting the terminal."""
    original = "raw/video/nature/" + os.fsdecode(b"caf\xe9\x1b.mp4")
    reject(original, "caf_.mp4")
    done = retry(layout, "caf_.mp4")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    assert os.listdir(os.fsencode(layout.raw / "video/nature")) == [b"caf\xe9\x1b.mp4"]  # noqa: PTH208


def test_a_drop_without_a_readable_explanation_is_refused(layout: Layout, reject: Reject) -> None:
    """Nobody knows where it belongs; the words say what to do."""
    (layout.invalid / "by hand.mp4").write_bytes(b"x")
    reason_of(reject(ORIGINAL, STORED)).write_bytes(b"{")
    for name in ("by hand.mp4", STORED):
        done = retry(layout, name)
        assert done.exit_code == 1
        assert "put it into its folder in raw/ by hand" in done.output
        assert (layout.invalid / name).exists()


def test_an_explanation_that_a_crash_left_is_harmless_and_goes(layout: Layout, reject: Reject) -> None:
    """It is not counted as a rejected drop, and retrying says what happened."""
    reject(ORIGINAL, STORED).unlink()
    assert take_snapshot(layout).counts["trash/invalid"] == 0
    done = retry(layout, ORIGINAL)
    assert done.exit_code == 0
    assert "its file was not in trash/invalid/ any more" in done.output
    assert files_in(layout.invalid) == {}


def test_across_filesystems_the_drop_is_copied_whole_first(layout: Layout, reject: Reject, elsewhere: Path) -> None:
    """What a killed retry left in the target's folder goes as well; other hidden files stay."""
    layout.invalid.rmdir()
    layout.invalid.symlink_to(elsewhere)
    content = bytes(range(256)) * 20_000
    reject(ORIGINAL, STORED, content)
    reject("raw/video/nature/link.mp4", "link.mp4").unlink()
    (layout.invalid / "link.mp4").symlink_to("/etc/passwd")
    target = layout.root / ORIGINAL
    target.parent.mkdir()
    private_name(target).write_bytes(content[:1000])
    private_name(target.with_name("other.mp4")).write_bytes(b"somebody else's")
    done = retry(layout, "--all", "--json")
    assert done.exit_code == 1
    outcomes = {item["was"]: item["outcome"] for item in json.loads(done.stdout)["items"]}
    assert outcomes == {f"trash/invalid/{STORED}": "retried", "trash/invalid/link.mp4": "refused"}
    assert target.read_bytes() == content
    assert len(list(target.parent.iterdir())) == 2
    assert sorted(path.name for path in elsewhere.iterdir()) == ["link.mp4", "link.mp4.reason.json"]


def test_all_can_be_narrowed_to_a_code(layout: Layout, reject: Reject, fail_task: Fail, store: Store) -> None:
    """For drops and tasks alike."""
    reject("raw/video/nature/a.mp4", "a.mp4")
    reject("raw/video/nature/b.mp4", "b.mp4", code="duplicate")
    stalled, failed = fail_task("attempts_used_up"), fail_task()
    assert retry(layout, "--all", "--code", "truncated").exit_code == 0
    assert (layout.raw / "video/nature/a.mp4").exists()
    assert (layout.invalid / "b.mp4").exists()
    assert retry(layout, "--all", "--code", "attempts_used_up").exit_code == 0
    assert (store.find(stalled), store.find(failed)) == (TaskState.WAITING, TaskState.FAILED)
    done = retry(layout, "--all", "--code", "nothing-has-it")
    assert (done.exit_code, done.output) == (0, "Nothing to try again.\n")


@pytest.mark.parametrize("arguments", [(), ("x", "--all"), ("x", "--code", "y")])
def test_wrong_usage_is_2(layout: Layout, arguments: tuple[str, ...]) -> None:
    """A name, or --all, and --code only with --all."""
    assert retry(layout, *arguments).exit_code == 2


def test_a_configuration_with_problems_changes_nothing(layout: Layout, reject: Reject) -> None:
    """It says which rights new folders get; exit status 2."""
    layout.config.write_text('[files]\numask = "9"\n', "utf-8")
    reject(ORIGINAL, STORED)
    done = retry(layout, STORED)
    assert done.exit_code == 2
    assert 'files.umask = "9": must be three octal digits' in done.output
    assert (layout.invalid / STORED).exists()


# -- tasks ---------------------------------------------------------------------------------------


def test_a_failed_task_waits_again_with_all_its_attempts(layout: Layout, store: Store, fail_task: Fail) -> None:
    """Its attempts stay as history, numbered on, and who retried it when is written down."""
    task_id = fail_task()
    done = retry(layout, task_id)
    assert done.exit_code == 0, done.output
    assert "retried   Fantasy/Dragon Flight/Chapter 1: " in done.output
    assert store.find(task_id) is TaskState.WAITING
    assert store.attempts(TaskState.WAITING, task_id) == []
    (noted,) = RetriesRecord.read(layout.retries(TaskState.WAITING, task_id)).retries
    assert (noted.after, noted.reason) == (1, "It failed.")
    assert (layout.attempts(TaskState.WAITING, task_id) / "1.json").exists()
    claim = store.claim(task_id, "node-b")
    assert claim is not None
    assert claim.attempt == 2


@pytest.mark.parametrize("way", ["id", "beginning", "path", "titles", "names"])
def test_a_task_is_understood_by_each_of_its_names(layout: Layout, fail_task: Fail, way: str) -> None:
    """Its id or the beginning of it, its folder, and its label as written or as filed."""
    task_id = fail_task(task_id="5f0c0000-0000-5000-8000-000000000001")
    fail_task(task_id="6f0c0000-0000-5000-8000-000000000001", story_name="other", titles=("Fantasy", "Other", "One"))
    word = {
        "id": task_id,
        "beginning": "5f0c",
        "path": str(layout.task(TaskState.FAILED, task_id)),
        "titles": "Fantasy/Dragon Flight/Chapter 1",
        "names": "fantasy/dragon_flight/chapter_0001",
    }[way]
    assert [item.path.name for item in chosen(layout, [word])] == [task_id]


def test_versions_of_one_chapter_are_told_apart_by_their_ids(layout: Layout, fail_task: Fail) -> None:
    """A label that two failed tasks share names both, and so does a beginning that is too short."""
    ids = [fail_task(task_id=f"5f0c0000-0000-5000-8000-00000000000{number}") for number in range(2)]
    for word in ("Fantasy/Dragon Flight/Chapter 1", "5f0c0000"):
        done = retry(layout, word)
        assert done.exit_code == 2
        assert all(f"trash/failed/{task_id}" in done.output for task_id in ids)
    assert retry(layout, "5f0").exit_code == 2


def test_a_task_whose_video_is_there_is_cleared_away(layout: Layout, store: Store, fail_task: Fail) -> None:
    """The output wins: nothing is made again, and that is fine."""
    task_id = fail_task()
    layout.task(TaskState.FINISHED, task_id).mkdir()
    done = retry(layout, task_id)
    assert done.exit_code == 0
    assert "its video is there already" in done.output
    assert [state for state in TaskState if task_id in store.ids(state)] == [TaskState.FINISHED]


@pytest.mark.parametrize("state", [TaskState.WAITING, TaskState.PROCESSING])
def test_a_copy_of_a_task_that_is_under_way_stays(
    layout: Layout, store: Store, fail_task: Fail, state: TaskState
) -> None:
    """Two folders of one id would block each other."""
    task_id = fail_task()
    other = layout.task(state, task_id)
    other.mkdir()
    (other / METADATA).write_bytes(b"{}")
    done = retry(layout, task_id)
    assert done.exit_code == 1
    assert f"a task of this id is in {state.value}/ already" in done.output
    assert store.ids(TaskState.FAILED) == [task_id]


def test_a_task_that_somebody_took_meanwhile_is_told(layout: Layout, store: Store, fail_task: Fail) -> None:
    """Two operators may meet."""
    task_id = fail_task()
    items = chosen(layout, [task_id])
    assert put_back(layout, items, "somebody").items[0].outcome == "retried"
    store.discard(TaskState.WAITING, task_id)
    (second,) = put_back(layout, items, "somebody").items
    assert (second.outcome, second.why) == ("refused", "it is not in trash/failed/ any more")


def test_a_damaged_task_can_still_be_retried_by_its_id(layout: Layout, store: Store, fail_task: Fail) -> None:
    """Mended or not: the next worker judges its metadata."""
    task_id = fail_task()
    (layout.task(TaskState.FAILED, task_id) / METADATA).write_bytes(b"{")
    assert retry(layout, task_id).exit_code == 0
    assert store.ids(TaskState.WAITING) == [task_id]

"""The names below a project root are those of the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.domain.drop import Kind
from shared.domain.layout import Layout, parse_attempt_dir, parse_attempt_record, reason_of, retired_of, sidecar_of
from shared.domain.task import TaskState

LAYOUT = Layout(Path("/root"))
TASK = "5f0c0000-0000-5000-8000-000000000000"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (LAYOUT.task(TaskState.WAITING, TASK), f"tasks/{TASK}"),
        (LAYOUT.task(TaskState.PROCESSING, TASK), f"processing/{TASK}"),
        (LAYOUT.task(TaskState.FINISHED, TASK), f"output/{TASK}"),
        (LAYOUT.task(TaskState.FAILED, TASK), f"trash/failed/{TASK}"),
        (LAYOUT.lock(TASK, 2), f".farm/locks/{TASK}.2.lock"),
        (LAYOUT.attempt_dir(TASK, 2, "ab12"), f"processing/{TASK}/attempt-2-ab12"),
        (LAYOUT.attempt_record(TASK, 2), f"processing/{TASK}/attempts/2.json"),
        (LAYOUT.attempt_stderr(TASK, 2), f"processing/{TASK}/attempts/2.stderr.log"),
        (LAYOUT.voice("fantasy", "dragon", "one"), "scanned/story/fantasy/dragon/voice/one.mp3"),
        (LAYOUT.chunk("fantasy", "dragon", 1), "scanned/story/fantasy/dragon/chunk_0001.txt"),
        (LAYOUT.link("fantasy", "dragon", "one"), "scanned/story/fantasy/dragon/link/one.txt"),
        (
            LAYOUT.clip(Kind.VIDEO, "fantasy", (3840, 2160), 12.44, "sky"),
            "scanned/video/fantasy/mp4_w3840_h2160/12.4_sky.mp4",
        ),
        (
            LAYOUT.clip(Kind.FRAME, "fantasy", (1920, 1080), 5, "gold"),
            "scanned/frame/fantasy/mp4_w1920_h1080/5.0_gold.mp4",
        ),
        (LAYOUT.music("fantasy", 61.25, "calm"), "scanned/music/fantasy/mp3/61.2_calm.mp3"),
        (LAYOUT.story_view("fantasy", "dragon", "one"), "output/by-story/fantasy/dragon/one.mp4"),
        (LAYOUT.story_retired("fantasy", "dragon"), "scanned/story/fantasy/dragon/.retired"),
        (retired_of(LAYOUT.voice("fantasy", "dragon", "one")), "scanned/story/fantasy/dragon/voice/one.mp3.retired"),
        (LAYOUT.retries(TaskState.FAILED, TASK), f"trash/failed/{TASK}/attempts/retries.json"),
        (LAYOUT.cache, ".farm/cache"),
        (LAYOUT.invalid, "trash/invalid"),
        (LAYOUT.config, "config.toml"),
        (LAYOUT.lease, ".farm/lease.json"),
        (LAYOUT.figures_of("2026-11-27", "a"), ".farm/figures/2026-11-27/a.jsonl"),
        (LAYOUT.figures_record, ".farm/figures.json"),
        (LAYOUT.main_lock, ".farm/locks/main_worker.lock"),
        (LAYOUT.main_record, ".farm/main_worker.json"),
        (LAYOUT.node_record("a"), ".farm/nodes/a.json"),
        (LAYOUT.node_lock("a"), ".farm/nodes/a.lock"),
        (LAYOUT.log_file("render_worker", "a"), ".farm/logs/render_worker-a.log"),
        (LAYOUT.log_file("main_worker"), ".farm/logs/main_worker.log"),
    ],
    ids=str,
)
def test_a_name_is_spelled_as_the_contract_says(path: Path, name: str) -> None:
    """What operators, tools and other versions rely on."""
    assert LAYOUT.relative(path).as_posix() == name


def test_waiting_and_processing_are_equally_deep() -> None:
    """The links of a task resolve in both."""
    assert len(LAYOUT.state(TaskState.WAITING).parts) == len(LAYOUT.state(TaskState.PROCESSING).parts)


def test_the_folders_of_an_empty_root_are_all_inside_it() -> None:
    """Laying out a root touches nothing else, and every state has its folder."""
    folders = LAYOUT.folders()
    assert all(folder.is_relative_to("/root") for folder in folders)
    assert {LAYOUT.state(state) for state in TaskState} <= set(folders)
    assert len(set(folders)) == len(folders)


def test_companions_stand_beside_their_file() -> None:
    """A sidecar and a reason are found by the file's name alone."""
    assert sidecar_of(Path("/a/b.mp4")) == Path("/a/b.mp4.json")
    assert reason_of(Path("/a/b.mp4")) == Path("/a/b.mp4.reason.json")


def test_an_attempt_directory_tells_number_and_token() -> None:
    """What was spelled can be read again."""
    assert parse_attempt_dir(LAYOUT.attempt_dir(TASK, 12, "00ff").name) == (12, "00ff")
    assert parse_attempt_record(LAYOUT.attempt_record(TASK, 12).name) == 12


@pytest.mark.parametrize("name", ["attempt-1", "attempt-x-00", "attempt-1-XY", "xattempt-1-00", "attempts", ""])
def test_other_names_are_no_attempt_directories(name: str) -> None:
    """Nothing else in a task is ever moved out of it as an attempt."""
    assert parse_attempt_dir(name) is None


@pytest.mark.parametrize("name", ["0.json", "01.json", "1.stderr.log", ".1.json.ab12.tmp", "x.json", "٣.json", ""])
def test_other_names_are_no_attempt_records(name: str) -> None:
    """A half-written record under its private name does not count, nor does a second spelling of a number."""
    assert parse_attempt_record(name) is None

"""Folders that are where they were, are gone, or are not the filesystems they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from main_worker.mounts import Mounts
from shared.domain.layout import Layout
from shared.records.mounts import MountsRecord


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "root")
    for folder in made.folders():
        folder.mkdir(parents=True, exist_ok=True)
    return made


def test_a_plain_root_has_no_trouble_and_needs_no_record(layout: Layout) -> None:
    """Everything is on one filesystem: nothing is written down."""
    mounts = Mounts(layout)
    assert mounts.trouble() is None
    mounts.record()
    assert not layout.mounts.exists()


@pytest.mark.parametrize("name", ["raw", "raw/video", "scanned/story", "tasks", "output", "trash/invalid"])
def test_a_folder_that_is_gone_is_named(layout: Layout, name: str) -> None:
    """It may be on its way back, so nothing is made in its place."""
    mounts = Mounts(layout)
    assert mounts.trouble() is None
    shutil.move(layout.root / name, layout.root / "away")
    assert mounts.trouble() == f"{layout.root / name} is gone"
    shutil.move(layout.root / "away", layout.root / name)
    assert mounts.trouble() is None


def test_a_folder_that_is_a_file_by_now_is_told_with_the_systems_words(layout: Layout) -> None:
    """Whatever is the matter, it is not taken for an empty folder."""
    shutil.rmtree(layout.raw)
    layout.raw.write_text("", "utf-8")
    assert Mounts(layout).trouble() == f"{layout.raw / 'frame'} cannot be reached: Not a directory"


def test_a_folder_that_was_a_filesystem_of_its_own_must_be_one_at_the_next_start(layout: Layout) -> None:
    """The empty folder under a lost mount is not the library; the words say what to do."""
    MountsRecord(mounts=("scanned",)).write(layout.mounts)
    trouble = Mounts(layout).trouble()
    assert trouble is not None
    assert trouble.startswith(f"{layout.scanned} was a filesystem of its own and is not mounted now; mount it")
    assert ".farm/mounts.json" in trouble
    layout.mounts.unlink()
    assert Mounts(layout).trouble() is None


def test_the_record_stays_as_it_is_while_there_is_trouble(layout: Layout) -> None:
    """A second start knows as much as the first."""
    MountsRecord(mounts=("scanned",)).write(layout.mounts)
    mounts = Mounts(layout)
    assert mounts.trouble()
    assert mounts.trouble(), "asked again, it is no better"
    assert MountsRecord.read(layout.mounts).mounts == ("scanned",)


@pytest.mark.parametrize("content", ["{", '{"mounts": ["elsewhere", "../outside"]}'])
def test_a_record_that_says_nothing_of_this_root_is_no_trouble(layout: Layout, content: str) -> None:
    """Damaged, or of other folders."""
    layout.mounts.write_text(content, "utf-8")
    assert Mounts(layout).trouble() is None
    Mounts(layout).record()


def test_a_record_that_cannot_be_read_is_trouble_in_words(layout: Layout) -> None:
    """Nobody knows then what should be mounted: ingest waits, and goes on by itself."""
    layout.mounts.mkdir()
    mounts = Mounts(layout)
    assert mounts.trouble() == f"which folders were mounted before cannot be read: Is a directory ({layout.mounts})"
    layout.mounts.rmdir()
    assert mounts.trouble() is None

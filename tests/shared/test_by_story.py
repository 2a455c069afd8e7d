"""The links by which people find finished chapters."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from shared.by_story import show
from shared.domain.layout import FINAL, METADATA, Layout
from shared.domain.task import TaskState
from shared.records.metadata import Metadata

OLD, NEW = "2026-11-20T18:00:00.000Z", "2026-11-21T18:00:00.000Z"


@pytest.fixture
def publish(layout: Layout, metadata_of: Callable[..., Metadata]) -> Callable[..., Metadata]:
    """Puts a finished task into output/."""

    def make(video: bytes = b"video", **changes: object) -> Metadata:
        metadata = metadata_of(**changes)
        folder = layout.task(TaskState.FINISHED, metadata.task_id)
        folder.mkdir()
        metadata.write(folder / METADATA)
        (folder / FINAL).write_bytes(video)
        return metadata

    return make


def test_a_link_leads_to_the_video(layout: Layout, publish: Callable[..., Metadata]) -> None:
    """Under the titles the operator wrote, by a relative way that a moved root keeps."""
    link = show(layout, publish(b"the video", titles=("Fantasy", "Dragon Flight", "Kapitel 1: 龍")))
    assert link == layout.by_story / "Fantasy" / "Dragon Flight" / "Kapitel 1: 龍.mp4"
    assert link.read_bytes() == b"the video"
    moved = layout.root.with_name("moved")
    layout.root.rename(moved)
    assert (moved / link.relative_to(layout.root)).read_bytes() == b"the video"


def test_special_profiles_have_a_folder_of_their_own(layout: Layout, publish: Callable[..., Metadata]) -> None:
    """So that no chapter is hidden by another's video."""
    usual, special = publish(b"usual"), publish(b"special")
    request = special.render.model_copy(update={"profile": "shorts"})
    links = show(layout, usual), show(layout, special.model_copy(update={"render": request}))
    story = layout.by_story / "fantasy" / "dragon_flight"
    assert links == (story / "chapter_0001.mp4", story / "shorts" / "chapter_0001.mp4")
    assert [link.read_bytes() for link in links] == [b"usual", b"special"]


@pytest.mark.parametrize("titles", [(), ("Fantasy",), ("a", "b", "c", "d")])
def test_without_three_titles_the_library_names_are_used(
    layout: Layout, publish: Callable[..., Metadata], titles: tuple[str, ...]
) -> None:
    """Metadata of another version still gets its link."""
    link = show(layout, publish(titles=titles))
    assert link == layout.by_story / "fantasy" / "dragon_flight" / "chapter_0001.mp4"


@pytest.mark.parametrize("first", [OLD, NEW])
def test_the_newer_version_of_a_chapter_wins(layout: Layout, publish: Callable[..., Metadata], first: str) -> None:
    """Whichever is finished last."""
    second = NEW if first == OLD else OLD
    show(layout, publish(first.encode(), created_at=first))
    link = show(layout, publish(second.encode(), created_at=second))
    assert link.read_bytes() == NEW.encode()


def test_showing_twice_is_showing_once(layout: Layout, publish: Callable[..., Metadata]) -> None:
    """The view is rebuilt at every start."""
    metadata = publish()
    link = show(layout, metadata)
    assert show(layout, metadata) == link
    assert [path.name for path in link.parent.iterdir()] == [link.name]


def test_a_dangling_link_is_replaced(layout: Layout, publish: Callable[..., Metadata]) -> None:
    """An archived video gives its name to the next version, even an older one."""
    archived = publish(created_at=NEW)
    show(layout, archived)
    shutil.rmtree(layout.task(TaskState.FINISHED, archived.task_id))
    assert show(layout, publish(b"older", created_at=OLD)).read_bytes() == b"older"


def test_the_view_can_be_deleted(layout: Layout, publish: Callable[..., Metadata]) -> None:
    """Nothing depends on it."""
    metadata = publish(b"the video")
    show(layout, metadata)
    shutil.rmtree(layout.by_story)
    assert show(layout, metadata).read_bytes() == b"the video"


@pytest.mark.parametrize("title", ["..", "../../../etc", "/etc/passwd", "a/b", "", ".", "\0", "a\nb", "\udcff", ".x"])
def test_no_title_leads_out_of_the_view(layout: Layout, publish: Callable[..., Metadata], title: str) -> None:
    """A link is always exactly three levels deep, visible, and inside the root."""
    link = show(layout, publish(titles=(title, title, title)))
    parts = link.relative_to(layout.by_story).parts
    assert len(parts) == 3
    assert not any(part.startswith(".") or not part.isprintable() for part in parts)
    assert link.resolve().is_relative_to(layout.output.resolve())


def test_a_link_ends_as_its_container_does(layout: Layout, publish: Callable[..., Metadata]) -> None:
    """A newer version in another container takes the place of the old one, and no older one that of the new."""
    old, new = publish(b"old", created_at=OLD), publish(b"new", created_at=NEW)
    mkv = new.model_copy(update={"render": new.render.model_copy(update={"output_format": "mkv"})})
    folder = layout.task(TaskState.FINISHED, new.task_id)
    mkv.write(folder / METADATA)
    (folder / FINAL).rename(folder / "final.mkv")
    story = layout.by_story / "fantasy" / "dragon_flight"
    show(layout, old)
    assert show(layout, mkv) == story / "chapter_0001.mkv"
    assert [path.name for path in story.iterdir()] == ["chapter_0001.mkv"]
    assert (story / "chapter_0001.mkv").read_bytes() == b"new"
    assert show(layout, old) == story / "chapter_0001.mkv"
    assert [path.name for path in story.iterdir()] == ["chapter_0001.mkv"]

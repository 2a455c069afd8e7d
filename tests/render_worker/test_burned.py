"""Captions drawn into the picture, from a task to a finished video."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker.job import Job
from render_worker.tool import Tool
from shared.domain.layout import CAPTIONS, FINAL, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.records.metadata import Metadata
from shared.records.render import RenderRecord

Render = Callable[..., RenderRecord]
RunFfmpeg = Callable[..., bytes]

SIZE = 320 * 180


def words(start: float, end: float, text: str) -> str:
    return f"WEBVTT\n\n00:00:0{start:.3f} --> 00:00:0{end:.3f}\n{text}\n"


def frames_with_words(final: Path, run_ffmpeg: RunFfmpeg) -> list[int]:
    """The frames of a grey video of 320×180 that show something lighter and something darker."""
    grey = run_ffmpeg("-i", final, "-vf", "format=gray", "-f", "rawvideo", "-")
    pictures = [grey[at : at + SIZE] for at in range(0, len(grey), SIZE)]
    assert len(pictures) == 36
    return [number for number, picture in enumerate(pictures) if min(picture) < 90 and max(picture) > 150]


@pytest.mark.parametrize("mode", ["direct", "segments"])
def test_words_are_in_the_picture_as_long_as_they_are_said(
    prepare: Callable[..., Job], render: Render, run_ffmpeg: RunFfmpeg, tool: Tool, mode: str
) -> None:
    """To the frame, whatever the mode is; the words lie beside the video as well, but there is no track of them."""
    said = words(0.3, 0.8, "Ein Drache")
    job = prepare(clips=("grey.mp4",), voice="voice_short.mp3", captions=said, shown="burned")
    record = render(job, mode=mode)
    assert frames_with_words(job.folder / FINAL, run_ffmpeg) == list(range(9, 24))
    assert (record.mode, record.fallback, record.missing_glyphs) == ("direct", None, ())
    assert {check.name: check.measured for check in record.checks}["streams"] == ["AVC", "AAC"]
    assert (job.folder / CAPTIONS).read_text("utf-8") == said
    assert record.plan["captions"]["shown"] == "burned"
    assert tool.errors_to
    assert not tool.errors_to.exists()


def test_a_task_made_before_means_a_track(fill_task: Callable[..., Metadata], tmp_path: Path) -> None:
    """Its record says nothing of how captions are shown."""
    (tmp_path / "library").mkdir()
    said = words(0.3, 0.8, "Ein Drache")
    metadata = fill_task(tmp_path / "task", task_id="0" * 32, library=tmp_path / "library", captions=said)
    old = metadata.model_dump(mode="json")
    del old["captions"]["shown"]
    read = Metadata.model_validate(old)
    assert read.captions
    assert read.captions.shown == "track"


NASTY = r"""it's a "farm": c:d [e],(f);g\h %d %% #1 ö 龍 $HOME ~ & <b>"""


def test_a_root_may_have_any_name(
    tmp_path: Path, fill_task: Callable[..., Metadata], render: Render, run_ffmpeg: RunFfmpeg
) -> None:
    """What means something to ffmpeg, to its filters, to fontconfig or to a shell is only a name here."""
    root = tmp_path / NASTY
    library, task = root / "library", root / "task"
    library.mkdir(parents=True)
    said = words(0.3, 0.8, "Ein Drache")
    wanted = {"clips": ("grey.mp4",), "voice": "voice_short.mp3", "captions": said, "shown": "burned"}
    metadata = fill_task(task, task_id="0" * 32, library=library, **wanted)
    folder = task / "attempt-1-ab"
    (folder / "scratch").mkdir(parents=True)
    render(Job(metadata, task, (library,), folder, folder / "scratch", attempt=1, token="ab"))
    assert frames_with_words(folder / FINAL, run_ffmpeg) == list(range(9, 24))


def test_a_machine_without_fonts_draws_words_all_the_same(
    farm: Layout,
    add_task: Callable[..., str],
    start_worker: Callable[..., subprocess.Popen[bytes]],
    wait_until: Callable[[Callable[[], object]], None],
    said: Callable[[], list[str]],
    run_ffmpeg: RunFfmpeg,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the fonts of the install; a sign that these lack is told in log and record. Nothing is conformed."""
    monkeypatch.setenv("FONTCONFIG_FILE", "/nowhere/fonts.conf")
    task_id = add_task(
        clips=("grey.mp4",), voice="voice_short.mp3", captions=words(0.3, 0.8, "龍 \U00013000"), shown="burned"
    )
    start_worker()
    output = farm.task(TaskState.FINISHED, task_id)
    wait_until((output / FINAL).exists)
    record = RenderRecord.read(output / RENDER_RECORD)
    assert (record.mode, record.fallback, record.missing_glyphs) == ("direct", None, ("\U00013000",))
    assert frames_with_words(output / FINAL, run_ffmpeg) == list(range(9, 24))
    wait_until(lambda: any("event=glyphs_missing" in line for line in said()))
    (line,) = (line for line in said() if "event=glyphs_missing" in line)
    assert "(U+13000)" in line
    assert "WARN" in line
    assert not list(farm.segments.glob("[!.]*"))

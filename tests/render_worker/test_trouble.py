"""Inputs that are gone, broken or too short, and an ffmpeg that fails, hangs or is asked to stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from render_worker.gate import GateClosed
from render_worker.job import Job
from render_worker.render import InputMissing
from render_worker.tool import RenderFailed, Tool
from shared.child import ChildTimeout
from shared.domain.errors import MachineTrouble, Stopped
from shared.domain.layout import FINAL, METADATA, RENDER_RECORD, Layout
from shared.domain.plan import PlanError
from shared.ffmpeg import Ffmpeg
from shared.records.render import RenderRecord

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Script = Callable[[str], Ffmpeg]


def described(job: Job) -> bool:
    """Whether the attempt looks finished to anybody."""
    return (job.folder / RENDER_RECORD).exists() or (job.folder / METADATA).exists()


def made(job: Job) -> list[str]:
    """What is in the attempt's folder."""
    return [path.name for path in (*job.folder.iterdir(), *job.scratch.iterdir()) if path != job.scratch]


def group_of(process_id: int) -> list[str]:
    """The living processes of a group, as ``name state``."""
    living = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text("ascii", "replace").rpartition(")")
        except OSError:
            continue
        state, _, group = rest.split()[:3]
        if int(group) == process_id and state != "Z":
            living.append(f"{name}) {state}")
    return living


def test_a_missing_input_is_named(prepare: Prepare, render: Render) -> None:
    """A link that leads nowhere ends the attempt before ffmpeg starts, naming the file and its place."""
    job = prepare()
    (job.task / "video_part2.mp4").unlink()
    (job.task / "video_part2.mp4").symlink_to("nowhere.mp4")
    with pytest.raises(InputMissing, match=r"video_part2\.mp4 \(scanned/h264\.mp4\) cannot be read: No such file"):
        render(job)
    assert not made(job)


def test_an_input_of_another_size_is_named(prepare: Prepare, render: Render, tmp_path: Path) -> None:
    """A library file that was changed in place is not rendered: both sizes are told."""
    clip = tmp_path / "changed.mp4"
    clip.write_bytes(b"0" * 1000)
    job = prepare(clips=(clip,))
    clip.write_bytes(b"0" * 1001)
    with pytest.raises(InputMissing, match=r"video_part1\.mp4 .* has 1001 bytes, but the task was made with 1000"):
        render(job)
    assert not made(job)


def test_a_link_out_of_the_library_is_not_followed(prepare: Prepare, render: Render, tmp_path: Path) -> None:
    """A task cannot make the worker read any other file of the machine."""
    job = prepare()
    outside = tmp_path / "outside.mp4"
    (tmp_path / "library" / "h264.mp4").rename(outside)
    (job.task / "video_part1.mp4").unlink()
    (job.task / "video_part1.mp4").symlink_to(outside)
    with pytest.raises(InputMissing, match=r"video_part1\.mp4 leads to .*outside\.mp4, which is not in the library"):
        render(job)


def test_clips_that_do_not_cover_the_voice_are_no_plan(prepare: Prepare, render: Render) -> None:
    """Too little material is told in frames, before anything is rendered."""
    with pytest.raises(PlanError, match="cover 60 of 76 frames"):
        render(prepare(clips=("h264.mp4",)))


BOTH = pytest.mark.parametrize("mode", ["direct", "segments"])
DOING = {"direct": "rendering", "segments": r"conforming scanned/\w+\.mp4"}


@BOTH
@pytest.mark.parametrize("clips", [("halves.mp4",), ("halves.mp4", "h264.mp4")], ids=["alone", "before another"])
def test_a_clip_that_ends_far_too_early_does_not_pass_the_gate(
    prepare: Prepare, render: Render, clips: tuple[str, ...], mode: str
) -> None:
    """A clip declared 0.7 s longer than it is gives too few frames; they are counted, and nothing is described."""
    job = prepare(voice="voice_silent.mp3", clips=clips, seconds_each=3.8)
    figures = {"direct": "frames is 75, must be 111", "segments": "frames is 75, must be 114"}
    with pytest.raises(GateClosed, match=figures[mode]) as closed:
        render(job, mode=mode)
    assert "frames" in {check.name for check in closed.value.checks if not check.passed}
    assert not described(job)


@BOTH
def test_a_broken_clip_fails_with_the_last_words_of_ffmpeg(
    prepare: Prepare, render: Render, tool: Tool, tmp_path: Path, mode: str
) -> None:
    """What ffmpeg said last is in the error, and all it said is in the file for errors."""
    clip = tmp_path / "broken.mp4"
    clip.write_bytes(b"no video at all " * 100)
    job = prepare(clips=(clip,), seconds_each=3.0)
    with pytest.raises(RenderFailed, match=rf"ffmpeg ended with status \d+ while {DOING[mode]}: .*Error opening input"):
        render(job, mode=mode)
    assert tool.errors_to
    everything = tool.errors_to.read_text("utf-8")
    assert "moov atom not found" in everything or "Invalid data found" in everything
    assert not described(job)


def test_the_clip_that_cannot_be_conformed_is_named(prepare: Prepare, render: Render, tmp_path: Path) -> None:
    """Of several clips, the one at fault stands in the error."""
    clip = tmp_path / "rubbish.mp4"
    clip.write_bytes(b"no video at all " * 100)
    job = prepare(clips=("h264.mp4", clip))
    with pytest.raises(RenderFailed, match=r"while conforming scanned/rubbish\.mp4: "):
        render(job)
    assert not described(job)


@BOTH
def test_a_silent_failure_says_so(prepare: Prepare, render: Render, script: Script, mode: str) -> None:
    """An ffmpeg that fails without a word is told by its status."""
    with pytest.raises(RenderFailed, match=f"ended with status 3 while {DOING[mode]}: it said nothing"):
        render(prepare(), program=script("exit 3"), mode=mode, mix={"style": "spec"})


@BOTH
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('echo "Error writing trailer: No space left on device" >&2; exit 228', "disk full: Error writing trailer"),
        ('echo "av_interleaved_write_frame(): Disk quota exceeded" >&2; exit 1', "disk full: av_interleaved"),
        ("kill -9 $$", "killed by signal 9"),
    ],
)
def test_a_full_disk_or_a_kill_is_the_machines_trouble(
    prepare: Prepare, render: Render, script: Script, body: str, words: str, mode: str
) -> None:
    """When ffmpeg fails for lack of space, or is killed for lack of memory, the input is not to blame."""
    with pytest.raises(MachineTrouble, match=words):
        render(prepare(), program=script(body), mode=mode)


def test_an_ffmpeg_that_is_gone_is_the_machines_trouble(prepare: Prepare, render: Render) -> None:
    """A tool that was removed while the worker ran says nothing about the input."""
    with pytest.raises(MachineTrouble, match="does not start"):
        render(prepare(), program=Ffmpeg("/nowhere/ffmpeg", "gone"))


def test_an_ffmpeg_that_claims_success_is_not_believed(prepare: Prepare, render: Render, script: Script) -> None:
    """Status 0 with an empty result does not pass the gate."""
    job = prepare()
    empty = f"""case "$*" in
        *movflags*|*contact-sheet*) : >'{job.folder / FINAL}';;
        *poster*) ;;
        *) exec "$FFMPEG" "$@";;
    esac"""
    with pytest.raises(GateClosed, match=r"container is \(\), must be \('ftyp',\)"):
        render(job, program=script(empty), mode="direct")
    assert not described(job)


def test_a_segment_is_not_believed_either(prepare: Prepare, render: Render, script: Script, layout: Layout) -> None:
    """Status 0 with a segment of too few frames does not pass; nothing of it is kept."""
    short = 'case "$*" in *filter_complex*) set -- $(echo "$@" | sed "s/end_frame=60/end_frame=59/"); esac'
    job = prepare()
    with pytest.raises(GateClosed, match=r"the segment of scanned/h264\.mp4 did not pass the gate: frames is 59"):
        render(job, program=script(f'{short}; exec "$FFMPEG" "$@"'))
    assert not described(job)
    assert not list(layout.segments.iterdir())


@BOTH
def test_a_hanging_ffmpeg_is_killed_with_its_whole_group(
    prepare: Prepare, render: Render, script: Script, wait_until: Callable[[Callable[[], object]], None], mode: str
) -> None:
    """A child without progress is given up after the patience that is configured; its own children die with it."""
    program = script('echo $$ >"$0.pid"; sleep 600; exit 0')
    job = prepare()
    with pytest.raises(ChildTimeout, match="made no progress for 1 s"):
        render(job, program=program, stall_seconds=1, mode=mode)
    leader = int(Path(program.path + ".pid").read_text("ascii"))
    wait_until(lambda: not group_of(leader))
    assert not described(job)


@BOTH
def test_progress_lines_without_progress_are_silence(
    prepare: Prepare, render: Render, script: Script, mode: str
) -> None:
    """A child that goes on talking but stands still at one frame is hanging."""
    program = script("while :; do printf 'frame=7\\nprogress=continue\\n'; sleep 0.1; done")
    with pytest.raises(ChildTimeout):
        render(prepare(), program=program, stall_seconds=1, mode=mode)


@BOTH
def test_a_request_to_stop_ends_a_running_render(
    prepare: Prepare,
    render: Render,
    script: Script,
    wait_until: Callable[[Callable[[], object]], None],
    layout: Layout,
    mode: str,
) -> None:
    """Stopping is noticed while ffmpeg works; its group is gone afterwards, and so is what it had begun."""
    program = script('echo $$ >>"$0.pids"; sleep 600; exit 0')
    started = Path(program.path + ".pids")
    with pytest.raises(Stopped):
        render(
            prepare(clips=("h264.mp4", "halves.mp4", "hevc.mp4")),
            program=program,
            stopping=lambda: started.exists() and started.stat().st_size > 0,
            mode=mode,
        )
    leaders = [int(leader) for leader in started.read_text("ascii").split()]
    wait_until(lambda: not any(group_of(leader) for leader in leaders))
    assert not list(layout.segments.glob("*"))


@BOTH
def test_an_attempt_folder_that_is_gone_is_an_error_of_the_machine(prepare: Prepare, render: Render, mode: str) -> None:
    """A worker whose attempt was taken away finds no folder to work in; it makes none."""
    job = prepare()
    shutil.rmtree(job.folder)
    with pytest.raises(FileNotFoundError):
        render(replace(job, attempt=2), mode=mode)
    assert not job.folder.exists()


def test_a_sound_that_fails_beside_conforming_is_told(
    prepare: Prepare, render: Render, script: Script, layout: Layout
) -> None:
    """While clips are conformed the sound is made; its fault is the attempt's, and what was conformed is kept."""
    program = script('case "$*" in *tee*) echo "out of tune" >&2; exit 5;; esac; exec "$FFMPEG" "$@"')
    with pytest.raises(RenderFailed, match="status 5 while encoding the sound: out of tune"):
        render(prepare(), program=program)
    assert len(list(layout.segments.glob("*/segment.mp4"))) == 1


def test_clips_that_fail_end_the_sound_beside_them(prepare: Prepare, render: Render, script: Script) -> None:
    """Nobody waits for a sound without pictures."""
    program = script('case "$*" in *tee*) exec sleep 600;; *keyint_min*) sleep 0.5; exit 6;; esac; exec "$FFMPEG" "$@"')
    with pytest.raises(RenderFailed, match=r"status 6 while conforming scanned/h264\.mp4"):
        render(prepare(), program=program, stall_seconds=300)

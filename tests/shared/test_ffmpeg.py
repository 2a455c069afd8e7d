"""The real ffmpeg, found, run, watched and stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.child import ChildTimeout, Limits
from shared.domain.errors import MachineTrouble, Stopped, ToolError
from shared.domain.progress import Progress
from shared.ffmpeg import Ffmpeg, file_url, find_ffmpeg, last_line

ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=10", "-f", "null", "-"]
SECOND = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=1"]


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def ffmpeg() -> Ffmpeg:
    return find_ffmpeg("")


def test_the_installed_ffmpeg_is_found_and_says_what_it_is(ffmpeg: Ffmpeg) -> None:
    """No configuration is needed."""
    assert Path(ffmpeg.path).is_file()
    assert ffmpeg.version


def test_a_configured_ffmpeg_is_taken(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """By its path, even where that has a blank."""
    path = tmp_path / "my ffmpeg"
    path.symlink_to(ffmpeg.path)
    assert find_ffmpeg(str(path)) == Ffmpeg(str(path), ffmpeg.version)


def test_a_missing_ffmpeg_is_an_error_that_names_the_setting() -> None:
    """And says what to do."""
    with pytest.raises(ToolError, match=r'ffmpeg\.path = "/nonexistent": there is no such executable'):
        find_ffmpeg("/nonexistent")


def test_an_ffmpeg_that_does_not_run_is_an_error_with_its_words(tmp_path: Path) -> None:
    """A wrong architecture or a missing library is the machine's fault, told at the start."""
    path = tmp_path / "ffmpeg"
    path.write_text("#!/bin/sh\necho cannot open shared object file >&2\nexit 3\n")
    path.chmod(0o755)
    with pytest.raises(ToolError, match=r"-version failed: cannot open shared object file"):
        find_ffmpeg(str(path))


def test_an_ffmpeg_that_is_too_old_is_told_at_the_start(tmp_path: Path) -> None:
    """Sounds are decoded again by the run that encodes them; an ffmpeg that cannot do that could render nothing."""
    path = tmp_path / "ffmpeg"
    path.write_text('#!/bin/sh\n[ "$1" = -version ] && echo ffmpeg version 5.1 && exit 0\nexit 1\n')
    path.chmod(0o755)
    with pytest.raises(ToolError, match=r"is too old: it has no loopback decoders"):
        find_ffmpeg(str(path))


def test_a_run_reports_progress_to_its_end(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """The last report has every frame and says that it ended."""
    seen: list[Progress] = []
    target = tmp_path / "a.mp4"
    ended, last = ffmpeg.run(
        [*SECOND, "-c:v", "libx264", "-f", "mp4", file_url(target)],
        limits=Limits(total_seconds=60, silence_seconds=60),
        stopping=never,
        on_progress=seen.append,
    )
    assert (ended.code, last.frame, last.ended) == (0, 25, True)
    assert seen[-1] == last
    assert target.stat().st_size > 0


def test_a_failed_run_keeps_what_ffmpeg_said(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """For the reason beside the task, and in full in the file."""
    missing, errors = tmp_path / "missing.mp4", tmp_path / "stderr.log"
    ended, _ = ffmpeg.run(
        ["-i", file_url(missing), "-f", "null", "-"], limits=Limits(), stopping=never, errors_to=errors
    )
    assert ended.code != 0
    assert "No such file" in ended.errors
    assert errors.read_text() == ended.errors


def test_a_render_is_stopped_on_request_and_when_it_takes_too_long(ffmpeg: Ffmpeg) -> None:
    """An endless one ends by either."""
    seen: list[Progress] = []
    with pytest.raises(Stopped):
        ffmpeg.run(ENDLESS, limits=Limits(), stopping=lambda: bool(seen), on_progress=seen.append)
    with pytest.raises(ChildTimeout):
        ffmpeg.run(ENDLESS, limits=Limits(total_seconds=1.0), stopping=never)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -KILL $$", "was killed by signal 9"),
        ("kill -TERM $$", "was killed by signal 15"),
        ("echo '-11 (Resource temporarily unavailable)' >&2; exit 69", "could not start its threads"),
        ("echo 'x: No space left on device' >&2; exit 1", "found the disk full: x: No space left on device"),
        (
            "echo 'x: Error during demuxing: Input/output error' >&2; exit 0",
            "error of the disk or the network: x: Error",
        ),
    ],
)
def test_an_end_that_is_the_machines_fault_is_told_as_such(tmp_path: Path, script: str, words: str) -> None:
    """A task or a drop must not be blamed for it."""
    path = tmp_path / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    with pytest.raises(MachineTrouble, match=words):
        Ffmpeg(str(path), "fake").run([], limits=Limits(), stopping=never)


def test_an_ffmpeg_that_vanished_is_the_machines_fault(tmp_path: Path) -> None:
    """It was there when the worker started."""
    with pytest.raises(MachineTrouble, match="ffmpeg does not start: cannot run"):
        Ffmpeg(str(tmp_path / "gone"), "gone").run([], limits=Limits(), stopping=never)


def test_a_crash_of_ffmpeg_is_not_the_machines_fault(tmp_path: Path) -> None:
    """The input that breaks it would break it again."""
    path = tmp_path / "ffmpeg"
    path.write_text("#!/bin/sh\nkill -SEGV $$\n")
    path.chmod(0o755)
    assert Ffmpeg(str(path), "fake").run([], limits=Limits(), stopping=never)[0].code == -11


@pytest.mark.parametrize("name", ["-a:b.mp4", "http:x.mp4", "%03d.mp4", "a b'c.mp4", "file:x.mp4", "龍.mp4"])
def test_any_file_name_is_only_a_file_name(ffmpeg: Ffmpeg, tmp_path: Path, name: str) -> None:
    """No name is an option, a protocol or a pattern."""
    target = tmp_path / name
    arguments = [*SECOND, "-frames:v", "1", "-c:v", "mpeg4", "-f", "mp4", file_url(target)]
    assert ffmpeg.run(arguments, limits=Limits(), stopping=never)[0].code == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    back, progress = ffmpeg.run(["-i", file_url(target), "-f", "null", "-"], limits=Limits(), stopping=never)
    assert (back.code, progress.frame) == (0, 1)


@pytest.mark.parametrize(
    ("errors", "said"),
    [("", ""), ("one\ntwo\n\n", "two"), ("the reason\n    Last message repeated 3 times\n", "the reason")],
)
def test_the_last_thing_ffmpeg_said_explains_a_failure(errors: str, said: str) -> None:
    """Blank lines and repetition marks explain nothing."""
    assert last_line(errors) == said

"""The gate: what stands between a render and `output/`. It trusts no exit status, only the file itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from shared.child import Ended, Limits
from shared.domain.errors import ReelmillError
from shared.domain.plan import RenderPlan
from shared.domain.progress import Progress
from shared.ffmpeg import Ffmpeg, file_url, last_line
from shared.mediainfo import number, read_declared
from shared.records.render import Check

_CAGE = ("-protocol_whitelist", "file", "-format_whitelist", "mov", "-f", "mov")
_SILENCE_SECONDS = 120.0  # decoding shows progress many times a second; a pause this long is a hang


class GateClosed(ReelmillError):
    """A result that must not be published, with every check that was made."""

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self.checks = checks
        failed = "; ".join(f"{c.name} is {c.measured}, must be {c.limit}" for c in checks if not c.passed)
        super().__init__(f"the result did not pass the gate: {failed}")


def inspect(
    final: Path, plan: RenderPlan, ffmpeg: Ffmpeg, scratch: Path, errors_to: Path, stopping: Callable[[], bool]
) -> tuple[Check, ...]:
    """Check a finished file against its plan, decoding all of it; what ffmpeg complains of is added to `errors_to`.

    Raises:
        GateClosed: a check failed.
    """
    checks = (
        *_declared_checks(final, plan, stopping),
        *_decoded_checks(final, plan, ffmpeg, errors_to, stopping),
        *_packet_checks(final, plan, ffmpeg, scratch, stopping),
    )
    if not all(check.passed for check in checks):
        raise GateClosed(checks)
    return checks


def _declared_checks(final: Path, plan: RenderPlan, stopping: Callable[[], bool]) -> list[Check]:
    declared = read_declared(final, stopping)
    if declared is None:
        return [Check(name="container", passed=False, measured="unreadable", limit="MPEG-4")]
    streams = [track.get("format") for track in (*declared.video, *declared.audio)]
    video = declared.video[0] if declared.video else {}
    canvas = plan.canvas
    size = f"{video.get('width')}x{video.get('height')}"
    rate = number(video, "frame_rate")
    return [
        _equal("container", declared.container, "MPEG-4"),
        _equal("streams", streams, ["AVC", "AAC"]),
        _equal("size", size, f"{canvas.width}x{canvas.height}"),
        _near("frame rate", rate, float(canvas.rate), 0.01),
    ]


def _decoded_checks(
    final: Path, plan: RenderPlan, ffmpeg: Ffmpeg, errors_to: Path, stopping: Callable[[], bool]
) -> list[Check]:
    def decode(*what: str) -> tuple[Ended, Progress]:
        return ffmpeg.run(
            [*_CAGE, "-i", file_url(final), *what, "-f", "null", "-"],
            limits=Limits(silence_seconds=_SILENCE_SECONDS),
            stopping=stopping,
            errors_to=errors_to,
        )

    ended, picture = decode("-map", "0:v:0", "-fps_mode", "passthrough")
    sound_ended, sound = decode("-map", "0:a:0")
    frame = float(1 / plan.canvas.rate)
    complaint = last_line(ended.errors + sound_ended.errors)
    return [
        _equal("exit status of decoding", (ended.code, sound_ended.code), (0, 0)),
        _equal("complaints of the decoder", complaint, ""),
        _equal("frames", picture.frame, plan.frames),
        _near("seconds of picture", picture.seconds, plan.seconds, frame),
        _near("seconds of sound", sound.seconds, plan.seconds, frame),
    ]


def _packet_checks(
    final: Path, plan: RenderPlan, ffmpeg: Ffmpeg, scratch: Path, stopping: Callable[[], bool]
) -> list[Check]:
    table = scratch / "packets.txt"
    table.touch()  # ffmpeg makes none of a file it cannot open
    ffmpeg.run(
        [*_CAGE, "-i", file_url(final), "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-y", file_url(table)],
        limits=Limits(silence_seconds=_SILENCE_SECONDS),
        stopping=stopping,
    )
    times = packet_times(table.read_text("utf-8"))
    table.unlink()
    steps = sorted({later - earlier for earlier, later in itertools.pairwise(times)})
    return [
        _equal("packets", len(times), plan.frames),
        _equal("different packet steps", len(steps), min(1, plan.frames - 1)),
        _equal("index in front", is_fast_start(final), expected=True),
    ]


def packet_times(table: str) -> list[int]:
    """Presentation times of ffmpeg's framecrc table (``stream, dts, pts, duration, size, hash``), sorted."""
    rows = (line.split(",") for line in table.splitlines() if line and not line.startswith("#"))
    return sorted(int(row[2]) for row in rows)


def is_fast_start(path: Path) -> bool:
    """Whether the ``moov`` box comes before ``mdat`` (ISO/IEC 14496-12), so that players can start at once."""
    with path.open("rb") as stream:
        while header := stream.read(8):
            size, kind = int.from_bytes(header[:4]), header[4:]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            skip = int.from_bytes(stream.read(8)) - 16 if size == 1 else size - 8
            if skip < 0:
                return False
            stream.seek(skip, 1)
    return False


def _equal(name: str, measured: object, expected: object) -> Check:
    return Check(name=name, passed=measured == expected, measured=measured, limit=expected)


def _near(name: str, measured: float, wanted: float, tolerance: float) -> Check:
    passed = abs(measured - wanted) <= tolerance + 1e-6
    return Check(name=name, passed=passed, measured=measured, limit=f"{wanted:g} ± {tolerance:.4g}")

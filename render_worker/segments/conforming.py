"""Makes segments: conforms the frames of a clip, then decodes and judges what came out, once for all its uses."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from render_worker.commands.conform import Recipe, decode_exactly, judge
from render_worker.commands.encoders import ENCODERS, SOFTWARE
from render_worker.gate import GateClosed
from render_worker.likeness import likeness
from render_worker.limits import equal
from render_worker.packets import Stream, parse_packets
from render_worker.segments.cuts import footage_of
from render_worker.speed import pixels_encoded
from render_worker.tool import RenderFailed, Tool
from render_worker.tracks import BT709_LIMITED, tracks_of
from shared.domain.errors import Stopped
from shared.domain.layout import SEGMENT, SEGMENT_RECORD, THUMBNAIL
from shared.ffmpeg import last_line
from shared.files import is_there
from shared.records.record import utc_now
from shared.records.render import Check
from shared.records.segment import SegmentRecord
from shared.segments import SegmentCache, link_segment

_PACKETS, _CLIP_LUMA, _FILM_LUMA = "packets.txt", "clip.luma", "film.luma"
_MOST_THREADS = 16  # more help x264 little at 1080p
_JOBS = 4
_SESSIONS = 2  # as few as some cards have for all their users; one fills the other's gaps
_NO_THREAD = 0.2  # a smaller part of a core is not worth another thread, which costs a twentieth
_THUMBNAIL_SECONDS = 3  # films often begin black


@dataclass(frozen=True)
class Wanted:
    """A segment to be had: what it is made of, its name in the cache, and the files.

    Attributes:
        path: the clip.
        source: its place in the library, for people.
        folder: where the layers are.
        effort: about how much work it is, compared with others.
    """

    recipe: Recipe
    key: str
    path: Path
    source: str
    folder: Path
    effort: float


def conform(
    wanted: Wanted,
    bench: Path,
    tool: Tool,
    *,
    threads: int,
    on_frame: Callable[[int], None],
    spare: Callable[[], int] = lambda: 1,
) -> None:
    """Make a complete segment in the empty folder `bench`.

    Args:
        spare: how many threads may judge it, asked when it is encoded.
        on_frame: told how many frames are encoded so far.

    Raises:
        RenderFailed, GateClosed: it cannot be made of this clip.
        ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    started, recipe = time.monotonic(), wanted.recipe
    film = bench / SEGMENT
    for luma in (_CLIP_LUMA, _FILM_LUMA):
        (bench / luma).touch()  # an ffmpeg that does nothing makes none; the gate tells what is missing
    command = recipe.command(
        wanted.path, wanted.folder, film, bench / _CLIP_LUMA, threads=threads, hardware=tool.decoder
    )
    tool.run(f"conforming {wanted.source}", command, lambda progress: on_frame(progress.frame))
    canvas = recipe.look.canvas
    speed = pixels_encoded(recipe.frames, canvas.width, canvas.height, time.monotonic() - started)
    stream, checks = _judge(wanted, bench, tool, spare(), speed)
    footage = footage_of(stream.order(), [packet.is_key for packet in stream.packets])
    first = stream.packets[0]
    SegmentRecord(
        key=wanted.key,
        source=wanted.source,
        sha256=recipe.sha256,
        start=recipe.start,
        frames=recipe.frames,
        keyframes=footage.keyframes,
        anchors=footage.anchors,
        delay=(first.pts - first.dts) // (stream.steps[0] if stream.steps else 1),
        packets=tuple((packet.size, packet.checksum) for packet in stream.packets),
        extradata=stream.facts.get("extradata", ""),
        size=film.stat().st_size,
        film=_sha256_of(film),
        thumbnail=hashlib.sha256((bench / THUMBNAIL).read_bytes()).hexdigest(),
        checks=checks,
        encoder=recipe.look.profile.encoder,
        node=tool.node,
        seconds_taken=round(time.monotonic() - started, 3),
        made_at=utc_now(),
    ).write(bench / SEGMENT_RECORD)


def _sha256_of(film: Path) -> str:
    with film.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _judge(wanted: Wanted, bench: Path, tool: Tool, threads: int, making: Check) -> tuple[Stream, tuple[Check, ...]]:
    recipe, table = wanted.recipe, bench / _PACKETS
    seconds = min(float(recipe.frames / recipe.look.canvas.rate) / 3, _THUMBNAIL_SECONDS)
    command = judge(bench / SEGMENT, table, bench / _FILM_LUMA, bench / THUMBNAIL, seconds, threads=threads)
    ended, progress = tool.run(f"judging the segment of {wanted.source}", command)
    streams = parse_packets(table.read_text("utf-8"))
    table.unlink()
    stream = streams[0] if streams else Stream()
    keys = [packet.is_key for packet in stream.packets]
    canvas = recipe.look.canvas
    ticks = [] if recipe.frames == 1 else [1 / (canvas.rate * stream.tick)] if stream.tick else [None]
    checks = (
        equal("complaints of the decoder", last_line(ended.errors), ""),
        equal("frames", progress.frame, recipe.frames),
        equal("packets", len(stream.packets), recipe.frames),
        equal("packet steps", [str(step) for step in stream.steps], [str(step) for step in ticks]),
        equal("size", stream.facts.get("dimensions"), f"{canvas.width}x{canvas.height}"),
        equal("begins with a keyframe", keys[:1], [True]),
        equal("colours", [track.colours for track in tracks_of(bench / SEGMENT)], [BT709_LIMITED]),
        making,
        *_compare(wanted, bench, tool, threads),
    )
    if not all(check.passed for check in checks):
        raise GateClosed(checks, f"the segment of {wanted.source}")
    return stream, checks


def _compare(wanted: Wanted, bench: Path, tool: Tool, threads: int) -> tuple[Check, ...]:
    """Whether the segment shows what the clip shows; where it seems not to, it is decoded once more, exactly."""
    clip, film = bench / _CLIP_LUMA, bench / _FILM_LUMA
    is_changed = wanted.recipe.treatment.tone_map is not None

    def compared() -> tuple[Check, ...]:
        return likeness(clip.read_bytes(), film.read_bytes(), wanted.recipe.frames, is_changed=is_changed)

    checks = compared()
    if not all(check.passed for check in checks):
        command = decode_exactly(bench / SEGMENT, film, threads=threads)
        tool.run(f"looking again at the segment of {wanted.source}", command)
        checks = compared()
    clip.unlink()
    film.unlink()
    return checks


def conform_all(
    missing: Sequence[Wanted], cache: SegmentCache, tool: Tool, folder: Path, on_frames: Callable[[int], None]
) -> dict[str, SegmentRecord]:
    """Conform segments in their order, several at a time, keep them in the cache, and link each into `folder`.

    The first failure ends all.
    """
    failed, cores = False, os.cpu_count() or 1
    jobs = jobs_on(cores, missing[0].recipe.look.profile.encoder) if missing else 1

    def stopping() -> bool:
        return failed or tool.stopping()

    def spare() -> int:
        """Cores for each of those that are not done; the last one has them all."""
        left = sum(not future.done() for future in list(futures.values()))
        return cores // min(jobs, max(1, left))

    def make(wanted: Wanted, threads: int) -> SegmentRecord:
        nonlocal failed
        try:
            return _make(wanted, cache, replace(tool, stopping=stopping), folder, threads, spare, on_frames)
        except BaseException:
            failed = True
            raise

    futures: dict[str, Future[SegmentRecord]] = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="conform") as pool:
        for wanted, threads in zip(missing, threads_for([one.effort for one in missing], cores, jobs), strict=True):
            futures[wanted.key] = pool.submit(make, wanted, threads)
    errors = [error for future in futures.values() if (error := future.exception())]
    if errors:
        raise next((error for error in errors if not isinstance(error, Stopped)), errors[0])
    return {key: future.result() for key, future in futures.items()}


def _make(
    wanted: Wanted,
    cache: SegmentCache,
    tool: Tool,
    folder: Path,
    threads: int,
    spare: Callable[[], int],
    on_frames: Callable[[int], None],
) -> SegmentRecord:
    seen = 0

    def on_frame(frame: int) -> None:
        nonlocal seen
        on_frames(max(0, frame - seen))
        seen = max(frame, seen)

    def make() -> SegmentRecord:
        conform(wanted, bench, replace(tool, scratch=bench), threads=threads, spare=spare, on_frame=on_frame)
        record = link_segment(bench, wanted.key, folder)  # before anybody may drop it
        cache.put(wanted.key, bench)
        return record

    bench = cache.bench()
    try:
        record = make()
    except (OSError, RenderFailed):
        if is_there(bench / SEGMENT):
            raise
        shutil.rmtree(bench, ignore_errors=True)
        bench = cache.bench()  # the cache, or all in it, was deleted meanwhile
        record = make()
    finally:
        shutil.rmtree(bench, ignore_errors=True)  # it has been put in place, or is of no use
    on_frame(wanted.recipe.frames)
    return record


def jobs_on(cores: int, encoder: str = "libx264") -> int:
    """How many segments are conformed at the same time.

    By software: one on each core is the least work, since x264 takes a twentieth more on two threads than on one. Each
    needs about a gigabyte at 2160p, so many cores share fewer. By hardware: few.
    """
    if ENCODERS[encoder].family != SOFTWARE:
        return min(cores, _SESSIONS)
    return min(cores, max(_JOBS, cores // 2))


def threads_for(efforts: Sequence[float], cores: int, jobs: int) -> list[int]:
    """How many threads each of some segments gets, in their order.

    Where others follow all get the same, so that no two of them fight for a core. The last ones share all cores, each
    by its effort, so that they end at about the same time; with one alone, none would be idle.
    """
    turns = max(0, len(efforts) - 1) // jobs * jobs
    last = efforts[turns:]
    return [_threads(cores // jobs)] * turns + [_threads(cores * effort / sum(last)) for effort in last]


def _threads(share: float) -> int:
    return min(_MOST_THREADS, max(1, math.ceil(share - _NO_THREAD)))

"""Carries out a plan with segments: has those that are missing conformed, cuts all to the frame, has them joined."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from render_worker.commands.conform import encoded_end
from render_worker.commands.join import Part
from render_worker.commands.luma import film_luma
from render_worker.commands.outputs import gop_frames
from render_worker.commands.sheet import sheet, spread
from render_worker.gate import GateClosed, Judged
from render_worker.likeness import likeness
from render_worker.limits import equal
from render_worker.packets import Packet, Stream, parse_packets, same_content
from render_worker.progress import Work
from render_worker.room import check_room
from render_worker.segments.cache import SegmentCache
from render_worker.segments.conforming import Wanted, conform_all
from render_worker.segments.cuts import Cut, Footage, Piece, fit, footage_of
from render_worker.segments.joining import NotJoinable, join_made, join_making
from render_worker.segments.uses import Use
from render_worker.soundtrack import Sound, make_sound, mixed_right
from render_worker.tool import RenderFailed, Tool
from shared.domain.layout import SHEET
from shared.domain.plan import RenderPlan
from shared.ffmpeg import file_url, last_line
from shared.records.render import Check
from shared.records.segment import SegmentRecord

# About what joining a frame, with its share of the sound, and checking it cost of conforming one; only the percentage
# that is shown depends on it.
_JOIN, _CHECK = 0.01, 0.005
_SOUND = "made.aac"
_NICE = 9  # the sound takes what encoding pictures leaves, above all in the end, when one core has nothing left to do

_Made = Future[tuple[RenderPlan, Sound]]


class Damaged(RenderFailed):
    """Segments are not what they were when they were judged; names them."""

    def __init__(self, keys: frozenset[str]) -> None:
        super().__init__(f"{len(keys)} conformed clips are not what they were: {', '.join(sorted(keys))}")
        self.keys = keys


@dataclass(frozen=True)
class Assembled:
    """A joined video.

    Attributes:
        plan: as it was carried out, with the gains its sound came to need.
        judged: its picture and its sound, as they were judged.
        checks: of what was encoded for it alone.
        keys: of the segment each of them came from, where it came from one.
        poster: a picture of it.
    """

    plan: RenderPlan
    judged: Judged
    checks: tuple[Check, ...]
    keys: tuple[str, ...]
    poster: Path
    counts: Mapping[str, int]

    def check_whole(self, found: Sequence[Packet]) -> None:
        """Raise Damaged where packets in the joined film are not those that were judged in their segments."""
        if len(found) != len(self.judged.picture):
            return  # the join lost some, and every later one would look damaged; the gate tells
        pairs = zip(found, self.judged.picture, self.keys, strict=False)
        damaged = frozenset(key for packet, wanted, key in pairs if key and (packet.size, packet.checksum) != wanted)
        if damaged:
            raise Damaged(damaged)


class Assembly:
    """One attempt's use of segments; films are linked into its scratch folder and stay whole until that goes."""

    def __init__(self, plan: RenderPlan, uses: Sequence[Use], cache: SegmentCache, tool: Tool) -> None:
        self._plan = plan
        self._uses = uses
        self._cache = cache
        self._tool = tool
        self._scratch = tool.scratch
        self._records: dict[str, SegmentRecord] = {}
        self._checks: list[Check] = []

    def missing(self) -> list[Wanted]:
        """The segments that the cache seems not to have, the most work first."""
        wanted = {use.wanted.key: use.wanted for use in self._uses}
        missing = [one for one in wanted.values() if not self._cache.has(one.key)]
        return sorted(missing, key=lambda one: -one.effort)

    def assemble(self, task: Path, final: Path, work: Work, lap: Callable[[str], None]) -> Assembled:
        """Make the video of the plan; `lap` is told the name of each phase that has ended.

        Raises:
            RenderFailed, GateClosed: a clip cannot be conformed; NotJoinable where that is the join's fault.
            ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
        """
        missing, self._checks = self.missing(), []
        frames, unmade = self._plan.frames, sum(one.recipe.frames for one in missing)
        check_room(self._scratch, self._plan, unmade)
        work.set_out({"conforming": unmade, "joining": frames * _JOIN, "checking": frames * _CHECK})
        with self._sound_beside(task) if missing else nullcontext() as made:
            records = self._records = self._gather(missing, work)
        lap("conform")
        if len({record.extradata for record in records.values()}) > 1:
            raise NotJoinable("the segments differ in their codec's parameters")
        pieces = [_piece(use, records[use.wanted.key]) for use in self._uses]
        cuts = fit(pieces, gop_frames(self._plan.canvas.rate))
        parts, packets, keys = self._parts(cuts, records, work)
        lap("cut")
        work.begin("joining", frames)
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="sheet") as beside:
                drawn = beside.submit(self._make_sheet, final.with_name(SHEET))
                plan, sound = self._joined(parts, task, final, work, made)
                drawn.result()
        except NotJoinable:
            self.check_segments()
            raise
        lap("join")
        return Assembled(
            plan=plan,
            judged=Judged(packets, next(iter(records.values())).extradata, sound.packets, sound.heard),
            checks=tuple(self._checks),
            keys=tuple(keys),
            poster=self._scratch / f"{self._uses[0].wanted.key}.jpg",
            counts={
                "segments_conformed": len(missing),
                "segments_reused": len(records) - len(missing),
                "encoded_frames": sum(cut.encoded for cut in cuts),
            },
        )

    def check_segments(self) -> None:
        """Raise Damaged where segments that were used are not what they were when they were judged."""
        damaged = frozenset(key for key, record in self._records.items() if self._is_damaged(key, record))
        if damaged:
            raise Damaged(damaged)

    def _make_sheet(self, target: Path) -> None:
        """Of thumbnails of the first segment of each shot; the core that the sound leaves idle has time for it."""
        firsts = [use.wanted.key for use in self._uses if use.begins_shot]
        pictures = [(self._scratch / f"{firsts[number]}.jpg", None) for number in spread(len(firsts))]
        self._tool.run("making the contact sheet", sheet(pictures, self._plan.canvas, target))

    @contextmanager
    def _sound_beside(self, task: Path) -> Iterator[_Made]:
        """Make the sound while pictures are conformed; whoever fails at these needs none."""
        failed = threading.Event()
        tool = replace(
            self._tool, nice=self._tool.nice + _NICE, stopping=lambda: failed.is_set() or self._tool.stopping()
        )

        def make(plan: RenderPlan) -> Sound:
            return make_sound(plan, task, self._scratch / _SOUND, tool)

        with ThreadPoolExecutor(1, thread_name_prefix="sound") as beside:
            made = beside.submit(mixed_right, self._plan, make)
            try:
                yield made
            except BaseException:
                failed.set()
                raise

    def _joined(
        self, parts: Sequence[Part], task: Path, final: Path, work: Work, made: _Made | None
    ) -> tuple[RenderPlan, Sound]:
        """Join, with the sound that was made, or mixed again until it comes out as it should."""
        if made:
            plan, sound = made.result()
            join_made(plan, parts, self._scratch / _SOUND, task, final, self._tool, work)
            return plan, sound

        def make(plan: RenderPlan) -> Sound:
            return join_making(plan, parts, task, final, self._tool, work)

        return mixed_right(self._plan, make)

    # -- having all segments ---------------------------------------------------------------------

    def _gather(self, missing: Sequence[Wanted], work: Work) -> dict[str, SegmentRecord]:
        """Every segment's record, with its film linked into scratch."""
        work.begin("conforming", sum(one.recipe.frames for one in missing))
        made = conform_all(missing, self._cache, self._tool, self._scratch, work.add)
        records = {**made}
        for use in self._uses:
            key = use.wanted.key
            if key not in records:
                records[key] = self._cache.take(key, self._scratch) or self._again(use.wanted, work)
        return records

    def _again(self, wanted: Wanted, work: Work) -> SegmentRecord:
        """A segment that went, or proved damaged, since it was looked for."""
        work.begin("conforming", wanted.recipe.frames)
        return conform_all([wanted], self._cache, self._tool, self._scratch, work.add)[wanted.key]

    # -- cutting ---------------------------------------------------------------------------------

    def _parts(
        self, cuts: Sequence[Cut], records: dict[str, SegmentRecord], work: Work
    ) -> tuple[list[Part], list[tuple[int, str]], list[str]]:
        parts: list[Part] = []
        packets: list[tuple[int, str]] = []
        keys: list[str] = []
        for cut in cuts:
            key = self._uses[cut.piece].wanted.key
            record = records[key]
            copied = cut.frames - cut.encoded
            if copied:
                whole = (cut.start, copied) == (0, record.frames)
                parts.append(Part(f"{key}.mp4", cut.start, copied, record.delay, whole))
                packets += record.packets[cut.start : cut.start + copied]
                keys += [key] * copied
            if cut.encoded:
                work.begin("encoding the end", cut.encoded)
                name, stream = self._encode_end(key, record, (cut.end - cut.encoded, cut.end), work)
                parts.append(Part(name, 0, cut.encoded, record.delay, whole=True))
                packets += [(packet.size, packet.checksum) for packet in stream.packets]
                keys += [""] * cut.encoded
        return parts, packets, keys

    def _encode_end(self, key: str, record: SegmentRecord, frames: tuple[int, int], work: Work) -> tuple[str, Stream]:
        """Encode some frames of a segment anew; returns the file's name and its packets, after decoding it whole."""
        if self._is_damaged(key, record):  # else what is encoded would hide it
            raise Damaged(frozenset({key}))
        name, table, count = "end.mp4", self._scratch / "end.txt", frames[1] - frames[0]
        target, plan = self._scratch / name, self._plan
        wanted, shown = self._scratch / "segment.luma", self._scratch / "end.luma"
        wanted.touch()  # an ffmpeg that does nothing makes none
        shown.touch()
        command = encoded_end(self._scratch / f"{key}.mp4", plan.canvas, plan.profile, frames, target, wanted)
        self._tool.run("encoding the last frames", command, work.at)
        source = ["-f", "mov", "-i", file_url(target)]
        ended, progress = self._tool.run("judging the last frames", [*source, *film_luma(shown), *_listed(table)])
        stream = parse_packets(table.read_text("utf-8"))[0]
        checks = (
            equal("complaints of the decoder of the end", last_line(ended.errors), ""),
            equal("frames of the end", progress.frame, count),
            *likeness(wanted.read_bytes(), shown.read_bytes(), count, is_changed=False),
        )
        if not all(check.passed for check in checks):
            raise GateClosed(checks, "the end that was encoded anew")
        self._checks += checks
        if stream.facts.get("extradata") != record.extradata:
            raise NotJoinable("the last frames differ from their segment in their codec's parameters")
        return name, stream

    def _is_damaged(self, key: str, record: SegmentRecord) -> bool:
        """Whether the packets of a film in scratch, or their times, are not those that were judged."""
        table = self._scratch / "film.txt"
        table.touch()  # ffmpeg makes none of a film it cannot open
        self._tool.watch(["-f", "mov", "-i", file_url(self._scratch / f"{key}.mp4"), *_listed(table)])
        streams = parse_packets(table.read_text("utf-8"))
        if not streams or not same_content(streams[0].packets, record.packets):
            return True
        stream = streams[0]
        steps = [self._plan.canvas.rate * stream.tick * step for step in stream.steps]
        order = footage_of(stream.order(), [packet.is_key for packet in stream.packets])
        return steps not in ([], [1]) or order != _footage(record)


def _listed(table: Path) -> list[str]:
    return ["-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-y", file_url(table)]


def _piece(use: Use, record: SegmentRecord) -> Piece:
    return Piece(_footage(record), use.frames, use.ends_shot, use.begins_shot)


def _footage(record: SegmentRecord) -> Footage:
    return Footage(record.frames, record.keyframes, record.anchors)

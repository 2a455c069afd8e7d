"""Carries out a plan with segments: has those that are missing conformed, cuts all to the frame, has them joined."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from render_worker.commands.join import Part
from render_worker.commands.outputs import gop_frames
from render_worker.commands.sheet import sheet, spread
from render_worker.gate import Judged
from render_worker.packets import Packet, parse_packets, same_content
from render_worker.progress import Work
from render_worker.room import check_room
from render_worker.segments.alone import Alone, Encoded, Taken, listed
from render_worker.segments.conforming import Wanted, conform_all
from render_worker.segments.cuts import Cut, Footage, NoWay, Piece, fit, footage_of, with_transitions
from render_worker.segments.joining import NotJoinable, join_made, join_making
from render_worker.segments.uses import Use
from render_worker.soundtrack import Sound, make_sound, mixed_right
from render_worker.tool import RenderFailed, Tool
from shared.domain.layout import SHEET
from shared.domain.plan import RenderPlan
from shared.ffmpeg import file_url
from shared.records.render import Check
from shared.records.segment import SegmentRecord
from shared.segments import SegmentCache

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
        pieces = self._pieces(records)
        try:
            cuts = with_transitions(fit(pieces, gop_frames(self._plan.canvas.rate), self._closing()), pieces)
        except NoWay as error:
            raise NotJoinable(str(error)) from error
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
                "encoded_frames": keys.count(""),
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

        def add(encoded: Encoded, delay: int) -> None:
            parts.append(Part(encoded.name, 0, len(encoded.packets), delay, whole=True))
            packets.extend((packet.size, packet.checksum) for packet in encoded.packets)
            keys.extend([""] * len(encoded.packets))

        made = self._encoded(cuts, work)
        for number, cut in enumerate(cuts):
            key = self._uses[cut.piece].wanted.key
            record = records[key]
            if cut.head:
                add(made[number, "into"], record.delay)
            first, end = cut.copied
            if first < end:
                whole = (first, end) == (0, record.frames)
                parts.append(Part(f"{key}.mp4", first, end - first, record.delay, whole))
                packets += record.packets[first:end]
                keys += [key] * (end - first)
            if cut.encoded:
                add(made[number, "end"], record.delay)
        return parts, packets, keys

    def _encoded(self, cuts: Sequence[Cut], work: Work) -> dict[tuple[int, str], Encoded]:
        """What has to be encoded for this video alone: transitions into cuts, and ends of cuts, by the cut's number."""
        wanted: dict[tuple[int, str], list[Taken]] = {}
        for number, cut in enumerate(cuts):
            if cut.head:
                before = cuts[number - 1]
                frames = (before.end - before.tail, before.end), (cut.start, cut.start + cut.head)
                wanted[number, "into"] = [self._taken(*one) for one in zip((before, cut), frames, strict=True)]
            if cut.encoded:
                wanted[number, "end"] = [self._taken(cut, (cut.end - cut.encoded, cut.end))]
        records = {one.record.key: one.record for several in wanted.values() for one in several}
        damaged = frozenset(key for key, record in records.items() if self._is_damaged(key, record))
        if damaged:  # what is encoded would hide it
            raise Damaged(damaged)
        alone = Alone(self._plan, self._tool, work.add)
        if wanted:
            work.begin("encoding cuts", sum(map(alone.frames_of, wanted.values())))
        made = alone.encode_all(wanted)
        self._checks += [check for one in made.values() for check in one.checks]
        return made

    def _taken(self, cut: Cut, frames: tuple[int, int]) -> Taken:
        return Taken(self._records[self._uses[cut.piece].wanted.key], frames)

    def _pieces(self, records: Mapping[str, SegmentRecord]) -> list[Piece]:
        """What the plan's uses want of their segments; shots that have a transition keep the room for it."""
        room = self._plan.transition.room
        following = [use.enters for use in self._uses[1:]] + [0]
        return [
            Piece(
                _footage(records[use.wanted.key]),
                use.frames,
                use.ends_shot and not use.card,
                use.begins_shot,
                use.enters,
                room if use.enters or leaves else 0,
            )
            for use, leaves in zip(self._uses, following, strict=True)
        ]

    def _closing(self) -> int:
        """How many of the uses are of an end card."""
        return sum(1 for _ in takewhile(lambda use: use.card, reversed(self._uses)))

    def _is_damaged(self, key: str, record: SegmentRecord) -> bool:
        """Whether the packets of a film in scratch, or their times, are not those that were judged."""
        table = self._scratch / "film.txt"
        table.touch()  # ffmpeg makes none of a film it cannot open
        self._tool.watch(["-f", "mov", "-i", file_url(self._scratch / f"{key}.mp4"), *listed(table)])
        streams = parse_packets(table.read_text("utf-8"))
        if not streams or not same_content(streams[0].packets, record.packets):
            return True
        stream = streams[0]
        steps = [self._plan.canvas.rate * stream.tick * step for step in stream.steps]
        order = footage_of(stream.order(), [packet.is_key for packet in stream.packets])
        return steps not in ([], [1]) or order != _footage(record)


def _footage(record: SegmentRecord) -> Footage:
    return Footage(record.frames, record.keyframes, record.anchors)

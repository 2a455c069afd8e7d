"""Makes the sound of a video, and hears it: at once where it is short, mixed once and in parts where it is long."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from render_worker.commands.sounds import (
    PACKET_SAMPLES,
    SAMPLE_RATE,
    Encoded,
    Part,
    encode_part,
    encode_whole,
    mix_down,
    parts_of,
    samples_of,
)
from render_worker.packets import parse_packets
from render_worker.pipe import Writer
from render_worker.tool import RenderFailed, Tool
from shared.domain.mix import Mixing
from shared.domain.plan import RenderPlan
from shared.domain.progress import Progress
from shared.meter import Heard, Listening, put_together

_IN_PARTS_SECONDS = 120  # from here on the time saved is more than that of starting a process per part
_PART_SECONDS = (10, 120)  # the first, which the join waits for; the longest, since starting a process takes time
_OF_ENCODED = re.compile(r"\[(dec:)?aac\b")
_NICE = 5  # mixing and joining go before encoding: the one feeds it, the other is what ends last


class SoundFailed(RenderFailed):
    """ffmpeg could not make a sound of this input; no encoder of pictures is at fault."""


@dataclass(frozen=True)
class Sound:
    """An encoded sound: bytes and checksum of each of its packets, and how they sound when they are decoded."""

    packets: tuple[tuple[int, str], ...]
    heard: Heard


def make_sound(plan: RenderPlan, task: Path, target: Path, tool: Tool) -> Sound:
    """Mix the tracks of a plan and encode them into `target`, an ADTS file or a pipe; helpers use its name.

    Raises:
        SoundFailed: ffmpeg ended badly, or what it made does not decode.
        ChildTimeout, MachineTrouble, Stopped: as :meth:`Tool.run`.
    """
    try:
        return _made(plan, task, target, tool)
    except RenderFailed as error:
        raise SoundFailed(str(error)) from error


def _made(plan: RenderPlan, task: Path, target: Path, tool: Tool) -> Sound:
    cores = os.cpu_count() or 1
    if cores == 1 or plan.seconds < _IN_PARTS_SECONDS:
        encoded = Encoded(target, tool.scratch / "sound.packets")
        return _encode(encode_whole(plan, task, encoded), encoded, Listening(), tool)
    shortest, longest = (round(seconds * SAMPLE_RATE / PACKET_SAMPLES) for seconds in _PART_SECONDS)
    parts = parts_of(samples_of(plan), shortest, longest)
    mixed = tool.scratch / "mixed.s16"
    with ThreadPoolExecutor(cores, thread_name_prefix="sound") as pool, ThreadPoolExecutor(1) as beside:
        encoding = _Encoding(plan, parts, mixed, replace(tool, nice=tool.nice + _NICE), pool)
        writing = beside.submit(encoding.write, target)
        try:
            tool.run("mixing the sound", mix_down(plan, task, mixed), encoding.follow)
        finally:
            encoding.mixed()
        sounds = writing.result()
    mixed.unlink()
    packets = tuple(packet for sound in sounds for packet in sound.packets)
    return Sound(packets, put_together([sound.heard for sound in sounds]))


def mixed_right(plan: RenderPlan, make: Callable[[RenderPlan], Sound]) -> tuple[RenderPlan, Sound]:
    """Have a sound made until it is as loud as it should be; returns the plan it came out right with.

    What was measured at ingest tells the gains, so that this is once, as a rule. What cannot be reached is for the
    gate to judge.
    """
    mixing = Mixing(plan.master) if plan.master else None
    while True:
        sound = make(plan)
        master = mixing.next(sound.heard.loudness, sound.heard.true_peak) if mixing else None
        if master is None:
            return plan, sound
        plan = replace(plan, master=master)


def _encode(command: list[str], encoded: Encoded, listening: Listening, tool: Tool) -> Sound:
    encoded.packets.touch()  # an ffmpeg that does nothing makes none
    ended, _ = tool.run("encoding the sound", command, on_line=listening.read)
    # Recordings may be odd, and what decodes them says so; what was encoded from them must not be.
    complaints = [line for line in ended.errors.splitlines() if _OF_ENCODED.match(line)]
    if complaints:
        raise RenderFailed(f"the sound does not decode as it should: {complaints[-1]}")
    streams = parse_packets(encoded.packets.read_text("utf-8"))
    encoded.packets.unlink()
    if not streams:
        raise RenderFailed("ffmpeg ended well while encoding the sound, but made none")
    return Sound(tuple((packet.size, packet.checksum) for packet in streams[0].packets), listening.heard())


class _Encoding:
    """Encodes each part of a mix as soon as all that it needs has been mixed."""

    def __init__(self, plan: RenderPlan, parts: list[Part], mixed: Path, tool: Tool, pool: ThreadPoolExecutor) -> None:
        self._plan = plan
        self._waiting = parts
        self._mixed = mixed
        self._tool = tool
        self._pool = pool
        self._begun: SimpleQueue[tuple[Path, Future[Sound]] | None] = SimpleQueue()

    def follow(self, _: Progress) -> None:
        """Begin what can be begun by now."""
        there = self._mixed.stat().st_size if self._mixed.exists() else 0
        while self._waiting and self._waiting[0].bytes_needed <= there:
            self._begin()

    def mixed(self) -> None:
        """All is mixed, or never will be: begin the rest."""
        while self._waiting:
            self._begin()
        self._begun.put(None)

    def write(self, target: Path) -> list[Sound]:
        """Put the parts together, each as soon as it is encoded."""
        sounds = []
        with Writer(target, self._tool.stopping) as whole:
            for path, sound in self._encoded():
                sounds.append(sound)
                with path.open("rb") as part:
                    shutil.copyfileobj(part, whole)
                path.unlink()
        return sounds

    def _encoded(self) -> Iterator[tuple[Path, Sound]]:
        while (begun := self._begun.get()) is not None:
            path, future = begun
            yield path, future.result()

    def _begin(self) -> None:
        part = self._waiting.pop(0)
        path = self._tool.scratch / f"sound-{part.first}.aac"
        self._begun.put((path, self._pool.submit(self._encode, part, path)))

    def _encode(self, part: Part, path: Path) -> Sound:
        encoded = Encoded(path, path.with_suffix(".packets"))
        command = encode_part(part, self._mixed, encoded, self._plan.profile)
        return _encode(command, encoded, Listening(part.start), self._tool)

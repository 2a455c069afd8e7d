"""What a node does without a task: it conforms clips and cards ahead of need, as new videos will want them."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from render_worker.cards import Card, card_of_story, cards_of_stories, configured_cards
from render_worker.commands.conform import Look
from render_worker.commands.encoders import ENCODERS, SOFTWARE
from render_worker.gate import GateClosed
from render_worker.looks import Looks
from render_worker.progress import Report, Work
from render_worker.segments.conforming import Wanted, conform_all
from render_worker.segments.uses import Source, segments_of
from render_worker.tool import RenderFailed, Tool
from render_worker.ways import Ways
from shared.child import ChildTimeout
from shared.config import Config
from shared.domain.drop import Kind
from shared.domain.errors import Stopped, ToolKilled
from shared.domain.layout import Layout, retired_of, sidecar_of
from shared.domain.media import VideoFacts
from shared.domain.plan import LEAST, card_treatment, frames_in, treatment_of
from shared.ffmpeg import Ffmpeg
from shared.files import is_there, remove_tree
from shared.log import Logger
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.segments import SegmentCache

_LOOK_AGAIN_SECONDS = 60.0  # a library may hold a hundred thousand clips
_LOWEST = 19  # nice(1)


@dataclass
class Ahead:
    """Conforms one segment at a time; what was looked at once is not looked at again by this process.

    Hardware that has failed here once is not used ahead of need again, until :meth:`look_again`.
    """

    config: Config
    layout: Layout
    cache: SegmentCache
    ffmpeg: Ffmpeg
    ways: Ways
    node: str
    log: Logger
    stopping: Callable[[], bool]
    _known: set[Path | str] = field(default_factory=set)
    _clips: deque[Path] = field(default_factory=deque)
    _waiting: deque[Wanted] = field(default_factory=deque)
    _has_failed: bool = False
    _looked_at: float = -_LOOK_AGAIN_SECONDS
    _looks: Looks = field(init=False)

    def look_again(self) -> None:
        """Look at all clips and cards again, since they are conformed in another way from now on."""
        self._has_failed, self._looked_at = False, -_LOOK_AGAIN_SECONDS
        self._known.clear()
        self._clips.clear()
        self._waiting.clear()

    def next(self, now: float) -> Wanted | None:
        """A segment that is missing; None when there is none, or no room for more."""
        if self._has_failed or self.cache.is_nearly_full:
            return None
        while True:
            while self._waiting:
                if not self.cache.has((wanted := self._waiting.popleft()).key):  # another node may have been faster
                    return wanted
            if self._clips:
                self._waiting.extend(self._missing(self._clips.popleft()))
            elif not self._look(now):
                return None

    def make(self, wanted: Wanted, on_report: Callable[[Report], None]) -> bool:
        """Conform a segment at the lowest priority.

        Where `stopping` turns true, since there is a task now or the worker ends, it comes first another time; that
        is when this returns False.

        Raises:
            MachineTrouble, OSError: this node is at fault.
        """
        bench, encoder = self.cache.bench(), wanted.recipe.look.profile.encoder
        is_software = ENCODERS[encoder].family == SOFTWARE
        tool = Tool(
            ffmpeg=self.ffmpeg,
            node=self.node,
            scratch=bench,
            stall_seconds=self.config.render.stall_seconds,
            stopping=self.stopping,
            nice=_LOWEST,
            decoder=self.ways.decoder_of(encoder),
        )
        started = time.monotonic()
        work = Work(wanted.recipe.look.canvas.rate, on_report)
        work.set_out({"conforming": wanted.recipe.frames})
        work.begin("conforming", wanted.recipe.frames)
        try:
            laid_out = self._lay_out(wanted, bench)
            if laid_out is None:
                return True  # some of it is another one by now: what has that one's name must not show this one
            conform_all([laid_out], self.cache, tool, bench, work.add)
        except Stopped:
            self._waiting.appendleft(wanted)
            return False
        except (RenderFailed, GateClosed, ChildTimeout, ToolKilled) as error:
            if is_software and isinstance(error, ToolKilled):
                raise
            self.log.warning(f"Cannot conform {wanted.source} ahead of need: {error}", name="conform_failed")
            # Whether a card or the clip is at fault shows when a task has need of it: that steps down.
            self._has_failed = not is_software
        else:
            seconds = time.monotonic() - started
            self.log.info(
                f"Conformed {wanted.source} ahead of need: {wanted.recipe.frames} frames in {seconds:.1f} s",
                name="segment_made",
                key=wanted.key,
            )
        finally:
            remove_tree(bench)
        return True

    def _lay_out(self, wanted: Wanted, bench: Path) -> Wanted | None:
        """Put what a segment is made of into `bench`, but for what nobody changes in place; None where it has changed.

        Returns what is wanted, made of that.
        """
        look, path = wanted.recipe.look, wanted.path
        changeable = [(self._looks.files[sha256], bench / layer.source, sha256) for layer, sha256 in look.layers]
        if path.is_relative_to(self.layout.assets):
            path = bench / f"card{path.suffix.lower()}"
            changeable.append((wanted.path, path, wanted.recipe.sha256))
        for source, target, sha256 in changeable:
            try:
                shutil.copyfile(source, target)
            except FileNotFoundError:
                return None
            with target.open("rb") as copied:
                if hashlib.file_digest(copied, "sha256").hexdigest() != sha256:
                    return None
        if look.decoration:
            decoration, sha256 = look.decoration
            (bench / decoration.source).symlink_to(self._looks.files[sha256].absolute())
        return replace(wanted, path=path, folder=bench)

    def _look(self, now: float) -> bool:
        """See what there is that is not known yet; False when there is nothing, or it is too early to look."""
        if now < self._looked_at + _LOOK_AGAIN_SECONDS:
            return False
        self._looked_at = now
        self._looks = Looks(self.config, self.layout, self.ways)
        found = [path for path in self._library() if path not in self._known]
        self._known.update(found)
        # Nodes begin at different places, so that they rarely conform the same clip.
        found.sort(key=lambda path: hashlib.sha256(f"{self.node}/{path.name}".encode("utf-8", "replace")).digest())
        self._clips.extend(found)
        configured = [wanted for card in configured_cards(self.config, self.layout) for wanted in self._of_card(card)]
        new = [wanted for wanted in configured if wanted.key not in self._known]
        self._known.update(wanted.key for wanted in new)
        self._waiting.extend(new)
        return bool(found or new)

    def _library(self) -> Iterator[Path]:
        for folder, _, names in os.walk(self.layout.scanned / Kind.VIDEO.value):
            yield from (Path(folder, name) for name in names if name.endswith(".mp4"))
        yield from cards_of_stories(self.layout)

    def _missing(self, path: Path) -> list[Wanted]:
        if is_there(retired_of(path)):
            return []
        try:
            sidecar = Sidecar.read(sidecar_of(path))
        except (OSError, RecordError):  # the main worker says what is the matter with it
            return []
        found: list[Wanted] = []
        if sidecar.kind is Kind.CARD:
            card = card_of_story(path, sidecar, self.config, self.layout)
            found += self._of_card(card) if card else []
        elif sidecar.video:
            for look in self._looks.of(sidecar.category):
                found += self._segments(path, sidecar, sidecar.video, look)
        return [wanted for wanted in found if not self.cache.has(wanted.key)]

    def _of_card(self, card: Card) -> list[Wanted]:
        """The segments of a card in videos that are long enough for all of it."""
        found = []
        for name in card.profiles:
            if look := self._looks.of_cards(name, card.resolution):
                rate, clip = look.canvas.rate, card.clip(self.config.profile(name).render.card_seconds)
                frames, treatment = frames_in(clip.seconds, rate), card_treatment(clip, rate)
                if frames < LEAST:
                    continue
                source = Source(card.path, card.place, card.sha256, card.size, frames, treatment)
                found += segments_of(source, frames, look, self.layout.assets, self.ffmpeg.version, self.cache.has)
        return found

    def _segments(self, clip: Path, sidecar: Sidecar, video: VideoFacts, look: Look) -> list[Wanted]:
        rate = look.canvas.rate
        frames = frames_in(video.seconds, rate)
        place = str(self.layout.relative(clip))
        source = Source(clip, place, sidecar.sha256, sidecar.size, frames, treatment_of(video, rate))
        return segments_of(source, frames, look, self.layout.assets, self.ffmpeg.version, self.cache.has)

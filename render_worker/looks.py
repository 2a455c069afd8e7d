"""How new videos will look, as the configuration and the library stand: what is conformed ahead of need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from render_worker.commands.conform import Look
from render_worker.planning import decoration_of, logo_layer
from render_worker.ways import Ways
from shared.assets import find_logo
from shared.config import Config
from shared.domain.drop import Kind
from shared.domain.errors import RootError
from shared.domain.layout import Layout, retired_of, sidecar_of
from shared.domain.plan import Canvas, Decoration, Profile, exact_rate, transition_of
from shared.files import is_there
from shared.records.record import RecordError
from shared.records.sidecar import Sidecar
from shared.settings import Render

_FRAME = "frame.mp4"


class Looks:
    """The looks of clips and cards in new videos, as they were when each was first asked for.

    Attributes:
        files: where the logos and decorative frames of these looks are, by the hash of their content.
    """

    def __init__(self, config: Config, layout: Layout, ways: Ways) -> None:
        self._config = config
        self._layout = layout
        self._ways = ways
        self.files: dict[str, Path] = {}
        self.of = cache(self._of)
        self.of_cards = cache(self._of_cards)

    def _of_cards(self, name: str, resolution: str | None = None) -> Look | None:
        """What cards look like in the videos of a profile, of its own size or another: no decoration lies over them.

        None where videos most likely join nothing; where captions are burned in, only what has no text is joined.
        """
        profile, ways = self._config.profile(name), self._ways.of(name)
        render = profile.render
        if not ways or (render.mode, render.captions) != ("segments", "track"):
            return None
        width, height = map(int, profile.asked("resolution", resolution).split("x"))
        canvas = Canvas(width, height, exact_rate(render.frame_rate), render.fit)
        encoding = Profile(ways[0].encoder, render.quality, render.preset, render.audio_kbps)
        try:
            logo = find_logo(self._layout, render)
            layers = ((logo_layer(_logo_name(logo), render, width), self._hash(logo)),) if logo else ()
        except (OSError, RootError):
            return None
        enters = transition_of(render.transition, render.transition_seconds, canvas.rate).frames
        return Look(canvas, encoding, layers, enters=enters)

    def _of(self, category: str) -> tuple[Look, ...]:
        """All of them, of every profile that the category gets."""
        return tuple(look for name in self._config.profiles_of(category) for look in self._of_profile(name, category))

    def _of_profile(self, name: str, category: str) -> Iterator[Look]:
        """With each decoration that may lie over a category's clips, or without any."""
        render, plain = self._config.profile(name).render, self.of_cards(name)
        if plain is None:
            return
        decorations = list(self._decorations(category, render, plain.canvas)) if render.frames else []
        yield from (replace(plain, decoration=decoration) for decoration in decorations)
        if not decorations:
            yield plain

    def _decorations(self, category: str, render: Render, canvas: Canvas) -> Iterator[tuple[Decoration, str]]:
        """The decorative frames that videos of a category may get."""
        for path in sorted((self._layout.scanned / Kind.FRAME.value / category).glob("mp4_*/*.mp4")):
            with suppress(OSError, RecordError):  # the main worker says what is the matter with it
                sidecar = Sidecar.read(sidecar_of(path))
                if sidecar.video and render.shows(sidecar.video) and not is_there(retired_of(path)):
                    self.files[sidecar.sha256] = path
                    yield decoration_of(_FRAME, sidecar.video, render, canvas.rate), sidecar.sha256

    def _hash(self, path: Path) -> str:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.files[sha256] = path
        return sha256


def _logo_name(logo: Path) -> str:
    """As in a task, whatever it is called in ``assets/``: to ffmpeg some names mean a series of pictures."""
    return f"logo{logo.suffix.lower()}"

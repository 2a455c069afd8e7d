"""The cards of one video: its story's own, or those that the configuration names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from main_worker.arrival.ready import identity_of
from main_worker.arrival.settling import Identity
from main_worker.checks.cage import Cage
from main_worker.checks.cards import examine_card
from main_worker.checks.examination import Content, content_of
from shared.child import ChildTimeout, ChildTooCostly
from shared.domain.errors import DropRefused
from shared.domain.media import VideoFacts


@dataclass(frozen=True)
class Card:
    """A picture or film that is shown at the beginning or at the end; `video` are the facts of a film."""

    path: Path
    content: Content
    video: VideoFacts | None

    def seconds(self, still: float) -> float:
        """How long it is; a picture is shown for `still` seconds."""
        return self.video.seconds if self.video else still


class CardUnusable(Exception):
    """Why a card that the configuration names cannot be shown, in words."""


class ConfiguredCards:
    """Cards in ``assets/``, examined like drops when they are first asked for, and when they were replaced."""

    def __init__(self, cage: Cage) -> None:
        self._cage = cage
        self._known: dict[Path, tuple[Identity, Card | str]] = {}

    def read(self, path: Path) -> Card:
        """A card with its facts.

        Raises:
            CardUnusable: it is no picture and no film that can be shown.
            MachineTrouble, ToolError, OSError: the machine's own trouble.
            Stopped: the worker is ending.
        """
        identity = identity_of(path.stat())
        known = self._known.get(path)
        if known is None or known[0] != identity:
            known = self._known[path] = (identity, self._examined(path))
        if isinstance(known[1], str):
            raise CardUnusable(known[1])
        return known[1]

    def _examined(self, path: Path) -> Card | str:
        """A card, or why it cannot be shown."""
        unusable = f"assets/{path.name} cannot be shown as a card:"
        try:
            facts = examine_card(self._cage, path)
        except DropRefused as refused:
            return f"{unusable} {refused.rejection.sentence} {refused.rejection.advice}"
        except (ChildTimeout, ChildTooCostly) as error:
            return f"{unusable} decoding it {error}; export it smaller or shorter"
        return Card(path, content_of(path, self._cage.stopping), facts if isinstance(facts, VideoFacts) else None)

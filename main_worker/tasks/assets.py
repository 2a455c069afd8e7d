"""What the configuration names in ``assets/``, logos and title and end cards, examined as if it had been dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from main_worker.arrival.ready import identity_of
from main_worker.arrival.settling import Identity
from main_worker.checks.cage import Cage
from main_worker.checks.cards import examine_card, examine_logo
from main_worker.checks.examination import content_of
from main_worker.tasks.cards import Card
from shared.assets import find_cards, find_logo
from shared.child import ChildTimeout, ChildTooCostly
from shared.domain.errors import DropRefused, MachineTrouble, RootError, ToolError
from shared.domain.layout import Layout
from shared.domain.media import PictureFacts, VideoFacts
from shared.files import as_machine_trouble, is_there, write_hint
from shared.records.cards import CardFacts, CardsRecord


class AssetUnusable(Exception):
    """Why a logo or a card that the configuration names cannot be shown, in words."""


class Assets:
    """The assets of one root; each is examined when it is first asked for, and again when it was replaced."""

    def __init__(self, cage: Cage, layout: Layout) -> None:
        self._cage = cage
        self._layout = layout
        self._known: dict[tuple[Path, str], tuple[Identity, Card | str]] = {}
        self._noted: CardsRecord | None = None

    def card(self, path: Path) -> Card:
        """A title or end card with its facts.

        Raises:
            AssetUnusable: it is no picture and no film that can be shown.
            MachineTrouble, ToolError, OSError: the machine's own trouble.
            Stopped: the worker is ending.
        """
        return self._read(path, "a card", examine_card)

    def check_logo(self, path: Path) -> None:
        """Make sure that a logo is a picture; raises as :meth:`card`."""
        self._read(path, "the logo", examine_logo)

    def look(self) -> list[str]:
        """Examine all that new videos may show, and note the cards for nodes that have nothing else to do.

        Returns what is wrong with some, in words, so that it is told before it keeps a voice waiting.

        Raises:
            Stopped: the worker is ending.
        """
        config, cards, wrong = self._cage.config, dict[Path, Card](), list[str]()
        for name in config.profiles_in_use:
            render, table = config.profile(name).render, config.table_of(name)
            try:
                if logo := find_logo(self._layout, render, table):
                    self.check_logo(logo)
                cards |= {path: self.card(path) for path in find_cards(self._layout, render, table) if path}
            except (RootError, AssetUnusable, MachineTrouble, ToolError) as error:
                wrong.append(str(error))
            except OSError as error:
                wrong.append(str(as_machine_trouble(error, f"what {table} names in assets/ cannot be read")))
        self._note(cards.values())
        return list(dict.fromkeys(wrong))

    def _note(self, cards: Iterable[Card]) -> None:
        facts = (
            CardFacts(
                path=str(self._layout.relative(card.path)),
                sha256=card.content.sha256,
                size=card.content.size,
                video=card.video,
            )
            for card in cards
        )
        record, path = CardsRecord(cards=tuple(facts)), self._layout.card_facts
        is_noted = is_there(path)
        if (record == self._noted and is_noted) or not (record.cards or is_noted):
            return
        with suppress(OSError):  # it saves time, no more
            path.parent.mkdir(parents=True, exist_ok=True)
            write_hint(path, record.to_bytes())
            self._noted = record

    def _read(self, path: Path, use: str, examine: Callable[[Cage, Path], VideoFacts | PictureFacts]) -> Card:
        identity = identity_of(path.stat())
        known = self._known.get((path, use))
        if known is None or known[0] != identity:
            known = self._known[path, use] = (identity, self._examined(path, use, examine))
        if isinstance(known[1], str):
            raise AssetUnusable(known[1])
        return known[1]

    def _examined(self, path: Path, use: str, examine: Callable[[Cage, Path], VideoFacts | PictureFacts]) -> Card | str:
        """What it is, or why it cannot be shown."""
        unusable = f"{self._layout.relative(path)} cannot be shown as {use}:"
        try:
            facts = examine(self._cage, path)
        except DropRefused as refused:
            return f"{unusable} {refused.rejection.sentence} {refused.rejection.advice}"
        except (ChildTimeout, ChildTooCostly) as error:
            return f"{unusable} decoding it {error}; export it smaller or shorter"
        return Card(path, content_of(path, self._cage.stopping), facts if isinstance(facts, VideoFacts) else None)

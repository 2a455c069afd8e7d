"""``--dry-run``: what would happen to every file in ``raw/``, and why. Nothing under the root is changed."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from main_worker.cage import Cage
from main_worker.examination import Content, Examined, Examiner
from main_worker.filing import Filing
from main_worker.intake import Intake, files_below, judge
from main_worker.library import Library, Place
from main_worker.material import Gathering, wants_of
from main_worker.ready import DropChanged, Ready, identity_of
from main_worker.settling import Patience
from main_worker.writers import has_writer, ignore_lease_signals
from shared.config import Config
from shared.domain.drop import Drop, Kind, LeftAlone, Misplaced
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, ToolError
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.ffmpeg import Ffmpeg
from shared.files import as_machine_trouble
from shared.log import Logger


@dataclass(frozen=True)
class Forecast:
    """What would become of one file in ``raw/``.

    Attributes:
        outcome: ``accept``, ``reject``, ``wait`` or ``leave``.
        why: in words.
        becomes: the library file it would become, relative to the root.
        code, advice, measured: as in the reason that a rejected drop would get.
    """

    drop: str
    outcome: str
    why: str
    becomes: str | None = None
    code: str | None = None
    advice: str | None = None
    measured: dict[str, Any] = field(default_factory=dict)


def rehearse(config: Config, layout: Layout, ffmpeg: Ffmpeg, log: Logger, output: TextIO) -> None:
    """Write one JSON object per file in ``raw/`` to `output`, each as soon as it is known."""
    ignore_lease_signals()
    with tempfile.TemporaryDirectory(prefix="reelmill-") as scratch:
        examiner = Examiner(Cage(config, ffmpeg, lambda: False), Path(scratch))
        library = Library(layout, log)
        library.load(mend=False)
        rehearsal = Rehearsal(config, layout, library, examiner)
        for forecast in rehearsal.forecasts():
            output.write(json.dumps(asdict(forecast), ensure_ascii=True) + "\n")
            output.flush()


@dataclass(frozen=True)
class Rehearsal:
    """Examines drops as ingest does and files them nowhere but in its own copy of the index."""

    config: Config
    layout: Layout
    library: Library
    examiner: Examiner

    def forecasts(self) -> Iterator[Forecast]:
        """What would become of every file, media first, so that of each voice it can be said what it would lack."""
        unreadable: list[str] = []
        found = files_below(self.layout.raw, unreadable)
        for words in unreadable:
            yield Forecast(words.partition(":")[0], "wait", f"This folder cannot be read: {words}")
        now = time.monotonic()
        view = Intake(self.layout.raw, Patience(0.0, 0.0)).look(now)
        ready = {drop.relative: drop for drop in view.ready}
        judged = [judge(relative, status) for relative, status in sorted(found.items())]
        for drop in sorted(judged, key=lambda drop: isinstance(drop, Drop) and drop.kind is Kind.VOICE):
            name = f"raw/{readable(str(drop.relative))}"
            if isinstance(drop, LeftAlone):
                yield Forecast(name, "leave", "It is hidden, temporary, or a note about a drop: it is left alone.")
            elif isinstance(drop, Misplaced):
                yield _rejected(name, drop.rejection)
            elif has_writer(self.layout.raw / drop.relative):
                yield Forecast(name, "wait", "A program has it open for writing.")
            else:
                first = ready.get(drop.relative) or self._unproven(drop, found[drop.relative])
                yield self._examined(name, first, drop)

    def _unproven(self, drop: Drop, status: Any) -> Ready:
        return Ready(self.layout.raw / drop.relative, drop.relative, drop, identity_of(status), "not proven yet")

    def _examined(self, name: str, ready: Ready, drop: Drop) -> Forecast:
        filing = Filing(self.layout, self.library, self.config.links.chunk_words)

        def known(content: Content) -> None:
            filing.refuse_duplicate(ready, drop, content)

        try:
            if drop.kind is Kind.LINK:
                return self._link(name, ready)
            examined = self.examiner.examine(ready, drop, known)
        except DropRefused as refused:
            return _rejected(name, refused.rejection)
        except DropChanged as changed:
            return Forecast(name, "wait", readable(str(changed)))
        except (MachineTrouble, ToolError) as error:
            return Forecast(name, "wait", f"The machine is in the way: {error}")
        except OSError as error:
            return Forecast(name, "wait", str(as_machine_trouble(error, "it cannot be read")))
        return self._accepted(name, ready, drop, examined, filing)

    def _link(self, name: str, ready: Ready) -> Forecast:
        addresses = self.examiner.addresses(ready)
        why = f"{len(addresses)} addresses would be fetched."
        return Forecast(name, "accept", why, measured={"addresses": addresses})

    def _accepted(self, name: str, ready: Ready, drop: Drop, examined: Examined, filing: Filing) -> Forecast:
        target = filing.free_name(drop, examined)
        sidecar = filing.sidecar(ready, drop, examined, examined.dropped)
        self.library.add(target, sidecar)
        if examined.made:
            examined.made[0].unlink(missing_ok=True)
        forecast = Forecast(name, "accept", self._why(drop), str(self.layout.relative(target)))
        facts = examined.video or examined.audio
        return replace(forecast, measured=asdict(facts)) if facts else forecast

    def _why(self, drop: Drop) -> str:
        why = (
            f"It is a good {drop.kind.value} and would be taken after {self.config.ingest.quiet_seconds:g} s unchanged"
        )
        if drop.kind is not Kind.VOICE:
            return f"{why}."
        place = Place(drop.kind, drop.category, drop.story)
        settings = self.library.settings(drop.category, drop.story)
        lack = Gathering(self.config, self.layout, self.library).lacks(wants_of(place, settings, self.config))
        return f"{why}; {f'its task would wait: {lack}' if lack else 'a task would be made of it'}."


def _rejected(name: str, rejection: Rejection) -> Forecast:
    return Forecast(
        name,
        "reject",
        rejection.sentence,
        code=rejection.code,
        advice=rejection.advice,
        measured=dict(rejection.measured),
    )

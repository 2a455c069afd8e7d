"""``--dry-run``: what would happen to every file in ``raw/``, and why. Nothing under the root is changed."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from main_worker.arrival.intake import Intake, files_below, judge
from main_worker.arrival.ready import DropChanged, Ready, identity_of
from main_worker.arrival.settling import Patience
from main_worker.arrival.writers import has_writer, ignore_lease_signals
from main_worker.checks.cage import Cage
from main_worker.checks.examination import Content, Examined, Examiner
from main_worker.shelves.filing import Filing
from main_worker.shelves.library import Library, Place, place_of
from main_worker.tasks.material import Gathering, wants_of
from shared.config import Config
from shared.domain.drop import Drop, Kind, LeftAlone, Misplaced
from shared.domain.errors import DropRefused, MachineTrouble, Rejection, Stopped, ToolError
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.ffmpeg import Ffmpeg
from shared.files import as_machine_trouble
from shared.log import Logger
from shared.process import on_stop_signals
from shared.records.forecast import Forecast


def rehearse(config: Config, layout: Layout, ffmpeg: Ffmpeg, log: Logger, output: TextIO) -> None:
    """Write one JSON object per file in ``raw/`` to `output`, each as soon as it is known.

    Raises:
        MachineTrouble: the library cannot be read.
        Stopped: by a signal.
    """
    stop = threading.Event()
    on_stop_signals(stop.set)
    ignore_lease_signals()
    with tempfile.TemporaryDirectory(prefix="reelmill-") as scratch:
        examiner = Examiner(Cage(config, ffmpeg, stop.is_set), Path(scratch))
        library = Library(layout, log)
        try:
            library.load(mend=False)
        except OSError as error:
            raise as_machine_trouble(error, "cannot read the library") from error
        for forecast in Rehearsal(config, layout, library, examiner).forecasts():
            output.write(json.dumps(forecast.model_dump(mode="json"), ensure_ascii=True) + "\n")
            output.flush()
            if stop.is_set():
                raise Stopped("stopped on request")


@dataclass(frozen=True)
class Rehearsal:
    """Examines drops as ingest does and files them nowhere but in its own copy of the index.

    Attributes:
        taken: library names that drops would get, each with the name of the drop.
        contents: what drops that would be taken hold, likewise.
    """

    config: Config
    layout: Layout
    library: Library
    examiner: Examiner
    taken: dict[Path, str] = field(default_factory=dict)
    contents: dict[tuple[Place, str], str] = field(default_factory=dict)

    def forecasts(self) -> Iterator[Forecast]:
        """What would become of every file, media first, so that of each voice it can be said what it would lack."""
        unreadable: dict[Path, str] = {}
        found = files_below(self.layout.raw, unreadable)
        for folder, words in unreadable.items():
            why = f"What lies in this folder waits until it can be read: {words}."
            shown = str(self.layout.relative(folder))
            yield Forecast(drop=readable(shown), outcome="wait", why=readable(why))
        now = time.monotonic()
        view = Intake(self.layout.raw, Patience(0.0, 0.0)).look(now)
        ready = {drop.relative: drop for drop in view.ready}
        judged = [judge(relative, status) for relative, status in sorted(found.items())]
        for drop in sorted(judged, key=lambda drop: isinstance(drop, Drop) and drop.kind is Kind.VOICE):
            name = f"raw/{readable(str(drop.relative))}"
            if isinstance(drop, LeftAlone):
                why = "It is hidden, temporary, or a note about a drop: it is left alone."
                yield Forecast(drop=name, outcome="leave", why=why)
            elif isinstance(drop, Misplaced):
                yield _rejected(name, drop.rejection)
            elif has_writer(self.layout.raw / drop.relative):
                yield Forecast(drop=name, outcome="wait", why="A program has it open for writing.")
            else:
                first = ready.get(drop.relative) or self._unproven(drop, found[drop.relative])
                yield self._examined(name, first, drop)

    def _unproven(self, drop: Drop, status: Any) -> Ready:
        return Ready(self.layout.raw / drop.relative, drop.relative, drop, identity_of(status), "not proven yet")

    def _examined(self, name: str, ready: Ready, drop: Drop) -> Forecast:
        filing = Filing(self.layout, self.library, self.config.links.chunk_words)

        def known(content: Content) -> None:
            filing.refuse_duplicate(ready, drop, content)
            self._refuse_second(drop, content)

        try:
            if drop.kind is Kind.LINK:
                known(self.examiner.read(ready))
                return self._link(name, ready)
            examined = self.examiner.examine(ready, drop, known)
        except DropRefused as refused:
            return _rejected(name, refused.rejection)
        except DropChanged as changed:
            return Forecast(drop=name, outcome="wait", why=readable(str(changed)))
        except (MachineTrouble, ToolError) as error:
            return Forecast(drop=name, outcome="wait", why=f"The machine is in the way: {error}")
        except OSError as error:
            return Forecast(drop=name, outcome="wait", why=str(as_machine_trouble(error, "it cannot be read")))
        return self._accepted(name, ready, drop, examined, filing)

    def _link(self, name: str, ready: Ready) -> Forecast:
        addresses = self.examiner.addresses(ready)
        why = f"{len(addresses)} addresses would be fetched."
        return Forecast(drop=name, outcome="accept", why=why, measured={"addresses": list(addresses)})

    def _accepted(self, name: str, ready: Ready, drop: Drop, examined: Examined, filing: Filing) -> Forecast:
        target = filing.free_name(drop, examined, self.taken)
        sidecar = filing.sidecar(ready, drop, examined, examined.dropped)
        self.library.add(target, sidecar)
        self.taken[target] = self.contents[place_of(drop), examined.dropped.sha256] = name
        if examined.made:
            examined.made[0].unlink(missing_ok=True)
        facts = examined.video or examined.audio
        return Forecast(
            drop=name,
            outcome="accept",
            why=self._why(drop),
            becomes=str(self.layout.relative(target)),
            measured=asdict(facts) if facts else {},
        )

    def _refuse_second(self, drop: Drop, content: Content) -> None:
        """Raise DropRefused for what an earlier drop of this dry run would have brought into the library."""
        if first := self.contents.get((place_of(drop), content.sha256)):
            sentence = f"It has the same content as {first}, which would be taken first."
            raise DropRefused(Rejection("duplicate", sentence, "Delete one of the two.", {"duplicate_of": first}))

    def _why(self, drop: Drop) -> str:
        why = (
            f"It is a good {drop.kind.value} and would be taken after {self.config.ingest.quiet_seconds:g} s unchanged"
        )
        if drop.kind is not Kind.VOICE:
            return f"{why}."
        settings = self.library.settings(drop.category, drop.story, planned=True)
        wants = wants_of(place_of(drop), settings, self.config)
        lack = Gathering(self.config, self.layout, self.library).lacks(wants)
        return f"{why}; {f'its task would wait: {lack}' if lack else 'a task would be made of it'}."


def _rejected(name: str, rejection: Rejection) -> Forecast:
    return Forecast(
        drop=name,
        outcome="reject",
        why=rejection.sentence,
        code=rejection.code,
        advice=rejection.advice,
        measured=dict(rejection.measured),
    )

"""ffmpeg as one attempt, or one idle node, uses it: the same patience, stop and error log for every run."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from shared.child import Ended, Limits
from shared.domain.errors import ReelmillError
from shared.domain.progress import Progress
from shared.ffmpeg import Ffmpeg, last_line


class RenderFailed(ReelmillError):
    """ffmpeg could not make the video of this input."""


@dataclass(frozen=True)
class Tool:
    """One way of running ffmpeg.

    Attributes:
        scratch: folder for files of its own.
        stall_seconds: a run without progress for this long is killed.
        errors_to: file for its standard error.
        expected: lines of that which hold these words are left out.
        environment: variables that are added to the worker's own.
        nice: how much others go before it, as nice(1) counts.
        decoder: the hardware that decodes clips, as ffmpeg names it.
    """

    ffmpeg: Ffmpeg
    node: str
    scratch: Path
    stall_seconds: float
    stopping: Callable[[], bool]
    errors_to: Path | None = None
    expected: str = ""
    environment: Mapping[str, str] | None = None
    nice: int = 0
    decoder: str | None = None

    def run(
        self,
        doing: str,
        arguments: Sequence[str],
        on_progress: Callable[[Progress], None] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> tuple[Ended, Progress]:
        """Run ffmpeg to a good end; `doing` completes "ffmpeg failed while".

        Args:
            on_line: gets every line of standard output, which filters may write to.

        Raises:
            RenderFailed: it ended badly.
            ChildTimeout: it made no progress.
            MachineTrouble: this node is at fault, such as a full disk.
            Stopped: this was asked to stop.
        """
        ended, progress = self.watch(arguments, on_progress, on_line)
        if ended.code != 0:
            words = last_line(ended.errors) or "it said nothing"
            raise RenderFailed(f"ffmpeg ended with status {ended.code} while {doing}: {words}")
        return ended, progress

    def watch(
        self,
        arguments: Sequence[str],
        on_progress: Callable[[Progress], None] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> tuple[Ended, Progress]:
        """Run ffmpeg to any end; raises as :meth:`run` but for RenderFailed."""
        errors = self.scratch / f"{secrets.token_hex(6)}.stderr"
        try:
            ended, progress = self.ffmpeg.run(
                arguments,
                limits=Limits(silence_seconds=self.stall_seconds),
                stopping=self.stopping,
                on_progress=on_progress,
                on_line=on_line,
                errors_to=errors,
                environment=self.environment,
                nice=self.nice,
            )
            return replace(ended, errors=self._without_expected(ended.errors)), progress
        finally:
            self._keep(errors)

    def _keep(self, errors: Path) -> None:
        """Add what a run said to the log of all, as a whole: several run at the same time."""
        with suppress(FileNotFoundError):  # the attempt was taken away
            said = self._without_expected(errors.read_text("utf-8", "surrogateescape"))
            errors.unlink()
            if said and self.errors_to:
                with self.errors_to.open("a", encoding="utf-8", errors="surrogateescape") as stream:
                    stream.write(said)

    def _without_expected(self, said: str) -> str:
        if not self.expected:
            return said
        told = re.escape(self.expected)
        return re.sub(rf"^.*{told}.*\n?(?: *Last message repeated \d+ times\n?)?", "", said, flags=re.MULTILINE)

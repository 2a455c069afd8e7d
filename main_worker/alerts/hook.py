"""Alerts to a program of the operator's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass

from main_worker.alerts.channel import NotTaken
from main_worker.alerts.webhook import payload
from shared.domain.names import readable
from shared.leash import leashed
from shared.records.alerts import Alert

_TAIL = 500  # bytes of what it says that are told in the log


@dataclass(frozen=True)
class Hook:
    """A command that gets an alert as JSON on standard input; it cannot outlive the worker nor its limit."""

    command: tuple[str, ...]
    seconds: float
    name = "command"

    def send(self, alert: Alert) -> None:
        """As :meth:`Channel.send`: any exit status but 0 is a failure."""
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                leashed(self.command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, process_group=0
            )
            try:
                process.communicate(json.dumps(payload(alert)).encode(), self.seconds)
            except subprocess.TimeoutExpired as error:
                raise NotTaken(f"{self.command[0]} took longer than {self.seconds:g} s and was ended") from error
            finally:
                with suppress(ProcessLookupError, PermissionError):  # it has ended, and left nothing behind
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.returncode:
                errors.seek(max(0, errors.seek(0, os.SEEK_END) - _TAIL))
                said = readable(errors.read().decode("utf-8", "replace").strip())
                raise NotTaken(f"{self.command[0]} ended with status {process.returncode}: {said or 'it said nothing'}")

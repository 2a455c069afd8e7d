"""A terminal of a test's own, and the lines of a log that it may show."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from shared.domain.layout import Layout


class Terminal:
    """A command of reelmill on a terminal of its own."""

    def __init__(self, layout: Layout, *words: str) -> None:
        self._primary, self._secondary = pty.openpty()
        fcntl.ioctl(self._secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        command = [str(Path(sys.executable).with_name("reelmill")), words[0], "--root", str(layout.root), *words[1:]]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
        end = self._secondary
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment)

    def __call__(self, words: str, keys: bytes = b"") -> str:
        """Type keys, and wait until words stand on the screen; all that was written meanwhile."""
        seen = ""
        os.write(self._primary, keys)
        deadline = time.monotonic() + 30
        while words not in seen:
            assert time.monotonic() < deadline, f"{words!r} does not appear: {seen[-4000:]!r}"
            if select.select([self._primary], [], [], 0.2)[0]:
                seen += os.read(self._primary, 65536).decode("utf-8", "replace")
        return seen

    def to_the_end(self) -> str:
        """All that is written until it ends."""
        seen = b""
        while select.select([self._primary], [], [], 0.2)[0] or self.process.poll() is None:
            if select.select([self._primary], [], [], 0)[0]:
                seen += os.read(self._primary, 65536)
        return seen.decode("utf-8", "replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._primary)
        os.close(self._secondary)


def line(second: int, level: str = "INFO", words: str = "x") -> str:
    return f'2026-11-20T18:03:{second:02}Z {level} main_worker "{words}" event=x'

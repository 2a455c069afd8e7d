"""The commands of the documents, run as they stand: only their paths, users and groups are those of the test."""

from __future__ import annotations

import grp
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.domain.layout import Layout
from shared.records.node import NodeRecord

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent
ENDLESS = re.compile(r"^(REELMILL_\S+ )*reelmill (run|render|web|logs -f)\b")
QUIET_SECONDS = 5.0  # one that says nothing until something happens is at work by then

NOT_RUN = {
    r"^make (demo|test|install)": "CI runs it",
    r"^source \.venv": "the environment of the test is in use already",
    r"^reelmill top": "needs a terminal: test_faces.py",
    r"--remote sftp:": "needs a far root: tests/system/test_far_node.py",
    r"^python3 -m venv": "what `make install` does, in another place",
    r"^reelmill service install": "writes into the system: test_service.py",
    r"^(useradd|groupadd|usermod) ": "changes the users of the machine",
    r"^(mkdir -p /srv/jail|mount) ": "needs root and the users: tests/shared/tree/test_manual.py has the same jail",
    r"^mkdir /srv/reelmill && chown": "needs the users",
    r"^ssh-keyscan ": "needs a server: tests/shared/tree/test_manual.py",
}


def lines() -> dict[str, str]:
    """Each line of a block of shell, without comments and rights, and the first page that has it."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                text = re.sub(r"\s+#.*|^sudo -u reelmill |(/opt/reelmill|\.venv)/bin/(?=reelmill)", "", line).strip()
                if text:
                    found.setdefault(text, page.name)
    return found


def is_run(text: str) -> bool:
    return not any(re.search(pattern, text) for pattern in NOT_RUN)


@pytest.fixture
def said_of(
    layout: Layout, tmp_path: Path, reject: Callable[..., Path], fail_task: Callable[..., str]
) -> Callable[[str], tuple[int, str]]:
    """What a line of shell ends with and says, on a farm that has what the documents speak of."""
    for name in ("dragon.mp4", "one.mp3"):
        reject(f"raw/video/fantasy/{name}", name)
    fail_task()
    record = NodeRecord(node="studio", host="h", pid=1, program="1", state="idle", updated_at="2026-11-20T18:03:44Z")
    record.write(layout.node_record("studio"))
    home, output = tmp_path / "home", tmp_path / "said"
    (home / ".ssh").mkdir(parents=True)
    group = grp.getgrgid(os.getgid()).gr_name
    here = dict.fromkeys(("/srv/farm", "/srv/reelmill", "my-root"), str(layout.root))
    here |= {"/backup/farm/": str(tmp_path / "backup"), "--group reelmill": f"--group {group}"}
    here |= {"chgrp -R reelmill": f"chgrp -R {group}", "g:reelmill": f"g:{group}"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REELMILL_")}
    environment |= {"HOME": str(home), "REELMILL_ROOT": str(layout.root), "PATH": f"{BIN}:{os.environ['PATH']}"}

    def run(text: str) -> tuple[int, str]:
        if " init " in text:  # a new one
            shutil.rmtree(layout.root)
        for there, one in here.items():
            text = text.replace(there, one)
        with (
            output.open("wb") as said,
            subprocess.Popen(
                ["/bin/sh", "-c", f"exec env {text}" if ENDLESS.search(text) else text],
                stdout=said,
                stderr=said,
                env=environment,
                cwd=tmp_path,
            ) as running,
        ):
            if ENDLESS.search(text):
                deadline = time.monotonic() + QUIET_SECONDS
                while not output.read_bytes() and time.monotonic() < deadline:
                    time.sleep(0.1)
                running.send_signal(signal.SIGINT)
            try:
                code = running.wait(60)
            finally:
                running.kill()
        return code, output.read_text("utf-8")

    return run


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=f"{page}: {text}") for text, page in lines().items() if is_run(text)]
)
def test_a_command_of_the_documents_does_what_it_should(text: str, said_of: Callable[[str], tuple[int, str]]) -> None:
    """It ends well, or goes on until Ctrl-C and then ends well."""
    program = next(word for word in text.split() if "=" not in word)
    if shutil.which(program, path=f"{BIN}:{os.environ['PATH']}") is None:
        pytest.skip(f"needs {program}")
    code, said = said_of(text)
    assert code == 0, said
    assert "Traceback" not in said


def test_what_is_not_run_is_there() -> None:
    """No exception outlives the line it was made for."""
    assert [pattern for pattern in NOT_RUN if not any(re.search(pattern, text) for text in lines())] == []

"""What a server's kernel is asked to do: content before its name, and the name before it is called done."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from shared.tree.sftp import SftpTree
from tests.farside import Sshd, linked

P = PurePosixPath
_CALLS = "fsync,link,linkat,rename,renameat,renameat2,mkdir,mkdirat"
_READY_SECONDS = 10.0


@contextmanager
def traced(sshd: Sshd, log: Path) -> Iterator[None]:
    """Write down what the processes of a server ask of their kernel."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    command = [strace, "-f", "-y", "-e", f"trace={_CALLS}", "-o", str(log)]
    for pid in sshd.processes:
        command += ["-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            assert tracer.stderr is not None
            for _ in sshd.processes:
                if "attached" not in tracer.stderr.readline():
                    pytest.skip("processes may not be traced here")
            yield
            time.sleep(0.2)  # what was answered is written down a moment later
        finally:
            tracer.terminate()


def calls_in(log: Path, root: Path) -> list[str]:
    """Calls that succeeded, such as ``fsync tasks``; of private names only their beginning, as they are random."""
    found = []
    for line in log.read_text("utf-8").splitlines():
        call = re.match(r"[0-9]+ +(\w+)\((.*)\) += 0$", line)
        if call:
            names = re.findall(re.escape(str(root)) + r"/([^\">]*)", call[2])
            kind = re.sub("at2?$", "", call[1])
            found.append(" ".join([kind, *(re.sub(r"\.[0-9a-f]{8}\.tmp$", "…", name) for name in names)]))
    return found


def test_content_then_name_then_folder(sshd: Sshd, root_at: Callable[[Sshd], Path], tmp_path: Path) -> None:
    """For records that are made and replaced, folders that are made and moved, and films."""
    root = root_at(sshd)
    (tmp_path / "film.mp4").write_bytes(b"film")
    with linked(sshd.remote(root)) as link:
        tree = SftpTree(link)
        tree.is_there(P("tasks"))
        with traced(sshd, tmp_path / "log"):
            tree.create(P("tasks/a.json"), b"{}")
            tree.replace(P("tasks/b.json"), b"{}")
            tree.make_folder(P("tasks/one"))
            tree.upload(tmp_path / "film.mp4", P("tasks/one/final.mp4"))
            tree.upload(tmp_path / "film.mp4", P("tasks/one/poster.jpg"), durable=False)
            tree.upload(tmp_path / "film.mp4", P("tasks/one/sheet.jpg"), durable=False)
            tree.settle(P("tasks/one"))
            tree.move(P("tasks/one"), P("processing/one"))
    film = "tasks/one/.final.mp4…"
    assert calls_in(tmp_path / "log", root) == [
        "fsync tasks/.a.json…",
        "link tasks/.a.json… tasks/a.json",
        "fsync tasks",
        "fsync tasks/.b.json…",
        "rename tasks/.b.json… tasks/b.json",
        "fsync tasks",
        "mkdir tasks/one",
        "fsync tasks",
        f"fsync {film}",
        f"link {film} tasks/one/final.mp4",
        "fsync tasks/one",
        "fsync tasks/one/.poster.jpg…",
        "link tasks/one/.poster.jpg… tasks/one/poster.jpg",
        "fsync tasks/one/.sheet.jpg…",
        "link tasks/one/.sheet.jpg… tasks/one/sheet.jpg",
        "fsync tasks/one",
        "rename tasks/one processing/one",
        "fsync processing",
        "fsync tasks",
    ]

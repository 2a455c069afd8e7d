"""What lies beside a drop and speaks of it: every way to write down a hash, and files that only look like one."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from main_worker.arrival.markers import companions, notes_among, read_marker
from main_worker.arrival.settling import Checksum, Done, Marker

HASH = hashlib.sha256(b"the drop").hexdigest()
OTHER = hashlib.sha256(b"another").hexdigest()
DROP = PurePosixPath("video/nature/a clip.mp4")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """raw/ with a drop in it."""
    path = tmp_path / DROP
    path.parent.mkdir(parents=True)
    path.write_bytes(b"the drop")
    return tmp_path


def beside(raw: Path, ending: str, content: bytes = b"") -> Path:
    path = raw / f"{DROP}{ending}"
    path.write_bytes(content)
    return path


def found_in(raw: Path) -> dict[PurePosixPath, int]:
    files = (path for path in raw.rglob("*") if not path.is_dir())
    return {PurePosixPath(path.relative_to(raw)): path.lstat().st_mtime_ns for path in files}


def marker(raw: Path, changed: int = 0) -> Marker | None:
    return read_marker(raw, DROP, changed, notes_among(found_in(raw)))


def test_a_done_that_is_older_than_the_drop_speaks_of_one_before(raw: Path) -> None:
    """It came late, when its drop had been taken; the next of that name must prove itself."""
    done = beside(raw, ".done")
    changed = done.stat().st_mtime_ns
    assert marker(raw, changed) is Done.DONE
    assert marker(raw, changed + 1) is None


def test_a_drop_that_stands_alone_has_no_marker(raw: Path) -> None:
    """That is the usual case."""
    assert marker(raw) is None


def test_a_done_is_a_marker_whatever_is_in_it(raw: Path) -> None:
    """Its name says all."""
    beside(raw, ".done", b"\0\xff")
    assert marker(raw) is Done.DONE


@pytest.mark.parametrize(
    "line",
    [
        f"{HASH}  a clip.mp4\n",
        f"{HASH} *a clip.mp4\n",
        f"{HASH}  ./a clip.mp4\n",
        f"{HASH}  /home/me/upload/a clip.mp4\n",
        f"{HASH}\n",
        f"{HASH}",
        f"{HASH.upper()}  a clip.mp4\n",
        f"{HASH}  a clip.mp4\r\n",
        f"{HASH}\r\n",
        f"\ufeff{HASH}  a clip.mp4\r\n",
        f"\\{HASH}  a clip.mp4\n",
        f"SHA256 (a clip.mp4) = {HASH}\n",
        f"SHA256 (./a clip.mp4) = {HASH}\r\n",
        f"# made by a program\n\n{HASH}  a clip.mp4\n",
        f"{OTHER}  b.mp4\n{HASH}  a clip.mp4\n{OTHER}  c.mp4\n",
        f"{OTHER}\n{HASH}  a clip.mp4\n",
        f"{HASH}  renamed-since.mp4\n",
        f"{HASH}  a clip.mp4\n{HASH}  a copy of it.mp4\n",
    ],
)
def test_every_common_way_to_write_a_hash_is_read(raw: Path, line: str) -> None:
    """As sha256sum, macOS and BSD, PowerShell and people do it; of several the one with the drop's name."""
    beside(raw, ".sha256", line.encode())
    assert marker(raw) == Checksum(HASH)


@pytest.mark.parametrize("options", [(), ("--tag",), ("--binary",)])
def test_what_sha256sum_itself_writes_is_read(raw: Path, options: tuple[str, ...]) -> None:
    """The real program, on the real name."""
    program = shutil.which("sha256sum") or pytest.skip("sha256sum is not installed")
    done = subprocess.run([program, *options, DROP.name], cwd=(raw / DROP).parent, capture_output=True, check=True)
    beside(raw, ".sha256", done.stdout)
    assert marker(raw) == Checksum(HASH)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        HASH[:40].encode(),
        f"{HASH[:-1]}  a clip.mp4\n".encode(),
        f"{HASH}0  a clip.mp4\n".encode(),
        b"d41d8cd98f00b204e9800998ecf8427e  a clip.mp4\n",
        f"{HASH}  b.mp4\n{OTHER}  c.mp4\n".encode(),
        f"{HASH}\n{OTHER}\n".encode(),
        b"\n" * 70_000 + f"{HASH}  a clip.mp4\n".encode(),
    ],
    ids=["empty", "zeros", "half-written", "short", "long", "md5", "names-of-others", "two-bare", "too-large"],
)
def test_what_names_no_hash_of_the_drop_says_so(raw: Path, content: bytes) -> None:
    """It is there, but it is no evidence; nothing is guessed."""
    beside(raw, ".sha256", content)
    assert marker(raw) == Checksum(None)


def test_a_hash_is_the_better_word_and_a_useless_one_is_passed_over(raw: Path) -> None:
    """Of a .done and a .sha256 the hash counts, if there is one in it."""
    beside(raw, ".done")
    path = beside(raw, ".sha256", f"{HASH}\n".encode())
    assert marker(raw) == Checksum(HASH)
    path.write_bytes(b"")
    assert marker(raw) is Done.DONE


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe"])
def test_what_is_no_file_is_not_opened_or_followed(raw: Path, tmp_path: Path, kind: str) -> None:
    """A link could have any file read, and a pipe would block for ever."""
    path = raw / f"{DROP}.sha256"
    secret = tmp_path / "secret"
    secret.write_text(f"{HASH}\n", "ascii")
    match kind:
        case "link":
            path.symlink_to(secret)
        case "dangling":
            path.symlink_to("nowhere")
        case _:
            os.mkfifo(path)
    assert marker(raw) == Checksum(None)


def test_the_notes_of_a_drop_go_with_it_and_those_of_others_do_not(raw: Path) -> None:
    """All that lies beside it under its whole name, and only that."""
    for name in ("a clip.mp4.done", "a clip.mp4.sha256", "a clip.mp4.reason.json", "b.mp4.done", "a clip.done"):
        (raw / DROP).with_name(name).touch()
    assert {path.name for path in companions(DROP, notes_among(found_in(raw)))} == {
        "a clip.mp4.done",
        "a clip.mp4.sha256",
        "a clip.mp4.reason.json",
    }

"""A node fetches each input once, for all its tasks and processes, and never works on a damaged one."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from render_worker.inputs import InputCache
from shared.records.record import RecordError
from shared.tree.link import Link
from shared.tree.sftp import SftpTree
from shared.tree.tree import Damaged, NotThere
from tests.farside import QUICK, Cable, Sshd, cable_to, running_sshd

P = PurePosixPath
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd("Subsystem sftp internal-sftp") as sshd:
        yield sshd


@dataclass(frozen=True)
class Farm:
    """A far root, the cable to it, and a library in it."""

    sshd: Sshd
    cable: Cable
    root: Path
    tree: SftpTree

    def clip(self, name: str, content: bytes) -> tuple[P, str, int]:
        """A clip of the library: where it is, its SHA-256 and its size."""
        (self.root / name).write_bytes(content)
        os.chown(self.root / name, self.sshd.owner, -1)
        return P(name), hashlib.sha256(content).hexdigest(), len(content)


@pytest.fixture
def farm(sshd: Sshd) -> Iterator[Farm]:
    root = sshd.folder("root")
    with cable_to(sshd.port) as cable:
        link = Link(sshd.remote(root, cable.port), QUICK)
        yield Farm(sshd, cable, root, SftpTree(link))
        link.close()
    shutil.rmtree(root)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "inputs"


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_second_task_fetches_nothing(farm: Farm, folder: Path) -> None:
    """Not one byte goes over the cable; nor does one where a task has an input twice."""
    clips = [farm.clip(f"{number}.mp4", os.urandom(MEGABYTE)) for number in range(3)]
    cache = InputCache(folder, 10 * MEGABYTE)
    with cache.inputs() as inputs:
        paths = [inputs.fetch(farm.tree, *clip) for clip in (*clips, clips[0])]
    assert paths[0] == paths[3]
    before = farm.cable.carried
    assert before > 3 * MEGABYTE
    with InputCache(folder, 10 * MEGABYTE).inputs() as inputs:
        again = [inputs.fetch(farm.tree, *clip) for clip in clips]
    assert farm.cable.carried == before
    assert again == paths[:3]
    for (name, sha256, _), path in zip(clips, again, strict=True):
        assert path.read_bytes() == (farm.root / name).read_bytes()
        assert path.name == sha256
        assert path.stat().st_mode & 0o222 == 0


def test_two_names_of_one_content_are_one_input(farm: Farm, folder: Path) -> None:
    """What counts is the content."""
    content = os.urandom(MEGABYTE)
    with InputCache(folder, 10 * MEGABYTE).inputs() as inputs:
        first = inputs.fetch(farm.tree, *farm.clip("one.mp4", content))
        before = farm.cable.carried
        assert inputs.fetch(farm.tree, *farm.clip("two.mp4", content)) == first
    assert farm.cable.carried == before


def test_what_was_not_used_for_longest_goes_first(farm: Farm, folder: Path) -> None:
    """Using an input again keeps it."""
    clips = [farm.clip(f"{number}.mp4", os.urandom(MEGABYTE)) for number in range(4)]
    cache = InputCache(folder, 3 * MEGABYTE)
    for number in (0, 1, 2, 0, 3):
        with cache.inputs() as inputs:
            inputs.fetch(farm.tree, *clips[number])
        time.sleep(0.01)
    assert names_in(folder) == {clips[number][1] for number in (0, 2, 3)}


def test_a_budget_smaller_than_one_task_is_exceeded_while_it_runs(farm: Farm, folder: Path) -> None:
    """All its inputs are there at once; after it, the budget holds."""
    clips = [farm.clip(f"{number}.mp4", os.urandom(MEGABYTE)) for number in range(3)]
    with InputCache(folder, MEGABYTE + MEGABYTE // 2).inputs() as inputs:
        paths = [inputs.fetch(farm.tree, *clip) for clip in clips]
        assert all(path.stat().st_size == MEGABYTE for path in paths)
    assert len(names_in(folder)) == 1


def test_a_budget_of_nothing_keeps_nothing(farm: Farm, folder: Path, tmp_path: Path) -> None:
    """What was linked into a task folder stays whole there."""
    clip = farm.clip("one.mp4", os.urandom(MEGABYTE))
    with InputCache(folder, 0).inputs() as inputs:
        (tmp_path / "video_part1.mp4").hardlink_to(inputs.fetch(farm.tree, *clip))
    assert names_in(folder) == set()
    assert (tmp_path / "video_part1.mp4").read_bytes() == (farm.root / "one.mp4").read_bytes()


@pytest.mark.parametrize("damage", ["a byte", "the end", "all of it"])
def test_a_damaged_input_is_fetched_again(farm: Farm, folder: Path, damage: str) -> None:
    """A disk that forgets must not end up in a video."""
    content = os.urandom(MEGABYTE)
    clip = farm.clip("one.mp4", content)
    cache = InputCache(folder, 10 * MEGABYTE)
    with cache.inputs() as inputs:
        path = inputs.fetch(farm.tree, *clip)
    spoilt = {"a byte": content[:-1] + bytes([content[-1] ^ 1]), "the end": content[:-9], "all of it": b""}[damage]
    path.chmod(0o644)
    path.write_bytes(spoilt)
    with cache.inputs() as inputs:
        assert inputs.fetch(farm.tree, *clip).read_bytes() == content


def test_one_on_its_way_is_gone_on_with(farm: Farm, folder: Path) -> None:
    """By the next task that wants it, after a node that was killed in the middle."""
    clip = farm.clip("one.mp4", os.urandom(4 * MEGABYTE))
    cache = InputCache(folder, 10 * MEGABYTE)

    def stop(done: int, _: int) -> None:
        if done > 3 * MEGABYTE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), cache.inputs() as inputs:
        inputs.fetch(farm.tree, *clip, stop)
    before = farm.cable.carried
    with cache.inputs() as inputs:
        assert inputs.fetch(farm.tree, *clip).read_bytes() == (farm.root / "one.mp4").read_bytes()
    assert farm.cable.carried - before < 2 * MEGABYTE
    assert names_in(folder) == {clip[1]}


def test_what_was_given_up_on_its_way_goes_as_well(farm: Farm, folder: Path) -> None:
    """It takes room, and nobody wants it."""
    folder.mkdir()
    left = folder / f".{'a' * 64}.aaaaaaaa.tmp"
    left.write_bytes(bytes(MEGABYTE))
    os.utime(left, (1, 1))
    with InputCache(folder, MEGABYTE).inputs() as inputs:
        inputs.fetch(farm.tree, *farm.clip("one.mp4", os.urandom(MEGABYTE)))
    assert not left.exists()


WORKER = """
import sys
from pathlib import Path, PurePosixPath
from render_worker.inputs import InputCache
from shared.tree.link import Link
from shared.tree.remote import Remote
from shared.tree.sftp import SftpTree
address, hosts, key, folder, budget, path, sha256, size = sys.argv[1:]
link = Link(Remote.at(address, known_hosts=Path(hosts), key=Path(key)))
print("ready", flush=True)
sys.stdin.readline()
with InputCache(Path(folder), int(budget)).inputs() as inputs:
    print(inputs.fetch(SftpTree(link), PurePosixPath(path), sha256, int(size)).stat().st_size, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def worker(farm: Farm, folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts another process of the node, which fetches one input and holds it."""
    started: list[subprocess.Popen[str]] = []

    def start(clip: tuple[P, str, int], budget: int) -> subprocess.Popen[str]:
        remote = farm.sshd.remote(farm.root, farm.cable.port)
        values = (remote, remote.known_hosts, remote.key, folder, budget, *clip)
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *map(str, values)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert line_of(process) == "ready"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_fetch_one_input_once(
    farm: Farm, folder: Path, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    """The second waits for what the first brings."""
    clip = farm.clip("one.mp4", os.urandom(8 * MEGABYTE))
    workers = [worker(clip, 100 * MEGABYTE) for _ in range(2)]
    before = farm.cable.carried
    for process in workers:
        tell(process)
    assert [line_of(process) for process in workers] == [str(clip[2])] * 2
    assert farm.cable.carried - before < 9 * MEGABYTE
    assert names_in(folder) == {clip[1]}


def test_what_another_process_uses_is_not_dropped(
    farm: Farm, folder: Path, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    """Until it ends, however it does."""
    held = farm.clip("held.mp4", os.urandom(MEGABYTE))
    other = farm.clip("other.mp4", os.urandom(MEGABYTE))
    process = worker(held, MEGABYTE)
    tell(process)
    assert line_of(process) == str(MEGABYTE)
    cache = InputCache(folder, MEGABYTE)
    with cache.inputs() as inputs:
        inputs.fetch(farm.tree, *other)
        assert names_in(folder) == {held[1], other[1]}
    assert names_in(folder) == {held[1]}
    process.kill()
    process.wait()
    with cache.inputs() as inputs:
        inputs.fetch(farm.tree, *other)
    assert names_in(folder) == {other[1]}


def test_what_is_not_there_or_not_as_it_should_be_is_told(farm: Farm, folder: Path) -> None:
    """And leaves nothing in the cache; a hash that is none leads nowhere (I8)."""
    path, sha256, size = farm.clip("one.mp4", b"content")
    with InputCache(folder, MEGABYTE).inputs() as inputs:
        with pytest.raises(NotThere):
            inputs.fetch(farm.tree, P("gone.mp4"), sha256, size)
        with pytest.raises(Damaged):
            inputs.fetch(farm.tree, path, "0" * 64, size)
        for wrong in ("../../etc/passwd", "", sha256.upper()):
            with pytest.raises(RecordError, match="64 hexadecimal digits"):
                inputs.fetch(farm.tree, path, wrong, size)
    assert names_in(folder) == set()

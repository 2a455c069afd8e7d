"""Drops as real programs write them, before a real main worker: none is taken early, none is refused for its pause.

Where a test sleeps, it does so to give the worker time for a mistake; nothing is measured.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from shared.records.sidecar import Sidecar

if TYPE_CHECKING:
    from tests.main_worker.conftest import Farm, Main, Media

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")

QUIET = 0.5
STALL = 5 * QUIET
"""Longer than any quiet period, and than some rescans."""
NEVER = 3600.0
"""A quiet period that no test waits for: what is taken has been taken for better evidence."""
PATIENT: dict[str, Any] = {"quiet_seconds": QUIET, "unfinished_seconds": 600}
WHERE = "video/nature/a.mp4"


@pytest.fixture
def patient(make_farm: Callable[..., Farm]) -> Farm:
    """A root that waits long for copies that have stalled."""
    return make_farm({"ingest": PATIENT})


@pytest.fixture
def sure(make_farm: Callable[..., Farm]) -> Farm:
    """A root on which no drop is ever quiet for long enough."""
    return make_farm({"ingest": {**PATIENT, "quiet_seconds": NEVER, "blind_quiet_seconds": NEVER}})


@pytest.fixture
def clip(media: Media) -> Path:
    """A clip whose index is at its end, so that no beginning of it is good."""
    return media.clip("late-index.mp4", seconds=6)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder on another filesystem."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem here: /dev/shm is missing or the one of the temporary folder")
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        yield Path(folder)


def needs(tool: str) -> str:
    """The path of a program; skips the test where it is not installed."""
    found = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return found or pytest.skip(f"{tool} is not installed")


def place(farm: Farm, where: str = WHERE) -> Path:
    """Where a drop goes; its folder is made."""
    path = farm.layout.raw / where
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def halves(path: Path) -> tuple[bytes, bytes]:
    content = path.read_bytes()
    return content[: len(content) // 2], content[len(content) // 2 :]


def ready(farm: Farm) -> Main:
    """A main worker that has looked around, and hears of files by now."""
    main = farm.start()
    main.until_idle()
    return main


def check_taken(farm: Farm, main: Main, source: Path, where: str = WHERE) -> Sidecar:
    """The one drop is in the library, whole, and nothing was refused on the way; returns its record."""
    main.until(farm.library)
    main.until(lambda: not farm.files(farm.layout.raw))
    assert main.stop() == 0, main.log
    ((name, sidecar),) = farm.library().items()
    wanted = hashlib.sha256(source.read_bytes()).hexdigest()
    assert hashlib.sha256((farm.layout.scanned / name).read_bytes()).hexdigest() == wanted
    assert (sidecar.sha256, sidecar.origin.path) == (wanted, f"raw/{where}")
    assert farm.rejected() == {}
    assert farm.leftovers() == []
    return sidecar


def stall(main: Main, drop: Path) -> None:
    """A pause of the copy, after the worker has seen what there is of it."""
    main.until_doing("open for writing")
    time.sleep(STALL)
    assert drop.exists()


# -- copies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watch", ["auto", "events", "poll"])
def test_cp_from_a_source_that_stalls(make_farm: Callable[..., Farm], clip: Path, watch: str) -> None:
    """A slow disk or a slow server behind it; whichever way changes are noticed."""
    farm = make_farm({"ingest": {**PATIENT, "watch": watch}})
    main = ready(farm)
    first, second = halves(clip)
    drop = place(farm)
    with subprocess.Popen([needs("cp"), "/dev/stdin", drop], stdin=subprocess.PIPE) as copy:
        assert copy.stdin is not None
        copy.stdin.write(first)
        copy.stdin.flush()
        stall(main, drop)
        copy.stdin.write(second)
    assert copy.returncode == 0
    evidence = check_taken(farm, main, clip).origin.evidence
    assert evidence.startswith("unchanged for")
    assert evidence.endswith("and no program has it open for writing")


def test_a_program_that_closes_half_of_it_and_goes_on_later(patient: Farm, clip: Path) -> None:
    """As downloads do that are resumed: half of it is examined, but not refused, and status says what it waits for."""
    main = ready(patient)
    first, second = halves(clip)
    drop = place(patient)
    drop.write_bytes(first)
    main.until_doing("looks unfinished")
    time.sleep(STALL)
    assert drop.exists()
    with drop.open("ab") as stream:
        stream.write(second)
    check_taken(patient, main, clip)
    assert main.log.count("event=file_unfinished") == 1


def test_an_empty_file_that_is_filled_later(patient: Farm, clip: Path) -> None:
    """Some programs make the name first, close it, and write when they are ready."""
    main = ready(patient)
    drop = place(patient)
    drop.touch()
    main.until_doing("looks unfinished")
    with drop.open("ab") as stream:
        stream.write(clip.read_bytes())
    check_taken(patient, main, clip)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_in_the_middle_of_a_copy(patient: Farm, clip: Path, number: signal.Signals) -> None:
    """The next worker knows nothing of what was seen before; the same rule holds at its start."""
    before = ready(patient)
    first, second = halves(clip)
    drop = place(patient)
    with drop.open("wb") as stream:
        stream.write(first)
        stream.flush()
        before.until_doing("open for writing")
        before.stop(number)
        main = patient.start()
        stall(main, drop)
        stream.write(second)
    check_taken(patient, main, clip)


def test_a_copy_that_began_before_the_start_and_looks_old(patient: Farm, clip: Path) -> None:
    """A time stamp of last year is no sign that it is whole."""
    first, second = halves(clip)
    drop = place(patient)
    with drop.open("wb") as stream:
        stream.write(first)
        stream.flush()
        os.utime(drop, (1, 1))
        main = patient.start()
        stall(main, drop)
        stream.write(second)
    check_taken(patient, main, clip)


@pytest.mark.parametrize("closed", [True, False])
def test_a_copy_that_allocates_the_whole_size_first(patient: Farm, clip: Path, closed: bool) -> None:
    """As Explorer does: the size never changes, only what is in it; some programs even close it in between."""
    main = ready(patient)
    first, second = halves(clip)
    drop = place(patient)
    with drop.open("wb") as stream:
        stream.truncate(clip.stat().st_size)
        if not closed:
            stall(main, drop)
            write_slowly(stream, (first, second))
    if closed:
        main.until_doing("looks unfinished")
        with drop.open("r+b") as stream:
            write_slowly(stream, (first, second))
    check_taken(patient, main, clip)


def write_slowly(stream: IO[bytes], pieces: tuple[bytes, ...]) -> None:
    for piece in pieces:
        stream.write(piece)
        stream.flush()
        time.sleep(STALL)


# -- renames -----------------------------------------------------------------------------------------------


def test_mv_on_one_filesystem(sure: Farm, clip: Path, tmp_path: Path) -> None:
    """One rename brings the whole file: it is taken at once, and its record says why."""
    main = ready(sure)
    shutil.copyfile(clip, tmp_path / "a.mp4")
    subprocess.run([needs("mv"), tmp_path / "a.mp4", place(sure)], check=True)
    assert check_taken(sure, main, clip).origin.evidence == "renamed into place"


def test_mv_from_another_filesystem(patient: Farm, clip: Path, memory: Path) -> None:
    """That is a copy, and afterwards the old times are set."""
    main = ready(patient)
    shutil.copyfile(clip, memory / "a.mp4")
    os.utime(memory / "a.mp4", (1, 1))
    subprocess.run([needs("mv"), memory / "a.mp4", place(patient)], check=True)
    assert check_taken(patient, main, clip).origin.evidence.startswith("unchanged for")


def test_rsync(sure: Farm, clip: Path) -> None:
    """It writes under a temporary name and renames."""
    main = ready(sure)
    subprocess.run([needs("rsync"), "-t", clip, place(sure)], check=True)
    assert check_taken(sure, main, clip).origin.evidence == "renamed into place"


def test_rsync_in_place_and_slow(patient: Farm, media: Media) -> None:
    """It writes under the final name, for longer than a quiet period."""
    rsync = needs("rsync")
    clip = media.clip(
        "noise.mp4", "-crf", "1", source="nullsrc=size=160x120:rate=10,noise=alls=100:allf=t,trim=duration=6"
    )
    main = ready(patient)
    slow = f"--bwlimit={max(1, clip.stat().st_size // 1024 // 4)}"
    subprocess.run([rsync, "--inplace", slow, clip, place(patient)], check=True)
    check_taken(patient, main, clip)


# -- SFTP ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """An SSH server of our own for the present user; its port, and the key that opens it."""
    sshd, keygen = needs("sshd"), needs("ssh-keygen")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        "Subsystem sftp internal-sftp\n",
        "ascii",
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a packaged server keeps its privileges apart
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "config"], stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"no SSH server can be started here: {(folder / 'log').read_text('utf-8')}")
            time.sleep(0.05)
        yield port, folder / "user"
    finally:
        process.terminate()
        process.wait(30)


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def sftp(server: tuple[int, Path]) -> Iterator[Any]:
    """A client that is logged in."""
    paramiko: Any = pytest.importorskip("paramiko")
    port, key = server
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect("127.0.0.1", port, key_filename=str(key), allow_agent=False, look_for_keys=False)
        with client.open_sftp() as session:
            yield session


def test_an_sftp_upload_that_stalls(patient: Farm, clip: Path, server: tuple[int, Path]) -> None:
    """The server has the file open as long as the client does."""
    main = ready(patient)
    first, second = halves(clip)
    drop = place(patient)
    with sftp(server) as session, session.open(str(drop), "wb") as remote:
        remote.write(first)
        remote.flush()
        stall(main, drop)
        remote.write(second)
    check_taken(patient, main, clip)


def test_an_sftp_upload_that_is_cut_and_resumed(patient: Farm, clip: Path, server: tuple[int, Path]) -> None:
    """The connection broke and the server closed the file; the next session appends what is missing."""
    main = ready(patient)
    first, _ = halves(clip)
    drop = place(patient)
    with sftp(server) as session, session.open(str(drop), "wb") as remote:
        remote.write(first)
    main.until_doing("looks unfinished")
    port, key = server
    batch = f"reput {clip} {drop}\n"
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes"]
    command = [
        needs("sftp"),
        "-q",
        "-b",
        "-",
        "-P",
        f"{port}",
        "-i",
        str(key),
        *(f"-o{one}" for one in options),
        "127.0.0.1",
    ]
    subprocess.run(command, input=batch, text=True, check=True, timeout=60, stdout=subprocess.DEVNULL)
    check_taken(patient, main, clip)


@pytest.mark.parametrize("posix", [True, False])
def test_an_sftp_upload_that_is_renamed_when_it_is_done(
    sure: Farm, patient: Farm, clip: Path, server: tuple[int, Path], posix: bool
) -> None:
    """By a rename as the system has it; the protocol's older one gives the file a second name, which proves nothing."""
    farm = sure if posix else patient
    main = ready(farm)
    drop = place(farm)
    with sftp(server) as session:
        session.put(str(clip), f"{drop}.filepart")
        rename = session.posix_rename if posix else session.rename
        rename(f"{drop}.filepart", str(drop))
    evidence = check_taken(farm, main, clip).origin.evidence
    assert evidence.startswith("renamed into place" if posix else "unchanged for")


# -- files that speak of a drop --------------------------------------------------------------------------------


def checksum_of(path: Path, name: str) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"


@pytest.mark.parametrize("first", ["checksum", "file"])
def test_a_checksum_beside_it(sure: Farm, clip: Path, first: str) -> None:
    """In whichever order the two come; afterwards the checksum file is gone as well."""
    main = ready(sure)
    drop = place(sure)
    beside = drop.with_name("a.mp4.sha256")
    writes: list[Callable[[], object]] = [
        lambda: beside.write_text(checksum_of(clip, "a.mp4"), "ascii"),
        lambda: drop.write_bytes(clip.read_bytes()),
    ]
    for write in writes if first == "checksum" else reversed(writes):
        write()
        time.sleep(STALL)
    sidecar = check_taken(sure, main, clip)
    assert sidecar.origin.evidence == "it matches its .sha256"
    assert not beside.exists()


def test_a_checksum_that_is_there_before_a_copy_that_stalls(sure: Farm, clip: Path) -> None:
    """Half of the file has another hash; that is no reason to refuse it while the rest may come."""
    main = ready(sure)
    first, second = halves(clip)
    drop = place(sure)
    drop.with_name("a.mp4.sha256").write_text(checksum_of(clip, "a.mp4"), "ascii")
    drop.write_bytes(first)
    main.until_doing("looks unfinished")
    with drop.open("ab") as stream:
        stream.write(second)
    assert check_taken(sure, main, clip).origin.evidence == "it matches its .sha256"


def test_a_wrong_checksum(make_farm: Callable[..., Farm], clip: Path, media: Media) -> None:
    """The drop is held for a while, then refused, with both hashes for whoever wants to compare."""
    farm = make_farm({"ingest": {"quiet_seconds": QUIET, "unfinished_seconds": 10 * QUIET}})
    main = ready(farm)
    drop = place(farm)
    drop.with_name("a.mp4.sha256").write_text(checksum_of(media.variant(clip, 1), "a.mp4"), "ascii")
    drop.write_bytes(clip.read_bytes())
    main.until_doing("looks unfinished")
    main.until_logged("event=file_rejected")
    main.until_idle()
    assert main.stop() == 0
    ((_, reason),) = farm.rejected().values()
    assert reason.code == "checksum_mismatch"
    assert reason.measured == {
        "sha256": hashlib.sha256(clip.read_bytes()).hexdigest(),
        "wanted": hashlib.sha256(media.variant(clip, 1).read_bytes()).hexdigest(),
    }
    assert farm.files(farm.layout.raw) == []


def test_a_done_beside_it(sure: Farm, clip: Path) -> None:
    """Taken at its word, and gone afterwards; so is a reason that came back from the trash with the drop."""
    main = ready(sure)
    drop = place(sure)
    drop.with_name("a.mp4.reason.json").write_text("{}", "ascii")
    drop.write_bytes(clip.read_bytes())
    time.sleep(STALL)
    assert drop.exists()
    drop.with_name("a.mp4.done").touch()
    assert check_taken(sure, main, clip).origin.evidence == "its .done is there"


# -- changes at the wrong moment ---------------------------------------------------------------------------------


def is_decoding(farm: Farm) -> bool:
    """Whether ffmpeg is at work on a drop."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(farm.layout.raw) in command and b"-f\0null" in command:
            return True
    return False


@pytest.mark.parametrize("by_rename", [True, False])
def test_a_drop_that_becomes_another_while_it_is_examined(
    patient: Farm, clip: Path, media: Media, by_rename: bool
) -> None:
    """Written anew in place, or replaced: what was found of the old bytes is forgotten, the new ones are examined."""
    main = ready(patient)
    drop = patient.drop(media.slow_clip(seconds=60), WHERE)
    main.until(lambda: is_decoding(patient))
    if by_rename:
        patient.drop(clip, WHERE)
    else:
        drop.write_bytes(clip.read_bytes())
    check_taken(patient, main, clip)
    assert "event=file_changed" in main.log


@pytest.fixture
def queued(make_farm: Callable[..., Farm], media: Media) -> Iterator[tuple[Farm, Main, Path]]:
    """A worker with one hand that is at work on a slow drop, and a drop that waits for its turn."""
    farm = make_farm({"ingest": {**PATIENT, "workers": 1}})
    main = ready(farm)
    slow = farm.drop(media.slow_clip(seconds=400), "video/nature/0-slow.mp4")
    main.until(lambda: is_decoding(farm))
    drop = place(farm)
    drop.write_bytes(media.clip("waits.mp4", seconds=2).read_bytes())
    main.until_doing("queued")
    yield farm, main, drop
    assert not slow.exists()


def test_a_queued_drop_that_is_deleted(queued: tuple[Farm, Main, Path]) -> None:
    """Nobody looks for it any more, and it is no trouble."""
    farm, main, drop = queued
    drop.unlink()
    main.until(lambda: (record := main.record()) and record.pending_count == 1)
    (farm.layout.raw / "video/nature/0-slow.mp4").unlink()
    main.until_idle()
    assert main.stop() == 0
    assert (farm.library(), farm.rejected()) == ({}, {})
    assert "event=ingest_trouble" not in main.log


def test_a_queued_drop_that_grows_waits_again(queued: tuple[Farm, Main, Path], clip: Path) -> None:
    """It is taken when its turn has come and it is complete again, as what it is then."""
    farm, main, drop = queued
    with drop.open("wb") as stream:
        stream.write(halves(clip)[0])
        stream.flush()
        main.until_doing("open for writing")
        (farm.layout.raw / "video/nature/0-slow.mp4").unlink()
        time.sleep(STALL)
        assert drop.exists()
        stream.write(halves(clip)[1])
    check_taken(farm, main, clip)

"""``reelmill doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import errno
import grp
import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

from console.box import set_by_ntp, tools
from console.checkup import Checkup
from console.cli import main
from console.doctor import checked, lines
from console.far import FarCheckup, remedy_of
from console.finding import Finding, Remedy
from render_worker.trials import ADVICE
from shared.config import Config
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.ffmpeg import find_ffmpeg
from shared.records.encoders import EncodersRecord, Trial
from shared.records.lease import LeaseRecord
from shared.settings import Tables
from shared.tree.hosts import Refusal
from shared.tree.remote import Remote
from shared.version import RULES
from tests.console.test_commands import reelmill
from tests.farside import Sshd, free_port, make_key, running_sshd
from tests.strange_server import Ways, strange_server


def test_the_doctor_shows_each_encoder() -> None:
    """What works, how fast, what `auto` takes, and what to do about the others."""
    shown = [
        Trial(encoder="h264_qsv", family="qsv", works=False, words="No session.", advice="Install it."),
        Trial(encoder="h264_vaapi", family="vaapi", works=True, fps=211.4, decoder="vaapi", decoder_fps=300.0),
        Trial(encoder="libx264", family="software", works=True, fps=30.2),
    ]
    record = EncodersRecord(
        host="box", boot="b", user=0, ffmpeg="/ffmpeg: 9", codec="h264", trials=tuple(shown), tried_at="t"
    )
    said = "\n".join(lines(record))
    assert "  no     h264_qsv           No session" in said
    assert "Install it." in said
    assert "works  h264_vaapi         211 frames a second, 300 with clips decoded by vaapi   <- what auto takes" in said
    assert "works  libx264            30 frames a second\n" in said + "\n"


def test_the_doctor_tries_all_on_this_machine(layout: Layout) -> None:
    """With the real command; problems of the configuration are told as ever."""
    status, said, _ = reelmill("doctor", "--root", str(layout.root), "--json")
    found = json.loads(said)
    works = {trial["encoder"]: trial["works"] for trial in found["encoders"][0]["trials"]}
    assert status == 0
    assert works["libx264"]
    assert all(check["works"] for check in found["checks"] if check["matters"])
    assert {"h264_nvenc", "h264_qsv", "h264_vaapi", "h264_amf", "h264_videotoolbox"} <= set(works)
    layout.config.write_text("[render]\nencoder = 'fast'\n", "utf-8")
    status, _, said = reelmill("doctor", "--root", str(layout.root))
    assert status == 2
    assert "render.encoder" in said


def test_what_is_wrong_is_told_where_no_encoder_can_be_tried(layout: Layout) -> None:
    """An ffmpeg that is not there is one thing of several."""
    layout.config.write_text("[ffmpeg]\npath = '/nowhere/ffmpeg'\n", "utf-8")
    status, said, _ = reelmill("doctor", "--root", str(layout.root))
    assert status == 1
    assert "  WRONG  ffmpeg " in said
    assert 'ffmpeg.path = ""' in said
    assert "  fine   locks " in said


def checkup(layout: Layout, **settings: object) -> dict[str, Finding]:
    """What is found, by name."""
    config = Config.model_validate(settings)
    return {finding.name: finding for finding in Checkup(layout, config).findings()}


def test_a_sound_machine_is_found_sound(layout: Layout) -> None:
    """Each thing is tried for real, and nothing of that is left."""
    before = sorted(str(path) for path in layout.root.rglob("*"))
    found = checkup(layout)
    assert [name for name, finding in found.items() if not finding.works] == []
    assert {"one filesystem", "rights", "exclusive creation", "moving folders", "first output wins"} < set(found)
    assert sorted(str(path) for path in layout.root.rglob("*")) == before


def test_what_is_wrong_is_told_with_what_to_do(layout: Layout, elsewhere: Path) -> None:
    """A disk that is full, a lease that is too short, a folder on another filesystem, an ffmpeg that is not there."""
    LeaseRecord(lease_seconds=3).write(layout.lease)
    found = checkup(layout, worker={"min_free_bytes": 10**18}, ffmpeg={"path": "/nowhere/ffmpeg"})
    wrong = {name: finding.remedy for name, finding in found.items() if not finding.works}
    assert set(wrong) == {"room", "lease", "ffmpeg"}
    assert wrong["lease"].endswith("worker.heartbeat_seconds = 1")
    assert wrong["ffmpeg"].endswith('ffmpeg.path = ""')
    assert wrong["room"].endswith(f"rm -rf {layout.segments}/*")
    layout.state(TaskState.FINISHED).rename(layout.root / "output-before")
    layout.state(TaskState.FINISHED).symlink_to(elsewhere)
    apart = checkup(layout)["one filesystem"]
    assert "output and .farm lie on different filesystems" in apart.words
    assert apart.remedy.endswith(f"rm {layout.output} && mv {elsewhere} {layout.output}")
    said = "\n".join(checked(found.values()))
    assert "  WRONG  lease " in said
    assert "worker.heartbeat_seconds = 1" in said


def test_a_folder_that_may_not_be_written_is_named(layout: Layout) -> None:
    """By the user that asks."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    layout.nodes.chmod(0o555)
    try:
        assert ".farm/nodes" in checkup(layout)["rights"].words
    finally:
        layout.nodes.chmod(0o755)


def test_a_root_of_newer_rules_is_told(layout: Layout) -> None:
    """This program would take nothing there."""
    LeaseRecord(rules=RULES + 1, lease_seconds=90).write(layout.lease)
    assert checkup(layout)["lease"].remedy == Remedy.UPDATE.filled()


def test_a_lease_that_cannot_be_read_is_told(layout: Layout) -> None:
    """With the file to delete."""
    layout.lease.write_bytes(b"{")
    found = checkup(layout)["lease"]
    assert "is not JSON" in found.words
    assert found.remedy.endswith(f"rm {layout.lease}")


# -- what every remedy is ------------------------------------------------------------------------

PROGRAMS = {"sudo", "rm", "git", "echo", "docker", "ssh", "ssh-add", "ssh-keygen", "ssh-keyscan", "{python}"}
KEYS = {
    f"{table}.{key}"
    for table, field in Tables.model_fields.items()
    for key in getattr(field.annotation, "model_fields", {})
}


def mends(told: str) -> bool:
    """Whether something is a command that can be typed, or a line for config.toml."""
    key, equals, _ = told.partition(" = ")
    if equals:
        return key in KEYS
    words = shlex.split(told)
    return words[1] in main.commands if words[0] == "reelmill" else words[0] in PROGRAMS


@pytest.mark.parametrize("remedy", list(Remedy), ids=lambda remedy: remedy.name)
def test_every_remedy_is_a_command_or_a_key(remedy: Remedy) -> None:
    """Behind its last colon; and every key that it speaks of exists."""
    told = re.split(r": (?=\S)", remedy.value)[-1]
    assert mends(told), told
    spoken = re.findall(rf"\b((?:{'|'.join(Tables.model_fields)})\.[a-z_]+)", remedy.value)
    assert set(spoken) - {"config.toml"} <= KEYS


@pytest.mark.parametrize("what", [what for _, what in ADVICE])
def test_every_advice_about_an_encoder_has_a_command_or_a_key(what: str) -> None:
    """In brackets, or as a line for config.toml at its end."""
    told = [*re.findall(r"\(([^)]+)\)", what), what.rpartition(": ")[2].removesuffix(".")]
    assert any(mends(one) for one in told), what


@pytest.mark.parametrize("key", [None, Path("/home/node/a key")])
@pytest.mark.parametrize("why", list(Refusal), ids=lambda why: why.name)
def test_every_refusal_of_a_server_has_its_remedy(why: Refusal, key: Path | None) -> None:
    """Whatever stands between a node and its root; paths are spelled as the shell takes them."""
    remote = Remote("farm.example", "node", PurePosixPath("/root"), Path("/home/node/known_hosts"), key=key)
    told = remedy_of(why, remote)
    assert mends(re.split(r": (?=\S)", told)[-1])
    assert "/a key" not in told.replace("'/home/node/a key'", "")


# -- tools ---------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a program before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return put


def test_an_ffmpeg_without_libass_or_libzimg_is_told(program: Callable[[str, str], Path]) -> None:
    """As some distributions build it: it starts, and videos would fail in the middle."""
    listing = f"{find_ffmpeg('').path} \"$@\" | grep -v -e ' subtitles ' -e ' zscale ' -e ' libmp3lame '"
    ffmpeg = program("ffmpeg", listing)
    config = Config.model_validate({"ffmpeg": {"path": str(ffmpeg)}})
    found = {finding.name: finding for finding in tools(config)}
    assert found["ffmpeg"].works
    assert found["parts of ffmpeg"].words == (
        "it was built without filter subtitles, filter zscale, encoder libmp3lame"
    )
    assert found["parts of ffmpeg"].remedy == Remedy.FFMPEG.filled()


def test_mediainfo_that_cannot_be_loaded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked in a child, as it is asked about every drop."""
    (tmp_path / "pymediainfo.py").write_text("class MediaInfo:\n    can_parse = staticmethod(lambda: False)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = {finding.name: finding for finding in tools(Config())}
    assert "library cannot be loaded" in found["MediaInfo"].words
    assert "pip install" in found["MediaInfo"].remedy


@pytest.mark.parametrize(
    ("script", "works"), [("echo yes", [True]), ("echo no", [False]), ("exit 1", []), ("echo perhaps", [])]
)
def test_whether_the_clock_is_set_is_told_where_that_is_known(
    program: Callable[[str, str], Path], script: str, works: list[bool]
) -> None:
    """And nothing is said elsewhere, such as in a container."""
    program("timedatectl", script)
    found = list(set_by_ntp())
    assert [finding.works for finding in found] == works
    assert not any(finding.matters for finding in found if not finding.works)


def test_nothing_is_said_of_the_clock_without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no timedatectl to ask."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(set_by_ntp()) == []


# -- filesystems that are not as they must be ----------------------------------------------------
#
# None of these can be mounted here; each double stands for what such a filesystem makes of one call.


def copied(source: Path, target: Path) -> Path:
    """A rename that leaves what it moved."""
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return target


def replacing(source: Path, target: Path) -> Path:
    """A rename that replaces whatever has the name."""
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(source, target)  # noqa: PTH105 - Path's own is what this stands for
    return target


def refusing(*_: object, **__: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("call", "double", "trial", "words"),
    [
        ("console.checkup.create_exclusive", Path.write_bytes, "exclusive creation", "a file was created twice"),
        ("pathlib.Path.rename", copied, "moving folders", "stands under both names"),
        ("pathlib.Path.rename", replacing, "first output wins", "was replaced by a rename"),
        ("pathlib.Path.rename", refusing, "first output wins", "ended with No locks available"),
        ("console.checkup.rename_new", replacing, "never replacing", "was replaced by a rename that must not"),
        ("console.checkup.lock_descriptor", lambda *_, **__: True, "locks", "a lock was given twice"),
        ("console.checkup.lock_descriptor", lambda *_, **__: False, "locks", "that nobody holds cannot be had"),
        ("console.checkup.lock_descriptor", refusing, "locks", "it cannot be tried: No locks available"),
    ],
)
def test_a_filesystem_that_breaks_the_protocol_is_told(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, call: str, double: object, trial: str, words: str
) -> None:
    """With what it does, and which others there are; nothing is left of the trial."""
    monkeypatch.setattr(call, double)
    found = checkup(layout)
    monkeypatch.undo()
    assert not found[trial].works
    assert found[trial].matters
    assert words in found[trial].words
    assert f"sudo mount -t nfs4 -o hard SERVER:/FOLDER {layout.root}" in found[trial].remedy
    assert list(layout.farm.glob("probe-*")) == []


def test_a_disk_that_is_full_is_no_fault_of_its_filesystem(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is what mends it."""
    monkeypatch.setattr("console.checkup.create_exclusive", full)
    assert "rm -rf" in checkup(layout)["exclusive creation"].remedy


def test_a_clock_that_differs_is_told(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """By how much; the farm goes on all the same."""

    def late(path: Path, **_: object) -> None:
        path.write_bytes(b"")
        os.utime(path, (time.time() - 3600,) * 2)

    monkeypatch.setattr("pathlib.Path.touch", late)
    found = checkup(layout)["clock"]
    assert re.fullmatch(r"the root's filesystem is -36\d\d\.\d s from this machine", found.words)
    assert not found.works
    assert not found.matters
    assert "timedatectl set-ntp true" in found.remedy


class Deaf:
    """An observer of a mount whose server tells nobody what others do."""

    def schedule(self, *_: object) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def join(self) -> None: ...
    def is_alive(self) -> bool:
        return True


class Exhausted(Deaf):
    """One for which the system has no watches left."""

    def start(self) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    def is_alive(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("observer", "words", "remedy"),
    [
        (Deaf, "none arrives, as on most network mounts", "ingest.rescan_seconds = 1"),
        (Exhausted, "they cannot be had", "sudo sysctl fs.inotify.max_user_watches="),
    ],
)
def test_events_that_do_not_arrive_are_a_note(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, observer: type[Deaf], words: str, remedy: str
) -> None:
    """Since every drop is found without them."""
    monkeypatch.setattr("console.checkup.Observer", observer)
    monkeypatch.setattr("console.checkup._EVENT_SECONDS", 0.05)
    found = checkup(layout)["file events in raw/"]
    assert words in found.words
    assert remedy in found.remedy
    assert not found.works
    assert not found.matters
    assert [path.name for path in layout.raw.iterdir() if path.name.startswith(".")] == []


def test_what_needs_no_folder_is_tried_where_none_can_be_made(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events, room and the lease; what is wrong with .farm/ is told with the way to its rights."""
    before = Path.mkdir

    def closed(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if path.parent == layout.farm:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        before(path, mode, parents, exist_ok)

    monkeypatch.setattr("pathlib.Path.mkdir", closed)
    found = checkup(layout)
    assert "Permission denied" in found["writing"].words
    assert found["writing"].remedy.endswith(f" {layout.farm}")
    assert "sudo chown" in found["writing"].remedy
    assert {"file events in raw/", "room", "lease"} <= {name for name, finding in found.items() if finding.works}
    group = grp.getgrgid(os.getegid()).gr_name
    shared = checkup(layout, files={"group": group})["writing"].remedy
    assert f"sudo chgrp {group} {layout.farm} && sudo chmod g+rwxs {layout.farm}" in shared


def test_a_root_that_is_mounted_read_only_is_told(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights would not help."""

    def closed(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.mkdir", closed)
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY, f_frsize=1, f_bavail=2**40))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**40))
    monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path == layout.root)
    monkeypatch.setattr("console.checkup.tools", lambda _: iter(()))
    assert checkup(layout)["writing"].remedy.endswith(f"sudo mount -o remount,rw {layout.root}")


def test_a_mount_in_the_middle_of_a_root_is_told(
    layout: Layout, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link stands for it here, which takes no rights to make."""
    layout.output.rename(layout.root / "output-before")
    layout.output.symlink_to(elsewhere)
    monkeypatch.setattr("pathlib.Path.is_symlink", lambda _: False)
    monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path == layout.output)
    assert checkup(layout)["one filesystem"].remedy.endswith(f"sudo umount {layout.output}")


# -- a root behind SFTP --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd("Subsystem sftp internal-sftp") as sshd:
        yield sshd


@pytest.fixture
def farm(sshd: Sshd) -> Iterator[Path]:
    """A root at that server."""
    root = sshd.folder("doctor")
    yield root
    shutil.rmtree(root)


def far(home: Path, remote: Remote, **settings: object) -> dict[str, Finding]:
    """What is found of a server, by name."""
    found = FarCheckup(Layout(home), Config.model_validate(settings), remote).findings()
    return {finding.name: finding for finding in found}


def test_the_doctor_tries_a_real_server(sshd: Sshd, farm: Path, tmp_path: Path) -> None:
    """With the real command; the farm's own configuration says what is encoded, and nothing is left there."""
    (farm / "config.toml").write_text("[worker]\nmin_free_bytes = 5\n", "utf-8")
    known = {"REELMILL_REMOTE__KEY": str(sshd.home / "client"), "REELMILL_REMOTE__KNOWN_HOSTS": str(sshd.known_hosts)}
    address = str(sshd.remote(farm))
    status, said, error = reelmill("doctor", "--remote", address, "--home", str(tmp_path / "home"), "--json", env=known)
    found = json.loads(said)
    assert status == 0, error
    assert found["root"] == address
    checks = {check["name"]: check for check in found["checks"]}
    assert [check for check in checks.values() if not check["works"]] == []
    assert {"server", "exclusive creation", "one of two wins", "fresh listings", "lease", "MediaInfo"} <= set(checks)
    assert "0.0 GB are the least" in checks["room"]["words"]
    assert found["encoders"]
    assert list((farm / ".farm").iterdir()) == []


def test_each_harm_that_a_server_does_is_told(tmp_path: Path) -> None:
    """One that overwrites, with what to do about it; what it does well is told as well."""
    root = tmp_path / "root"
    (root / ".farm").mkdir(parents=True)
    with strange_server(tmp_path, Ways(overwrites=True, makes_again=True)) as server:
        found = far(tmp_path, server.remote(root))
    wrong = {name: finding for name, finding in found.items() if not finding.works and finding.matters}
    assert wrong["never replacing"].words == "a plain rename replaces a file that is there"
    assert wrong["new folders"].words == "it makes a folder that is there already"
    assert all("sudo apt-get install openssh-server" in finding.remedy for finding in wrong.values())
    assert found["exclusive creation"].works
    assert list((root / ".farm").iterdir()) == []


def test_what_a_server_may_be_without_is_a_note(tmp_path: Path) -> None:
    """It is told, and the box may take part."""
    root = tmp_path / "root"
    (root / ".farm").mkdir(parents=True)
    with strange_server(tmp_path, Ways()) as server:
        found = far(tmp_path, server.remote(root))
    assert not found["durable files"].works
    assert not found["durable files"].matters
    assert not [finding for finding in found.values() if finding.matters and not finding.works]


def test_why_a_server_cannot_be_used_is_told(sshd: Sshd, farm: Path, tmp_path: Path) -> None:
    """A stranger, another key, a key that is not let in, one that is not there, silence, a folder that is no root."""
    right, port = sshd.remote(farm), sshd.port
    (tmp_path / "nobody").touch()
    make_key(tmp_path / "other")
    make_key(tmp_path / "locked", "secret")
    other = (tmp_path / "other.pub").read_text()
    (tmp_path / "changed").write_text(f"[127.0.0.1]:{port} {other}")
    silent = free_port()
    for changes, name, remedy in (
        ({"known_hosts": tmp_path / "nobody"}, "server", f"ssh-keyscan -p {port} 127.0.0.1 >> {tmp_path}/nobody"),
        ({"known_hosts": tmp_path / "changed"}, "server", f"-R '[127.0.0.1]:{port}' && ssh-keyscan"),
        ({"key": tmp_path / "other"}, "server", f"ssh-keygen -y -f {tmp_path}/other"),
        ({"key": tmp_path / "locked"}, "server", f'set remote.key = "": ssh-add {tmp_path}/locked'),
        ({"key": tmp_path / "none"}, "server", f"-f {tmp_path}/none"),
        ({"port": silent}, "server", f"ssh -v -p {silent} {sshd.user}@127.0.0.1"),
        ({"folder": right.folder / "output"}, "project root", "reelmill init FOLDER"),
    ):
        found = far(tmp_path, Remote(**(vars(right) | changes)))
        assert not found[name].works
        assert remedy in found[name].remedy, found[name]
        assert found["MediaInfo"].works
    (farm / ".farm").chmod(0o555)
    assert f"sudo usermod -aG GROUP {sshd.user}" in far(tmp_path, right)["writing"].remedy

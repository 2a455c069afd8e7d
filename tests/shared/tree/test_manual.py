"""The sshd_config of docs/sftp.md, run as it stands: a node can do its work there, and nothing else."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath

import pytest
from paramiko import SSHClient, SSHException

from shared.tree.sftp import SftpTree
from shared.tree.tree import Moved, NotThere, TreeTrouble
from shared.tree.trial import try_out
from tests.farside import Sshd, external_server, linked, running_sshd

P = PurePosixPath
MANUAL = Path(__file__).resolve().parents[3] / "docs/sftp.md"
VIEW = (
    "mount -t tmpfs -o mode=755 none /srv",
    "mkdir -p /srv/reelmill /srv/jail/root /srv/empty",
    "mount --bind HOME/project /srv/reelmill",
    "mount -t tmpfs -o mode=755 none /etc/ssh",
    "mkdir /etc/ssh/authorized_keys",
    "cp HOME/client.pub /etc/ssh/authorized_keys/node",
)


def block(kind: str, having: str) -> str:
    """The block of the manual of a kind that has a word in it."""
    found = re.findall(rf"^```{kind}\n(.*?)^```$", MANUAL.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return next(str(text) for text in found if having in text)


def test_a_node_in_its_jail(tmp_path: Path) -> None:
    """It takes a task, renders, publishes and clears away; it cannot touch the library, see raw/, or get a shell."""
    if os.getuid() != 0:
        pytest.skip("a jail takes root")
    mounts = [line.partition("#")[0].strip() for line in block("sh", "mount --bind").splitlines()]
    view = (*VIEW, *(line for line in mounts if line.startswith("mount ")))

    def prepare(sshd: Sshd) -> Path:
        root = sshd.folder("project")
        for name in ("scanned", "assets", "raw", "trash"):
            (root / name).mkdir()
            (root / name).chmod(0o777)
        (root / "scanned/voice.mp3").write_bytes(b"voice")
        (root / "raw/secret.mp4").write_bytes(b"secret")
        (root / "tasks/one").mkdir()
        (root / "tasks/one/voice.mp3").symlink_to("../../scanned/voice.mp3")
        os.chown(root / "tasks/one", sshd.owner, -1)
        return root

    lines = f"{external_server()}\n{block('sshd_config', 'ChrootDirectory')}"  # as Debian's own sshd_config has it
    with running_sshd(lines, view, prepare) as sshd:
        root = sshd.home / "project"
        remote = sshd.remote(Path("/root"))
        with linked(remote) as link:
            found = try_out(link, "node-a")
            assert found.durable
            assert found.links
            tree = SftpTree(link)
            work(tree, tmp_path, root)
            assert tree.entries(P("raw")) == []
            with pytest.raises(TreeTrouble):
                tree.replace(P("scanned/voice.mp3"), b"other")
            with pytest.raises(TreeTrouble):
                tree.create(P("scanned/new.mp3"), b"new")
            with pytest.raises(TreeTrouble):
                tree.make_folder(P("assets/new"))
            with pytest.raises(OSError, match=r"Operation unsupported|Permission denied"):
                link.once(lambda session: session.symlink("/etc/passwd", "/root/.farm/link"), "planting a link")
            with pytest.raises(FileNotFoundError):
                link.once(lambda session: session.stat("/etc/passwd"), "looking outside")
        assert (root / "raw/secret.mp4").read_bytes() == b"secret"
        no_shell(sshd)


def work(tree: SftpTree, here: Path, root: Path) -> None:
    """A task, from waiting to published, as a node does it."""
    assert [entry.name for entry in tree.entries(P("tasks"))] == ["one"]
    assert tree.move(P("tasks/one"), P("processing/one")) is Moved.DONE
    tree.make_folder(P("processing/one/attempts"))
    tree.create(P("processing/one/attempts/1.json"), b"{}")
    sign = tree.hold(P(".farm/one.1.lock"), "node-a", "ab12")
    voice = hashlib.sha256(b"voice").hexdigest()
    tree.download(P("processing/one/voice.mp3"), here / "voice.mp3", sha256=voice, size=5)
    sign.beat()
    tree.make_folder(P("processing/one/attempt-1-ab12"))
    (here / "final.mp4").write_bytes(b"film")
    tree.upload(here / "final.mp4", P("processing/one/attempt-1-ab12/final.mp4"))
    assert tree.move(P("processing/one/attempt-1-ab12"), P("output/one")) is Moved.DONE
    assert tree.move(P("processing/one"), P(".farm/removed-one")) is Moved.DONE
    tree.remove_tree(P(".farm/removed-one"))
    sign.release()
    assert (root / "output/one/final.mp4").read_bytes() == b"film"
    assert (root / "output/one/final.mp4").stat().st_mode & 0o020, "the group may change it, as -u 002 says"
    assert (root / "scanned/voice.mp3").read_bytes() == b"voice"
    with pytest.raises(NotThere):
        sign.beat()


def no_shell(sshd: Sshd) -> None:
    """What is run instead of a command is the SFTP server; there is no terminal, and no way to other machines."""
    with SSHClient() as client:
        client.load_host_keys(str(sshd.known_hosts))
        client.connect("127.0.0.1", sshd.port, "node", key_filename=str(sshd.home / "client"), allow_agent=False)
        transport = client.get_transport()
        assert transport is not None
        channel = transport.open_session()
        with pytest.raises(SSHException):
            channel.get_pty()
        channel = transport.open_session()
        channel.exec_command("echo spoken")
        channel.shutdown_write()
        assert b"sftp connections only" in channel.recv(100)
        with pytest.raises(SSHException):
            transport.open_channel("direct-tcpip", ("127.0.0.1", sshd.port), ("127.0.0.1", 1))

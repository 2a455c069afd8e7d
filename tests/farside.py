"""The far side of a link, for tests: a real sshd on loopback, and a cable to it that can be cut or go dead."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from shared.tree.link import Link, Patience
from shared.tree.remote import Remote

SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
QUICK = Patience(connect=5.0, reply=1.5, link=6.0, keep_alive=1.0)
_READY_SECONDS = 10.0
_WHOLE_SYSTEM = 1 << 31  # users, as the first namespace of the system has them
_NODE_ID = 47_001  # a user and a group that no system has


def is_root() -> bool:
    """Whether this is root of the whole system, and not of a namespace of users, which no sshd lets others into."""
    users = Path("/proc/self/uid_map").read_text("ascii").split()
    return os.geteuid() == 0 and int(users[2]) >= _WHOLE_SYSTEM


def why_no_sshd() -> str | None:
    """Why a program that is no test can have no sshd here, or None where it can."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    missing = [tool for tool in ("sshd", "ssh-keygen") if not shutil.which(tool, path=path)]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: openssh-server)"
    if os.geteuid() == 0 and not is_root():
        return "root of a namespace of users may not let another user in"
    return None


def sshd_path() -> str:
    """Where sshd is; skips the test where it is not."""
    found = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None or shutil.which("ssh-keygen") is None:
        pytest.skip("needs OpenSSH's sshd and ssh-keygen (Debian: openssh-server)")
    return found


def make_key(path: Path, passphrase: str = "") -> None:
    """A key pair at `path` and `path`.pub."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True)


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class Sshd:
    """A real sshd with keys of its own, to which an ordinary user logs in.

    Root's has a view of its own of the system, in which there is a user `node` and the folder that sshd asks for;
    everybody else's lets in who runs the tests.
    """

    def __init__(self, home: Path, lines: str, view: tuple[str, ...] = (), address: str = "127.0.0.1") -> None:
        self.home = home
        self.address = address
        self._view = view
        self.port = free_port(address)
        self.lines = lines
        self._process: subprocess.Popen[bytes] | None = None
        account = pwd.getpwuid(os.getuid())
        self._as_root = account.pw_uid == 0
        self.user, self.owner = ("node", _NODE_ID) if self._as_root else (account.pw_name, account.pw_uid)
        for name in ("host", "client"):
            make_key(home / name)
        shutil.copy(home / "client.pub", home / "authorized_keys")
        self.known_hosts = home / "known_hosts"
        self.known_hosts.write_text(f"[{address}]:{self.port} {(home / 'host.pub').read_text('ascii')}")
        for name, line in (
            ("passwd", f"node:x:{_NODE_ID}:{_NODE_ID}::/:/bin/sh"),
            ("group", f"node:x:{_NODE_ID}:"),
            ("shadow", "node:*:20000:0:99999:7:::"),
        ):
            with suppress(PermissionError):  # shadow, for everybody but root, who alone needs it
                (home / name).write_text(f"{Path('/etc', name).read_text('utf-8')}{line}\n")

    @property
    def log(self) -> str:
        return (self.home / "log").read_text("utf-8", "replace")

    @property
    def processes(self) -> list[int]:
        """Its own number, and those of its sessions."""
        assert self._process is not None
        return [self._process.pid, *children_of(self._process.pid)]

    def start(self) -> None:
        """Run it, on the same port every time, until it answers."""
        config = self.home / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress {self.address}\nHostKey {self.home}/host\n"
            f"AuthorizedKeysFile {self.home}/authorized_keys\nPidFile none\nUsePAM no\nStrictModes no\nUseDNS no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\n"
            f"{self.lines}\n"
        )
        command = [sshd_path(), "-D", "-f", str(config), "-E", str(self.home / "log")]
        if self._as_root:
            view = ["mount -t tmpfs none /run", "mkdir -m 755 /run/sshd"]
            view += [f"mount --bind {self.home}/{name} /etc/{name}" for name in ("passwd", "group", "shadow")]
            view += [line.replace("HOME", str(self.home)) for line in self._view]
            command = ["unshare", "-m", "sh", "-c", f'{" && ".join(view)} && exec "$@"', "sh", *command]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + _READY_SECONDS
        while not _answers(self.address, self.port):
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, "sshd does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it, with every session it serves."""
        if self._process is None:
            return
        for pid in self.processes:  # the one that would make new sessions first
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def folder(self, name: str) -> Path:
        """A new project root that the server's user may write in."""
        root = self.home / name
        for path in (root, *(root / part for part in (".farm", "tasks", "processing", "output"))):
            path.mkdir()
            os.chown(path, self.owner, -1)
        return root

    def remote(self, folder: Path, port: int | None = None, **values: object) -> Remote:
        """How a node reaches a folder of it, perhaps through a cable on another port of the node's own machine."""
        if port and port != self.port:
            line = f"[127.0.0.1]:{port} {(self.home / 'host.pub').read_text('ascii')}"
            if line not in self.known_hosts.read_text("ascii"):
                with self.known_hosts.open("a") as hosts:
                    hosts.write(line)
        found = Remote(
            host="127.0.0.1" if port else self.address,
            user=self.user,
            folder=PurePosixPath(folder),
            known_hosts=self.known_hosts,
            port=port or self.port,
            key=self.home / "client",
        )
        return Remote(**(vars(found) | values))


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), 1) as probe:
        probe.settimeout(1)
        return probe.recv(4) == b"SSH-"
    return False


def children_of(pid: int) -> list[int]:
    """The processes below one, the nearest first."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if int((folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(folder.name))
    return found + [deeper for child in found for deeper in children_of(child)]


def programs_below(pid: int, name: str) -> list[int]:
    """The living processes below one whose program's name begins so, as the kernel tells."""
    found: list[int] = []
    for child in children_of(pid):
        with suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text("utf-8", "replace").startswith(name):
                found.append(child)
    return found


@contextmanager
def running_sshd(
    lines: str,
    view: tuple[str, ...] = (),
    prepare: Callable[[Sshd], object] = lambda _: None,
    address: str = "127.0.0.1",
) -> Iterator[Sshd]:
    """An sshd for as long as it is needed; skips where there is none.

    `view` are commands that change what root's sees of the system, and nobody else; HOME stands for its folder, which
    `prepare` may fill before.
    """
    sshd_path()
    with TemporaryDirectory(prefix="reelmill-sshd-") as name:
        home = Path(name)
        home.chmod(0o755)
        sshd = Sshd(home, lines, view, address)
        prepare(sshd)
        sshd.start()
        try:
            yield sshd
        finally:
            sshd.stop()


def external_server() -> str:
    """The line that has sshd start its sftp-server as a program; skips where that is not known."""
    found = next((path for path in SFTP_SERVERS if Path(path).exists()), None)
    if found is None:
        pytest.skip(f"needs OpenSSH's sftp-server at one of {', '.join(SFTP_SERVERS)}")
    return f"Subsystem sftp {found}"


class Cable:
    """A TCP cable to a port of this machine, which can be cut, or go dead without a word."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.carried = 0
        self.bytes_per_second: float | None = None
        self._ends: list[socket.socket] = []
        self._mutex = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._unplugged = False
        self._at: tuple[int, Callable[[], None]] | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End what is connected, at once; new connections are possible."""
        with self._mutex:
            ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def unplug(self) -> None:
        """End what is connected, and let nobody through."""
        self._unplugged = True
        self.cut()

    def plug_in(self) -> None:
        self._unplugged = False

    def freeze(self) -> None:
        """Forward nothing any more, and say nothing: a half-open connection."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let new connections through; what was frozen is lost."""
        self.cut()
        self._flows.set()

    def mend(self) -> None:
        """Make it whole again, whatever was done to it."""
        self.plug_in()
        self.thaw()

    def after(self, amount: int, happens: Callable[[], None]) -> None:
        """Have something happen when so many bytes more have been carried, in both directions together."""
        self._at = (self.carried + amount, happens)

    def close(self) -> None:
        self._listener.close()
        self.cut()
        self._flows.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._to), 5)
            except OSError:
                near.close()
                continue
            if self._unplugged:
                near.close()
                far.close()
                continue
            with self._mutex:
                self._ends += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(16384):
                self._flows.wait()
                self.carried += len(block)
                if self.bytes_per_second:
                    time.sleep(len(block) / self.bytes_per_second)
                if self._at and self.carried >= self._at[0]:
                    _, happens = self._at
                    self._at = None
                    happens()
                    self._flows.wait()
                target.sendall(block)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cable_to(port: int) -> Iterator[Cable]:
    cable = Cable(port)
    try:
        yield cable
    finally:
        cable.close()


@contextmanager
def linked(remote: Remote, patience: Patience = QUICK) -> Iterator[Link]:
    """A link, for as long as it is needed."""
    link = Link(remote, patience)
    try:
        yield link
    finally:
        link.close()

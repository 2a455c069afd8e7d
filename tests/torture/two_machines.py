"""The random war between two machines: two network namespaces, each with an sshfs mount of one tree.

What one machine sees of the other's work is as old as its caches: listings and attributes stay what they were for some
seconds. Recovery runs in every worker, and in a main process on the disk where the tree really lies.

    python -m tests.torture.two_machines                150 tasks

The last line is ``RESULT {…}``, as of the war.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from shared.process import open_root
from tests.torture.stage import enter_namespace

_LEASE = "9"  # seconds: above what sshfs keeps listings for would hide nothing, below it proves more
_PORT = 22022
_NEEDED = ("ip", "nsenter", "sshfs", "ssh-keygen", "/usr/sbin/sshd")
_CACHED_SECONDS = 4


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="two_machines", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=150)
    parser.add_argument("--most", type=float, default=1800.0)
    parser.add_argument("--latencies", action="store_true", help="only tell how long requests take, and end")
    parser.add_argument("--seed", default=str(time.time_ns()))
    options = parser.parse_args(arguments)
    os.environ["REELMILL_WAR_LEASE"] = _LEASE  # before the war is imported, which reads it
    from tests.torture.war import Machine, fight  # noqa: PLC0415

    missing = [tool for tool in _NEEDED if not shutil.which(tool)]
    reason = f"not installed: {', '.join(missing)}" if missing else enter_namespace()
    if not reason and (os.geteuid() != 0 or not Path("/dev/fuse").exists()):
        reason = "it takes root and /dev/fuse"
    if reason:
        print(f"SKIPPED: no second machine can be had here: {reason}")
        print('RESULT {"tasks": 0, "skipped": true}')
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # networks and mounts have to be taken down again
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="reelmill-two-", dir="/var/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        root, history = folder / "root", folder / "history"
        (root / "raw").mkdir(parents=True)
        history.mkdir()
        layout = open_root(root)
        key = stack.enter_context(_server(folder))
        machines = []
        for number in (1, 2):
            space = stack.enter_context(_network(number))
            before = ("nsenter", f"--net=/run/netns/{space}")
            mount = stack.enter_context(_mounted(folder, root, number, before, key))
            machines.append(Machine(mount, before))
        if options.latencies:
            return _measure(layout.root, machines[0].root)
        return fight(layout, history, [], options, machines)


def _measure(root: Path, mount: Path) -> int:
    """How long a small request takes over sshfs, alone and while others ask for things as well."""
    names = [f".farm/m{number}" for number in range(300)]

    def ask(tree: Path, name: str) -> None:
        (tree / name).mkdir()
        (tree / name).rename(tree / f"{name}-moved")
        (tree / f"{name}-moved").rmdir()

    def seconds(tree: Path) -> float:
        started = time.perf_counter()
        for name in names:
            ask(tree, name)
        return (time.perf_counter() - started) / (3 * len(names))

    here, alone = seconds(root), seconds(mount)
    with ThreadPoolExecutor(16) as pool:
        started = time.perf_counter()
        list(pool.map(lambda name: ask(mount, name), names))
        crowded = (time.perf_counter() - started) / (3 * len(names))
    told = {"local_ms": here, "alone_ms": alone, "served_ms": crowded}
    print(f"RESULT {json.dumps({name: round(1000 * value, 3) for name, value in told.items()})}")
    return 0


@contextmanager
def _server(folder: Path) -> Iterator[Path]:
    """An SSH server of its own; gives the key with which one may enter."""
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copyfile(folder / "key.pub", folder / "authorized")
    (folder / "authorized").chmod(0o600)
    Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "sshd_config").write_text(
        f"Port {_PORT}\nListenAddress 0.0.0.0\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'authorized'}\n"
        f"PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nSubsystem sftp internal-sftp\n"
        f"MaxStartups 100\nPidFile {folder / 'sshd.pid'}\n"
    )
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", folder / "sshd_config"])
    try:
        yield folder / "key"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _network(number: int) -> Iterator[str]:
    """A network namespace with a way to this one."""
    space, here, there = f"reelmill{number}", f"rm{number}a", f"rm{number}b"
    steps = (
        ["netns", "add", space],
        ["link", "add", here, "type", "veth", "peer", "name", there, "netns", space],
        ["addr", "add", f"10.203.{number}.1/24", "dev", here],
        ["link", "set", here, "up"],
        ["-n", space, "addr", "add", f"10.203.{number}.2/24", "dev", there],
        ["-n", space, "link", "set", there, "up"],
        ["-n", space, "link", "set", "lo", "up"],
    )
    try:
        for step in steps:
            subprocess.run(["ip", *step], check=True)
        yield space
    finally:
        subprocess.run(["ip", "netns", "delete", space], check=False)


@contextmanager
def _mounted(folder: Path, root: Path, number: int, before: Sequence[str], key: Path) -> Iterator[Path]:
    mount = folder / f"machine{number}"
    mount.mkdir()
    options = [
        *("port=22022", f"IdentityFile={key}", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"),
        *("LogLevel=ERROR", f"dcache_timeout={_CACHED_SECONDS}", "reconnect", "ServerAliveInterval=5"),
    ]
    words = [word for option in options for word in ("-o", option)]
    deadline = time.monotonic() + 20
    while subprocess.run([*before, "sshfs", f"root@10.203.{number}.1:{root}", mount, *words], check=False).returncode:
        if time.monotonic() > deadline:
            raise SystemExit("the tree cannot be mounted by sshfs")
        time.sleep(0.5)
    try:
        yield mount
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", "-l", mount], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

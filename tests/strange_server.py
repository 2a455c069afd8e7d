"""An SFTP server that behaves as it is told to: for what OpenSSH's never does, and other people's do."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import paramiko
from paramiko import sftp_server
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.message import Message
from paramiko.sftp import CMD_EXTENDED, CMD_INIT, CMD_STATUS, CMD_VERSION, SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK

from shared.tree.remote import Remote

_REQUESTS = {3: "open", 4: "close", 5: "read", 6: "write", 7: "lstat", 9: "setstat", 11: "opendir", 12: "readdir"} | {
    13: "remove", 14: "mkdir", 15: "rmdir", 16: "realpath", 17: "stat", 18: "rename", 200: "extended"
}  # fmt: skip

_MOMENT = 0.02  # seconds; long enough for another session to come in between


@dataclass
class Ways:
    """What is strange about a server; nothing, by default: it does what POSIX does, without OpenSSH's extensions.

    Attributes:
        overwrites: a plain rename replaces what has the name.
        merges_folders: a folder renamed onto another one adds to what that has.
        moves_late: it looks whether a rename can be done, takes its time, and calls it done whatever came in between.
        stale: a session that has listed a folder once is told the same of it ever after.
        denies: it does what it is asked to, of these requests, and says that it failed.
        pretends: it says that it did, of these requests, what it did not.
        creates_again: an exclusive create opens what is there.
        makes_again: making a folder that is there is fine.
        vague: what is not there is a "Failure".
        gap: replacing removes first and renames then.
        looks_first: it looks whether a name is free, takes its time, and then takes it.
        extensions: what it offers besides.
        stops: called before (False) and after (True) each request is carried out, with its name and count; True cuts.
    """

    overwrites: bool = False
    merges_folders: bool = False
    moves_late: bool = False
    stale: bool = False
    denies: frozenset[str] = frozenset()
    pretends: frozenset[str] = frozenset()
    creates_again: bool = False
    makes_again: bool = False
    vague: bool = False
    gap: bool = False
    looks_first: bool = False
    extensions: tuple[str, ...] = ("posix-rename@openssh.com",)
    stops: Callable[[str, int, bool], bool] | None = None
    requests: list[str] = field(default_factory=list)


class _Handle(paramiko.SFTPHandle):
    def __init__(self, path: str, flags: int) -> None:
        super().__init__(flags)
        self._file = os.open(path, flags, 0o666)

    def close(self) -> None:
        os.close(self._file)

    def read(self, offset: int, length: int) -> bytes | int:
        try:
            return os.pread(self._file, length, offset)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def write(self, offset: int, data: Any) -> int:
        os.pwrite(self._file, data, offset)
        return SFTP_OK

    def sync(self) -> None:
        os.fsync(self._file)

    def stat(self) -> paramiko.SFTPAttributes | int:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self._file))


def _answered(step: Callable[[], Any], ways: Ways) -> Any:
    try:
        found = step()
    except FileNotFoundError:
        return SFTP_FAILURE if ways.vague else SFTP_NO_SUCH_FILE
    except OSError as error:
        return paramiko.SFTPServer.convert_errno(error.errno or 0)
    return SFTP_OK if found is None else found


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: paramiko.ServerInterface, ways: Ways) -> None:
        super().__init__(server)
        self._ways = ways
        self._listed: dict[str, list[paramiko.SFTPAttributes]] = {}

    def list_folder(self, path: str) -> Any:
        def step() -> list[paramiko.SFTPAttributes]:
            if self._ways.stale and path in self._listed:
                return self._listed[path]
            self._listed[path] = [
                paramiko.SFTPAttributes.from_stat(entry.stat(follow_symlinks=False), entry.name)
                for entry in os.scandir(path)
            ]
            return self._listed[path]

        return _answered(step, self._ways)

    def stat(self, path: str) -> Any:
        return _answered(lambda: paramiko.SFTPAttributes.from_stat(Path(path).stat()), self._ways)

    def lstat(self, path: str) -> Any:
        return _answered(lambda: paramiko.SFTPAttributes.from_stat(Path(path).lstat()), self._ways)

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> Any:  # noqa: ARG002
        if self._ways.looks_first and flags & os.O_EXCL and not os.path.lexists(path):
            time.sleep(_MOMENT)
            flags &= ~os.O_EXCL
        if self._ways.creates_again:
            flags &= ~os.O_EXCL
        return _answered(lambda: _Handle(path, flags), self._ways)

    def remove(self, path: str) -> int:
        return self._done("remove", lambda: Path(path).unlink())

    def rename(self, oldpath: str, newpath: str) -> int:
        def step() -> None:
            old, new = Path(oldpath), Path(newpath)
            old.lstat()
            if self._ways.merges_folders and new.is_dir():
                for path in old.iterdir():
                    path.rename(new / path.name)
                old.rmdir()
                return
            if not self._ways.overwrites and os.path.lexists(new):
                raise FileExistsError
            if self._ways.moves_late:
                time.sleep(_MOMENT)
                if not os.path.lexists(old):
                    return
            old.rename(new)

        return self._done("rename", step)

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        def step() -> None:
            if self._ways.gap:
                Path(newpath).unlink(missing_ok=True)
                time.sleep(_MOMENT)
            Path(oldpath).replace(newpath)

        return self._done("posix_rename", step)

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:  # noqa: ARG002
        return self._done("mkdir", lambda: Path(path).mkdir(exist_ok=self._ways.makes_again))

    def rmdir(self, path: str) -> int:
        return self._done("rmdir", lambda: Path(path).rmdir())

    def _done(self, name: str, step: Callable[[], object]) -> int:
        if name in self._ways.pretends:
            return SFTP_OK
        code = int(_answered(lambda: step() and None, self._ways))
        return SFTP_FAILURE if name in self._ways.denies and code == SFTP_OK else code


class _Server(paramiko.SFTPServer):
    def __init__(self, channel: Any, name: str, server: Any, sftp_si: Any, ways: Ways) -> None:
        super().__init__(channel, name, server, sftp_si, ways)
        self._ways = ways

    def _send_server_version(self) -> None:
        kind, _ = self._read_packet()  # type: ignore[attr-defined]
        assert kind == CMD_INIT
        hello = Message()
        hello.add_int(3)
        for extension in self._ways.extensions:
            hello.add_string(extension)
            hello.add_string("1")
        self._send_packet(CMD_VERSION, hello)

    def _process(self, kind: int, number: int, message: Message) -> None:
        name = _REQUESTS.get(kind, str(kind))
        self._ways.requests.append(name)
        count = len(self._ways.requests)
        stops = self._ways.stops
        if stops and stops(name, count, False):
            self._cut()
            return
        if stops and stops(name, count, True):
            self._mute = True
        if not self._is_extension(kind, number, message):
            super()._process(kind, number, message)  # type: ignore[misc]
        if getattr(self, "_mute", False):
            self._cut()

    def _is_extension(self, kind: int, number: int, message: Message) -> bool:
        """Carry out what paramiko's server does not know."""
        if kind != CMD_EXTENDED:
            return False
        tag = message.get_text()
        if tag == "hardlink@openssh.com":
            source, target = message.get_text(), message.get_text()
            code = _answered(lambda: Path(target).hardlink_to(source), self._ways)
        elif tag == "fsync@openssh.com":
            opened = self.file_table[message.get_binary()]
            assert isinstance(opened, _Handle)
            code = _answered(opened.sync, self._ways)
        else:
            message.rewind()
            message.get_int()
            return False
        self._response(number, CMD_STATUS, code, "", "")  # type: ignore[attr-defined]
        return True

    def _send_packet(self, kind: int, packet: Message) -> None:
        if not getattr(self, "_mute", False):
            super()._send_packet(kind, packet)  # type: ignore[misc]

    def _cut(self) -> None:
        assert self.sock is not None
        transport = self.sock.get_transport()
        assert transport is not None
        transport.sock.close()
        self._mute = True


class _Door(paramiko.ServerInterface):
    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002
        return AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        return OPEN_SUCCEEDED


class StrangeServer:
    """Such a server on loopback, for as long as the test takes."""

    def __init__(self, home: Path, ways: Ways) -> None:
        self.ways = ways
        self._home = home
        self._key = paramiko.ECDSAKey.generate()
        client = paramiko.ECDSAKey.generate()
        client.write_private_key_file(str(home / "client"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.known_hosts = home / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self._key.get_name()} {self._key.get_base64()}\n")
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def remote(self, folder: Path) -> Remote:
        return Remote(
            host="127.0.0.1",
            user="node",
            folder=PurePosixPath(folder),
            known_hosts=self.known_hosts,
            port=self.port,
            key=self._home / "client",
        )

    def close(self) -> None:
        self._listener.close()
        for transport in self._transports:
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = paramiko.Transport(end)
            transport.add_server_key(self._key)
            transport.set_subsystem_handler("sftp", _Server, _Files, self.ways)
            self._transports.append(transport)
            with suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(event=threading.Event(), server=_Door())


@contextmanager
def strange_server(home: Path, ways: Ways) -> Iterator[StrangeServer]:
    # paramiko's own table ends with SHA-1; a server that counts SHA-256 is what a node hopes for.
    sftp_server._hash_class["sha256"] = hashlib.sha256  # type: ignore[attr-defined]  # noqa: SLF001
    server = StrangeServer(home, ways)
    try:
        yield server
    finally:
        server.close()

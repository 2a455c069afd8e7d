"""The systemd units of one farm as text: decided here from where things are, written by ``service.py``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TARGET = "reelmill.target"
MAIN, RENDER, WEB = "reelmill-main.service", "reelmill-render@.service", "reelmill-web.service"
TMPFILES = "reelmill.conf"  # for tmpfiles.d
_MARK = "# Written by `reelmill service install`; sha256 of what follows: "
# Bound over with nothing or made anew for a service, so that a root in one of them would be out of sight.
_HOMES, _TEMPORARY = (Path("/home"), Path("/root"), Path("/run/user")), (Path("/tmp"), Path("/var/tmp"))  # noqa: S108


@dataclass(frozen=True)
class Place:
    """What the units of one machine say.

    Attributes:
        reelmill: the command of the environment that is to run.
        user, group: who runs it; None: whoever the systemd of a user runs as.
        devices: groups that may use GPUs (``video``, ``render``) and exist on this machine.
        shares: whether the root is shared by a group, so that its folders get the set-group-id bit.
        remote: the address of a root behind SFTP; `root` is then the home of this machine's nodes.
        secrets: the files by which nodes and server know each other.
    """

    root: Path
    reelmill: Path
    user: str | None
    group: str | None
    config: Path | None = None
    devices: tuple[str, ...] = ("video", "render")
    shares: bool = False
    remote: str | None = None
    secrets: tuple[Path, ...] = ()

    @property
    def is_system(self) -> bool:
        """Whether these are units of the machine, and not of a user's own systemd."""
        return self.user is not None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Everything a service must be able to reach."""
        return (self.root, self.reelmill, *((self.config,) if self.config else ()), *self.secrets)


def units_of(place: Place) -> dict[str, str]:
    """Every file by its name, also the one for tmpfiles.d; of a root behind SFTP only those of render workers."""
    names = [RENDER, TARGET] if place.remote else [MAIN, RENDER, WEB, TARGET]
    names += [TMPFILES] if place.is_system else []
    units = _units(place)
    return {name: units[name] for name in names}


def _units(place: Place) -> dict[str, str]:
    return {
        MAIN: _service(
            place,
            "Reelmill main worker: takes drops in and makes tasks",
            ("main",),
            starts="30min",  # a large library on a slow disk is read before it is ready
            network=True,
            own=[
                "# The tools that read drops run in a network of their own, which has no device.",
                *_seccomp(place, namespaces="user net", jit=False),
                *_resources(tasks=512),
            ],
        ),
        RENDER: _service(
            place,
            "Reelmill render worker %i: turns tasks into videos",
            ("render", *(("--remote", place.remote) if place.remote else ())),
            starts="10min",  # the encoders of the machine are tried
            network=place.remote is not None,
            gpu=True,
            environment=("REELMILL_WORKER__NODE=%i",),
            own=[
                *_seccomp(place, namespaces="yes", jit=True),
                *_gpu(place),
                *_resources(tasks=1024),
                "# Whoever else works on this machine goes first; what ends when memory is short is a render.",
                "Nice=10",
                "CPUWeight=50",
                "IOWeight=50",
                "OOMScoreAdjust=500",
            ],
        ),
        WEB: _service(
            place,
            "Reelmill web page: what the farm does, in a browser",
            ("web",),
            starts="90s",
            network=True,
            own=[*_seccomp(place, namespaces="yes", jit=False), *_resources(tasks=128)],
        ),
        TARGET: _text(
            "[Unit]",
            "Description=Reelmill: everything of it on this machine",
            "",
            "[Install]",
            f"WantedBy={'multi-user.target' if place.is_system else 'default.target'}",
        ),
        TMPFILES: _text(
            "# Made where it is missing, left as it is where it is there (the colons), and never cleaned for its age.",
            f"d {_word(str(place.root))} :{'2775' if place.shares else '0755'} :{place.user} :{place.group} -",
            f"x {_word(str(place.root))}",
        ),
    }


def marked(text: str) -> str:
    """A unit's text with a first line that tells later whether somebody changed it."""
    return f"{_MARK}{_hash(text)}\n{text}"


def is_ours(content: str) -> bool:
    """Whether a file is as :func:`marked` gave it."""
    first, _, rest = content.partition("\n")
    return first == f"{_MARK}{_hash(rest)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _service(
    place: Place,
    description: str,
    arguments: Sequence[str],
    *,
    starts: str,
    network: bool,
    own: Sequence[str],
    environment: Sequence[str] = (),
    gpu: bool = False,
) -> str:
    named = [
        "--home" if place.remote else "--root",
        str(place.root),
        *(["--config", str(place.config)] if place.config else []),
    ]
    command = " ".join(_word(part, in_command=True) for part in (str(place.reelmill), *arguments, *named))
    return _text(
        "[Unit]",
        f"Description={description}",
        "# A root that is not mounted yet is waited for, not taken for a wrong configuration.",
        f"RequiresMountsFor={_word(str(place.root))}",
        *(_order(network=network) if place.is_system else ()),
        f"PartOf={TARGET}",
        "",
        "[Service]",
        *([f"User={place.user}", f"Group={place.group}"] if place.is_system else []),
        *(f"Environment={line}" for line in environment),
        f"ExecStart={command}",
        *_watched(starts),
        "# SIGTERM ends it cleanly: a drop being checked stays in raw/, a task being rendered goes back to the queue.",
        "KillMode=mixed",
        "TimeoutStopSec=60",
        "Restart=on-failure",
        "RestartSec=5",
        "# 2: wrong usage or configuration; starting again would not mend it.",
        "RestartPreventExitStatus=2",
        "",
        "# A tool that is killed for want of memory is one task's trouble, not the end of the service.",
        "OOMPolicy=continue",
        *own,
        "",
        *(_sandbox(place, network=network, gpu=gpu) if place.is_system else []),
        "[Install]",
        f"WantedBy={TARGET}",
    )


def _order(*, network: bool) -> Iterator[str]:
    yield f"After=local-fs.target remote-fs.target{' network-online.target' if network else ''}"
    if network:
        yield "Wants=network-online.target"


def _watched(starts: str) -> Iterator[str]:
    yield "Type=notify"
    yield "NotifyAccess=main"
    yield f"TimeoutStartSec={starts}"
    yield "# The loop says that it turns: a long render does not stop it, a mount whose server never answers does."
    yield "WatchdogSec=5min"


def _resources(tasks: int) -> Iterator[str]:
    yield "LimitNOFILE=65536"
    yield "LimitCORE=0"
    yield f"TasksMax={tasks}"
    yield "MemoryMax=90%"


def _gpu(place: Place) -> Iterator[str]:
    """What an encoder in hardware needs: of the machine's devices its GPUs and nothing else."""
    if place.is_system:
        yield "DevicePolicy=closed"
        yield "DeviceAllow=char-drm rw"
        yield "DeviceAllow=char-nvidia* rw"
        if place.devices:
            yield f"SupplementaryGroups={' '.join(place.devices)}"


def _seccomp(place: Place, *, namespaces: str, jit: bool) -> Iterator[str]:
    """What a program can give up without any rights of its own, so that a user's systemd can ask for it as well."""
    yield "NoNewPrivileges=yes"
    yield "LockPersonality=yes"
    yield "RestrictRealtime=yes"
    yield f"RestrictNamespaces={namespaces}"
    yield "SystemCallArchitectures=native"
    yield "SystemCallFilter=@system-service"
    yield "SystemCallFilter=~@privileged"
    if place.shares:  # files are given to the group
        yield "SystemCallFilter=@chown"
    yield "SystemCallErrorNumber=EPERM"
    if not jit:  # drivers of GPUs write the programs that they run
        yield "MemoryDenyWriteExecute=yes"


def _sandbox(place: Place, *, network: bool, gpu: bool) -> Iterator[str]:
    yield "CapabilityBoundingSet="
    yield "AmbientCapabilities="
    yield "# Not strict: that would put a mount on the root, and the main worker pauses when a mount comes or goes."
    yield "ProtectSystem=full"
    yield f"ProtectHome={'no' if _is_below(place, _HOMES) else 'yes'}"
    yield f"PrivateTmp={'no' if _is_below(place, _TEMPORARY) else 'yes'}"
    yield f"PrivateDevices={'no' if gpu else 'yes'}"
    yield "ProtectClock=yes"
    yield "ProtectControlGroups=yes"
    yield "ProtectHostname=yes"
    yield "ProtectKernelLogs=yes"
    yield "ProtectKernelModules=yes"
    yield "ProtectKernelTunables=yes"
    yield "# Not ProcSubset=pid: workers of one machine know each other by the kernel's boot id."
    yield "ProtectProc=invisible"
    if not place.shares:  # else files are given to a group, and folders get the set-group-id bit
        yield "RestrictSUIDSGID=yes"
        yield "PrivateUsers=yes"
    yield "RemoveIPC=yes"
    yield "KeyringMode=private"
    if network:
        yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
    else:
        yield "PrivateNetwork=yes"
        yield "IPAddressDeny=any"
        yield "RestrictAddressFamilies=AF_UNIX"
    yield ""


def _is_below(place: Place, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for path in place.paths for folder in folders)


def _word(text: str, *, in_command: bool = False) -> str:
    """One word of a unit file, whatever is in it (systemd.syntax(7), and systemd.service(5) for commands)."""
    text = text.replace("%", "%%")
    if in_command:
        text = text.replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9._/@%$+:=,-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(*lines: str) -> str:
    return "\n".join(lines) + "\n"

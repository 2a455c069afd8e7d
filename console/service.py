"""``reelmill service``: this farm as services of systemd, with the paths, the user and the nodes of this machine."""

from __future__ import annotations

import grp
import os
import platform
import pwd
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from console.options import chosen_root, config_option, plain_errors, root_option
from console.saying import say
from console.units import MAIN, RENDER, TARGET, TMPFILES, WEB, Place, is_ours, marked, units_of
from shared.config import load_config
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.files import as_machine_trouble, write_atomic
from shared.process import config_path
from shared.settings import Remote as RemoteSettings
from shared.tree.remote import Remote

P = ParamSpec("P")
R = TypeVar("R")
_SYSTEM, _SYSTEM_TMPFILES = Path("/etc/systemd/system"), Path("/etc/tmpfiles.d")
_GPU_GROUPS = ("video", "render")
_NODE = re.compile(r"[A-Za-z0-9._-]{1,60}")  # as worker.node allows it


class ServiceError(ReelmillError):
    """The units cannot be what was asked for; says which of it, and what to do."""


@dataclass(frozen=True)
class _Wanted:
    place: Place
    nodes: tuple[str, ...]
    folder: Path

    def files(self) -> dict[Path, str]:
        """Each file and what it is to hold."""
        return {
            (_SYSTEM_TMPFILES if name == TMPFILES and self.folder == _SYSTEM else self.folder) / name: text
            for name, text in units_of(self.place).items()
        }


def _options(command: Callable[P, R]) -> Callable[P, R]:
    for option in (
        click.option("--user", "of_user", is_flag=True, help="Services of your own systemd, which need no root."),
        click.option("--run-as", metavar="USER", help="Who the services run as. Default: the owner of the root."),
        click.option("--group", metavar="GROUP", help="Default: files.group, else the group of that user."),
        click.option("--node", "nodes", multiple=True, help="Name of a render worker here; again for more."),
        click.option("--remote", metavar="ADDRESS", help="Render workers of a root behind SFTP, and nothing else."),
        click.option(
            "--home",
            type=click.Path(path_type=Path, file_okay=False),
            help="With --remote: where these keep what they fetched.",
        ),
        click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Where the units are written."),
        config_option,
        root_option,
    ):
        command = option(command)
    return command


def _on_units(act: Callable[[_Wanted], None]) -> Callable[..., None]:
    """The command that does something with the units its options ask for."""

    @_options
    @plain_errors
    @wraps(act)
    def run(
        given_root: Path | None,
        config: Path | None,
        *,
        of_user: bool,
        run_as: str | None,
        group: str | None,
        nodes: tuple[str, ...],
        remote: str | None,
        home: Path | None,
        to: Path | None,
    ) -> None:
        layout = _home(remote, home) if remote else chosen_root(given_root)
        if of_user and (run_as or group):
            raise ServiceError("--user means the services of your own systemd: leave out --run-as and --group")
        place = _place(layout, config, None if of_user else run_as or _owner(layout.root), group, remote)
        act(_Wanted(place, _nodes(nodes), (to or (_own_folder() if of_user else _SYSTEM)).absolute()))

    return run


@click.group("service")
def service() -> None:
    """This farm as services of systemd."""


@service.command("show")
@_on_units
def show(wanted: _Wanted) -> None:
    """Print the units that install would write."""
    for path, text in wanted.files().items():
        say(f"# {path}", *text.split("\n"))


@service.command("install")
@_on_units
def install(wanted: _Wanted) -> None:
    """Write the units; where somebody changed one, none is written."""
    files = wanted.files()
    foreign = [path for path in files if not _may_replace(path)]
    if foreign:
        raise ServiceError(
            f"somebody changed {shlex.join(map(str, foreign))}, and nothing was written. Move the changes into a file "
            f"of their own (systemctl edit {foreign[0].name}), remove it, and install again"
        )
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, marked(text).encode())
            path.chmod(0o644)
    except OSError as error:
        raise as_machine_trouble(error, f"cannot write units to {wanted.folder} (be root, or use --user)") from error
    say(f"Wrote {', '.join(map(str, files))}. Next:")
    say(*(f"  {line}" for line in _next(wanted)))


@service.command("uninstall")
@_on_units
def uninstall(wanted: _Wanted) -> None:
    """Remove the units; one that somebody changed stays."""
    there = [path for path in wanted.files() if path.exists()]
    for path in there:
        if not _may_replace(path):
            say(f"Left {path}, which somebody changed")
            continue
        try:
            path.unlink()
        except OSError as error:
            raise as_machine_trouble(error, f"cannot remove {path}") from error
        say(f"Removed {path}")
    if there:
        say("Next:", f"  {_systemctl(wanted)} daemon-reload")
    else:
        say(f"No unit of Reelmill is in {wanted.folder}")


def _next(wanted: _Wanted) -> Iterator[str]:
    systemctl = _systemctl(wanted)
    instances = [RENDER.replace("@", f"@{node}") for node in wanted.nodes]
    yield f"{systemctl} daemon-reload"
    if wanted.place.remote:
        yield f"{systemctl} enable {TARGET} {' '.join(instances)}"
    else:
        yield f"{systemctl} enable {TARGET} {' '.join([MAIN, *instances])}     # {WEB} too, for the page"
    yield f"{systemctl} start {TARGET}"
    yield f"{systemctl} status 'reelmill*'"
    if not wanted.place.is_system:
        yield "loginctl enable-linger     # so that they run while you are not logged in"


def _systemctl(wanted: _Wanted) -> str:
    return "systemctl" if wanted.place.is_system else "systemctl --user"


def _may_replace(path: Path) -> bool:
    try:
        return is_ours(path.read_text("utf-8"))
    except FileNotFoundError:
        return True
    except UnicodeDecodeError:
        return False
    except OSError as error:
        raise as_machine_trouble(error, f"cannot read {path}") from error


def _home(remote: str, home: Path | None) -> Layout:
    """The home of nodes of a far root, which must be there: it says who owns it.

    Raises:
        BadAddress: `remote` is none.
        ServiceError: there is no home.
    """
    Remote.at(remote, known_hosts=Path())
    if home is None or not home.is_dir():
        raise ServiceError(
            f"--remote needs --home FOLDER, a folder that belongs to the user of the nodes"
            f"{f'; there is no {readable(str(home))}' if home else ''}"
        )
    return Layout(home.absolute())


def _place(
    layout: Layout, config: Path | None, user: str | None, group: str | None, remote: str | None = None
) -> Place:
    named = config.absolute() if config else None
    if remote and not named:
        raise ServiceError("--remote needs --config FILE: its [remote] names the key that the nodes show")
    settings = load_config(config_path(layout, str(named) if named else None))
    files = settings.files
    reelmill = Path(sys.executable).with_name("reelmill")
    if not reelmill.exists():
        raise ServiceError(f"there is no {reelmill}; install Reelmill into the environment of this Python first")
    for path in (layout.root, reelmill, named):
        if path and not str(path).isprintable():
            raise ServiceError(f"{readable(str(path))} has characters that no unit file can hold; rename it")
    return Place(
        root=layout.root,
        reelmill=reelmill,
        user=user,
        group=None if user is None else group or files.group or _group_of(user),
        config=named,
        devices=tuple(name for name in _GPU_GROUPS if _is_group(name)),
        shares=bool(files.group),
        remote=remote,
        secrets=_secrets(settings.remote, user) if remote else (),
    )


def _secrets(remote: RemoteSettings, user: str | None) -> tuple[Path, ...]:
    """The key and the known hosts as the user of the nodes finds them."""
    try:
        home = Path(pwd.getpwnam(user).pw_dir) if user else Path.home()
    except KeyError:
        raise ServiceError(f"there is no user {readable(user or '')} here; make one: useradd --system NAME") from None
    if not remote.key:
        raise ServiceError("a service has no SSH agent: name the private key of the nodes as remote.key in --config")
    named = (remote.key, remote.known_hosts)
    return tuple(home / path[2:] if path.startswith("~/") else Path(path) for path in named)


def _owner(root: Path) -> str:
    number = root.stat().st_uid
    if number == 0:
        raise ServiceError(
            f"{root} belongs to root, who must not run tools that read drops; name a user: --run-as NAME"
        )
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        raise ServiceError(f"{root} belongs to user {number}, who has no name here; name one: --run-as NAME") from None


def _group_of(user: str) -> str:
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        raise ServiceError(
            f"there is no user {readable(user)} here, or its group has no name; make one: useradd --system NAME"
        ) from None


def _is_group(name: str) -> bool:
    return any(found.gr_name == name for found in grp.getgrall())


def _nodes(given: tuple[str, ...]) -> tuple[str, ...]:
    nodes = given or ("".join(char if char.isalnum() or char in "._-" else "_" for char in platform.node())[:60],)
    for node in nodes:
        if not _NODE.fullmatch(node):
            raise ServiceError(f'--node "{readable(node)}": must be at most 60 letters, digits, dots, "-" and "_"')
    return nodes


def _own_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"

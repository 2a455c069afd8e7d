"""How a worker process begins and ends: its options, its root, its log, its signals, its exit status."""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.config import Config, load_config
from shared.domain.errors import MachineTrouble, ReelmillError, RootError
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.files import as_machine_trouble, is_folder, is_there
from shared.log import Logger, open_log
from shared.mountpoints import lost_mounts
from shared.notify import Notifier
from shared.sharing import set_umask, share

EXIT_FINE, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


@dataclass(frozen=True)
class Started:
    """What every worker process begins with."""

    config: Config
    layout: Layout
    log: Logger
    mode: str | None
    systemd: Notifier
    remote: str | None = None


def run_worker(
    component: str,
    arguments: Sequence[str],
    work: Callable[[Started], int | None],
    *,
    modes: tuple[str, ...] = (),
    changes_nothing: str = "",
) -> int:
    """Parse options, open root and log, run `work`, and return the exit status (`work` may give one).

    Each of `modes` is an option of its own (``--until-idle``); at most one of them may be given. With the one that
    `changes_nothing` the root is left as it is.

    Wrong options, root or configuration give 2; a worker that fails, or a root that cannot be reached, gives 1. Both
    say why on standard error.
    """
    options = _options(component, arguments, modes=modes)
    try:
        layout = open_root(Path(options.root))
        config = load_config(config_path(layout, options.config))
    except ReelmillError as error:
        sys.stderr.writelines(f"{readable(line)}\n" for line in f"{component}: {error}".split("\n"))
        return EXIT_FAILED if isinstance(error, MachineTrouble) else EXIT_USAGE
    set_umask(config.files)
    log = open_log(component, config.log)
    systemd = Notifier.taken_from(os.environ, log)
    if systemd.watchdog_seconds:  # which ends a wedged process with SIGABRT: the journal then says where it hung
        faulthandler.enable()
    try:
        for problem in [] if options.mode == changes_nothing else share(layout, config.files):
            log.warning(problem, name="not_shared")
        return work(Started(config, layout, log, options.mode, systemd, options.remote)) or EXIT_FINE
    except RootError as error:
        log.error(str(error), name="cannot_start")
        return EXIT_USAGE
    except ReelmillError as error:
        log.error(str(error), name="worker_failed")
        return EXIT_FAILED
    except Exception:
        log.exception("Ended by a fault of the program; please report it with these lines", name="fault")
        return EXIT_FAILED


def open_root(path: Path) -> Layout:
    """The layout of an existing project root, its folders completed.

    Below a mount that is lost (``.farm/mounts.json``) nothing is made: it would be hidden when that is back, and the
    main worker waits for it.

    Raises:
        RootError: the folder is missing or is no project root.
        MachineTrouble: it cannot be reached, or its folders cannot be made.
    """
    layout = Layout(path.absolute())
    try:
        _complete(layout)
    except (FileExistsError, NotADirectoryError) as error:
        raise RootError(f"{error.filename} cannot be made: {error.strerror}") from error
    except OSError as error:
        raise as_machine_trouble(error, f"cannot open the project root {layout.root}") from error
    return layout


def check_root(layout: Layout) -> frozenset[Path]:
    """Look whether a root is there; returns the folders of it whose filesystems are lost, as ``lost_mounts`` does.

    Raises:
        RootError: the folder is missing or is no project root.
        OSError: it cannot be reached.
    """
    if not is_folder(layout.root):
        raise RootError(f"there is no folder {layout.root}; make a project root with: reelmill init {layout.root}")
    lost = lost_mounts(layout)
    if layout.raw not in lost and not is_folder(layout.raw):
        raise RootError(
            f"{layout.root} is not a project root (it has no raw/): mount what should be there, or make a new root "
            f"with: reelmill init {layout.root}"
        )
    return lost


def _complete(layout: Layout) -> None:
    lost = check_root(layout)
    missing = [folder for folder in layout.folders() if not os.path.isdir(folder)]  # noqa: PTH112
    for folder in layout.kinds():
        if os.path.islink(folder):  # noqa: PTH114 - False where it cannot be reached
            raise RootError(
                f"{folder} is a symbolic link, and links below raw/ and scanned/ are not followed. Mount what it "
                f"points to at this place instead (mount --bind {folder.readlink()} {folder})"
            )
    for folder in missing:
        if lost.isdisjoint((folder, *folder.parents)) and not is_folder(folder):
            folder.mkdir(parents=True, exist_ok=True)


def config_path(layout: Layout, given: str | None) -> Path | None:
    """The configuration file to read: the one named, else the root's own, else none."""
    if given:
        return Path(given)
    try:
        return layout.config if is_there(layout.config) else None
    except OSError:  # reading it tells what is the matter
        return layout.config


def on_stop_signals(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and on Ctrl-C.

    It is called in a thread of its own: a handler interrupts the main thread anywhere, also inside the lock of the
    very event that `stop` sets.
    """

    def handle(_number: int, _frame: object) -> None:
        threading.Thread(target=stop, name="stop", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _options(component: str, arguments: Sequence[str], *, modes: tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=component, description=f"Reelmill's {component.replace('_', ' ')}.")
    parser.add_argument("--root", required=True)
    parser.add_argument("--config")
    parser.add_argument("--remote")  # the root is a home of this node's own, and the farm's root lies there
    parser.set_defaults(mode=None)
    for mode in modes:
        parser.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode)
    return parser.parse_args(arguments)

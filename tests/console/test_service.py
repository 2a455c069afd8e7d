"""`reelmill service`: units that systemd reads without a word, tight, for this machine, never written over a change."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import main
from console.init import lay_out
from console.units import MAIN, RENDER, TARGET, TMPFILES, WEB, Place, is_ours, marked, units_of
from shared.domain.layout import Layout
from shared.process import EXIT_FINE, EXIT_USAGE

NAMES = (MAIN, RENDER, WEB, TARGET, TMPFILES)
SERVICES = (MAIN, RENDER, WEB)
REELMILL = Path(sys.executable).with_name("reelmill")
TYPICAL = Place(Path("/srv/reelmill"), REELMILL, "daemon", "daemon")
FAR = Place(
    Path("/srv/node"),
    REELMILL,
    "daemon",
    "daemon",
    config=Path("/etc/reelmill/node.toml"),
    remote="sftp://node@farm.example/root",
    secrets=(Path("/etc/reelmill/key"),),
)


@pytest.fixture
def analyze(tmp_path: Path) -> Callable[..., str]:
    """What systemd-analyze says about unit files."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: apt-get install systemd)")

    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}  # a user's units are asked about without a session

    def run(*arguments: object) -> str:
        command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
        return ended.stdout + ended.stderr

    return run


@pytest.fixture
def service(layout: Layout, tmp_path: Path) -> Callable[..., Result]:
    """Runs `reelmill service …` on a root, with units in a folder of the test's own."""

    def run(command: str, *options: str, root: Path = layout.root) -> Result:
        arguments = ["service", command, "--root", str(root), "--to", str(tmp_path / "units"), *options]
        return CliRunner().invoke(main, arguments)

    return run


def written(folder: Path, place: Place) -> list[Path]:
    """The units of a place as files."""
    folder.mkdir()
    for name, text in units_of(place).items():
        (folder / name).write_text(marked(text))
    return [folder / name for name in units_of(place) if name != TMPFILES]


# -- what systemd makes of them ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        TYPICAL,
        Place(Path("/srv/a b%c$d\"e'f\\g"), REELMILL, "daemon", "daemon", config=Path("/etc/my farm.toml")),
        Place(Path("/srv/shared"), REELMILL, "daemon", "daemon", devices=(), shares=True),
        Place(Path("/home/anna/farm"), REELMILL, None, None),
        FAR,
    ],
    ids=["typical", "hostile", "shared", "of a user", "far"],
)
def test_systemd_finds_nothing_wrong(place: Place, tmp_path: Path, analyze: Callable[..., str]) -> None:
    """Not one unknown key, wrong value or bad quote, whatever the root is called."""
    mode = () if place.is_system else ("--user",)
    assert analyze(*mode, "verify", *written(tmp_path / "units", place)) == ""


@pytest.mark.parametrize(("place", "name"), [*((TYPICAL, name) for name in SERVICES), (FAR, RENDER)])
def test_a_unit_is_hardly_exposed(place: Place, name: str, tmp_path: Path, analyze: Callable[..., str]) -> None:
    """At most 2.0 of 10 in systemd's own count; the main worker fetches pages and gives its tools namespaces."""
    written(tmp_path / "units", place)
    told = analyze("security", "--offline=true", "--threshold=20", tmp_path / "units" / name)
    last = told.strip().splitlines()[-1]
    assert float(last.split(": ")[1].split()[0]) <= 2.0, told


def test_a_wrong_unit_would_be_noticed(tmp_path: Path, analyze: Callable[..., str]) -> None:
    """The test of the test: an unknown key and a command that is not there."""
    unit = tmp_path / "wrong.service"
    unit.write_text("[Service]\nExecStart=/nonexistent/reelmill\nWatchdogSeconds=3\n")
    told = analyze("verify", unit)
    assert "WatchdogSeconds" in told
    assert "/nonexistent/reelmill is not executable" in told


@pytest.mark.parametrize("name", ["farm", "a farm of 100%"])
def test_the_root_is_made_at_boot_and_else_left_as_it_is(tmp_path: Path, name: str) -> None:
    """By systemd's own program: rights that somebody changed since stay."""
    program = shutil.which("systemd-tmpfiles")
    if program is None:
        pytest.skip("needs systemd-tmpfiles (Debian: apt-get install systemd)")
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    root, entry = tmp_path / name, tmp_path / TMPFILES
    entry.write_text(marked(units_of(Place(root, REELMILL, owner, group))[TMPFILES]))
    for mode in (0o755, 0o2770):
        done = subprocess.run([program, "--create", entry], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert root.stat().st_mode & 0o7777 == mode
        root.chmod(0o2770)


# -- what they say -----------------------------------------------------------------------------------


def test_the_command_in_a_unit_is_the_words_that_are_meant() -> None:
    """systemd takes % for a specifier, $ for a variable and a blank for the end of a word."""
    main_unit = units_of(Place(Path('/srv/a b%c$d"e'), Path("/opt/reelmill"), "a", "b"))[MAIN]
    assert 'ExecStart=/opt/reelmill main --root "/srv/a b%%c$$d\\"e"\n' in main_unit
    assert 'RequiresMountsFor="/srv/a b%%c$d\\"e"\n' in main_unit


def test_a_render_worker_reaches_its_gpu_and_nothing_else() -> None:
    """No network, no other device; it goes behind everybody else on the machine."""
    lines = units_of(TYPICAL)[RENDER].splitlines()
    for line in (
        "DevicePolicy=closed",
        "DeviceAllow=char-drm rw",
        "DeviceAllow=char-nvidia* rw",
        "SupplementaryGroups=video render",
        "PrivateNetwork=yes",
        "Nice=10",
        "Environment=REELMILL_WORKER__NODE=%i",
    ):
        assert line in lines
    assert not any(line.startswith("MemoryDenyWriteExecute") for line in lines)


def test_a_render_worker_may_lower_its_priority(analyze: Callable[..., str]) -> None:
    """What is conformed ahead of need runs behind everything; by systemd's own lists of system calls."""
    allowed, taken = (analyze("syscall-filter", name).split() for name in ("@resources", "@privileged"))
    lines = units_of(TYPICAL)[RENDER].splitlines()
    assert {"SystemCallFilter=@system-service", "SystemCallFilter=~@privileged"} <= {*lines}
    assert "@resources" in analyze("syscall-filter", "@system-service").split()
    assert "setpriority" in allowed
    assert not {"setpriority", "@resources"} & {*taken}


def test_a_far_render_worker_has_a_network_and_still_its_gpu() -> None:
    """There is nothing else of the farm on such a machine; its home is no root."""
    units = units_of(FAR)
    assert set(units) == {RENDER, TARGET, TMPFILES}
    lines = units[RENDER].splitlines()
    assert (
        f"ExecStart={REELMILL} render --remote sftp://node@farm.example/root --home /srv/node "
        "--config /etc/reelmill/node.toml" in lines
    )
    assert {"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "DeviceAllow=char-drm rw", "PrivateDevices=no"} <= {
        *lines
    }
    assert "PrivateNetwork=yes" not in lines


def test_the_main_worker_may_give_its_tools_a_network_without_devices() -> None:
    """As shared/leash.py does it: a network namespace, and a user namespace to be allowed to."""
    assert "RestrictNamespaces=user net" in units_of(TYPICAL)[MAIN].splitlines()


def test_nothing_puts_a_mount_on_the_root() -> None:
    """The main worker would take it for a filesystem of its own, and miss it when it is started by hand."""
    for text in units_of(TYPICAL).values():
        assert not {"ReadWritePaths", "BindPaths", "ReadWriteDirectories"} & {
            line.partition("=")[0] for line in text.splitlines()
        }
        assert "ProtectSystem=strict" not in text


@pytest.mark.parametrize(
    ("root", "line"),
    [("/home/anna/farm", "ProtectHome=no"), ("/srv/farm", "ProtectHome=yes"), ("/var/tmp/farm", "PrivateTmp=no")],
)
def test_a_root_is_not_hidden_from_its_workers(root: str, line: str) -> None:
    """Homes and temporary folders are out of sight only where nothing of the farm is in them."""
    place = Place(Path(root), Path("/opt/reelmill/bin/reelmill"), "a", "b")
    assert line in units_of(place)[MAIN].splitlines()


def test_a_wrong_configuration_is_not_tried_again() -> None:
    """Its status is 2; a fault, a wedge and a machine in trouble are."""
    for name in SERVICES:
        lines = units_of(TYPICAL)[name].splitlines()
        assert f"RestartPreventExitStatus={EXIT_USAGE}" in lines
        assert "Restart=on-failure" in lines


# -- install, show, uninstall ------------------------------------------------------------------------


def test_units_are_written_for_this_machine_and_the_next_steps_printed(
    service: Callable[..., Result], layout: Layout, tmp_path: Path
) -> None:
    """User, group, root, configuration, the command of this very environment, and a node for each worker."""
    config = tmp_path / "other.toml"
    config.write_text("")
    options = ("--run-as", "daemon", "--config", str(config), "--node", "box-1", "--node", "box-2")
    result = service("install", *options)
    assert result.exit_code == EXIT_FINE, result.output
    assert sorted(path.name for path in (tmp_path / "units").iterdir()) == sorted(NAMES)
    unit = (tmp_path / "units" / MAIN).read_text()
    assert is_ours(unit)
    assert "User=daemon\nGroup=daemon\n" in unit
    assert f"ExecStart={REELMILL} main --root {layout.root} --config {config}\n" in unit
    assert (tmp_path / "units" / MAIN).stat().st_mode & 0o777 == 0o644
    for words in ("systemctl daemon-reload", "reelmill-render@box-1.service reelmill-render@box-2.service"):
        assert words in result.output


def test_installing_again_replaces_what_was_written_and_nobody_changed(
    service: Callable[..., Result], tmp_path: Path
) -> None:
    """A new version of Reelmill, or another root."""
    service("install", "--run-as", "daemon")
    other = lay_out(tmp_path / "other").root
    assert service("install", "--run-as", "daemon", root=other).exit_code == EXIT_FINE
    assert str(other) in (tmp_path / "units" / MAIN).read_text()


def test_a_unit_that_somebody_changed_is_left_alone_and_so_are_all(
    service: Callable[..., Result], tmp_path: Path
) -> None:
    """2, with what to do; uninstall leaves it too."""
    service("install", "--run-as", "daemon")
    changed, other = tmp_path / "units" / RENDER, tmp_path / "units" / MAIN
    changed.write_text(changed.read_text().replace("Nice=10", "Nice=19"))
    other.unlink()
    result = service("install", "--run-as", "daemon")
    assert result.exit_code == EXIT_USAGE
    assert f"somebody changed {changed}, and nothing was written" in result.output
    assert f"systemctl edit {RENDER}" in result.output
    assert not other.exists()
    result = service("uninstall", "--run-as", "daemon")
    assert f"Left {changed}" in result.output
    assert list((tmp_path / "units").iterdir()) == [changed]


def test_a_unit_that_was_written_by_hand_is_somebodys(service: Callable[..., Result], tmp_path: Path) -> None:
    """Also where it was copied from systemd/, or is no text."""
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / WEB).write_bytes(b"\xff")
    assert "somebody changed" in service("install", "--run-as", "daemon").output


def test_show_writes_nothing(service: Callable[..., Result], tmp_path: Path) -> None:
    """It prints what install would write."""
    result = service("show", "--run-as", "daemon")
    assert result.exit_code == EXIT_FINE
    assert all(f"# {tmp_path / 'units' / name}\n" in result.output for name in NAMES)
    assert not (tmp_path / "units").exists()


def test_services_of_a_user_need_no_root(service: Callable[..., Result], tmp_path: Path) -> None:
    """They name no user, want no mounts of their own, and start with the user's session."""
    result = service("install", "--user")
    assert "systemctl --user daemon-reload" in result.output
    assert "enable-linger" in result.output
    unit = (tmp_path / "units" / MAIN).read_text()
    assert "User=" not in unit
    assert "PrivateDevices" not in unit
    assert "SystemCallFilter=@system-service" in unit
    assert "WantedBy=default.target" in (tmp_path / "units" / TARGET).read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--run-as", "nobody-of-this-name"), "there is no user nobody-of-this-name here"),
        (("--run-as", "daemon", "--node", "a b"), '--node "a b": must be at most 60 letters'),
        (("--user", "--run-as", "daemon"), "leave out --run-as and --group"),
    ],
)
def test_what_cannot_be_meant_is_said(service: Callable[..., Result], options: tuple[str, ...], words: str) -> None:
    """2, and nothing is written."""
    result = service("install", *options)
    assert result.exit_code == EXIT_USAGE
    assert words in result.output


def test_units_of_a_far_node(service: Callable[..., Result], tmp_path: Path) -> None:
    """Its home and its key are named, and both are in sight."""
    home, config = tmp_path / "node", tmp_path / "node.toml"
    far = ("--remote", "sftp://node@farm.example/root", "--home", str(home), "--config", str(config))
    config.write_text("[remote]\n")
    result = service("install", *far, "--run-as", "daemon")
    assert (result.exit_code, "there is no" in result.output) == (EXIT_USAGE, True)
    home.mkdir()
    result = service("install", *far, "--run-as", "daemon")
    assert (result.exit_code, "remote.key" in result.output) == (EXIT_USAGE, True)
    config.write_text('[remote]\nkey = "/home/daemon/key"\n')
    result = service("install", *far, "--run-as", "daemon", "--node", "attic")
    assert result.exit_code == EXIT_FINE, result.output
    assert "systemctl enable reelmill.target reelmill-render@attic.service" in result.output
    assert {path.name for path in (tmp_path / "units").iterdir()} == {RENDER, TARGET, TMPFILES}
    assert "ProtectHome=no" in (tmp_path / "units" / RENDER).read_text()


def test_the_owner_of_the_root_runs_the_farm_and_never_root(service: Callable[..., Result], layout: Layout) -> None:
    """Who drops files that ffmpeg reads must not be able to become root by one."""
    if os.geteuid() != 0:
        assert f"User={pwd.getpwuid(os.geteuid()).pw_name}\n" in service("show").output
        return
    result = service("show")
    assert result.exit_code == EXIT_USAGE
    assert "belongs to root, who must not run tools that read drops" in result.output
    os.chown(layout.root, pwd.getpwnam("daemon").pw_uid, -1)
    assert "User=daemon\n" in service("show").output

"""One root for several users: rights of what is made, and, where tests run as root, really different users."""

from __future__ import annotations

import grp
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.domain.layout import Layout
from shared.files import create_exclusive, make_readable, write_atomic
from shared.lifesign import LifeSign
from shared.settings import Files
from shared.sharing import set_umask, share

OPERATOR, MAIN, RENDER, STRANGER = 61001, 61002, 61003, 61004  # users that need no entry in /etc/passwd
GROUP = next((entry for entry in grp.getgrall() if 0 < entry.gr_gid < 60000), None)

# A process that loads everything first: Python itself may lie where only root can read.
_BECOME = """
import os, shutil, sys, traceback
from pathlib import Path
import main_worker.retention
from console.init import lay_out
from shared.settings import Files
from shared.domain.layout import METADATA, Layout, reason_of
from shared.domain.retry import Ending
from shared.domain.task import TaskState
from shared.files import make_folder, make_readable, rename_new, write_atomic
from shared.lifesign import boot_id
from shared.process import open_root
from shared.records.metadata import Metadata
from shared.records.reason import Reason
from shared.sharing import set_umask, share
from shared.store import Store
boot_id()
root, user, group_name, group, more = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
os.setgroups([*([group] if group else []), *([int(more)] if more else [])])
os.setgid(user)
os.setuid(user)
settings = Files.model_construct(umask="002", group=group_name)
layout = Layout(root)
reason = Reason(code="c", reason="r", advice="a", when="2026-11-20T18:03:44Z")
try:
    exec(sys.argv[6])
except BaseException:
    traceback.print_exc()
    os._exit(1)
"""
_TASK = "5f0c0000-0000-5000-8000-00000000000"
_ADD = f"""
set_umask(settings)
for number in range(2):
    staged = layout.staging / f"{_TASK}{{number}}"
    staged.mkdir()
    Metadata.model_validate(dict(
        task_id=staged.name, category="c", story_name="s", chapter="one", voice_file="voice.mp3", voice_duration=1.0,
        music_file=None, inputs={{"voice.mp3": {{"path": "scanned/voice.mp3", "sha256": "00", "size": 1}}}},
        video_files=(), render={{"resolution": "640x360", "frame_rate": 30}}, seed=1, created_at="2026",
    )).write(staged / METADATA)
    assert Store(layout).add(staged, staged.name)
"""

Become = Callable[..., str]


@pytest.fixture
def become(request: pytest.FixtureRequest) -> Iterator[Become]:
    """Runs code as a user on a root in a folder that everybody can reach; fails where the code does."""
    if os.geteuid() != 0 or GROUP is None:
        pytest.skip("only root can become several users")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        base = Path(folder)
        base.chmod(0o755)
        os.chown(base, MAIN, MAIN)

        def run(user: int, code: str, *, member: bool = True, more: int | str = "") -> str:
            arguments = [base / "root", user, GROUP.gr_name, GROUP.gr_gid if member else 0, more, code]
            done = subprocess.run(
                [sys.executable, "-c", _BECOME, *map(str, arguments)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run


@pytest.fixture
def umask() -> Iterator[None]:
    """Puts the umask of the tests back."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def own_group() -> str:
    """The name of the group of this process."""
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        pytest.skip("the group of this process has no name here")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("text", "mode"), [("002", 0o664), ("022", 0o644), ("077", 0o600), ("", 0o644)])
def test_the_umask_decides_about_every_file(tmp_path: Path, umask: None, text: str, mode: int) -> None:
    """Records, records made once, and locks alike; without a setting the process's own umask does."""
    set_umask(Files(umask=text))
    write_atomic(tmp_path / "record", b"x")
    create_exclusive(tmp_path / "once", b"x")
    LifeSign.create(tmp_path / "lock", "node", "token").abandon()
    assert {mode_of(path) for path in tmp_path.iterdir()} == {mode}


def test_without_a_group_nothing_is_touched(layout: Layout, tmp_path: Path) -> None:
    """Neither folders nor files."""
    before = {folder: folder.stat().st_mode for folder in layout.folders()}
    assert share(layout, Files()) == []
    assert {folder: folder.stat().st_mode for folder in layout.folders()} == before
    (tmp_path / "file").touch(0o600)
    assert make_readable(tmp_path / "file", "") is True
    assert mode_of(tmp_path / "file") == 0o600


def test_the_folders_of_a_root_go_to_the_group(layout: Layout, umask: None, own_group: str) -> None:
    """Every fixed folder, the root itself included; what is made in them follows."""
    settings = Files(umask="002", group=own_group)
    set_umask(settings)
    assert share(layout, settings) == []
    for folder in (layout.root, layout.farm, layout.root / "trash", *layout.folders()):
        assert folder.stat().st_gid == os.getegid()
        assert mode_of(folder) & 0o2770 == 0o2770, folder
    (layout.raw / "video/nature").mkdir()
    assert mode_of(layout.raw / "video/nature") == 0o2775
    assert share(layout, settings) == []


def test_a_umask_that_keeps_the_group_out_is_told(layout: Layout, umask: None, own_group: str) -> None:
    """The folders would be shared, but not the tasks in them."""
    (problem,) = share(layout, Files(group=own_group))
    assert problem.startswith(f"The umask is 022, so group {own_group} cannot change")
    assert 'files.umask = "002"' in problem


def test_a_link_is_not_made_readable(tmp_path: Path, own_group: str) -> None:
    """It might lead anywhere."""
    (tmp_path / "file").touch(0o600)
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match="link"):
        make_readable(tmp_path / "link", own_group)
    assert mode_of(tmp_path / "file") == 0o600


def test_own_files_are_given_to_the_group(tmp_path: Path, own_group: str) -> None:
    """To read, with no other right changed."""
    (tmp_path / "file").touch(0o600)
    assert make_readable(tmp_path / "file", own_group) is True
    assert mode_of(tmp_path / "file") == 0o640


# -- really different users ----------------------------------------------------------------------


def test_users_of_one_group_share_a_root(become: Become) -> None:
    """An operator drops, the main worker files, a render worker claims and fails, the operator empties the trash."""
    become(
        MAIN,
        """
set_umask(settings)
lay_out(root)
assert share(layout, settings) == [], share(layout, settings)
""",
    )
    become(
        OPERATOR,
        """
os.umask(0o002)
(layout.raw / "video/nature").mkdir()
for name in ("good", "bad"):
    (layout.raw / "video/nature" / name).write_bytes(b"drop")
""",
    )
    become(
        MAIN,
        _ADD
        + """
assert open_root(root) == layout
assert share(layout, settings) == []
drop, target = layout.raw / "video/nature/good", layout.scanned / "video/nature/clip.mp4"
assert make_readable(drop, group_name)
make_folder(target.parent)
rename_new(drop, target)
reason.write(reason_of(layout.invalid / "bad"))
rename_new(layout.raw / "video/nature/bad", layout.invalid / "bad")
""",
    )
    become(
        RENDER,
        f"""
open_root(root)
set_umask(settings)
assert share(layout, settings) == []
store = Store(layout)
assert (layout.scanned / "video/nature/clip.mp4").read_bytes() == b"drop"
claim = store.claim("{_TASK}0", "node")
(claim.folder / "scratch").mkdir()
(claim.folder / "scratch/piece").write_bytes(b"x")
store.fail(claim, Ending.FAILED, reason)
left = store.claim("{_TASK}1", "node")
(left.folder / "half.mp4").write_bytes(b"x")
""",
    )
    become(
        MAIN,
        f"""
set_umask(settings)
store = Store(layout)
assert store.take_away("{_TASK}1", 1, Ending.DIED, "gone") is not None
assert store.requeue("{_TASK}1")
assert list(layout.removed.iterdir()) == list(layout.locks.iterdir()) == []
""",
    )
    become(
        OPERATOR,
        f"""
os.umask(0o002)
assert Store(layout).retry("{_TASK}0", "operator")
layout.task(TaskState.WAITING, "{_TASK}0").rename(layout.task(TaskState.FAILED, "{_TASK}0"))
shutil.rmtree(layout.task(TaskState.FAILED, "{_TASK}0"))
for path in layout.invalid.iterdir():
    path.unlink()
""",
    )


def test_who_is_not_in_the_group_cannot_take_a_task(become: Become) -> None:
    """The right to take tasks is the group's, not everybody's."""
    become(MAIN, "set_umask(settings); lay_out(root); share(layout, settings)\n" + _ADD)
    become(
        STRANGER,
        f"""
try:
    Store(layout).claim("{_TASK}0", "node")
except OSError as error:
    assert "Permission denied" in str(error)
    os._exit(0)
raise AssertionError("it could")
""",
        member=False,
    )


def test_folders_of_another_user_are_told_with_the_command_to_run(become: Become) -> None:
    """Who may not share them still says who may, and how."""
    become(MAIN, "lay_out(root)")
    said = become(RENDER, 'set_umask(settings)\nprint("|".join(share(layout, settings)))')
    assert GROUP is not None
    assert f"do not belong to group {GROUP.gr_name} and are another user's" in said
    assert f"chgrp {GROUP.gr_name} " in said
    assert f"{os.sep}root{os.sep}tasks" in said
    assert "chmod g+rwxs " in said


def test_a_file_of_another_user_is_readable_or_must_be_copied(become: Become) -> None:
    """False only where it keeps the group out and its rights are not ours to change."""
    other = 61100
    become(MAIN, "root.mkdir(); root.chmod(0o777)")
    become(
        OPERATOR,
        f"""
os.umask(0)
for name, mode in (("closed", 0o640), ("open", 0o644), ("theirs", 0o600)):
    (root / name).touch()
    os.chown(root / name, -1, {other})
    (root / name).chmod(mode)
""",
        more=other,
    )
    become(
        MAIN,
        """
assert make_readable(root / "closed", group_name) is False
assert make_readable(root / "open", group_name) is True
(root / "own").touch(0o600)
assert make_readable(root / "own", group_name) is True
assert (root / "own").stat().st_gid == group
try:
    make_readable(root / "theirs", group_name)
except PermissionError:
    os._exit(0)
raise AssertionError("it could")
""",
        more=other,
    )


def test_a_group_one_is_no_member_of_is_a_problem_of_the_configuration(become: Become) -> None:
    """With the key, the value, and the groups that would do."""
    said = become(
        STRANGER,
        """
os.environ["REELMILL_FILES__GROUP"] = group_name
from shared.config import ConfigError, load_config
try:
    load_config(None)
except ConfigError as error:
    print(error)
""",
        member=False,
    )
    assert GROUP is not None
    assert f'files.group = "{GROUP.gr_name}": must be a group this user is a member of (' in said


def test_a_root_without_some_of_its_folders_is_shared_as_far_as_it_is_there(layout: Layout) -> None:
    """What a lost mount keeps away is no fault of the program."""
    (layout.raw / "video").rmdir()
    share(layout, Files(group=grp.getgrgid(os.getgid()).gr_name))
    assert (layout.raw / "music").stat().st_mode & stat.S_ISGID

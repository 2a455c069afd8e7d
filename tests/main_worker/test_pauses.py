"""What is in the way of every drop pauses ingest and refuses none: really full disks, really lost filesystems."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.init import lay_out
from shared.domain.layout import Layout
from shared.records.mounts import MountsRecord
from tests.main_worker.conftest import QUICK, Farm

if TYPE_CHECKING:
    from tests.main_worker.conftest import Main, Media


class Mounting:
    """A root that is seen with mounts of its own, which no other process and nobody after the test sees."""

    def __init__(self, holder: int, root: Path) -> None:
        self._enter = ("nsenter", "-t", f"{holder}", "-m")
        self.root = root
        self.farm = Farm(Layout(Path(f"/proc/{holder}/root{root}")), prefix=self._enter, root=root)

    def add(self, folder: str, size: str | None) -> None:
        """Put a filesystem of its own, or another part of the root's own, with folders as they are, over a folder."""
        disk = self._disk(folder)
        disk.mkdir()
        if size:
            self._run("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "reelmill-test", str(disk))
        self.mount(folder)
        for below in self.farm.layout.folders():
            below.mkdir(parents=True, exist_ok=True)

    def mount(self, folder: str) -> None:
        self._run("mount", "--bind", str(self._disk(folder)), str(self.root / folder))

    def unmount(self, folder: str) -> None:
        """Take a mount away, though it is in use."""
        self._run("umount", "-l", str(self.root / folder))

    def mount_dead(self, folder: str) -> None:
        """Put a filesystem over a folder whose server has died: whatever is asked of it fails (ENOTCONN)."""
        options = "fd=9,rootmode=40000,user_id=0,group_id=0"
        script = f'exec 9<>/dev/fuse && mount -i -t fuse -o {options} dead "$0"'
        self._run("sh", "-c", script, str(self.root / folder))

    def _disk(self, folder: str) -> Path:
        return self.root.with_name(f"disk-{folder}")

    def _run(self, *command: str) -> None:
        subprocess.run([*self._enter, *command], check=True)


@pytest.fixture
def mounting(tmp_path: Path) -> Iterator[Mounting]:
    """A root over which filesystems can be mounted; skips where that is not allowed."""
    missing = [tool for tool in ("unshare", "nsenter", "mount", "umount") if shutil.which(tool) is None]
    if sys.platform != "linux" or missing:
        pytest.skip(f"needs Linux with unshare, nsenter, mount and umount (missing: {', '.join(missing) or 'Linux'})")
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt && echo ready && exec sleep 600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != b"ready\n":
                pytest.skip("a mount namespace with mounts of its own is not allowed here; it takes root")
            lay_out(tmp_path / "root", QUICK)
            made = Mounting(holder.pid, tmp_path / "root")
            yield made
            made.farm.close()
        finally:
            holder.kill()


def until_paused(main: Main) -> str:
    """Wait until the worker's record says that it is paused; returns why."""
    main.until(lambda: (record := main.record()) and record.state == "paused")
    record = main.record()
    assert record is not None
    assert record.paused_since is not None
    assert record.trouble is not None
    return record.trouble


def check_goes_on(main: Main, farm: Farm, drops: int) -> None:
    """All drops get into the library, and the record forgets the pause."""
    main.until(lambda: len(farm.library()) == drops)
    main.until(lambda: (record := main.record()) and record.state == "idle" and record.trouble is None)
    record = main.record()
    assert record is not None
    assert record.paused_since is None
    assert farm.rejected() == {}
    assert main.stop() == 0


def drop_clips(farm: Farm, media: Media, *numbers: int) -> None:
    for number in numbers:
        farm.drop(media.variant(media.clip(), number), f"video/nature/clip{number}.mp4")


def test_a_full_disk_pauses_with_one_line_for_many_drops(mounting: Mounting, media: Media) -> None:
    """Nothing is refused, status says why and since when, and freeing some space is all there is to do."""
    mounting.add("scanned", size="1m")
    farm = mounting.farm
    ballast = farm.layout.scanned / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while stream.write(b"x" * 4096):
            pass
    main = farm.start()
    main.until_idle()
    drop_clips(farm, media, *range(6))
    assert "No space left on device" in until_paused(main)
    time.sleep(6)  # the first rest is over, and the next try fails as well
    assert len(list((farm.layout.raw / "video/nature").iterdir())) == 6
    assert farm.files(farm.layout.invalid) == []
    assert main.log.count("event=ingest_paused") == 1
    assert "event=ingest_trouble" not in main.log
    ballast.unlink()
    check_goes_on(main, farm, 6)
    assert main.log.count("event=ingest_resumed") == 1
    assert farm.files(farm.layout.raw) == []


@pytest.mark.parametrize(("folder", "size"), [("scanned", "64m"), ("raw", "64m"), ("scanned", None), ("raw", None)])
def test_a_mount_that_is_lost_and_comes_back(mounting: Mounting, media: Media, folder: str, size: str | None) -> None:
    """While running, and across a restart: the empty folder under it is not taken for the library."""
    farm = mounting.farm
    mounting.add(folder, size)
    main = farm.start()
    main.until_idle()
    assert MountsRecord.read(farm.layout.mounts).mounts == (folder,)
    drop_clips(farm, media, 1)
    main.until(farm.library)
    main.until_idle()
    mounting.unmount(folder)
    words = f"{mounting.root}/{folder} was a filesystem of its own and is not mounted now"
    assert until_paused(main).startswith(words)
    assert main.stop() == 0
    again = farm.start()
    assert until_paused(again).startswith(words)
    if folder == "scanned":
        drop_clips(farm, media, 2)
        time.sleep(1)
        assert farm.files(farm.layout.scanned) == []
    mounting.mount(folder)
    if folder == "raw":
        drop_clips(farm, media, 2)
    check_goes_on(again, farm, 2)
    assert again.log.count("event=ingest_paused") == 1
    assert again.log.count("event=ingest_resumed") == 1


@pytest.mark.parametrize("state", ["not mounted", "dead"])
def test_a_start_without_a_mount_makes_nothing_in_its_place_and_waits(
    mounting: Mounting, media: Media, state: str
) -> None:
    """What would be made below the mount point would be hidden later; and no status says that the root is wrong."""
    farm, raw = mounting.farm, mounting.farm.layout.raw
    mounting.add("raw", "8m")
    farm.work()
    mounting.unmount("raw")
    shutil.rmtree(raw)
    raw.mkdir()
    if state == "dead":
        if not Path("/dev/fuse").exists():
            pytest.skip("a filesystem whose server has died takes /dev/fuse")
        mounting.mount_dead("raw")
    main = farm.start()
    words = "was a filesystem of its own" if state == "not mounted" else "cannot be reached: Transport endpoint"
    assert until_paused(main).startswith(f"{mounting.root}/raw {words}")
    if state == "dead":
        mounting.unmount("raw")
    assert list(raw.iterdir()) == []
    mounting.mount("raw")
    drop_clips(farm, media, 1)
    check_goes_on(main, farm, 1)


def test_a_folder_that_cannot_be_read_holds_up_no_other(farm: Farm, media: Media) -> None:
    """What lies in it waits, the log and the record say why, and the rest of raw/ goes on."""
    if os.geteuid() == 0:  # then only without the rights that make root read everything
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv, or somebody who is not root")
        farm.prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    drop_clips(farm, media, 1)
    secret = farm.drop(media.variant(media.clip(), 2), "video/secret/clip2.mp4").parent
    secret.chmod(0)
    try:
        main = farm.start()
        main.until(farm.library)
        main.until_logged("event=raw_unreadable")
        main.until(lambda: (record := main.record()) and record.trouble == f"{secret}: Permission denied")
        record = main.record()
        assert record is not None
        assert record.state != "paused", "the rest goes on"
        assert len(farm.library()) == 1
    finally:
        secret.chmod(0o755)
    check_goes_on(main, farm, 2)
    assert main.log.count("event=raw_unreadable") == 1

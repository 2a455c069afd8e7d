"""``reelmill doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from console.checkup import Checkup, Finding
from console.doctor import checked, lines
from shared.config import Config
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.records.encoders import EncodersRecord, Trial
from shared.records.lease import LeaseRecord
from shared.version import RULES
from tests.console.test_commands import reelmill


def test_the_doctor_shows_each_encoder() -> None:
    """What works, how fast, what `auto` takes, and what to do about the others."""
    shown = [
        Trial(encoder="h264_qsv", family="qsv", works=False, words="No session.", advice="Install it."),
        Trial(encoder="h264_vaapi", family="vaapi", works=True, fps=211.4, decoder="vaapi", decoder_fps=300.0),
        Trial(encoder="libx264", family="software", works=True, fps=30.2),
    ]
    record = EncodersRecord(
        host="box", boot="b", user=0, ffmpeg="/ffmpeg: 9", codec="h264", trials=tuple(shown), tried_at="t"
    )
    said = "\n".join(lines(record))
    assert "  no     h264_qsv           No session" in said
    assert "Install it." in said
    assert "works  h264_vaapi         211 frames a second, 300 with clips decoded by vaapi   <- what auto takes" in said
    assert "works  libx264            30 frames a second\n" in said + "\n"


def test_the_doctor_tries_all_on_this_machine(layout: Layout) -> None:
    """With the real command; problems of the configuration are told as ever."""
    status, said, _ = reelmill("doctor", "--root", str(layout.root), "--json")
    found = json.loads(said)
    works = {trial["encoder"]: trial["works"] for trial in found["encoders"][0]["trials"]}
    assert status == 0
    assert works["libx264"]
    assert all(check["works"] for check in found["checks"] if check["matters"])
    assert {"h264_nvenc", "h264_qsv", "h264_vaapi", "h264_amf", "h264_videotoolbox"} <= set(works)
    layout.config.write_text("[render]\nencoder = 'fast'\n", "utf-8")
    status, _, said = reelmill("doctor", "--root", str(layout.root))
    assert status == 2
    assert "render.encoder" in said


def checkup(layout: Layout, **settings: object) -> dict[str, Finding]:
    """What is found, by name."""
    config = Config.model_validate(settings)
    return {finding.name: finding for finding in Checkup(layout, config).findings()}


def test_a_sound_machine_is_found_sound(layout: Layout) -> None:
    """Each thing is tried for real, and nothing of that is left."""
    before = sorted(str(path) for path in layout.root.rglob("*"))
    found = checkup(layout)
    assert [name for name, finding in found.items() if not finding.works] == []
    assert {"one filesystem", "rights", "exclusive creation", "moving folders", "first output wins"} < set(found)
    assert sorted(str(path) for path in layout.root.rglob("*")) == before


def test_what_is_wrong_is_told_with_what_to_do(layout: Layout, elsewhere: Path) -> None:
    """A disk that is full, a lease that is too short, a folder on another filesystem, an ffmpeg that is not there."""
    LeaseRecord(lease_seconds=3).write(layout.lease)
    found = checkup(layout, worker={"min_free_bytes": 10**18}, ffmpeg={"path": "/nowhere/ffmpeg"})
    wrong = {name: finding.remedy for name, finding in found.items() if not finding.works}
    assert set(wrong) == {"room", "lease", "ffmpeg"}
    assert "at most 1" in wrong["lease"]
    layout.state(TaskState.FINISHED).rename(layout.root / "output-before")
    layout.state(TaskState.FINISHED).symlink_to(elsewhere)
    assert "output and .farm lie on different filesystems" in checkup(layout)["one filesystem"].words
    said = "\n".join(checked(found.values()))
    assert "  WRONG  lease " in said
    assert "Set worker.heartbeat_seconds to at most 1." in said


def test_a_folder_that_may_not_be_written_is_named(layout: Layout) -> None:
    """By the user that asks."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    layout.nodes.chmod(0o555)
    try:
        assert ".farm/nodes" in checkup(layout)["rights"].words
    finally:
        layout.nodes.chmod(0o755)


def test_a_root_of_newer_rules_is_told(layout: Layout) -> None:
    """This program would take nothing there."""
    LeaseRecord(rules=RULES + 1, lease_seconds=90).write(layout.lease)
    assert checkup(layout)["lease"].remedy == "Update this program."

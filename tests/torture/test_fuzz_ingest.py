"""The fuzzing notices what it is there for, and makes the same file again from the same number."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from console.init import lay_out
from shared.domain.layout import reason_of, sidecar_of
from tests.torture.fuzz_ingest import failures, judged
from tests.torture.mutations import MUTATIONS, Mutation

CLIP, OTHER = b"\0\0\0\x18ftypisom" + bytes(range(256)), b"ID3" + bytes(500)
NAMES = ["video/nature/0.mp4", "music/nature/1.mp3", "video/nature/2.mp4"]
STAYS = 'x INFO main_worker "raw/video/nature/2.mp4 stays: put off: the disk is full" event=file_stays'


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_spoilt_file_can_be_made_again(mutation: Mutation) -> None:
    """The same dice spoil it in the same way, others mostly in another."""
    spoilt = {mutation(CLIP, OTHER, random.Random(seed)) for seed in (1, 1, 1)}
    assert len(spoilt) == 1
    assert any(mutation(CLIP, OTHER, random.Random(seed)) != CLIP for seed in range(20))


def test_every_file_must_have_become_something(tmp_path: Path) -> None:
    """Taken, refused with all it takes to explain that, or put off; anything less is told."""
    layout = lay_out(tmp_path / "root")
    path = layout.scanned / "video/0.mp4"
    path.write_bytes(CLIP)
    sidecar_of(path).write_text(json.dumps({"origin": {"path": f"raw/{NAMES[0]}"}}))
    rejected = layout.invalid / "1.mp3"
    rejected.write_bytes(OTHER)
    reason = {"code": "unreadable", "reason": "It is no sound.", "advice": "", "original_path": f"raw/{NAMES[1]}"}
    reason_of(rejected).write_text(json.dumps(reason))
    assert judged(layout, NAMES, 0, STAYS).unexplained == [NAMES[1]], "a refusal without advice explains nothing"
    reason_of(rejected).write_text(json.dumps({**reason, "advice": "Drop one."}))
    found = judged(layout, NAMES, 0, STAYS)
    assert failures(found) == []
    assert found.outcomes == {"taken": 1, "unreadable": 1, "put off: the disk is full": 1}
    assert judged(layout, NAMES, 0, "").unexplained == [NAMES[2]]


def test_a_fault_and_a_hang_are_noticed(tmp_path: Path) -> None:
    """By the log, by the exit status, or by there being none."""
    layout = lay_out(tmp_path / "root")
    assert judged(layout, [], 0, "Stumbled over it event=fault").crashes
    assert judged(layout, [], -11, "").crashes
    assert judged(layout, ["a"], None, "").hangs

"""Why a task failed, in words for the person who finds it."""

from __future__ import annotations

import pytest

from render_worker.explanation import explain
from render_worker.gate import GateClosed
from render_worker.render import InputMissing
from render_worker.tool import RenderFailed
from shared.child import ChildTimeout
from shared.domain.errors import ReelmillError
from shared.domain.plan import PlanError
from shared.records.render import Check


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (InputMissing("music.mp3 (scanned/music/x.mp3) cannot be read"), "move this folder back into tasks/"),
        (PlanError("the 2 clips of this task cover 60 of 76 frames"), "Name more clips"),
        (ChildTimeout("made no progress for 120 s"), "render.stall_seconds"),
        (RenderFailed("ffmpeg ended with status 1 while rendering: x"), "stderr.log"),
    ],
)
def test_each_failure_has_its_advice(error: ReelmillError, advice: str) -> None:
    """The reason is the error as a sentence, with advice that fits it."""
    reason = explain("id", "render_failed", error)
    assert reason.reason == f"{error}."
    assert advice in reason.advice
    assert (reason.code, reason.task_id, reason.measured) == ("render_failed", "id", {})


def test_a_closed_gate_gives_the_figures_of_what_failed() -> None:
    """Checks that were passed are left out."""
    good = Check(name="size", passed=True, measured="320x180", limit="320x180")
    bad = Check(name="frames", passed=False, measured=75, limit=76)
    error = GateClosed((good, bad))
    assert str(error) == "the result did not pass the gate: frames is 75, must be 76"
    reason = explain("id", "render_failed", error)
    assert reason.measured == {"checks": [{"name": "frames", "passed": False, "measured": 75, "limit": 76}]}

"""Why a task failed, in words for the person who finds it in ``trash/failed/``."""

from __future__ import annotations

from render_worker.gate import GateClosed, SoundClosed
from render_worker.hauling import Undelivered
from render_worker.render import InputMissing
from shared.child import ChildTimeout
from shared.domain.plan import PlanError
from shared.records.reason import Reason
from shared.records.record import utc_now

_ADVICE = {
    GateClosed: "The file ffmpeg made is not right; stderr.log here says what it complained of.",
    SoundClosed: "docs/sound.md tells how voice and music are mixed; [mix] in config.toml has the levels.",
    InputMissing: "Put the file back where it was, then move this folder back into tasks/.",
    ChildTimeout: "If the machine is only slow, raise render.stall_seconds; else see in stderr.log where it hangs.",
    Undelivered: "See that its node reaches the root and may write there; then have the video uploaded, which renders "
    "nothing again: reelmill retry.",
    PlanError: "Name more clips in metadata.json and inputs here, then move this folder back into tasks/.",
}


def explain(task_id: str, code: str, error: Exception) -> Reason:
    """The reason of a failed task, from the error that ended its last attempt."""
    measured = {}
    if isinstance(error, GateClosed):
        measured = {"checks": [check.model_dump(mode="json") for check in error.checks if not check.passed]}
    return Reason(
        code=code,
        reason=f"{error}.",
        advice=_ADVICE.get(type(error), "stderr.log here holds everything ffmpeg said."),
        measured=measured,
        task_id=task_id,
        when=utc_now(),
    )

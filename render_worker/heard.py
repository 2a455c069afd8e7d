"""What a sound must be like when it is heard, decoded again after it was encoded. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from render_worker.limits import at_least, at_most, equal, near, told
from shared.domain.loudness import BLOCK_SECONDS, BLOCK_STEP_SECONDS, SILENCE_LUFS, apart, lead
from shared.domain.mix import TOLERANCE_LU
from shared.domain.pauses import Pause
from shared.domain.plan import RenderPlan
from shared.meter import Heard
from shared.records.render import Check

_PEAK_DB = 0.05  # of tolerance: the meter prints thousandths of full scale
_LEAST_LEAD_DB = 3.0  # music and room lie 12 dB under a voice; music in its place does not pause where that does
_CLEAR_LEAD_DB = 12.0  # what a voice must have had when it was dropped, to be told from music by it
_MOST_UNDER_LU = 20.0  # a programme whose peaks forbid more is at most this much too quiet
_HEARD_SHARE = 0.9  # of all; between parts that are heard one by one some is left out
_MEASURABLE_SECONDS = 0.5  # what is shorter may have no whole block


@dataclass(frozen=True)
class Spoken:
    """What is known of a voice: its pauses, and by how many dB it was louder than those (None: not known)."""

    pauses: tuple[Pause, ...] | None = None
    lead: float | None = None


UNKNOWN = Spoken()


def check_heard(heard: Heard, plan: RenderPlan, voice: Spoken) -> list[Check]:
    """Judge a sound by how it is heard."""
    loudness, master = round(heard.loudness, 2), plan.master
    if master is None or plan.seconds < _MEASURABLE_SECONDS:
        checks = [told("loudness, LUFS", loudness), told("true peak, dBTP", heard.true_peak)]
    else:
        wanted, under = master.wanted.loudness_lufs, _MOST_UNDER_LU if master.is_held else 0.0
        checks = [
            near("loudness, LUFS", loudness, wanted - under / 2, TOLERANCE_LU + under / 2),
            at_most("true peak, dBTP", heard.true_peak, master.wanted.true_peak_db + _PEAK_DB),
        ]
    if plan.seconds >= _MEASURABLE_SECONDS:
        seconds, least = len(heard.blocks) * BLOCK_STEP_SECONDS, _HEARD_SHARE * plan.seconds - BLOCK_SECONDS
        checks.append(at_least("seconds heard", round(seconds, 1), round(least, 1)))
    if voice.pauses is None:
        return checks
    spoken, _ = apart(heard.blocks, voice.pauses, plan.seconds)
    silent = sum(level <= SILENCE_LUFS for level in spoken)
    checks.append(equal("seconds of silence where somebody speaks", round(silent * BLOCK_STEP_SECONDS, 1), 0.0))
    # A voice in a noisy room leads its own pauses by little, and proves nothing here.
    leads = lead(heard.blocks, voice.pauses, plan.seconds)
    if master and leads is not None and (voice.lead or 0.0) >= _CLEAR_LEAD_DB:
        checks.append(at_least("voice over its pauses, dB", leads, _LEAST_LEAD_DB))
    return checks

"""A render mixes again what came out wrong, before the gate, and tells how the sound was judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from render_worker.gate import GateClosed
from render_worker.job import Job
from render_worker.soundtrack import make_sound
from render_worker.tool import RenderFailed, Tool
from shared.domain.layout import FINAL
from shared.domain.media import LoudnessFacts
from shared.ffmpeg import Ffmpeg
from shared.records.render import RenderRecord
from tests.render_worker.test_soundtrack import plan_of

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Measure = Callable[[Path], LoudnessFacts]
Script = Callable[[str], Ffmpeg]
BOTH = pytest.mark.parametrize("mode", ["direct", "segments"])


def with_voice(job: Job, **facts: Any) -> Job:
    """The same task with other facts of its voice."""
    inputs = {**job.metadata.inputs, "voice.mp3": job.metadata.inputs["voice.mp3"].model_copy(update=facts)}
    return replace(job, metadata=job.metadata.changed(inputs=inputs))


@BOTH
def test_the_record_tells_how_the_sound_was_judged(prepare: Prepare, render: Render, mode: str) -> None:
    """With figures and limits, and what would be too fast to be true."""
    job = with_voice(prepare(), pauses="")  # a sine never pauses
    checks = {check.name: check for check in render(job, mode=mode).checks}
    assert checks["loudness, LUFS"].limit == "-14 ± 0.5"
    assert checks["true peak, dBTP"].limit == "at most -0.95"
    assert checks["seconds of silence where somebody speaks"].measured == 0.0
    assert "seconds of sound encoded in a second" in checks
    assert ("pixels encoded in a second" in checks) == (mode == "direct")


@BOTH
@pytest.mark.parametrize("told", [-30.0, -10.0, None], ids=["too quiet", "too loud", "nothing"])
def test_what_was_measured_wrongly_is_mixed_again(
    prepare: Prepare, render: Render, measure: Measure, mode: str, told: float | None
) -> None:
    """Until it is right: the film is joined anew with the sound that came out as it should."""
    facts = LoudnessFacts(told, 0.0, told + 1.0) if told is not None else None
    job = with_voice(prepare(voice="voice_slow.mp3", clips=("long.mp4",)), loudness=facts)
    record = render(job, mode=mode)
    assert (record.mode, record.fallback) == (mode, None)
    assert measure(job.folder / FINAL).integrated == pytest.approx(-14.0, abs=0.5)
    assert record.plan["master"]["gain_db"] != 0.0
    assert not job.scratch.exists()


@BOTH
def test_a_sound_that_cannot_be_right_is_no_reason_to_encode_a_film_in_another_way(
    prepare: Prepare, render: Render, script: Script, mode: str
) -> None:
    """It ends the attempt before pictures are encoded in vain."""
    silenced = 'exec "$FFMPEG" $(echo "$@" | sed "s/apad=/volume=0,apad=/")'
    program = script(f'case "$*" in *movflags*) exit 9;; *tee*) {silenced};; esac; exec "$FFMPEG" "$@"')
    with pytest.raises(GateClosed, match="the sound did not pass the gate: loudness, LUFS is -70"):
        render(prepare(), program=program, mode=mode)


def test_an_odd_recording_may_be_complained_of(tmp_path: Path, tool: Tool, media: Callable[[str], Path]) -> None:
    """Two recordings in one file play one after the other; what decodes them says a word, and ingest takes them."""
    one = media("voice_slow.mp3").read_bytes()
    (tmp_path / "voice.mp3").write_bytes(one + b"\xff\xfb" + one[700:])
    (tmp_path / "music.mp3").symlink_to(media("music_stereo.mp3"))
    sound = make_sound(plan_of(20.0), tmp_path, tool.scratch / "sound.aac", tool)
    assert len(sound.heard.blocks) > 190
    assert tool.errors_to
    assert tool.errors_to.read_text("utf-8"), "there was something to complain of"


def test_a_sound_of_which_nothing_came_is_told(prepare: Prepare, render: Render, script: Script) -> None:
    """An ffmpeg that does nothing and says that all is well."""
    with pytest.raises(RenderFailed, match="made none"):
        render(prepare(), program=script('case "$*" in *tee*) ;; *) exec "$FFMPEG" "$@";; esac'), mode="direct")

"""Encoders are tried, not believed: by a short clip that is conformed, decoded and looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker import trials
from render_worker.commands.encoders import HARDWARE, SOFTWARE, Way
from render_worker.trials import Trials, advice, complaint, ways
from shared.domain.errors import MachineTrouble, Stopped
from shared.domain.layout import Layout
from shared.ffmpeg import Ffmpeg
from shared.records.encoders import EncodersRecord, Trial
from tests.render_worker.cards import BLACK, CARD, HANGING

Script = Callable[[str], Ffmpeg]


def on_trial(card: str) -> str:
    """A card that does in its trial what it else does only for videos."""
    return card.replace("*reelmill-trial*", "*never*")


def of(record: EncodersRecord, encoder: str) -> Trial:
    return next(trial for trial in record.trials if trial.encoder == encoder)


@pytest.fixture
def found(layout: Layout, ffmpeg: Ffmpeg) -> EncodersRecord:
    """What this machine's hardware does for H.264."""
    return Trials(layout, ffmpeg).remembered("h264", HARDWARE)


def test_hardware_that_is_not_there_is_told_in_the_words_of_its_driver(found: EncodersRecord) -> None:
    """Each family once, in the order of preference, and what to do about it."""
    assert [one.family for one in found.trials if one.encoder != "h264_vaapi_cqp"] == list(HARDWARE)
    for trial in found.trials:
        if trial.works:
            continue  # this machine has one
        assert trial.fps is None
        assert trial.words
        assert "Error while opening encoder" not in trial.words
        assert trial.advice or "There is no" in trial.words


@pytest.mark.parametrize(("codec", "encoder"), [("h264", "libx264"), ("hevc", "libx265"), ("av1", "libsvtav1")])
def test_software_works_for_every_codec(layout: Layout, ffmpeg: Ffmpeg, codec: str, encoder: str) -> None:
    """A segment of it passes all that segments have to pass."""
    record = Trials(layout, ffmpeg).tried(codec, [SOFTWARE])
    (trial,) = record.trials
    assert (trial.encoder, trial.works, trial.words) == (encoder, True, "")
    assert trial.fps
    assert ways(record, "auto")[-1] == Way(encoder)


def test_a_card_that_works_goes_first(layout: Layout, script: Script) -> None:
    """With software to fall back on; a processor that plays the decoder as well is no faster."""
    record = Trials(layout, script(CARD)).tried("h264", ["nvenc"])
    trial = of(record, "h264_nvenc")
    assert trial.works, trial
    assert trial.fps
    assert ways(record, "auto") == ways(record, "nvenc") == (Way("h264_nvenc"), Way("libx264"))


def test_a_card_that_writes_black_does_not_work(layout: Layout, script: Script) -> None:
    """Although it ends well, in no time."""
    record = Trials(layout, script(on_trial(BLACK))).tried("h264", ["nvenc"])
    trial = of(record, "h264_nvenc")
    assert not trial.works
    assert "black where the clips are not" in trial.words
    assert trial.advice.startswith("What it writes is wrong; update its driver (")
    assert ways(record, "auto") == (Way("libx264"),)


def test_a_card_that_hangs_does_not_hold_the_worker_up(
    layout: Layout, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are tried meanwhile."""
    monkeypatch.setattr(trials, "_PATIENCE_SECONDS", 1.0)
    hanging = on_trial(HANGING).replace("*testsrc2*", "*never*")
    trial = of(Trials(layout, script(hanging)).tried("h264", ["nvenc", "qsv"]), "h264_nvenc")
    assert not trial.works
    assert "made no progress for 1 s" in trial.words
    assert "Its driver hangs" in trial.advice


def test_what_works_is_remembered_until_the_next_boot(
    layout: Layout, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For one build of ffmpeg and one user only; a record that cannot be read is none. Nobody trusts a failure."""
    program = script(f'echo "$*" >>"$0.calls"; {CARD}')
    calls = Path(program.path + ".calls")

    def tried(build: Ffmpeg = program) -> set[str]:
        """The families that were tried."""
        calls.unlink(missing_ok=True)
        record = Trials(layout, build).remembered("h264")
        families = [one.family for one in record.trials]
        assert families == sorted(families, key=[*HARDWARE, SOFTWARE].index)
        assert record.best() == of(record, "h264_nvenc")
        words = calls.read_text("utf-8") if calls.exists() else ""
        return {family for family in ("nvenc", "qsv") if f"c:v h264_{family}" in words}

    other = Ffmpeg(program.path, "another build")
    assert tried() == {"nvenc", "qsv"}
    assert tried() == {"qsv"}
    assert tried(other) == {"nvenc", "qsv"}
    monkeypatch.setattr(trials, "boot_id", lambda: "another boot")
    assert tried(other) == {"nvenc", "qsv"}
    assert tried(other) == {"qsv"}
    (record,) = (layout.cache / "encoders").iterdir()
    record.write_text("{", "utf-8")
    assert tried(other) == {"nvenc", "qsv"}
    Trials(layout, other).forget("h264")
    assert tried(other) == {"nvenc", "qsv"}


def test_a_cache_that_cannot_be_written_is_no_obstacle(layout: Layout, ffmpeg: Ffmpeg) -> None:
    """It saves time, and no more."""
    layout.cache.mkdir(parents=True)
    (layout.cache / "encoders").write_text("a file, not a folder", "utf-8")
    assert ways(Trials(layout, ffmpeg).remembered("h264", [SOFTWARE]), "software") == (Way("libx264"),)


def test_trying_ends_at_once_when_the_worker_is_to_stop(layout: Layout, script: Script) -> None:
    """Whatever the drivers do."""
    hanging = on_trial(HANGING).replace("*testsrc2*", "*never*")
    with pytest.raises(Stopped):
        Trials(layout, script(hanging), lambda: True).tried("h264", ["nvenc"])


def test_an_encoder_that_was_asked_for_and_does_not_work_is_a_problem_of_the_configuration() -> None:
    """Nobody who asks for a card wants to wait for software without a word."""
    missing = Trial(encoder="h264_qsv", family="qsv", works=False, words="No session.", advice="Install it.")
    record = EncodersRecord(host="here", boot="b", user=0, ffmpeg="f", codec="h264", trials=(missing,), tried_at="now")
    words = r'render\.encoder = "qsv" does not work here\. No session\. Install it\. Or set it to "auto"\.'
    with pytest.raises(MachineTrouble, match=words):
        ways(record, "qsv")
    with pytest.raises(MachineTrouble, match=r'"videotoolbox" .*There is none for h264'):
        ways(record, "videotoolbox")
    assert ways(record, "auto") == ways(record, "software") == (Way("libx264"),)


def test_hardware_that_decodes_is_given_up_before_the_encoder() -> None:
    """Full hardware, decoding by software, software."""
    card = Trial(encoder="h264_nvenc", family="nvenc", works=True, fps=100.0, decoder="cuda", decoder_fps=150.0)
    record = EncodersRecord(host="here", boot="b", user=0, ffmpeg="f", codec="h264", trials=(card,), tried_at="now")
    assert ways(record, "auto") == (Way("h264_nvenc", "cuda"), Way("h264_nvenc"), Way("libx264"))


SAID = {
    "[h264_nvenc @ 0x1] Cannot load libcuda.so.1\n[vost#0:0/h264_nvenc @ 0x2] [enc:h264_nvenc @ 0x3] Error while "
    "opening encoder - maybe incorrect parameters\n": ("Cannot load libcuda.so.1", "NVIDIA's driver"),
    "[h264_nvenc @ 0x1] Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1\n"
    "[h264_nvenc @ 0x1] The minimum required Nvidia driver for nvenc is 570.0 or newer\n": (
        "Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1",
        "newer driver",
    ),
    "[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: out of memory (10): (no details)\n": (
        "OpenEncodeSessionEx failed: out of memory (10): (no details)",
        "fewer workers",
    ),
    "[h264_qsv @ 0x1] Error creating a MFX session: -9.\n": ("Error creating a MFX session: -9.", "Intel's runtime"),
    "[VAAPI @ 0x1] No VA display found for device /dev/dri/renderD128.\nDevice creation failed: -22.\n": (
        "No VA display found for device /dev/dri/renderD128.",
        "/dev/dri",
    ),
    "[AMF @ 0x7] DLL libamfrt64.so.1 failed to open\n": ("DLL libamfrt64.so.1 failed to open", "AMF runtime"),
    "[vist#0:0] Unknown encoder 'h264_amf'\n": ("Unknown encoder 'h264_amf'", "built without it"),
    "Error sending frames to consumers: Unknown error\n": ("", ""),
}


@pytest.mark.parametrize("said", SAID)
def test_the_drivers_words_are_picked_out_and_answered(said: str) -> None:
    """Of all that ffmpeg says when an encoder does not open, the one line that tells why."""
    words, what = SAID[said]
    assert complaint(said) == words
    assert what in advice(words)

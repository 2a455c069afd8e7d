"""Video encoders: one quality number and one preset for all, and the options that let their segments be joined."""

from __future__ import annotations

import os
import re
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from render_worker.commands.conform import Look, Recipe
from render_worker.commands.encoders import (
    AV1,
    CODECS,
    ENCODERS,
    HARDWARE,
    SOFTWARE,
    Encoder,
    Options,
    encoders_of,
    software_of,
)
from shared.domain.plan import Canvas, Profile, Treatment
from shared.ffmpeg import QUIET_LIBRARIES, Ffmpeg
from shared.settings import Render

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
GROUPS = {"g": 60, "flags": "+cgop"}

H264: dict[str, dict[str, Any]] = {
    "h264_nvenc": {
        "c:v": "h264_nvenc",
        "preset": "p4",
        "tune": "hq",
        "rc": "vbr",
        "cq": 21,
        "b:v": 0,
        "bf": 3,
        **GROUPS,
        "no-scenecut": 1,
        "forced-idr": 1,
        "profile:v": "high",
        "pix_fmt": "yuv420p",
    },
    "h264_qsv": {
        "c:v": "h264_qsv",
        "preset": "medium",
        "global_quality": 21,
        "bf": 3,
        **GROUPS,
        "forced_idr": 1,
        "adaptive_i": 0,
        "profile:v": "high",
        "pix_fmt": "nv12",
    },
    "h264_videotoolbox": {
        "c:v": "h264_videotoolbox",
        "prio_speed": 0,
        "q:v": 58,
        "g": 60,
        "profile:v": "high",
        "pix_fmt": "nv12",
    },
    "h264_vaapi": {
        "c:v": "h264_vaapi",
        "rc_mode": "ICQ",
        "global_quality": 21,
        "bf": 2,
        **GROUPS,
        "idr_interval": 0,
        "profile:v": "high",
    },
    "h264_vaapi_cqp": {
        "c:v": "h264_vaapi",
        "rc_mode": "CQP",
        "qp": 21,
        "bf": 2,
        **GROUPS,
        "idr_interval": 0,
        "profile:v": "high",
    },
    "h264_amf": {
        "c:v": "h264_amf",
        "quality": "balanced",
        "rc": "cqp",
        "qp_i": 21,
        "qp_p": 21,
        "g": 60,
        "bf": 0,
        "forced_idr": 1,
        "profile:v": "high",
        "pix_fmt": "nv12",
    },
}


def hevc(name: str, **other: Any) -> dict[str, Any]:
    """What is asked of the same hardware for HEVC."""
    return {**H264[name], "c:v": name.replace("h264", "hevc").removesuffix("_cqp"), **HVC1, **other}


def av1(name: str, *without: str, **other: Any) -> dict[str, Any]:
    """And for AV1, which has one profile."""
    kept = {key: value for key, value in H264[name].items() if key not in ("profile:v", *without)}
    return {**kept, "c:v": name.replace("h264", "av1").removesuffix("_cqp"), **other}


HVC1 = {"profile:v": "main", "tag:v": "hvc1"}
GOLDEN: dict[str, dict[str, Any]] = {
    "libx264": {
        "c:v": "libx264",
        "preset": "medium",
        "crf": 21,
        **GROUPS,
        "keyint_min": 60,
        "sc_threshold": 0,
        "profile:v": "high",
        "pix_fmt": "yuv420p",
    },
    "libx265": {
        "c:v": "libx265",
        "preset": "medium",
        "crf": 21,
        "x265-params": "keyint=60:min-keyint=60:scenecut=0:open-gop=0:wpp=0:info=0:log-level=error",
        "profile:v": "main",
        "tag:v": "hvc1",
        "pix_fmt": "yuv420p",
    },
    "libsvtav1": {
        "c:v": "libsvtav1",
        "preset": 7,
        "crf": 35,
        "g": 60,
        "svtav1-params": "irefresh-type=2:scd=0",
        "pix_fmt": "yuv420p",
    },
    **H264,
    **{name.replace("h264", "hevc"): hevc(name) for name in H264},
    "hevc_nvenc_no_b": hevc("h264_nvenc", bf=0),
    "hevc_amf": {key: value for key, value in hevc("h264_amf").items() if key != "bf"},  # it has no such option
    "av1_nvenc": av1("h264_nvenc", cq=26),
    "av1_qsv": av1("h264_qsv"),
    "av1_vaapi": av1("h264_vaapi", global_quality=105),
    "av1_vaapi_cqp": av1("h264_vaapi_cqp", "qp", global_quality=105),
    "av1_amf": av1("h264_amf", qp_i=105, qp_p=105),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_each_encoder_gets_its_own_words(name: str) -> None:
    """One quality and one preset become what each of them understands; groups are closed, on a fixed grid."""
    assert ENCODERS[name].options(21, "medium", 60) == GOLDEN[name]


def test_presets_are_mapped_in_order() -> None:
    """The slower one is asked for, the slower one is got, for those that have presets of their own."""

    def mapped(name: str, key: str = "preset") -> list[str | int]:
        return [ENCODERS[name].options(21, preset, 60)[key] for preset in PRESETS]

    assert mapped("h264_nvenc") == ["p1", "p1", "p2", "p3", "p3", "p4", "p5", "p6", "p7"]
    assert mapped("libsvtav1") == [12, 11, 10, 9, 8, 7, 6, 5, 4]
    assert mapped("h264_qsv") == ["veryfast", "veryfast", *PRESETS[2:]]
    assert mapped("h264_amf", "quality") == ["speed"] * 5 + ["balanced"] + ["quality"] * 3


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_every_quality_is_on_the_scale_of_its_encoder(encoder: Encoder) -> None:
    """From the best to the worst; none of them is a word for automatic or for lossless."""
    keys = ("crf", "cq", "global_quality", "qp", "qp_i", "q:v")
    key = next(key for key in keys if key in encoder.options(21, "medium", 60))
    found = [int(encoder.options(quality, "medium", 60)[key]) for quality in range(52)]
    assert found in (sorted(found), sorted(found, reverse=True))
    assert min(found) >= 1
    assert max(found) <= (51 if encoder.codec is not AV1 and key != "q:v" else 255)


def test_a_configuration_may_name_every_family_and_codec() -> None:
    """And nothing else: what is not in the table cannot be asked for."""
    fields = Render.model_fields
    assert set(fields["encoder"].annotation.__args__) == {"auto", SOFTWARE, *HARDWARE}  # type: ignore[union-attr]
    assert set(fields["codec"].annotation.__args__) == set(CODECS)  # type: ignore[union-attr]
    assert all(software_of(codec).codec.name == codec for codec in CODECS)
    assert encoders_of("videotoolbox", "av1") == []


# -- the embedded ffmpeg knows every word ---------------------------------------------------------------------

MISSING = {
    "nvenc": r"Cannot load libcuda\.so\.1|CUDA_ERROR_NO_DEVICE|No capable devices found",
    "qsv": r"Error creating a MFX session|Error initializing an internal MFX session",
    "vaapi": r"No VA display found|Failed to initialise VAAPI connection",
    "amf": r"libamfrt64\.so\.1 failed to open",
}
NOT_UNDERSTOOD = (
    r"Unrecognized option|Option not found|Undefined constant|Unable to parse|not found|Unknown encoder|Error setting"
)


def opened(ffmpeg: Ffmpeg, encoder: Encoder, options: Options) -> subprocess.CompletedProcess[str]:
    """A fifth of a second of video, encoded."""
    words = [str(word) for key, value in options.items() for word in (f"-{key}", value)]
    upload = ["-vf", ",".join("=".join(step) for step in encoder.upload)] if encoder.upload else []
    source = [*encoder.device, "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=0.2"]
    command = [ffmpeg.path, "-nostdin", "-loglevel", "error", *source, *upload, *words, "-f", "null", "-"]
    quiet = {**os.environ, **QUIET_LIBRARIES}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=quiet)


@pytest.mark.parametrize("name", [one.name for one in ENCODERS.values() if one.family in ("nvenc", "qsv", "amf")])
def test_every_option_is_understood_and_only_the_device_is_missing(ffmpeg: Ffmpeg, name: str) -> None:
    """A build without a card fails for right options as for wrong ones; its words tell them apart."""
    encoder = ENCODERS[name]
    done = opened(ffmpeg, encoder, encoder.options(21, "medium", 60))
    if done.returncode == 0:
        return  # there is a card
    assert re.search(MISSING[encoder.family], done.stderr), done.stderr
    assert not re.search(NOT_UNDERSTOOD, done.stderr), done.stderr


@pytest.mark.parametrize("wrong", [{"preset": "quick"}, {"no-such-option": 1}])
def test_a_wrong_option_is_told_from_a_missing_device(ffmpeg: Ffmpeg, wrong: Options) -> None:
    """What the test above looks for is said where an option is wrong."""
    encoder = ENCODERS["h264_nvenc"]
    done = opened(ffmpeg, encoder, {**encoder.options(21, "medium", 60), **wrong})
    assert re.search(NOT_UNDERSTOOD, done.stderr), done.stderr


@pytest.mark.parametrize("name", ["libx264", "libx265", "libsvtav1"])
def test_what_needs_no_device_encodes(ffmpeg: Ffmpeg, name: str) -> None:
    """And has nothing to complain of."""
    done = opened(ffmpeg, ENCODERS[name], ENCODERS[name].options(21, "medium", 60))
    assert (done.returncode, done.stderr) == (0, "")


def test_only_vaapi_needs_its_frames_brought_to_it() -> None:
    """A device in front of all inputs, frames uploaded behind all filters; the others take them as they are."""
    canvas = Canvas(640, 360, Fraction(30))

    def command(name: str) -> list[str]:
        look = Look(canvas, Profile(name, 21, "medium", 0))
        recipe = Recipe("", 0, 60, Treatment(), look)
        return recipe.command(Path("/clip"), Path("/task"), Path("/film"), None, threads=1)

    vaapi, x264 = command("h264_vaapi"), command("libx264")
    assert vaapi[2:4] == ["-vaapi_device", "/dev/dri/renderD128"]
    graphs = [words[words.index("-filter_complex") + 1] for words in (vaapi, x264)]
    assert re.search(r"format=yuv420p\[s\d+\];\[s\d+\]format=nv12\[s\d+\];\[s\d+\]hwupload\[s\d+\]", graphs[0])
    assert "hwupload" not in graphs[1]
    assert "-vaapi_device" not in x264

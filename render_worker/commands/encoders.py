"""Video encoders: how each takes one quality number, one preset name and a GOP length.

Quality is a number on the scale of x264's CRF, 0 to 51, lower is better. Each encoder has a scale of its own; here they
are brought onto that one (docs/encoders.md tells how well they meet). All make closed groups of pictures on a fixed
grid of keyframes, so that what is encoded with one setting joins by stream copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Options = Mapping[str, str | int]

SOFTWARE = "software"
HARDWARE = ("nvenc", "qsv", "videotoolbox", "vaapi", "amf")
"""Families of hardware encoders, in the order in which `auto` prefers those that work."""

_VAAPI_DEVICE = "/dev/dri/renderD128"  # the first card of a Linux machine


@dataclass(frozen=True)
class Codec:
    """A way of coding pictures.

    Attributes:
        name: in configurations; also ffmpeg's name of its decoder.
        tag: the sample entry in an MP4 (ISO/IEC 14496-15) that players know it by.
        title: in words.
    """

    name: str
    tag: str
    title: str


H264 = Codec("h264", "avc1", "AVC")
HEVC = Codec("hevc", "hvc1", "HEVC")
AV1 = Codec("av1", "av01", "AV1")
CODECS: Mapping[str, Codec] = {codec.name: codec for codec in (H264, HEVC, AV1)}


@dataclass(frozen=True)
class Encoder:
    """One way of using one of ffmpeg's video encoders.

    Attributes:
        name: as plans and records have it.
        options: output options from quality, preset (a name of x264's) and GOP length in frames.
        device: options in front of all inputs that open the device it needs.
        upload: filters that bring frames to that device.
        forcing: options without which a keyframe that is asked for is none, or is referred across.
    """

    name: str
    family: str
    codec: Codec
    options: Callable[[int, str, int], Options]
    device: tuple[str, ...] = ()
    upload: tuple[tuple[str, ...], ...] = ()
    forcing: Mapping[str, str] = field(default_factory=dict)


# -- software ------------------------------------------------------------------------------------------------


def _libx264(quality: int, preset: str, gop: int) -> Options:
    return {
        "c:v": "libx264",
        "preset": preset,
        "crf": max(1, quality),  # 0 is lossless, which players do not play
        "g": gop,
        "keyint_min": gop,
        "sc_threshold": 0,
        "flags": "+cgop",
        "profile:v": "high",
        "pix_fmt": "yuv420p",
    }


def _libx265(quality: int, preset: str, gop: int) -> Options:
    # The parameters that all segments have to share would else hold the number of threads, and whether there are some.
    grid = f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:wpp=0:info=0:log-level=error"
    scale: Options = {"crf": max(1, quality), "x265-params": grid}
    return {"c:v": "libx265", "preset": preset, **scale, "profile:v": "main", "tag:v": "hvc1", "pix_fmt": "yuv420p"}


def _libsvtav1(quality: int, preset: str, gop: int) -> Options:
    scale: Options = {"preset": _SVT_PRESETS[preset], "crf": min(63, max(1, _SVT_SLOPE * quality - _SVT_OFFSET))}
    grid = "irefresh-type=2:scd=0"  # closed groups
    return {"c:v": "libsvtav1", **scale, "g": gop, "svtav1-params": grid, "pix_fmt": "yuv420p"}


_SVT_SLOPE, _SVT_OFFSET = 3, 28  # the line through equal VMAF (`make bench-scales`); for x265 that is x264's own
_SVT_PRESETS = {
    "ultrafast": 12,
    "superfast": 11,
    "veryfast": 10,
    "faster": 9,
    "fast": 8,
    "medium": 7,
    "slow": 6,
    "slower": 5,
    "veryslow": 4,
}


# -- hardware ------------------------------------------------------------------------------------------------


def _nvenc(codec: Codec, *, b_frames: int = 3) -> Encoder:
    """NVIDIA: constant quality is its variable bit rate without a bound. Older cards have no B-frames in HEVC."""

    def options(quality: int, preset: str, gop: int) -> Options:
        cq = _on_scale(quality, 63 / 51, 63) if codec is AV1 else quality
        effort: Options = {"preset": _NVENC_PRESETS[preset], "tune": "hq"}
        scale: Options = {"rc": "vbr", "cq": max(1, cq), "b:v": 0}  # 0 leaves it to the encoder
        grid: Options = {"g": gop, "bf": b_frames, "no-scenecut": 1, "forced-idr": 1, "flags": "+cgop"}
        return {"c:v": f"{codec.name}_nvenc", **effort, **scale, **grid, **_profile(codec), "pix_fmt": "yuv420p"}

    return Encoder(f"{codec.name}_nvenc" + ("" if b_frames else "_no_b"), "nvenc", codec, options)


_NVENC_PRESETS = {
    "ultrafast": "p1",
    "superfast": "p1",
    "veryfast": "p2",
    "faster": "p3",
    "fast": "p3",
    "medium": "p4",
    "slow": "p5",
    "slower": "p6",
    "veryslow": "p7",
}


def _qsv(codec: Codec) -> Encoder:
    """Intel Quick Sync: forcing keyframes is unreliable, so that the grid is the GOP's alone."""

    def options(quality: int, preset: str, gop: int) -> Options:
        effort: Options = {"preset": {"ultrafast": "veryfast", "superfast": "veryfast"}.get(preset, preset)}
        scale: Options = {"global_quality": max(1, quality)}
        grid: Options = {"g": gop, "bf": 3, "forced_idr": 1, "adaptive_i": 0, "flags": "+cgop"}
        return {"c:v": f"{codec.name}_qsv", **effort, **scale, **grid, **_profile(codec), "pix_fmt": "nv12"}

    return Encoder(f"{codec.name}_qsv", "qsv", codec, options, forcing={"forced_idr": "1"})


def _videotoolbox(codec: Codec) -> Encoder:
    """Apple: quality is from 1 to 100, higher is better; it has no presets."""

    def options(quality: int, preset: str, gop: int) -> Options:
        scale: Options = {"q:v": max(1, 100 - 2 * quality)}
        effort: Options = {"prio_speed": int(preset in _QUICK)}
        return {"c:v": f"{codec.name}_videotoolbox", **effort, **scale, "g": gop, **_profile(codec), "pix_fmt": "nv12"}

    return Encoder(f"{codec.name}_videotoolbox", "videotoolbox", codec, options)


def _vaapi(codec: Codec, *, fixed: bool) -> Encoder:
    """Linux's own interface; drivers that know no intelligent constant quality get fixed quantisers. No presets."""

    def options(quality: int, _: str, gop: int) -> Options:
        number = "qp" if fixed and codec is not AV1 else "global_quality"
        factor, most = (5.0, 255) if codec is AV1 else (1.0, 51)
        scale: Options = {"rc_mode": "CQP" if fixed else "ICQ", number: _on_scale(quality, factor, most)}
        grid: Options = {"g": gop, "bf": 2, "idr_interval": 0, "flags": "+cgop"}
        return {"c:v": f"{codec.name}_vaapi", **scale, **grid, **_profile(codec)}

    device = ("-vaapi_device", _VAAPI_DEVICE)
    name = f"{codec.name}_vaapi" + ("_cqp" if fixed else "")
    return Encoder(name, "vaapi", codec, options, device, (("format", "nv12"), ("hwupload",)))


def _amf(codec: Codec) -> Encoder:
    """AMD: fixed quantisers."""

    def options(quality: int, preset: str, gop: int) -> Options:
        qp = _on_scale(quality, 5, 255) if codec is AV1 else _on_scale(quality, 1, 51)
        effort: Options = {"quality": "speed" if preset in _QUICK else "quality" if preset in _THOROUGH else "balanced"}
        scale: Options = {"rc": "cqp", "qp_i": qp, "qp_p": qp}
        grid: Options = {"g": gop, **({} if codec is HEVC else {"bf": 0}), "forced_idr": 1}
        return {"c:v": f"{codec.name}_amf", **effort, **scale, **grid, **_profile(codec), "pix_fmt": "nv12"}

    return Encoder(f"{codec.name}_amf", "amf", codec, options, forcing={"forced_idr": "1"})


_QUICK = frozenset({"ultrafast", "superfast", "veryfast", "faster", "fast"})
_THOROUGH = frozenset({"slow", "slower", "veryslow"})


def _profile(codec: Codec) -> Options:
    """What players have to be able to do; AV1 has one profile for all that is made here."""
    if codec is HEVC:
        return {"profile:v": "main", "tag:v": "hvc1"}
    return {"profile:v": "high"} if codec is H264 else {}


def _on_scale(quality: int, factor: float, most: int) -> int:
    return min(most, max(1, round(quality * factor)))


LIBX264 = Encoder("libx264", SOFTWARE, H264, _libx264)
ENCODERS: Mapping[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        *(make(codec) for make in (_nvenc, _qsv, _videotoolbox) for codec in CODECS.values() if codec is not AV1),
        _nvenc(HEVC, b_frames=0),
        *(make(AV1) for make in (_nvenc, _qsv)),  # no Apple chip encodes AV1
        *(_vaapi(codec, fixed=fixed) for codec in CODECS.values() for fixed in (False, True)),
        *map(_amf, CODECS.values()),
        LIBX264,
        Encoder("libx265", SOFTWARE, HEVC, _libx265, forcing={"forced-idr": "1"}),
        Encoder("libsvtav1", SOFTWARE, AV1, _libsvtav1),
    )
}


def encoders_of(family: str, codec: str) -> list[Encoder]:
    """The encoders of a family for a codec, the better first; none where there is no such thing."""
    return [one for one in ENCODERS.values() if (one.family, one.codec.name) == (family, codec)]


def software_of(codec: str) -> Encoder:
    """The encoder that needs no hardware."""
    return encoders_of(SOFTWARE, codec)[0]


@dataclass(frozen=True)
class Way:
    """What pictures are encoded with: an encoder, and the hardware that decodes clips, if any does."""

    encoder: str
    decoder: str | None = None

    def __str__(self) -> str:
        return f"{self.encoder}, decoding by {self.decoder}" if self.decoder else self.encoder

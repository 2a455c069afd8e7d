"""What a build of ffmpeg must have for the farm, and what one has not: builds differ in what they were made with.

Video encoders other than libx264 are no part of it: which of them work is tried (``render_worker/trials.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.child import Limits, run_child
from shared.ffmpeg import Ffmpeg, check_machine

_PICTURES = (  # zscale, which tone-maps, is of libzimg, and subtitles, which burns captions in, of libass
    "bwdif chromakey color colorchannelmixer colorkey concat despill fade format fps gblur loop nullsrc overlay pad "
    "premultiply scale select setparams setpts setsar settb sidedata split subtitles testsrc2 tonemap tpad trim "
    "unpremultiply xfade xstack zscale"
)
_SOUNDS = (
    "afade aformat alimiter ametadata amix anullsink apad aresample asetnsamples asetpts asoftclip asplit astats "
    "atrim ebur128 highpass lowpass sidechaincompress silencedetect volume"
)
_PARTS: Mapping[str, str] = {
    "filters": f"{_PICTURES} {_SOUNDS}",
    "encoders": "aac libmp3lame libx264 mjpeg mov_text pcm_s16le rawvideo subrip text",
    "decoders": "aac h264 hevc mjpeg mov_text mp3float mpeg4 png subrip vp9 webp webvtt",
    "muxers": "adts framecrc image2 matroska mov mp3 mp4 null rawvideo s16le srt tee",
    "demuxers": "aac concat jpeg_pipe matroska mov mp3 png_pipe srt webp_pipe webvtt",
    "bsfs": "noise setts",
}
PARTS: Mapping[str, frozenset[str]] = {kind: frozenset(names.split()) for kind, names in _PARTS.items()}
"""By the option of ffmpeg that lists them. A test holds the filters against those in the code."""

_LISTING_SECONDS = 30.0


def missing_parts(ffmpeg: Ffmpeg) -> list[str]:
    """What this build has not, such as ``filter zscale``.

    Raises:
        MachineTrouble: it does not start.
        ChildTimeout: it does not answer.
    """
    return [
        f"{kind.removesuffix('s')} {name}"
        for kind, wanted in PARTS.items()
        for name in sorted(wanted - _listed(ffmpeg, kind))
    ]


def _listed(ffmpeg: Ffmpeg, kind: str) -> frozenset[str]:
    """The names that ffmpeg lists, and some words of its headings, which are the name of nothing."""
    limits = Limits(total_seconds=_LISTING_SECONDS)
    ended = run_child([ffmpeg.path, "-hide_banner", f"-{kind}"], limits=limits, stopping=lambda: False)
    check_machine(ended, "ffmpeg")
    rows = [line.split() for line in ended.output.decode("utf-8", "replace").splitlines()]
    # Flags, name or names, description; bitstream filters have a name alone.
    return frozenset(name for row in rows for column in (row[1:2] or row) for name in column.split(","))

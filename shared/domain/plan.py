"""The render plan: which frames of which clip, which sound at which gain, exactly how many frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Literal

from shared.domain.errors import ReelmillError
from shared.domain.media import VideoFacts
from shared.domain.mix import Master

LEAST = 8
"""Frames of which fewer are neither cut out nor encoded by themselves: decoding runs some frames ahead of display, so
that a cut after fewer would lie before the beginning, and fewer encoded ones have none to reorder, and thus other
decoding times."""

STILLS = {".png": "png_pipe", ".jpg": "jpeg_pipe", ".jpeg": "jpeg_pipe", ".webp": "webp_pipe"}
"""Single pictures that are shown as a film, by their suffix, and what opens them."""

CARD_SHARE = 4
"""The part of its video that a title or end card takes at most is one in so many."""

# From here on, also as a film's wide picture, cameras mean BT.709 when they do not say what they mean (BT.601 below).
_HD_WIDTH, _HD_LINES = 1280, 720


class PlanError(ReelmillError):
    """The material of a task cannot fill its video."""


Fit = Literal["pad", "crop", "blur"]
"""What becomes of a clip that has another shape than the canvas: black bars, no edges, or its own blur behind it."""


@dataclass(frozen=True)
class Canvas:
    """The picture to make: width and height in pixels, frames per second, and how clips are brought into its shape."""

    width: int
    height: int
    rate: Fraction
    fit: Fit = "pad"


@dataclass(frozen=True)
class Treatment:
    """What a clip needs to look right on a canvas, beyond turning, scaling and timing, which every clip gets.

    Attributes:
        fields: for interlaced pictures, the order of their fields; ``auto`` where each picture says it.
        doubled: whether each field becomes a frame, where the canvas has room for them.
        tone_map: the transfer of a high dynamic range that is mapped to an ordinary screen's.
        matrix: what the colours are coded with, where the clip does not say it.
        late_seconds: how long after the beginning of its file its first picture comes.
        in_software: whether hardware that cannot decode it would leave it at that, or would leave its alpha channel
            out, so that none is asked.
        still: what opens it, where it is a single picture, which stays (:data:`STILLS`).
    """

    fields: Literal["tff", "bff", "auto"] | None = None
    doubled: bool = False
    tone_map: Literal["PQ", "HLG"] | None = None
    matrix: Literal["bt709"] | None = None
    late_seconds: float = 0.0
    in_software: bool = False
    still: str | None = None


Format = Literal["mp4", "mov", "mkv"]
Cut = Literal["cut", "fade", "crossfade"]
"""From one shot to the next: at once, through black, or while one is over the other."""


@dataclass(frozen=True)
class Transition:
    """What is between shots that have room for it.

    Attributes:
        frames: of each of two shots: those of the one that goes and those of the one that comes.
    """

    kind: Cut = "cut"
    frames: int = 0

    @property
    def shared(self) -> int:
        """How many frames of a video show both shots."""
        return self.frames if self.kind == "crossfade" else 0

    @property
    def room(self) -> int:
        """Frames that a shot must have: for one transition into it and one out of it, and what is copied between."""
        return 2 * self.frames + 2 * LEAST


HARD_CUT = Transition()


@dataclass(frozen=True)
class Shot:
    """The first `frames` frames of one clip, counted at the canvas rate.

    Attributes:
        clip_frames: how many frames the whole clip has at that rate.
        enters: how many of its frames are in the transition from the shot before; 0 where it is a hard cut.
        card: whether it is a title or end card, which is shown for just so many frames, and without a decoration.
    """

    source: str
    frames: int
    clip_frames: int
    treatment: Treatment = Treatment()
    enters: int = 0
    card: bool = False


Position = Literal["top-left", "top-right", "bottom-left", "bottom-right", "center"]
"""Where on a canvas something lies."""


@dataclass(frozen=True)
class Layer:
    """A picture laid over all shots.

    Attributes:
        source: its file in the task.
        margin: pixels between it and the edges it lies at.
        width: pixels it is scaled to, in its shape; None leaves its size.
        opacity: from 0, which is not to be seen, to 1; multiplies its own.
    """

    source: str
    position: Position = "top-left"
    margin: int = 20
    width: int | None = None
    opacity: float = 1.0


FrameFit = Literal["stretch", "pad", "crop"]
"""What becomes of a decoration that has another shape than the canvas: stretched, whole within it, or covering it."""


@dataclass(frozen=True)
class Decoration:
    """A film laid over each shot below the layers, from its beginning on, and anew where it ends.

    Attributes:
        source: its file in the task.
        frames: after how many, at the canvas rate, it begins anew.
        pace: what its times are multiplied by, so that it lasts just so many frames.
        key: the colour that one sees through, as ``#rrggbb``; None where it has an alpha channel.
    """

    source: str
    frames: int
    key: str | None = None
    fit: FrameFit = "stretch"
    treatment: Treatment = Treatment()
    pace: float = 1.0


@dataclass(frozen=True)
class Track:
    """One sound: its file in the task, linear gain, channel count, and whether it repeats to the end."""

    source: str
    gain: float
    channels: int
    loops: bool = False


@dataclass(frozen=True)
class Captions:
    """Words to be shown: their file in the task, their language (ISO 639-2), and how many times some are shown.

    Attributes:
        shown: as a track of text that players switch on and off, or drawn into the picture.
    """

    source: str
    language: str
    cues: int
    shown: Literal["track", "burned"] = "track"


@dataclass(frozen=True)
class Profile:
    """How picture and sound are encoded.

    Attributes:
        encoder: as ffmpeg names it.
        quality: constant quality on the scale of x264's CRF; lower is better and larger.
        preset: effort of the encoder, in x264's words.
        audio_kbps: bit rate of the sound, in kbit/s.
    """

    encoder: str
    quality: int
    preset: str
    audio_kbps: int


@dataclass(frozen=True)
class RenderPlan:
    """Everything a renderer needs to know; nothing about how it does it.

    Attributes:
        seconds: length of the voice, which is the length of the video.
        frames: exact number of frames of the output.
        tracks: the voice first.
        master: what makes one programme of the tracks; None where they are only added up.
    """

    canvas: Canvas
    profile: Profile
    seconds: float
    frames: int
    shots: tuple[Shot, ...]
    layers: tuple[Layer, ...]
    tracks: tuple[Track, ...]
    captions: Captions | None = None
    master: Master | None = None
    decoration: Decoration | None = None
    transition: Transition = HARD_CUT

    @property
    def begins(self) -> tuple[int, ...]:
        """With which frame of the video each shot begins; with a crossfade, while the one before it is still seen."""
        found, behind = [], 0
        for shot in self.shots:
            found.append(behind - (self.transition.shared if shot.enters else 0))
            behind = found[-1] + shot.frames
        return tuple(found)

    @property
    def text_track(self) -> Captions | None:
        """The captions, where they are a track of the video."""
        return self.captions if self.captions and self.captions.shown == "track" else None

    @property
    def burned(self) -> Captions | None:
        """The captions, where they are drawn into the picture; it then belongs to this video alone."""
        return self.captions if self.captions and self.captions.shown == "burned" else None


@dataclass(frozen=True)
class Clip:
    """What a plan needs to know of a clip or card: its name in the task, seconds, and facts where they are known."""

    source: str
    seconds: float
    facts: VideoFacts | None = None

    @property
    def still(self) -> str | None:
        """What opens it, where it is a single picture."""
        return STILLS.get(PurePosixPath(self.source).suffix)


def exact_rate(value: float) -> Fraction:
    """Frames per second as the exact fraction meant: 29.97 is 30000/1001, 25 is 25."""
    for base in (24, 30, 48, 60, 120):
        ntsc = Fraction(base * 1000, 1001)
        if abs(value - float(ntsc)) < 0.005:  # noqa: PLR2004 - 23.98, 23.976 and 29.97 are all in use
            return ntsc
    return Fraction(value).limit_denominator(1001)


def frames_in(seconds: float, rate: Fraction) -> int:
    """Whole frames that fit into a duration (a microsecond short of a frame counts as the frame)."""
    return math.floor(Fraction(seconds + 1e-6) * rate)


def frames_to_cover(seconds: float, rate: Fraction) -> int:
    """Frames needed so that the picture is not shorter than the sound."""
    return max(1, math.ceil(Fraction(seconds - 1e-6) * rate))


def transition_of(kind: Cut, seconds: float, rate: Fraction) -> Transition:
    """A transition that lasts so long; never so few frames that they could not be encoded by themselves."""
    if kind == "cut":
        return Transition()
    frames = max(LEAST, round(Fraction(seconds) * rate))
    return Transition(kind, frames if kind == "crossfade" else -(-frames // 2))


def next_shot(before: int, whole: int, left: int, transition: Transition) -> tuple[int, int]:
    """How many frames of a clip a video shows that lacks `left` frames, and how many of them are in a transition.

    Args:
        before: frames of the shot before it; 0 for the first.
        whole: frames that the clip has.
    """
    blended = min(whole, left + transition.shared)
    if transition.frames and min(before, blended) >= transition.room:
        return blended, transition.frames
    return min(whole, left), 0


def taken_by_cards(
    title: float | None, end: float | None, video: float, rate: Fraction, transition: Transition = HARD_CUT
) -> tuple[int, int]:
    """Frames of a title card's shot, and frames of the video that show nothing but its end card.

    Either is 0 where there is no such card, or too little time for it. A crossfade takes more of the end card.

    Args:
        title, end: seconds of the cards.
        video: seconds of the video.
    """
    most = frames_to_cover(video, rate) // CARD_SHARE

    def alone(card: float | None) -> tuple[int, int]:
        """Frames that show nothing but a card, and those that it shares with a clip, where it has room for that."""
        whole = 0 if card is None else frames_in(card, rate)
        has_room = min(whole, most + transition.shared) >= transition.room
        shared = transition.shared if has_room else 0
        frames = min(whole - shared, most)
        return (frames, shared) if frames >= LEAST else (0, 0)

    (opening, leaves), (closing, _) = alone(title), alone(end)
    return opening + leaves, closing


def treatment_of(facts: VideoFacts | None, rate: Fraction) -> Treatment:
    """What a clip needs on a canvas of so many frames per second."""
    if facts is None:
        return Treatment()
    fields = _FIELDS.get(facts.scan or ("interlaced" if facts.codec in _MAYBE_FIELDS else ""))
    return Treatment(
        fields=fields,
        doubled=fields is not None and rate >= Fraction(3, 2) * Fraction(facts.frame_rate),
        tone_map=facts.hdr,
        matrix="bt709" if _means_bt709(facts) else None,
        late_seconds=facts.late_seconds,
        in_software=facts.alpha or facts.codec in _WITHOUT_FALLBACK,
    )


def card_treatment(card: Clip, rate: Fraction) -> Treatment:
    """What a title or end card, a picture or a film, needs on a canvas of so many frames per second."""
    return Treatment(in_software=True, still=card.still) if card.still else treatment_of(card.facts, rate)


def _card(card: Clip, frames: int, enters: int, canvas: Canvas) -> Shot:
    return Shot(card.source, frames, frames, card_treatment(card, canvas.rate), enters, card=True)


def _means_bt709(facts: VideoFacts) -> bool:
    large = facts.width >= _HD_WIDTH or facts.height >= _HD_LINES
    return facts.matrix is None and large and facts.codec not in _OWN_MATRIX


# MediaInfo has no word for the scan of much interlaced H.264; its pictures say it each by itself.
_MAYBE_FIELDS = frozenset({"AVC"})
# ffmpeg decodes AV1 for hardware by a decoder of its own, which cannot do it without.
_WITHOUT_FALLBACK = frozenset({"AV1"})
_OWN_MATRIX = frozenset({"JPEG"})  # BT.601 by definition, of any size
_FIELDS: Mapping[str, Literal["tff", "bff", "auto"]] = {
    "top field first": "tff",
    "bottom field first": "bff",
    "interlaced": "auto",
}


def make_plan(
    canvas: Canvas,
    profile: Profile,
    *,
    seconds: float,
    clips: Sequence[Clip],
    layers: Sequence[Layer],
    tracks: Sequence[Track],
    captions: Captions | None = None,
    master: Master | None = None,
    decoration: Decoration | None = None,
    transition: Transition = HARD_CUT,
    title: Clip | None = None,
    end: Clip | None = None,
) -> RenderPlan:
    """Lay the clips end to end until the voice is covered; the last one is cut to the exact frame.

    The cards are shown while the voice speaks, so that the video is as long as it is without them.

    Raises:
        PlanError: the clips together are shorter than the voice.
    """
    wanted = frames_to_cover(seconds, canvas.rate)
    lengths = [card.seconds if card else None for card in (title, end)]
    opening, closing = taken_by_cards(lengths[0], lengths[1], seconds, canvas.rate, transition)
    shots = [_card(title, opening, 0, canvas)] if title and opening else []
    left = wanted - opening - closing
    for clip in clips:
        if left == 0:
            break
        whole = frames_in(clip.seconds, canvas.rate)
        if whole:
            frames, enters = next_shot(shots[-1].frames if shots else 0, whole, left, transition)
            shots.append(Shot(clip.source, frames, whole, treatment_of(clip.facts, canvas.rate), enters))
            left -= frames - (transition.shared if enters else 0)
    if end and closing and not left:
        whole = frames_in(end.seconds, canvas.rate)
        shots.append(_card(end, *next_shot(shots[-1].frames, whole, closing, transition), canvas))
    if left:
        raise PlanError(
            f"the {len(clips)} clips of this task cover {wanted - left} of {wanted} frames; "
            "a task needs clips that are together as long as its voice"
        )
    return RenderPlan(
        canvas,
        profile,
        seconds,
        wanted,
        tuple(shots),
        tuple(layers),
        tuple(tracks),
        captions,
        master,
        decoration,
        transition,
    )

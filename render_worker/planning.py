"""The plan of a task, from its metadata and the configuration; pure."""

from __future__ import annotations

from fractions import Fraction

from render_worker.commands.sounds import MONO_TO_STEREO
from shared.config import Config, UnknownProfile
from shared.domain.media import VideoFacts
from shared.domain.mix import Master, levels
from shared.domain.plan import (
    Canvas,
    Captions,
    Clip,
    Decoration,
    Layer,
    PlanError,
    Profile,
    RenderPlan,
    Track,
    exact_rate,
    frames_in,
    make_plan,
    transition_of,
    treatment_of,
)
from shared.records.metadata import Metadata
from shared.settings import KEY_AUTO, Mix, Render
from shared.settings import Profile as ConfiguredProfile

_UNSEEN_SECONDS = 1e-5  # by which a film's length is rounded; a thousand turns later it is still no frame


def profile_of(metadata: Metadata, config: Config) -> ConfiguredProfile:
    """What the configuration says of the picture and the sound of a task.

    Raises:
        PlanError: it does not have its profile.
    """
    try:
        return config.profile(metadata.render.profile)
    except UnknownProfile as error:
        raise PlanError(f"this task was made for a profile, but {error}") from error


def plan_of(metadata: Metadata, config: Config, encoder: str) -> RenderPlan:
    """The plan of a task, from its metadata and the configuration alone.

    Raises:
        PlanError: its clips do not cover its voice, or the configuration does not have its profile.
    """
    profile = profile_of(metadata, config)
    render = profile.render
    width, height = map(int, metadata.render.resolution.split("x"))
    rate, inputs = exact_rate(metadata.render.frame_rate), metadata.inputs
    tracks, master = _tracks(metadata, profile.mix)
    logo, captions = metadata.render.logo, metadata.captions
    return make_plan(
        Canvas(width, height, rate, render.fit),
        Profile(encoder, render.quality, render.preset, render.audio_kbps),
        seconds=metadata.voice_duration,
        clips=[Clip(name, inputs[name].seconds or 0.0, inputs[name].video) for name in metadata.video_files],
        layers=[logo_layer(logo, render, width)] if logo else [],
        tracks=tracks,
        captions=Captions(captions.file, captions.language, captions.cues, captions.shown) if captions else None,
        master=master,
        decoration=decoration_of(metadata.frame_file, inputs[metadata.frame_file].video, render, rate)
        if metadata.frame_file
        else None,
        transition=transition_of(metadata.render.transition, metadata.render.transition_seconds, rate),
        title=_card(metadata.title_file, metadata),
        end=_card(metadata.end_file, metadata),
    )


def _card(name: str | None, metadata: Metadata) -> Clip | None:
    if name is None:
        return None
    shown = metadata.inputs[name]
    return Clip(name, metadata.render.card_seconds if shown.seconds is None else shown.seconds, shown.video)


def decoration_of(source: str, facts: VideoFacts | None, render: Render, rate: Fraction) -> Decoration:
    """A decorative frame as the configuration has it.

    Raises:
        PlanError: its record says nothing of its picture, or it would hide the video.
    """
    if facts is None:
        raise PlanError(f"{source}: the record of this decorative frame does not say how long it is")
    if not render.shows(facts):
        raise PlanError(
            f"{source}: this decorative frame would hide the video, since render.frame_key does not name the colour "
            "any more that one would see through; name it again, or retire the frame and drop the voice again"
        )
    named = facts.key if render.frame_key == KEY_AUTO else render.frame_key
    key = None if facts.alpha else named  # to take a colour out makes a new alpha channel
    frames = max(1, frames_in(facts.seconds, rate))
    lasts = float(frames / rate)
    # Else it would fall behind with each turn, and leap back where a segment begins in the middle of one.
    pace = 1.0 if abs(facts.seconds - lasts) < _UNSEEN_SECONDS else lasts / facts.seconds
    return Decoration(source, frames, key, render.frame_fit, treatment_of(facts, rate), pace)


def logo_layer(source: str, render: Render, width: int) -> Layer:
    """The logo as the configuration has it, on a canvas so many pixels wide."""
    scaled = max(1, round(render.logo_width * width)) if render.logo_width else None
    return Layer(source, render.logo_position, render.logo_margin, scaled, render.logo_opacity)


def _tracks(metadata: Metadata, mix: Mix) -> tuple[list[Track], Master | None]:
    """Voice and music with their gains, and what makes one programme of them, if anything does."""
    voice, music = (metadata.inputs[name] if name else None for name in (metadata.voice_file, metadata.music_file))
    assert voice  # noqa: S101 - for the type checker: every task has one
    if mix.style == "broadcast":
        spoken, played = voice.loudness, music.loudness if music else None
        voice_db, music_db, master = levels(spoken, played, mix.broadcast)
        # What is measured of a mono sound is that of one with 3 dB less on both sides.
        voice_gain, music_gain = (
            10 ** (gain / 20) / (MONO_TO_STEREO if one and one.channels == 1 else 1.0)
            for gain, one in ((voice_db, voice), (music_db, music))
        )
    else:
        voice_gain, music_gain, master = mix.voice_gain, mix.music_gain, None
    tracks = [Track(metadata.voice_file, voice_gain, voice.channels or 2)]
    if music and metadata.music_file:
        tracks.append(Track(metadata.music_file, music_gain, music.channels or 2, loops=True))
    return tracks, master


def wants_segments(plan: RenderPlan, render: Render) -> bool:
    """Whether a plan is to be made of segments, as its profile says; words in the picture make it this video's own."""
    return render.mode == "segments" and plan.burned is None

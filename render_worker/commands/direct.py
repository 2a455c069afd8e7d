"""The specification's command: a whole plan in one ffmpeg.

It differs from the template in what real clips make necessary: the clips are joined by the concat *filter*, after each
has been brought to the canvas; the concat *demuxer* keeps the first clip's codec and silently drops every clip of
another one (exit status 0). One ffmpeg opens all clips at once (measured with 300 inputs: 9 MB for each 720p clip).
"""

from __future__ import annotations

from pathlib import Path

from render_worker.commands.captions import captions
from render_worker.commands.lettering import Lettering
from render_worker.commands.luma import clip_luma
from render_worker.commands.outputs import arguments, container, device, for_encoder, video_options
from render_worker.commands.pictures import Over, picture
from render_worker.commands.sounds import audio_options, mix
from render_worker.commands.stretches import Decoding, Stretch
from shared.domain.plan import RenderPlan


def direct(
    plan: RenderPlan,
    task: Path,
    target: Path,
    luma: Path,
    lettering: Lettering | None = None,
    hardware: str | None = None,
) -> list[str]:
    """The whole plan in one command: picture and sound are encoded into `target`, with words drawn over all else.

    Args:
        luma: gets the brightness of the clips.
        hardware: what decodes the clips.
    """
    stretches = [
        Stretch(task / shot.source, 0, shot.frames, shot.treatment, decorated=not shot.card) for shot in plan.shots
    ]
    texts, text_options = captions(plan, task)
    over, enters = Over(task, plan.layers, plan.decoration), [shot.enters for shot in plan.shots]
    pictures = picture(stretches, plan.canvas, over, Decoding(hardware), enters, plan.transition)
    shown = lettering.over(pictures.film) if lettering else pictures.film
    options = {
        **video_options(plan.canvas, plan.profile),
        **audio_options(plan.profile),
        **text_options,
        **container(plan.canvas),
        "movflags": "+faststart",
    }
    streams = [for_encoder(shown, plan.profile), mix(plan, task), *texts]
    return [*device(plan.profile), *arguments(streams, target, options, clip_luma(pictures.small, luma))]

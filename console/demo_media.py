"""Real media for the demonstration: ffmpeg paints clips, chords and logo; only the voice is shipped."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

from shared.domain.errors import ToolError

STORY = "lamp_keeper"
"""Name of the story whose one chapter is the shipped voice."""

_QUIET = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y")
# x264 decides differently for each number of threads, so the number is part of what makes two runs alike.
_H264 = ("-c:v", "libx264", "-preset", "superfast", "-crf", "24", "-pix_fmt", "yuv420p", "-threads", "2")
_MP3 = ("-c:a", "libmp3lame", "-b:a", "128k")
_WORKERS = 2
_LONGEST_S = 300


@dataclass(frozen=True)
class Sample:
    """One file that was made.

    Attributes:
        relative: its path from the folder it was made in: ``raw/…``, or ``assets/…`` for the logo.
        what: a few words for a summary.
    """

    relative: PurePosixPath
    what: str


@dataclass(frozen=True)
class Clip:
    """One clip to paint: where it goes, what it measures, and the scene that draws it at a frame rate."""

    relative: PurePosixPath
    title: str
    width: int
    height: int
    rate: str
    seconds: int
    scene: Callable[[str], str]

    @property
    def sample(self) -> Sample:
        """What a summary says of this clip."""
        size = f"{self.width}x{self.height}"
        return Sample(self.relative, f"{self.title}, {size} at {self.rate} frames/s, {self.seconds} s")


def make_samples(ffmpeg: str, folder: Path, on_made: Callable[[Sample], None] = lambda _: None) -> tuple[Sample, ...]:
    """Make every sample under ``folder``; the same pictures on every run, without a network.

    Args:
        ffmpeg: the ffmpeg to paint with.
        folder: receives ``raw/…`` and ``assets/logo.png``; made when absent, files in the way are replaced.
        on_made: told of each sample as it is complete, in the calling thread.

    Returns:
        All samples, in the order of the tables here.

    Raises:
        ToolError: ffmpeg did not start, failed, or did not end.
    """
    jobs: dict[Sample, Callable[[], None]] = {
        clip.sample: _running(ffmpeg, folder / clip.relative, clip_arguments(clip)) for clip in CLIPS
    }
    jobs[MUSIC] = _running(ffmpeg, folder / MUSIC.relative, music_arguments())
    jobs[LOGO] = _running(ffmpeg, folder / LOGO.relative, logo_arguments())
    for sample in (VOICE, TEXT):
        jobs[sample] = functools.partial(_copy_asset, f"voice{sample.relative.suffix}", folder / sample.relative)
    with ThreadPoolExecutor(_WORKERS) as pool:
        futures = {pool.submit(job): sample for sample, job in jobs.items()}
        try:
            for done in as_completed(futures):
                done.result()
                on_made(futures[done])
        finally:
            pool.shutdown(cancel_futures=True)
    _cut_in_half(folder / WHOLE.relative, folder / BROKEN.relative)
    on_made(BROKEN)
    return (*jobs, BROKEN)


def clip_arguments(clip: Clip) -> tuple[str, ...]:
    """Everything ffmpeg is told about ``clip`` but the output path."""
    graph = f"{clip.scene(clip.rate)},scale={clip.width}:{clip.height},setsar=1[v]"
    shown = ("-filter_complex", graph, "-map", "[v]", "-r", clip.rate, "-t", str(clip.seconds))
    return (*shown, *_H264, "-movflags", "+faststart")


def music_arguments() -> tuple[str, ...]:
    """Everything ffmpeg is told about the music but the output path."""
    chords = "".join(f"{_chord(notes)}[c{n}];" for n, notes in enumerate(_CHORDS))
    inputs = "".join(f"[c{n}]" for n in range(len(_CHORDS)))
    room = "aecho=0.8:0.6:190|370:0.35|0.2,tremolo=f=4.5:d=0.15"
    # The echo rings on after the last chord; cut and faded, the track begins again without a click.
    ending = f"atrim=duration={_MUSIC_S},afade=t=out:st={_MUSIC_S - 1.5}:d=1.5"
    joined = f"{inputs}concat=n={len(_CHORDS)}:v=0:a=1"
    graph = f"{chords}{joined},{room},{ending},aformat=channel_layouts=stereo[a]"
    return ("-filter_complex", graph, "-map", "[a]", *_MP3)


def logo_arguments() -> tuple[str, ...]:
    """Everything ffmpeg is told about the logo but the output path: a reel and its film-strip."""
    holes = "+".join(_disc(x, y, 46) for x, y in ((240, 120), (354, 203), (310, 337), (170, 337), (126, 203)))
    reel = f"({_disc(240, 240, 210)})*not({holes}+{_disc(240, 240, 20)})"
    windows = "between(Y,368,432)*gt(mod(X-474,116),14)"
    strip = f"between(X,240,718)*between(Y,346,450)*not(gt(X,474)*{windows})"
    alpha = f"235*gt({reel}+({strip})*not({holes}),0)"
    paint = f"geq=r='255':g='176+Y/8':b='64+X/12':a='{alpha}'"
    # Painted four times too large, so that the reduction smooths the edges.
    graph = f"color=white:s=720x480:r=1,format=rgba,{paint},scale=180:120:flags=area[v]"
    return ("-filter_complex", graph, "-map", "[v]", "-frames:v", "1", "-update", "1")


def _texture(grid: str, rate: str, seed: int, canvas: str, window: str, smooth: str = "gauss") -> str:
    """Still noise of ``grid`` cells enlarged to ``canvas``, seen through a moving ``window``."""
    noise = f"noise=c0s=100:c0f=u:c0_seed={seed},extractplanes=y"
    return f"color=gray:s={grid}:r={rate},format=yuv420p,{noise},scale={canvas}:flags={smooth},crop={window}"


def _clouds(rate: str) -> str:
    """Three layers of cloud, the finer the faster, on a blue sky."""
    layers = (
        _texture("16x9", rate, 11, "1920:1080", "1280:720:x=t*45:y=t*14"),
        _texture("48x27", rate, 23, "1920:1080", "1280:720:x=t*52:y=t*18"),
        _texture("160x90", rate, 29, "1920:1080", "1280:720:x=t*60:y=t*22"),
    )
    sky = "format=gbrp,lutrgb=r='46+val*0.8':g='112+val*0.55':b='188+val*0.26'"
    return f"{_mixed(layers, '4 3 1.4')},lutyuv=y='clip((val-98)*3.6,0,255)',{sky}"


def _northern_lights(rate: str) -> str:
    """Two curtains of light that pass each other, tinted from violet to green, with a little film grain."""
    tints = "n=5:c0=0x18225c:c1=0x7a3fd0:c2=0x2fe08f:c3=0x1b8f8a:c4=0x0c1440"
    sky = f"gradients=s=480x270:r={rate}:{tints}:speed=0.002:seed=4:x0=250:y0=0:x1=225:y1=268,format=gbrp"
    wide = _texture("22x4", rate, 5, "1440:270", "480:270:x=t*36:y=0", "bicubic")
    fine = _texture("90x4", rate, 6, "1440:270", "480:270:x=900-t*28:y=0", "bicubic")
    glow = "lutrgb=r='clip(val*1.7+8,0,255)':g='clip(val*1.7+12,0,255)':b='clip(val*1.7+40,0,255)'"
    return (
        f"{sky}[sky];{wide},lutyuv=y='clip((val-88)*3.6,46,255)',format=gbrp[wide];"
        f"{fine},lutyuv=y='clip((val-64)*2.4,100,255)',format=gbrp[fine];"
        f"[sky][wide]blend=all_mode=multiply[lit];[lit][fine]blend=all_mode=multiply,{glow},"
        "format=yuv420p,scale=1920:1080:flags=bicubic,noise=c0s=3:c0f=t:c0_seed=9"
    )


def _embers(rate: str) -> str:
    """Conway's life in the colours of a fire that goes out; ``framerate`` blends between generations."""
    colours = "life_color=0xfff3c4:death_color=0xe4572e:mold_color=0x14213d"
    life = f"life=s=128x96:r=12.5:mold=10:ratio=0.3:seed=7:{colours}"
    return f"{life},framerate=fps={rate},scale=640:480:flags=bicubic"


def _seahorse_valley(rate: str) -> str:
    """A dive into the Mandelbrot set while its colours turn."""
    zoom = "start_scale=0.02:end_scale=0.0004:end_pts=200"
    return f"mandelbrot=s=960x540:r={rate}:maxiter=400:{zoom}:inner=mincol,hue=H=t*0.35:s=0.8"


def _woven_threads(rate: str) -> str:
    """The cellular automaton of rule 110, a row a frame, under a turning spiral of colours."""
    cells = f"cellauto=s=90x160:r={rate}:rule=110:seed=7,format=gray,lut=c0='70+val*0.72'"
    tints = "n=4:c0=0xff7a59:c1=0xffd166:c2=0x3a86ff:c3=0x8338ec"
    light = f"gradients=s=180x320:r={rate}:{tints}:seed=3:speed=0.02:type=spiral"
    return (
        f"{cells},scale=720:1280:flags=neighbor,format=gbrp[cells];"
        f"{light},scale=720:1280,format=gbrp[light];[cells][light]blend=all_mode=multiply"
    )


def _kaleidoscope(rate: str) -> str:
    """A drifting texture in warm colours, mirrored twice."""
    layers = (
        _texture("20x12", rate, 31, "1280:768", "512:288:x=t*60:y=t*30"),
        _texture("60x36", rate, 37, "1280:768", "512:288:x=t*35:y=t*52"),
        _texture("180x108", rate, 41, "1280:768", "512:288:x=t*48:y=t*40"),
    )
    warm = "lutyuv=y='clip((val-96)*4.6,0,255)',format=yuv444p,pseudocolor=preset=magma"
    return (
        f"{_mixed(layers, '5 3 1.4')},{warm},split[left][copy];[copy]hflip[right];"
        "[left][right]hstack,split[top][twin];[twin]vflip[bottom];[top][bottom]vstack"
    )


def _mixed(layers: tuple[str, ...], weights: str) -> str:
    named = "".join(f"{layer}[l{n}];" for n, layer in enumerate(layers))
    inputs = "".join(f"[l{n}]" for n in range(len(layers)))
    return f"{named}{inputs}mix=inputs={len(layers)}:weights={weights}"


def _chord(notes: tuple[float, ...]) -> str:
    """Notes plucked one after the other, each twice in a chord, with an octave above for brightness."""
    voices = []
    for n, hertz in enumerate(notes):
        since = f"mod(t-{n * 0.25}+{_CHORD_S},{_CHORD_S / 2})"
        sound = f"(sin(2*PI*{hertz}*t)+0.3*sin(4*PI*{hertz}*t))"
        voices.append(f"0.4*{sound}*exp(-1.4*{since})*min(1,{since}*50)*gte(t,{n * 0.25})")
    # Unless every voice is silent at the seam, the next chord begins with a click.
    seam = f"min(1,({_CHORD_S}-t)*30)"
    return f"aevalsrc='({'+'.join(voices)})*{seam}':s=44100:d={_CHORD_S}"


def _disc(x: int, y: int, radius: int) -> str:
    return f"lte(hypot(X-{x},Y-{y}),{radius})"


def _running(ffmpeg: str, output: Path, arguments: tuple[str, ...]) -> Callable[[], None]:
    return lambda: _run(ffmpeg, output, arguments)


def _run(ffmpeg: str, output: Path, arguments: tuple[str, ...]) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [ffmpeg, *_QUIET, *arguments, f"file:{output.absolute()}"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_LONGEST_S)
    except subprocess.CalledProcessError as failure:
        lines = failure.stderr.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        raise ToolError(
            f"ffmpeg could not make {output.name} (exit {failure.returncode}): {last}. "
            "Check that this ffmpeg has libx264 and libmp3lame, and that the disk is not full."
        ) from failure
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise ToolError(f"ffmpeg ({ffmpeg}) did not run to make {output.name}: {failure}") from failure


def _copy_asset(name: str, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(resources.files("console").joinpath("demo_assets", name).read_bytes())


def _cut_in_half(whole: Path, output: Path) -> None:
    content = whole.read_bytes()
    output.write_bytes(content[: len(content) // 2])


_CHORD_S = 4
_CHORDS = (
    (130.81, 196.00, 246.94, 329.63, 392.00),
    (110.00, 164.81, 261.63, 329.63, 392.00),
    (87.31, 174.61, 220.00, 261.63, 329.63),
    (98.00, 146.83, 196.00, 261.63, 293.66),
    (130.81, 164.81, 196.00, 293.66, 392.00),
)
_MUSIC_S = _CHORD_S * len(_CHORDS)

_NATURE = PurePosixPath("raw/video/nature")
_PATTERNS = PurePosixPath("raw/video/patterns")

# The slowest first: so the two workers end at nearly the same time.
CLIPS = (
    Clip(_NATURE / "northern-lights.mov", "northern lights", 1920, 1080, "25", 8, _northern_lights),
    Clip(_NATURE / "drifting-clouds.mp4", "drifting clouds", 1280, 720, "30", 8, _clouds),
    Clip(_PATTERNS / "seahorse-valley.mp4", "a fractal dive", 960, 540, "24000/1001", 8, _seahorse_valley),
    Clip(_PATTERNS / "woven-threads.mp4", "woven threads", 720, 1280, "30", 7, _woven_threads),
    Clip(_PATTERNS / "kaleidoscope.mp4", "a kaleidoscope", 1024, 576, "24", 8, _kaleidoscope),
    Clip(_NATURE / "embers.mp4", "glowing embers", 640, 480, "50", 6, _embers),
)
"""Every clip that is painted."""

MUSIC = Sample(PurePosixPath("raw/music/calm/slow-chords.mp3"), f"slow chords, {_MUSIC_S} s, so it must loop")
LOGO = Sample(PurePosixPath("assets/logo.png"), "a reel and its film-strip, 180x120 with alpha")
VOICE = Sample(PurePosixPath("raw/story/tales", STORY, "voice/chapter_0001.mp3"), "the shipped voice, a tale of 26 s")
TEXT = Sample(VOICE.relative.with_suffix(".txt"), "its text, for captions")
WHOLE = CLIPS[1].sample
BROKEN = Sample(_NATURE / "broken-copy.mp4", f"the first half of {WHOLE.relative.name}, to be refused")

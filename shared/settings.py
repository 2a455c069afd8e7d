"""The tables of the configuration: every key, its limits, its default, and what it says about itself."""

from __future__ import annotations

import grp
import os
import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.domain.alert import KINDS
from shared.domain.alert import Kind as AlertKind
from shared.domain.drop import SUFFIXES, Kind
from shared.domain.media import VideoFacts, check_language, check_resolution
from shared.domain.mix import Broadcast
from shared.domain.plan import STILLS, Cut, Fit, Format, FrameFit, Position
from shared.domain.task import DEFAULT_PROFILE

LOGO_AUTO = "auto"
KEY_AUTO = "auto"
_LAST_PORT = 65535
HEARTBEATS_PER_LEASE = 3  # a living worker must be seen alive several times within a lease


def _check_asset(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value:
        raise ValueError('must be the name of a file in assets/, such as logo.png, or "auto", or ""')
    return value


def _check_logo(value: str) -> str:
    _check_asset(value)
    if value not in ("", LOGO_AUTO) and PurePosixPath(value).suffix.lower() not in STILLS:
        raise ValueError(f'must be a file name that ends in {", ".join(STILLS)}, or "auto", or ""')
    return value


def _check_key(value: str) -> str:
    if value != KEY_AUTO and not re.fullmatch("#[0-9a-fA-F]{6}", value):
        raise ValueError('must be a colour as red, green and blue in hexadecimal, such as "#00d800", or "auto"')
    return value.lower()


def _check_card(value: str) -> str:
    _check_asset(value)
    if value and PurePosixPath(value).suffix.lower() not in SUFFIXES[Kind.CARD]:
        raise ValueError(f'must be a file name that ends in {", ".join(SUFFIXES[Kind.CARD])}, or ""')
    return value


def _check_umask(value: str) -> str:
    if value and not re.fullmatch(r"0?0[0-7]{2}", value):
        raise ValueError('must be three octal digits that take nothing from the owner, such as "022" or "002", or ""')
    return value


def _check_webhook(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or not value.isprintable()):
        raise ValueError('must be an address such as "https://hooks.example.org/abc", or ""')
    return value


def _check_place(value: str) -> str:
    """Where something listens; port 0 is one that is free."""
    found = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", value)
    if not found or int(found[1]) > _LAST_PORT:
        raise ValueError(f'must be HOST:PORT with a port up to {_LAST_PORT}, such as "127.0.0.1:9842" or "[::1]:9842"')
    return value


def _check_address(value: str) -> str:
    if value and not re.fullmatch(r"[!-~]+@[!-~]+", value):
        raise ValueError('must be an address such as "farm@example.org"')
    return value


def _check_group(value: str) -> str:
    if not value:
        return value
    try:
        found = grp.getgrnam(value)
    except KeyError:
        raise ValueError('must be a group of this machine (list them with: getent group), or ""') from None
    if os.geteuid() != 0 and found.gr_gid not in (os.getegid(), *os.getgroups()):
        mine = ", ".join(sorted(_group_name(number) for number in {os.getegid(), *os.getgroups()}))
        raise ValueError(f'must be a group this user is a member of ({mine}), or ""')
    return value


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


class Section(BaseModel):
    """One table of the file; keys that are not fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Ingest(Section):
    """How drops in raw/ are taken in."""

    quiet_seconds: float = Field(
        5.0, ge=0.1, le=3600, description="How long a drop must stay unchanged before it is taken."
    )
    blind_quiet_seconds: float = Field(
        30.0,
        ge=0.1,
        le=86400,
        description="The same where nobody can tell if it is still open for writing (network mounts, other users).",
    )
    unfinished_seconds: float = Field(
        75.0,
        ge=0,
        le=86400,
        description="How long a drop that looks cut off must stay unchanged before it is refused; its copy may go on.",
    )
    rescan_seconds: float = Field(
        5.0, ge=0.2, le=3600, description="How often raw/ is read again, whatever events arrive."
    )
    watch: Literal["auto", "events", "poll"] = Field(
        "auto", description="Whether file events hurry the rescan; auto tries at the start if any arrive."
    )
    workers: int = Field(2, ge=1, le=64, description="How many drops are checked at the same time.")
    max_file_bytes: int = Field(64_000_000_000, ge=1, description="Largest drop that is accepted, in bytes.")
    max_pixels: int = Field(35_389_440, ge=1, description="Largest picture that is accepted, width times height.")
    check_timeout_seconds: float = Field(
        120.0,
        ge=1,
        description="How long decoding one drop may take, and how long it may stand still, before it is refused.",
    )
    check_timeout_ratio: float = Field(
        10.0, ge=0, description="How long decoding may take for each second of a drop's length, where that is more."
    )
    decode_budget_seconds: float = Field(
        1800.0, ge=1, description="Processor time that decoding one drop may cost, over all cores, in seconds."
    )
    memory_bytes: int = Field(
        4_000_000_000, ge=512_000_000, description="Memory a tool may use while it reads a drop, in bytes (Linux only)."
    )


class Voice(Section):
    """What counts as a narration."""

    min_seconds: float = Field(1.0, ge=0, description="Shortest voice that is accepted.")
    silence_db: float = Field(-45.0, le=0, description="Sound below this level, in dBFS, is silence.")
    min_sound_share: float = Field(0.2, ge=0, le=1, description="Share of a voice that must not be silence.")
    min_speech_share: float = Field(
        0.1, ge=0, le=1, description="Share of the sound in a voice that must rise and fall as speech does."
    )
    speech_depth_db: float = Field(
        4.0, ge=1, le=40, description="How far, in dB, the level must rise and fall within a second to be like speech."
    )


class Music(Section):
    """Background music."""

    required: bool = Field(True, description="Whether a task waits until there is music; false renders without.")
    target_lufs: float = Field(-16.0, ge=-70, le=-5, description="Loudness tracks are normalised to (EBU R128).")
    true_peak_db: float = Field(-1.5, ge=-9, le=0, description="Highest true peak after normalising, in dBTP.")
    max_seconds: float = Field(21_600.0, ge=1, description="Longest track that is accepted, in seconds.")


class Links(Section):
    """Fetching the addresses in link files."""

    allow_loopback: bool = Field(
        False, description="Whether addresses on this machine may be fetched; for tests and trusted set-ups only."
    )
    timeout_seconds: float = Field(60.0, ge=0.1, description="Longest time for one address, from start to end.")
    max_bytes: int = Field(5_000_000, ge=1000, description="Largest page that is read, in bytes.")
    retries: int = Field(2, ge=0, le=10, description="How often a failed address is tried again.")
    retry_seconds: float = Field(2.0, ge=0, description="Wait before the first retry; it doubles each time.")
    extract_seconds: float = Field(
        30.0, ge=1, description="Longest time for finding the story in one page that was fetched."
    )
    chunk_words: int = Field(10_000, ge=1, description="Most words in one text chunk.")


Names = tuple[Annotated[str, Field(min_length=1)], ...]


class Tasks(Section):
    """Making tasks from voices."""

    fallback_categories: tuple[str, ...] = Field(
        (), description="Categories whose clips and music may be used when a story's own has too little."
    )
    profiles: Names = Field(
        (DEFAULT_PROFILE,),
        min_length=1,
        description='A video is made by each of these profiles: "default" is [render], others are [profiles.NAME].',
    )
    category_profiles: dict[str, Annotated[Names, Field(min_length=1)]] = Field(
        {}, description='The same for some categories, such as {news = ["default", "shorts"]}.'
    )
    priority: int = Field(50, ge=0, le=100, description="Priority written into new tasks; higher goes first.")
    language: Annotated[str, AfterValidator(check_language)] = Field(
        "und", description='Language of voices and captions (ISO 639-2: eng, deu …); "und" leaves it open.'
    )


class Render(Section):
    """The picture and sound that are made."""

    resolution: Annotated[str, AfterValidator(check_resolution)] = Field(
        "1920x1080", description="Size of the video, WIDTHxHEIGHT."
    )
    frame_rate: float = Field(
        30, ge=1, le=120, description="Frames per second; 29.97 and 23.976 mean the exact NTSC rates."
    )
    fit: Fit = Field(
        "pad", description="Clips of another shape get black bars, lose their edges, or lie on their blur."
    )
    transition: Cut = Field("cut", description="Between clips: at once, through black, or one over the other.")
    transition_seconds: float = Field(0.5, ge=0.1, le=1.5, description="How long a fade or a crossfade takes.")
    logo: Annotated[str, AfterValidator(_check_logo)] = Field(
        LOGO_AUTO, description='Logo file in assets/; "auto" uses logo.png when it is there, "" uses none.'
    )
    logo_position: Position = Field("top-left", description="Where it lies.")
    logo_margin: int = Field(20, ge=0, le=10_000, description="Pixels between it and the edges it lies at.")
    logo_width: float = Field(0.0, ge=0, le=1, description="Its width as a share of the video's; 0 leaves its size.")
    logo_opacity: float = Field(1.0, gt=0, le=1, description="How much of it is seen; 1 hides what is behind it.")
    title_card: Annotated[str, AfterValidator(_check_card)] = Field(
        "", description="Picture or film in assets/ that a video begins with, unless its story has a card; '' for none."
    )
    end_card: Annotated[str, AfterValidator(_check_card)] = Field("", description="The same for its end.")
    card_seconds: float = Field(5.0, ge=0.5, le=60, description="How long a card that is a single picture is shown.")
    frames: bool = Field(True, description="Whether a decorative frame of the category, if any, lies over the picture.")
    frame_fit: FrameFit = Field("stretch", description="How a frame of another shape is brought to the video's.")
    frame_key: Annotated[str, AfterValidator(_check_key)] = Field(
        KEY_AUTO, description='Colour one sees through in frames, such as "#00d800"; "auto" takes what each one shows.'
    )
    output_format: Format = Field("mp4", description="Container of the video; all play mp4.")
    mode: Literal["segments", "direct"] = Field(
        "segments", description="Conform each clip once and join by copy, or encode all anew in one command."
    )
    captions: Literal["track", "burned"] = Field(
        "track", description="Captions as a track players switch on and off, or drawn into the picture (direct mode)."
    )
    codec: Literal["h264", "hevc", "av1"] = Field("h264", description="How the picture is coded; all play h264.")
    encoder: Literal["auto", "nvenc", "qsv", "videotoolbox", "vaapi", "amf", "software"] = Field(
        "auto", description="Hardware that encodes; auto takes the first that works, or the processor."
    )
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = (
        Field("medium", description="Effort of the encoder, in x264's words: faster is larger.")
    )
    quality: int = Field(
        21,
        ge=0,
        le=51,
        description="Constant quality, on x264's scale (CRF), whatever encodes: lower is better and larger.",
    )
    audio_kbps: int = Field(192, ge=32, le=512, description="Bit rate of the sound, in kbit/s.")
    stall_seconds: float = Field(120.0, ge=1, description="A render without progress for this long is killed.")

    def shows(self, frame: VideoFacts) -> bool:
        """Whether anything of a video is seen through a decorative frame."""
        return frame.alpha or frame.key is not None or self.frame_key != KEY_AUTO


class Mix(Section):
    """How voice and music become one sound."""

    style: Literal["broadcast", "spec"] = Field(
        "broadcast",
        description="Brought to one loudness with the music giving way to the voice, or added up with fixed gains.",
    )
    loudness_lufs: float = Field(
        -14.0, ge=-31, le=-9, description="Integrated loudness of a video (EBU R128), in LUFS; broadcast only."
    )
    true_peak_db: float = Field(-1.0, ge=-9, le=0, description="Highest true peak, in dBTP; broadcast only.")
    music_lu: float = Field(
        -12.0, ge=-40, le=-12, description="Loudness of the music in pauses, under the voice's; broadcast only."
    )
    duck_db: float = Field(
        8.0, ge=0, le=15, description="How much further the music goes down under speech; broadcast only."
    )
    attack_seconds: float = Field(0.03, ge=0.001, le=2, description="How fast it goes down; broadcast only.")
    release_seconds: float = Field(0.6, ge=0.01, le=9, description="How fast it comes back; broadcast only.")
    fade_in_seconds: float = Field(1.0, ge=0, le=60, description="How long the music takes to come; broadcast only.")
    fade_out_seconds: float = Field(3.0, ge=0, le=60, description="How long it takes to go; broadcast only.")
    voice_gain: float = Field(1.0, ge=0, le=10, description="Gain of the voice, linear; spec only.")
    music_gain: float = Field(0.25, ge=0, le=10, description="Gain of the music, linear; spec only.")

    @property
    def broadcast(self) -> Broadcast:
        return Broadcast(**self.model_dump(exclude={"style", "voice_gain", "music_gain"}))


class Profile(BaseModel):
    """What ``[profiles.NAME]`` makes of [render] and [mix]; `own` are the keys of [render] that it sets itself."""

    model_config = ConfigDict(frozen=True)

    render: Render
    mix: Mix
    own: frozenset[str] = frozenset()

    def asked(self, key: str, by_story: Any) -> Any:
        """What a story asks for with a key of [render], unless this profile has a value of its own."""
        return getattr(self.render, key) if by_story is None or key in self.own else by_story


class Worker(Section):
    """How render workers behave."""

    node: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,60}$", description="Name of this worker; empty takes the host's.")
    lease_seconds: float = Field(
        90.0, ge=1, description="Silence after which a worker counts as dead; the first worker fixes it for the root."
    )
    heartbeat_seconds: float = Field(5.0, ge=0.1, description="How often a worker shows that it lives.")
    poll_seconds: float = Field(1.0, ge=0.05, le=3600, description="How often an idle worker looks for a task.")
    max_attempts: int = Field(
        3, ge=1, description="Attempts before a task is given up, by as many nodes where there are so many."
    )
    retry_seconds: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="Wait before a task that failed is tried again; it doubles each time, up to five minutes.",
    )
    max_starts: int = Field(
        10, ge=1, description="Starts before a task is given up, even those that do not count as attempts."
    )
    cache_bytes: int = Field(
        100_000_000_000, ge=0, description="Room for conformed clips in .farm/cache/, in bytes; the oldest go first."
    )
    conform_when_idle: bool = Field(
        True,
        description="Whether a worker without a task conforms clips of the library ahead of need; "
        "one over SFTP never does.",
    )
    min_free_bytes: int = Field(1_000_000_000, ge=0, description="No task is started with less free space, in bytes.")


class Files(Section):
    """Who may use what the farm writes, where several users share one root; see docs/sharing.md."""

    umask: Annotated[str, AfterValidator(_check_umask)] = Field(
        "",
        description='Rights new files and folders do not get, in octal; "002" lets the group write, "" changes none.',
    )
    group: Annotated[str, AfterValidator(_check_group)] = Field(
        "", description='Group that gets the folders of the root and what is made in them; "" changes none.'
    )


class Retention(Section):
    """When things are deleted by themselves; 0 keeps them for ever."""

    trash_days: float = Field(0, ge=0, le=36500, description="Age at which rejected drops and failed tasks go.")
    output_days: float = Field(0, ge=0, le=36500, description="Age at which finished videos go, with their links.")
    cache_days: float = Field(0, ge=0, le=36500, description="Days without use after which a cached file goes.")
    figures_days: float = Field(
        90, ge=0, le=36500, description="Days after which the records go from which figures are counted."
    )


class Alerts(Section):
    """What the farm tells people by itself, and how; see docs/alerts.md. Without a way to tell, it tells nothing."""

    events: tuple[AlertKind, ...] = Field(KINDS, description="What is told; take out what is not to be.")
    webhook: Annotated[str, AfterValidator(_check_webhook)] = Field(
        "", description="Address that gets each alert as JSON (POST), with the text Slack and its like show."
    )
    mail_to: tuple[Annotated[str, AfterValidator(_check_address)], ...] = Field(
        (), description="Addresses that get each alert by e-mail."
    )
    mail_from: Annotated[str, AfterValidator(_check_address)] = Field("", description="Sender of those mails.")
    smtp_host: str = Field("", description="Server that takes those mails.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port: usually 587 for starttls, 465 for tls.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is encrypted; certificates are checked."
    )
    smtp_user: str = Field("", description="Name to log in with; empty for no login.")
    smtp_password_file: str = Field(
        "", description="File that holds the password; else the environment variable REELMILL_SMTP_PASSWORD does."
    )
    command: tuple[str, ...] = Field(
        (), description="Program and arguments, run for each alert with its JSON on standard input."
    )
    command_seconds: float = Field(
        30.0, ge=0.1, le=3600, description="Longest time for that command, since the next alert waits for it."
    )
    link_base: Annotated[str, AfterValidator(_check_webhook)] = Field(
        "", description="Address under which the root is seen in a browser; paths become links below it."
    )
    look_seconds: float = Field(10.0, ge=0.1, le=3600, description="How often the farm is looked at.")
    retry_seconds: float = Field(
        5.0, ge=0.1, le=600, description="Wait before an alert that was not taken is tried again; it doubles each time."
    )
    queue_limit: int = Field(0, ge=0, description="Waiting tasks above which the queue is long; 0 for never.")
    error_share: float = Field(
        0.05, ge=0, le=1, description="Share of failed tasks, of the last ones, that is too high."
    )
    error_tasks: int = Field(20, ge=1, le=1000, description="How many last tasks that is a share of.")
    free_bytes: int = Field(10_000_000_000, ge=0, description="Free space in the root below which it is low, in bytes.")
    standstill_minutes: float = Field(
        30.0, ge=0, le=10080, description="How long nothing may be rendered while tasks wait; 0 for ever."
    )


class Metrics(Section):
    """What the main worker tells Prometheus, and how; see docs/metrics.md. Without a way to tell, it tells nothing."""

    listen: Annotated[str, AfterValidator(lambda value: value and _check_place(value))] = Field(
        "", description='Where /metrics is served, HOST:PORT, such as "127.0.0.1:9842"; "" serves nothing.'
    )
    textfile: str = Field(
        "", description="Folder of node_exporter's textfile collector, which gets reelmill.prom; empty writes none."
    )
    look_seconds: float = Field(15.0, ge=0.1, le=3600, description="How often the farm is looked at and counted.")


class Log(Section):
    """What is written to the log."""

    level: Literal["DEBUG", "INFO", "WARN", "ERROR"] = Field("INFO", description="Least level that is written.")
    format: Literal["text", "json"] = Field("text", description="One readable line per event, or one JSON object.")
    file: bool = Field(True, description="Whether to write .farm/logs/ as well as standard error.")
    max_bytes: int = Field(10_000_000, ge=10_000, description="Size at which a log file is rotated, in bytes.")
    keep: int = Field(5, ge=1, le=100, description="How many rotated log files are kept.")


class Web(Section):
    """The page that shows the farm (reelmill web)."""

    listen: Annotated[str, AfterValidator(_check_place)] = Field(
        "127.0.0.1:8420",
        description="Where it listens, HOST:PORT. Beyond this machine it asks everybody for the token (docs/web.md).",
    )
    names: tuple[str, ...] = Field(
        (), description="Names by which browsers know it, besides localhost, this host's name and addresses."
    )


class Remote(Section):
    """A node that reaches the root over SFTP (reelmill render --remote ADDRESS)."""

    key: str = Field("", description="Private key it shows, without a passphrase; empty asks the SSH agent.")
    known_hosts: str = Field("~/.ssh/known_hosts", description="File with the host keys that are believed.")
    trust_first: bool = Field(False, description="Whether a host that is in no such file is believed the first time.")
    bytes_per_second: int = Field(0, ge=0, description="Most that is carried in a second, both ways; 0 is no limit.")
    inputs_bytes: int = Field(
        50_000_000_000, ge=0, description="Room for inputs that were fetched, in bytes; the oldest go first."
    )
    share_segments: bool = Field(
        True,
        description="Whether conformed clips of other nodes are fetched from the root, and new ones brought to it.",
    )
    kept_bytes: int = Field(
        20_000_000_000, ge=0, description="Room for videos that could not be uploaded, in bytes; the oldest go first."
    )


class Ffmpeg(Section):
    """The ffmpeg that does the work."""

    path: str = Field("", description="Path of an ffmpeg executable; empty uses the one that came with the install.")


class Tables(Section):
    """The tables that every configuration file may have, once each."""

    ingest: Ingest = Ingest()
    voice: Voice = Voice()
    music: Music = Music()
    links: Links = Links()
    tasks: Tasks = Tasks()
    render: Render = Render()
    mix: Mix = Mix()
    worker: Worker = Worker()
    files: Files = Files()
    retention: Retention = Retention()
    alerts: Alerts = Alerts()
    metrics: Metrics = Metrics()
    log: Log = Log()
    ffmpeg: Ffmpeg = Ffmpeg()
    web: Web = Web()
    remote: Remote = Remote()

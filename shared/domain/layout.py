"""Spells every name under a project root. Nothing else in the project joins these paths together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import get_args

from shared.domain.drop import Kind
from shared.domain.names import duration_text
from shared.domain.plan import Format
from shared.domain.task import DEFAULT_PROFILE, TaskState

_ATTEMPT = re.compile(r"attempt-([0-9]+)-([0-9a-f]+)")
_RECORD = re.compile(r"([1-9][0-9]*)\.json")

FINAL = "final.mp4"  # as it is made and judged; as another container by `final_name`
FORMATS: tuple[Format, ...] = get_args(Format)
POSTER = "poster.jpg"
SHEET = "contact-sheet.jpg"
CAPTIONS = "final.vtt"
METADATA = "metadata.json"
RENDER_RECORD = "render.json"
REASON = "reason.json"
STDERR = "stderr.log"
VIDEO_LIST = "video_list.txt"
ATTEMPTS = "attempts"
RETIRED = ".retired"
REASON_SUFFIX = ".reason.json"
SEGMENT, SEGMENT_RECORD, THUMBNAIL = "segment.mp4", "segment.json", "thumbnail.jpg"
SCRATCH = "scratch"  # within an attempt, gone before it is published


@dataclass(frozen=True)
class Layout:
    """The folders of one project root; see ``docs/on-disk.md`` for what each means."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def scanned(self) -> Path:
        return self.root / "scanned"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def by_story(self) -> Path:
        return self.output / "by-story"

    @property
    def invalid(self) -> Path:
        return self.root / "trash" / "invalid"

    @property
    def assets(self) -> Path:
        return self.root / "assets"

    @property
    def farm(self) -> Path:
        return self.root / ".farm"

    @property
    def locks(self) -> Path:
        return self.farm / "locks"

    @property
    def nodes(self) -> Path:
        return self.farm / "nodes"

    @property
    def staging(self) -> Path:
        """Where the main worker makes things before they are renamed into place."""
        return self.farm / "staging"

    @property
    def removed(self) -> Path:
        """Where things go by one rename before they are deleted at leisure."""
        return self.farm / "removed"

    @property
    def drafts(self) -> Path:
        """Files about to get their final name inside a task, whose folder may be moved away at any moment."""
        return self.farm / "drafts"

    @property
    def cache(self) -> Path:
        """What can be made again and is kept only to save time."""
        return self.farm / "cache"

    @property
    def kept(self) -> Path:
        """In the home of a node that has not mounted the root: videos that it could not deliver yet."""
        return self.farm / "kept"

    @property
    def segments(self) -> Path:
        """Clips that were conformed once, each in a folder named by everything that went into it."""
        return self.cache / "segments"

    @property
    def card_facts(self) -> Path:
        """What the title and end cards are that the configuration names."""
        return self.cache / "cards.json"

    @property
    def trials(self) -> Path:
        """What came of trying the encoders of all machines."""
        return self.cache / "encoders"

    def encoders(self, place: str, codec: str) -> Path:
        """What came of trying the encoders of a machine; `place` names it, and the user."""
        return self.trials / f"{place}.{codec}.json"

    def segment(self, key: str) -> Path:
        return self.segments / key

    @property
    def logs(self) -> Path:
        return self.farm / "logs"

    @property
    def figures(self) -> Path:
        """What the nodes did, a folder for each day."""
        return self.farm / "figures"

    def figures_of(self, day: str, node: str) -> Path:
        """What a node did on a day, as ISO 8601 writes it (UTC)."""
        return self.figures / day / f"{node}.jsonl"

    @property
    def figures_record(self) -> Path:
        """The figures of the farm and of each node, as the main worker has last counted them."""
        return self.farm / "figures.json"

    @property
    def main_lock(self) -> Path:
        return self.locks / "main_worker.lock"

    @property
    def lease(self) -> Path:
        return self.farm / "lease.json"

    @property
    def mounts(self) -> Path:
        """Which folders of the root were filesystems of their own when the main worker last ran."""
        return self.farm / "mounts.json"

    @property
    def alerts(self) -> Path:
        """What the main worker has told people, and what it still has to."""
        return self.farm / "alerts.json"

    @property
    def main_record(self) -> Path:
        """What the main worker last said about itself: waiting voices, drops in work, trouble."""
        return self.farm / "main_worker.json"

    def folders(self) -> tuple[Path, ...]:
        """Every folder of an empty root, parents first."""
        return (
            *(self.raw / kind for kind in ("story", "video", "frame", "music")),
            *(self.scanned / kind for kind in ("story", "video", "frame", "music")),
            *(self.state(state) for state in TaskState),
            self.invalid,
            self.assets,
            self.locks,
            self.nodes,
            self.staging,
            self.removed,
            self.drafts,
            self.logs,
        )

    def kinds(self) -> tuple[Path, ...]:
        """The folders of each kind of drop, in ``raw/`` and in the library."""
        return tuple(folder for folder in self.folders() if folder.parent in (self.raw, self.scanned))

    def state(self, state: TaskState) -> Path:
        """The folder that holds the tasks in a state."""
        return self.root / state.value

    def task(self, state: TaskState, task_id: str) -> Path:
        return self.state(state) / task_id

    def lock(self, task_id: str, attempt: int) -> Path:
        return self.locks / f"{task_id}.{attempt}.lock"

    def attempt_dir(self, task_id: str, attempt: int, token: str) -> Path:
        return self.task(TaskState.PROCESSING, task_id) / f"attempt-{attempt}-{token}"

    def attempts(self, state: TaskState, task_id: str) -> Path:
        return self.task(state, task_id) / ATTEMPTS

    def attempt_record(self, task_id: str, attempt: int) -> Path:
        return self.attempts(TaskState.PROCESSING, task_id) / f"{attempt}.json"

    def retries(self, state: TaskState, task_id: str) -> Path:
        """The record of an operator's retries of a task."""
        return self.attempts(state, task_id) / "retries.json"

    def attempt_stderr(self, task_id: str, attempt: int) -> Path:
        return self.attempts(TaskState.PROCESSING, task_id) / f"{attempt}.stderr.log"

    def node_record(self, node: str) -> Path:
        return self.nodes / f"{node}.json"

    def agenda(self, node: str) -> Path:
        """What the main worker suggests to a node."""
        return self.farm / "agenda" / f"{node}.json"

    @property
    def web_token(self) -> Path:
        """What the page asks for before it changes anything."""
        return self.farm / "web-token"

    @property
    def orders(self) -> Path:
        """What operators have told the nodes."""
        return self.farm / "orders"

    def orders_of(self, node: str | None) -> Path:
        """The orders of a node, or of the whole farm."""
        return self.orders / ("farm.json" if node is None else f"node-{node}.json")

    @property
    def priorities(self) -> Path:
        """A file for each task whose priority was changed while it waited: whoever knows it reads it again."""
        return self.orders / "priority"

    def node_lock(self, node: str) -> Path:
        return self.nodes / f"{node}.lock"

    def log_file(self, component: str, node: str | None = None) -> Path:
        return self.logs / (f"{component}-{node}.log" if node else f"{component}.log")

    def story(self, category: str, story: str) -> Path:
        return self.scanned / "story" / category / story

    def story_retired(self, category: str, story: str) -> Path:
        """The mark that takes a whole story out of future videos; `category` and `story` are library names."""
        return self.story(category, story) / RETIRED

    def voice(self, category: str, story: str, stem: str) -> Path:
        return self.story(category, story) / "voice" / f"{stem}.mp3"

    def text(self, category: str, story: str, name: str) -> Path:
        """The text of a voice, beside it; `name` has the suffix that says how it is written."""
        return self.story(category, story) / "voice" / name

    def chunk(self, category: str, story: str, number: int) -> Path:
        return self.story(category, story) / f"chunk_{number:04d}.txt"

    def link(self, category: str, story: str, stem: str) -> Path:
        return self.story(category, story) / "link" / f"{stem}.txt"

    def settings(self, category: str, story: str, stem: str) -> Path:
        return self.story(category, story) / f"{stem}.toml"

    def card(self, category: str, story: str, name: str) -> Path:
        """A title or end card; `name` has the suffix that says what it is."""
        return self.story(category, story) / "card" / name

    def clip(self, kind: Kind, category: str, size: tuple[int, int], seconds: float, stem: str) -> Path:
        """A background clip or a decorative frame; `size` is the displayed width and height in pixels."""
        folder = self.scanned / kind.value / category / f"mp4_w{size[0]}_h{size[1]}"
        return folder / f"{duration_text(seconds)}_{stem}.mp4"

    def music(self, category: str, seconds: float, stem: str) -> Path:
        return self.scanned / "music" / category / "mp3" / f"{duration_text(seconds)}_{stem}.mp3"

    def story_view(
        self, category: str, story: str, chapter: str, profile: str = DEFAULT_PROFILE, video: Format = "mp4"
    ) -> Path:
        """The link by which people find a finished chapter; special profiles have a folder of their own."""
        folder = self.by_story / category / story
        return (folder if profile == DEFAULT_PROFILE else folder / profile) / f"{chapter}.{video}"

    def relative(self, path: Path) -> PurePosixPath:
        """A path as it is written into records: relative to the root, with forward slashes."""
        return PurePosixPath(path.relative_to(self.root).as_posix())


def final_name(video: Format) -> str:
    """The name of a finished video in a container."""
    return FINAL.replace("mp4", video)


def sidecar_of(path: Path) -> Path:
    """The record beside a library file."""
    return path.with_name(path.name + ".json")


def retired_of(path: Path) -> Path:
    """The mark beside a library file that takes it out of future videos."""
    return path.with_name(path.name + RETIRED)


def reason_of(path: Path) -> Path:
    """The explanation beside a rejected drop."""
    return path.with_name(path.name + REASON_SUFFIX)


def parse_attempt_dir(name: str) -> tuple[int, str] | None:
    """Number and token of an attempt directory, or None for any other name."""
    found = _ATTEMPT.fullmatch(name)
    return (int(found[1]), found[2]) if found else None


def parse_attempt_record(name: str) -> int | None:
    """The number of an attempt record, or None for any other name."""
    found = _RECORD.fullmatch(name)
    return int(found[1]) if found else None

"""What was decided to be told, as alerts for people: looked up in the folders, and harmless whatever is in a name."""

from __future__ import annotations

import platform
import uuid
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from main_worker.alerts.deciding import News
from shared import by_story
from shared.domain.layout import METADATA, REASON, REASON_SUFFIX, Layout, final_name
from shared.domain.names import readable
from shared.domain.task import TaskState
from shared.records.alerts import Alert
from shared.records.metadata import Metadata
from shared.records.reason import Reason
from shared.records.record import RecordError

_MOST_SINGLE = 5  # of a kind in one look; a folder of a hundred bad drops is one alert
_LONGEST = 500  # characters of a line
_TOGETHER = {
    "video_finished": "{} videos are finished",
    "task_failed": "{} tasks failed",
    "drop_rejected": "{} drops were rejected",
}


class Wording:
    """Words for one root."""

    def __init__(self, layout: Layout, link_base: str) -> None:
        self._layout = layout
        self._link_base = link_base.rstrip("/")

    def alerts(self, news: Sequence[News], when: str) -> list[Alert]:
        """The alerts to send, in order: news of a kind that came in numbers as one."""
        by_kind = defaultdict(list)
        for item in news:
            by_kind[item.kind, item.state].append(item)
        found = []
        for (kind, _), items in by_kind.items():
            if kind in _TOGETHER and len(items) > _MOST_SINGLE:
                found.append(self._together(items, when))
            else:
                found += [self._alert(item, when) for item in items]
        return found

    def _together(self, items: Sequence[News], when: str) -> Alert:
        titles = [self._words(item)[0] for item in items[:_MOST_SINGLE]]
        details = {f"{number}": title for number, title in enumerate(titles, 1)}
        details["and"] = f"{len(items) - len(titles)} more"
        title = _TOGETHER[items[0].kind].format(len(items))
        return self._made(items[0], f"{len(items)}", title, details, when)

    def _alert(self, item: News, when: str) -> Alert:
        title, details = self._words(item)
        return self._made(item, item.about.removesuffix(REASON_SUFFIX), title, details, when)

    def _made(self, item: News, about: str, title: str, details: dict[str, str], when: str) -> Alert:
        return Alert(
            id=uuid.uuid4().hex,
            kind=item.kind,
            state=item.state,
            about=_line(about),
            title=_line(title),
            details={key: _line(value) for key, value in details.items() if value},
            farm=_line(f"{platform.node()}:{self._layout.root}"),
            when=when,
        )

    def _words(self, item: News) -> tuple[str, dict[str, str]]:
        """Title and details; what cannot be looked up any more is left out."""
        match item.kind:
            case "video_finished":
                return self._finished(item.about)
            case "task_failed":
                return self._failed(item.about)
            case "drop_rejected":
                return self._rejected(item.about.removesuffix(REASON_SUFFIX))
            case _:
                return item.words, {}

    def _finished(self, task_id: str) -> tuple[str, dict[str, str]]:
        folder = self._layout.task(TaskState.FINISHED, task_id)
        with suppress(OSError, RecordError):
            metadata = Metadata.read(folder / METADATA)
            video = folder / final_name(metadata.render.output_format)
            shown = by_story.link_of(self._layout, metadata)
            return f"Finished {metadata.label}", {
                "path": str(self._layout.relative(shown)),
                "video": str(self._layout.relative(video)),
                "link": self._link(video),
                "length": f"{metadata.voice_duration:.0f} s",
            }
        return f"Finished task {task_id}", {}

    def _failed(self, task_id: str) -> tuple[str, dict[str, str]]:
        folder = self._layout.task(TaskState.FAILED, task_id)
        label, details = f"task {task_id}", {"path": str(self._layout.relative(folder)), "link": self._link(folder)}
        with suppress(OSError, RecordError):
            label = Metadata.read(folder / METADATA).label
        with suppress(OSError, RecordError):
            reason = Reason.read(folder / REASON)
            return f"Failed {label}: {reason.reason}", {"advice": reason.advice, "code": reason.code, **details}
        return f"Failed {label}", details

    def _rejected(self, name: str) -> tuple[str, dict[str, str]]:
        path = self._layout.invalid / name
        details = {"path": str(self._layout.relative(path)), "link": self._link(path)}
        with suppress(OSError, RecordError):
            reason = Reason.read(path.with_name(name + REASON_SUFFIX))
            dropped = reason.original_path or name
            return f"Rejected {dropped}: {reason.reason}", {"advice": reason.advice, "code": reason.code, **details}
        return f"Rejected {name}", details

    def _link(self, path: Path) -> str:
        if not self._link_base:
            return ""
        return f"{self._link_base}/{quote(str(self._layout.relative(path)), errors='surrogateescape')}"


def _line(text: str) -> str:
    """One line that no terminal, mail header or chat can be upset by; its end is cut where it is too long."""
    plain = readable(text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"

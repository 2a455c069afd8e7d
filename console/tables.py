"""Rows of words in columns as wide as what stands in them; names from outside cannot upset the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from shared.domain.figures import Figures
from shared.domain.names import readable
from shared.records.figures import FiguresRecord


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines of a table; the last column may be of any width, and an empty table has no lines."""
    shown = [[readable("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not shown:
        return
    widths = [max(len(row[column]) for row in (heads, *shown)) for column in range(len(heads))]
    for row in (heads, *shown):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def clock(seconds: float | None) -> str:
    """A length of time as people say it: ``42 s``, ``3:05``, ``1:02:03``."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def about(seconds: float) -> str:
    """An estimate, no finer than it can be true: ``about 12 min``, ``about 3 h 20 min``, ``about 4 days``."""
    minutes = round(seconds / _MINUTE)
    if minutes < 1:
        return "less than a minute"
    if seconds < _HOUR - _MINUTE / 2:
        return f"about {minutes} min"
    if seconds >= 2 * _DAY:
        return f"about {round(seconds / _DAY)} days"
    hours, tens = divmod(round(seconds / (10 * _MINUTE)), 6)
    return f"about {hours} h {tens}0 min" if tens else f"about {hours} h"


FIGURE_HEADS = ("USED", "RENDER", "TASKS/H", "IO")
_WINDOWS = {"hour": "last hour", "last_24_hours": "last 24 hours", "today": "today (UTC)"}


def figure_cells(figures: Figures | None) -> tuple[str, str, str, str]:
    """Utilization, seconds for an output, tasks an hour, exposed transfers for each; empty where there is nothing."""
    if figures is None:
        return ("", "", "", "")
    share, took, lost = figures.render_utilization, figures.avg_render_time, figures.io_overhead
    return (
        "" if share is None else f"{share:.0f} %",
        "" if took is None else f"{took:.1f} s",
        f"{figures.task_throughput:.1f}",
        "" if lost is None else f"{lost:.1f} s",
    )


def figure_rows(record: FiguresRecord) -> list[tuple[str, ...]]:
    """Whose figures, and these: of the farm by window, of each node over the last hour. Without any work, none."""
    if not record.nodes:
        return []
    farm: list[tuple[str, ...]] = [
        (words, *figure_cells(record.farm.get(window))) for window, words in _WINDOWS.items()
    ]
    return farm + [(node, *figure_cells(windows.get("hour"))) for node, windows in record.nodes.items()]


def figure_notes(record: FiguresRecord) -> list[str]:
    """What is missing in the figures, and why."""
    damaged = f"{record.damaged_lines} lines of what nodes did are damaged and not counted"
    return [damaged] * bool(record.damaged_lines) + [f"not counted: {why}" for why in record.unread]

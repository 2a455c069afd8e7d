"""A web page fetched and read: its story as plain text. The reading is done by a child process, within limits.

Libraries that read pages take minutes and gigabytes over some of them (a megabyte of empty tables is enough), so a
page can only harm the child, and the worker itself never loads them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from main_worker.links.addresses import quoted
from main_worker.links.fetch import LinkSettings, Page, fetch
from shared.child import ChildTimeout, Ended, Limits, run_child
from shared.domain.errors import DropRefused, Rejection, ToolError
from shared.ffmpeg import check_machine, last_line

__all__ = ["OUT_OF_MEMORY", "Article", "LinkSettings", "answer_of", "fetch_article", "read_page"]

OUT_OF_MEMORY = 3
"""Exit status of a child that met its memory limit; Python's own are 1 and 2."""
_CHILD = "import sys; from main_worker.links.story import print_story; print_story(*sys.argv[1:])"


@dataclass(frozen=True)
class Article:
    """A story taken from the web.

    Attributes:
        address: the one from the link file.
        final_address: where it was found, after redirects.
        title: as the page names it, None when it does not.
        text: paragraphs separated by a blank line.
    """

    address: str
    final_address: str
    title: str | None
    text: str


def fetch_article(address: str, settings: LinkSettings, stopping: Callable[[], bool], scratch: Path) -> Article:
    """Fetch *address* and return its story; the page lies in the folder *scratch* for as long as it is read.

    Raises:
        DropRefused: as :func:`main_worker.links.fetch.fetch` and :func:`read_page` do.
        MachineTrouble, ToolError, OSError: this machine is at fault.
        Stopped: *stopping* turned true.
    """
    page = fetch(address, settings, stopping)
    title, text = read_page(page, settings.extract_seconds, stopping, scratch)
    return Article(address=address, final_address=page.final_address, title=title, text=text)


def read_page(page: Page, seconds: float, stopping: Callable[[], bool], scratch: Path) -> tuple[str | None, str]:
    """Title and text of a fetched page, found by a child process in at most so many seconds.

    Raises:
        DropRefused: as :func:`main_worker.links.story.extract`; ``link_too_complex`` when the child took too long,
            needed too much memory or crashed.
        MachineTrouble, ToolError, OSError: this machine is at fault.
        Stopped: *stopping* turned true.
    """
    with tempfile.NamedTemporaryFile(dir=scratch, prefix="page-") as held:
        held.write(page.body)
        held.flush()
        command = [sys.executable, "-P", "-c", _CHILD, held.name, page.content_type or "", page.address]
        try:
            ended = run_child(command, limits=Limits(total_seconds=seconds, offline=True), stopping=stopping)
        except ChildTimeout as error:
            raise _too_complex(page.address, f"takes longer than {seconds:g} s to read") from error
    return answer_of(ended, page.address)


def answer_of(ended: Ended, address: str) -> tuple[str | None, str]:
    """What the child found, or whose fault it is that it found nothing.

    Raises:
        DropRefused, MachineTrouble, ToolError: as :func:`read_page`.
    """
    check_machine(ended, "the reader of web pages")
    if ended.code == OUT_OF_MEMORY:
        raise _too_complex(address, "takes too much memory to read")
    if ended.code < 0:
        raise _too_complex(address, f"makes its reader crash (signal {-ended.code})")
    if ended.code != 0:
        raise ToolError(f"the reader of web pages does not work: {last_line(ended.errors)}")
    answer = json.loads(ended.output)
    if "refused" in answer:
        raise DropRefused(Rejection(**answer["refused"]))
    return answer["title"], answer["text"]


def _too_complex(address: str, what: str) -> DropRefused:
    return DropRefused(
        Rejection(
            code="link_too_complex",
            sentence=f"The page at {quoted(address)} {what}.",
            advice="Use a simpler page with the same story, such as its print version; "
            "more time can be given by links.extract_seconds in the configuration.",
            measured={"address": address},
        )
    )

"""``reelmill top``: the farm on a screen that stays up to date, with keys for what is done most."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.layout import Layout as Screen
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from console.history import events
from console.options import config_option, plain_errors, root_option, root_to_change, user_name
from console.snapshot import NodeView, Snapshot, take_snapshot
from console.tables import clock
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.orders import Orders
from shared.queue import Queue
from shared.records.orders import Order
from shared.records.record import RecordError, utc_now
from shared.store import Store

_SECONDS = 1.0
_MOST_WAITING, _MOST_EVENTS = 8, 8
_KEYS = "p pause the farm   r resume   ↑↓ choose a node   n pause or resume it   d drain it   q quit"


class NoTerminal(ReelmillError):
    """There is no screen to show it on."""


@click.command("top")
@root_option
@config_option
@plain_errors
def top(given_root: Path | None, config: Path | None) -> None:
    """Show the farm live: nodes with their progress, the queue, and what ended last."""
    layout = root_to_change(given_root, config)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoTerminal("top needs a terminal; for programs and pipes there is: reelmill status --json")
    view = View(layout)
    with _keys() as read, Live(view.render(), console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(view.render(), refresh=True)
            if (key := read(_SECONDS)) == "q":
                return
            if key:
                view.press(key)


class View:
    """What is on the screen, and what the keys do."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._orders = Orders(layout)
        self._store = Store(layout)
        self._queue = Queue(self._store)
        self._chosen = 0
        self._said = ""
        self._snapshot = take_snapshot(layout)

    def press(self, key: str) -> None:
        """Do what a key stands for; what came of it stands in the last line."""
        order = Order(by=user_name(), when=utc_now())
        node = self._node()
        try:
            if key == "p":
                self._orders.pause(order)
                self._said = "The farm takes no more tasks."
            elif key == "r":
                self._orders.resume()
                self._said = "The farm takes tasks."
            elif key in ("up", "down"):
                self._chosen += 1 if key == "down" else -1
            elif key == "n" and node:
                self._said = self._toggle(node, order)
            elif key == "d" and node:
                self._orders.drain(order, node.record.node)
                self._said = f"{node.record.node} finishes what it renders, and ends."
        except (OSError, RecordError) as error:
            self._said = readable(str(error))

    def _toggle(self, node: NodeView, order: Order) -> str:
        name = node.record.node
        if self._orders.read(name).pause:
            self._orders.resume(name)
            return f"{name} takes tasks."
        self._orders.pause(order, name)
        return f"{name} takes no more tasks."

    def _node(self) -> NodeView | None:
        nodes = self._snapshot.nodes
        self._chosen = min(max(self._chosen, 0), max(len(nodes) - 1, 0))
        return nodes[self._chosen] if nodes else None

    def render(self) -> RenderableType:
        """The screen as it is now."""
        self._snapshot = snapshot = take_snapshot(self._layout)
        self._node()
        screen = Screen()
        screen.split_column(
            Screen(self._head(snapshot), size=4),
            Screen(Panel(self._nodes(snapshot), title="Nodes"), ratio=2),
            Screen(name="below", ratio=2),
            Screen(Text(f"{self._said}\n{_KEYS}", overflow="ellipsis"), size=2),
        )
        screen["below"].split_row(
            Screen(Panel(self._waiting(), title="Queue")), Screen(Panel(self._events(), title="Ended last"))
        )
        return screen

    def _head(self, snapshot: Snapshot) -> RenderableType:
        counts = snapshot.counts
        main = snapshot.main_state if snapshot.main_running else "not running"
        paused = f"   FARM PAUSED by {readable(snapshot.farm_pause.by)}" if snapshot.farm_pause else ""
        tasks = (
            f"{counts['tasks']} waiting, {counts['processing']} processing, {counts['output']} finished, "
            f"{counts['trash/failed']} failed, {counts['trash/invalid']} drops rejected"
        )
        trouble = Text(readable(snapshot.trouble or ""), style="red")
        when = f"{time.strftime('%H:%M:%S')}  {readable(snapshot.root)}"
        return Group(Text(when), Text(f"Main worker {main}{paused}"), Text(tasks), trouble)

    def _nodes(self, snapshot: Snapshot) -> RenderableType:
        grid = Table.grid(padding=(0, 2), expand=True)
        for column in range(5):
            grid.add_column(ratio=2 if column == 2 else None, no_wrap=True)  # noqa: PLR2004 - the bar
        for number, node in enumerate(snapshot.nodes):
            record = node.record
            mark = "›" if number == self._chosen else " "
            words = node.verdict or record.label or record.why or ""
            left = f"{clock(record.eta_seconds)} left" if record.eta_seconds is not None else ""
            speed = f"{record.fps:.0f} fps" if record.fps else ""
            bar = ProgressBar(total=100, completed=record.percent) if record.percent is not None else Text("")
            state = "gone" if node.running is False else record.state
            grid.add_row(f"{mark} {record.node}", state, bar, f"{speed} {left}", Text(readable(words)))
        return grid if snapshot.nodes else Text("No render worker runs; start one with: reelmill render")

    def _waiting(self) -> RenderableType:
        self._queue.look()
        grid = Table.grid(padding=(0, 2))
        for ticket in islice(self._queue.tasks(), _MOST_WAITING):
            grid.add_row(f"{ticket.priority:>3}", Text(readable(ticket.story)), ticket.task_id[:8])
        return grid

    def _events(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        style = {"finished": "green", "failed": "red", "rejected": "yellow"}
        for event in events(self._layout, _MOST_EVENTS):
            grid.add_row(event.when[11:19], Text(event.what, style=style[event.what]), Text(readable(event.name)))
        return grid


_ARROWS = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down"}


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Keys as they are pressed; reading waits so many seconds for one, and gives nothing after that."""
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    pressed = b""

    def read(seconds: float) -> str:
        nonlocal pressed
        if not pressed and select.select([handle], [], [], seconds)[0]:
            pressed = os.read(handle, 64)
        key = next((arrow for arrow in _ARROWS if pressed.startswith(arrow)), pressed[:1])
        pressed = pressed[len(key) :]
        return _ARROWS.get(key, key.decode("ascii", "replace").lower())

    try:
        tty.setcbreak(handle)
        yield read
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)

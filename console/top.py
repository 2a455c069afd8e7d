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

from console.cancel import cancel_all
from console.farm.lost import lost_words
from console.farm.node import NodeView
from console.farm.snapshot import Snapshot, disk_words, queue_words, take_snapshot
from console.farm.task import TaskView, tasks
from console.history import events
from console.live import LiveTask
from console.options import (
    config_option,
    configured_min_free_bytes,
    in_words,
    plain_errors,
    root_option,
    root_to_change,
    user_name,
)
from console.retry import chosen, put_back
from console.saying import shown
from console.tables import clock
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.domain.task import TaskState
from shared.orders import Orders
from shared.queue import Queue
from shared.records.orders import Order
from shared.records.record import utc_now
from shared.store import Store

_SECONDS = 1.0
_MOST_WAITING, _MOST_FAILED, _MOST_EVENTS = 12, 8, 8
_ROWS_BEFORE = 4  # the chosen one
_KEYS = {
    "nodes": "p pause the farm  r resume  ↑↓ choose a node  n pause or resume it  d drain it  Tab to the tasks  q quit",
    "tasks": "p pause the farm  r resume  ↑↓ choose a task  c cancel it  t try it again  Tab to the nodes  q quit",
}
_TITLES = {TaskState.PROCESSING: "rendering", TaskState.WAITING: "waiting", TaskState.FAILED: "failed"}


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
    view = View(layout, configured_min_free_bytes(layout, config))
    with _keys() as read, Live(view.render(), console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(view.render(), refresh=True)
            if (key := read(_SECONDS)) == "q":
                return
            if key:
                view.press(key)


class View:
    """What is on the screen, and what the keys do."""

    def __init__(self, layout: Layout, min_free_bytes: int | None) -> None:
        self._layout = layout
        self._min_free_bytes = min_free_bytes
        self._orders = Orders(layout)
        self._store = Store(layout)
        self._queue = Queue(self._store)
        self._chosen = 0
        self._side = "nodes"
        self._task_id = ""
        self._asked: TaskView | None = None
        self._said = ""
        self._snapshot = self._look()
        self._tasks: tuple[TaskView, ...] = ()

    def _look(self) -> Snapshot:
        return take_snapshot(self._layout, min_free_bytes=self._min_free_bytes)

    def press(self, key: str) -> None:
        """Do what a key stands for; what came of it stands in the last line."""
        try:
            if self._asked:
                self._answered(self._asked, key)
            elif key == "\t":
                self._side = "tasks" if self._side == "nodes" else "nodes"
            elif self._side == "tasks" and key in ("up", "down", "c", "t"):
                self._press_for_task(key)
            else:
                self._press_for_nodes(key)
        except (OSError, ReelmillError) as error:
            self._said = in_words(error)

    def _press_for_nodes(self, key: str) -> None:
        order = Order(by=user_name(), when=utc_now())
        node = self._node()
        if key == "p":
            self._orders.pause(order)
            self._said = "The farm takes no more tasks."
        elif key == "r":
            self._orders.resume()
            self._said = "The farm takes tasks."
        elif self._side == "nodes" and key in ("up", "down"):
            self._chosen += 1 if key == "down" else -1
        elif self._side == "nodes" and key == "n" and node:
            self._said = self._toggle(node, order)
        elif self._side == "nodes" and key == "d" and node:
            self._orders.drain(order, node.record.node)
            self._said = f"{node.record.node} finishes what it renders, and ends."

    def _press_for_task(self, key: str) -> None:
        task = self._task()
        if task is None:
            self._said = "There is no task to choose."
        elif key in ("up", "down"):
            place = self._tasks.index(task) + (1 if key == "down" else -1)
            self._task_id = self._tasks[min(max(place, 0), len(self._tasks) - 1)].task_id
        elif key == "t" and task.state == TaskState.FAILED.value:
            (done,) = put_back(self._layout, chosen(self._layout, [task.task_id]), user_name()).items
            self._said = f"{task.label}: {done.outcome}{f', {done.why}' if done.why else ''}"
        elif key == "t":
            self._said = "Only a failed task is tried again."
        elif task.state == TaskState.FAILED.value:
            self._said = "It has failed already; there is nothing to cancel."
        else:
            self._asked = task
            self._said = f"Give up {task.label}? y gives it up, any other key keeps it."

    def _answered(self, task: TaskView, key: str) -> None:
        """The answer holds for the task that was asked about, whatever has moved on the screen since."""
        self._asked = None
        if key != "y":
            self._said = f"{task.label} was kept."
            return
        live = LiveTask(task.task_id, task.label, TaskState(task.state))
        (done,) = cancel_all(self._layout, [live], user_name(), "").items
        self._said = f"{task.label}: {done.outcome}{f', {done.why}' if done.why else ''}"

    def _task(self) -> TaskView | None:
        """The chosen task; one that is not listed any more gives way to the first."""
        return next((task for task in self._tasks if task.task_id == self._task_id), next(iter(self._tasks), None))

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
        try:
            self._snapshot = snapshot = self._look()
            self._tasks = tuple(self._listed(snapshot))
            ended = self._events()
        except (OSError, ReelmillError) as error:  # it may come back; what it held is not known until then
            return shown(in_words(error), "", "q quit", style="red")
        self._node()
        screen = Screen()
        screen.split_column(
            Screen(self._head(snapshot), size=5),
            Screen(Panel(self._nodes(snapshot), title="Nodes"), ratio=2),
            Screen(name="below", ratio=2),
            Screen(shown(self._said, _KEYS[self._side], cut=True), size=2),
        )
        screen["below"].split_row(
            Screen(Panel(self._task_rows(), title="Tasks")), Screen(Panel(ended, title="Ended last"))
        )
        return screen

    def _head(self, snapshot: Snapshot) -> RenderableType:
        counts = snapshot.counts
        main = snapshot.main_state if snapshot.main_running else "not running"
        paused = f"   FARM PAUSED by {snapshot.farm_pause.by}" if snapshot.farm_pause else ""
        tasks = (
            f"{counts['tasks']} waiting, {counts['processing']} processing, {counts['output']} finished, "
            f"{counts['trash/failed']} failed, {counts['trash/invalid']} drops rejected"
        )
        trouble = shown(lost_words(snapshot.lost) or snapshot.trouble or "", style="red")
        when = f"{time.strftime('%H:%M:%S')}  {snapshot.root}"
        queue = shown(f"Queue: {queue_words(snapshot) or 'nothing waits'}   Disk: ")
        queue.append(shown(disk_words(snapshot), style="red" if snapshot.is_low_on_disk else ""))
        return Group(shown(when, f"Main worker {main}{paused}", tasks), queue, trouble)

    def _nodes(self, snapshot: Snapshot) -> RenderableType:
        grid = Table.grid(padding=(0, 2), expand=True)
        for column in range(5):
            grid.add_column(ratio=2 if column == 2 else None, no_wrap=True)  # noqa: PLR2004 - the bar
        for number, node in enumerate(snapshot.nodes):
            record = node.record
            mark = "›" if number == self._chosen and self._side == "nodes" else " "
            words = node.verdict or record.label or record.why or ""
            left = f"{clock(record.eta_seconds)} left" if record.eta_seconds is not None else ""
            speed = f"{record.fps:.0f} fps" if record.fps else ""
            bar = ProgressBar(total=100, completed=record.percent) if record.percent is not None else shown()
            state = "gone" if node.running is False else record.state
            grid.add_row(shown(f"{mark} {record.node}"), shown(state), bar, shown(f"{speed} {left}"), shown(words))
        return grid if snapshot.nodes else shown("No render worker runs; start one with: reelmill render")

    def _listed(self, snapshot: Snapshot) -> Iterator[TaskView]:
        """What is rendered, what waits in its order, and what failed last."""
        yield from snapshot.processing
        self._queue.look()
        ids = [ticket.task_id for ticket in islice(self._queue.tasks(), _MOST_WAITING)]
        waiting = {task.task_id: task for task in tasks(self._layout, self._store, TaskState.WAITING, ids)}
        yield from (waiting[task_id] for task_id in ids if task_id in waiting)
        yield from snapshot.failed[:_MOST_FAILED]

    def _task_rows(self) -> RenderableType:
        """As many rows around the chosen one as a small screen has."""
        grid = Table.grid(padding=(0, 2))
        chosen_task = self._task()
        place = self._tasks.index(chosen_task) if chosen_task else 0
        for task in self._tasks[max(0, place - _ROWS_BEFORE) :]:
            mark = "›" if task is chosen_task and self._side == "tasks" else " "
            state = _TITLES[TaskState(task.state)]
            grid.add_row(shown(f"{mark} {state}"), shown(task.label), shown(task.task_id[:8]))
        return grid

    def _events(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        style = {"finished": "green", "failed": "red", "rejected": "yellow"}
        for event in events(self._layout, _MOST_EVENTS):
            grid.add_row(shown(event.when[11:19]), shown(event.what, style=style[event.what]), shown(event.name))
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

"""``reelmill pause``, ``resume``, ``drain`` and ``hours``: when nodes take tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from console import completing
from console.options import config_option, plain_errors, root_option, root_to_change, user_name
from console.saying import say
from shared.domain.errors import ReelmillError
from shared.domain.layout import Layout
from shared.domain.names import readable
from shared.hours import parse
from shared.orders import Orders
from shared.records.orders import Order
from shared.records.record import utc_now

_FARM = "the farm"


class NoSuchNode(ReelmillError):
    """A node that this root has never seen."""


def _why_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--why", default="", help="What status and the log say about it.")(command)


@click.command("pause")
@click.argument("nodes", nargs=-1, metavar="[NODE]...", shell_complete=completing.nodes)
@_why_option
@click.option("--now", is_flag=True, help="Give back what is being rendered as well.")
@root_option
@config_option
@plain_errors
def pause(nodes: tuple[str, ...], why: str, given_root: Path | None, config: Path | None, *, now: bool) -> None:
    """Have nodes take no more tasks; without NODE, all of them. What is being rendered is finished.

    It holds until `reelmill resume`, also for workers that are started meanwhile. Drops are taken in as ever.
    """
    layout = root_to_change(given_root, config)
    order = Order(by=user_name(), when=utc_now(), why=why, at_once=now)
    for node in _known(layout, nodes):
        Orders(layout).pause(order, node)
        say(f"paused {node or _FARM}; take it back with: reelmill resume{f' {node}' if node else ''}")


@click.command("resume")
@click.argument("nodes", nargs=-1, metavar="[NODE]...", shell_complete=completing.nodes)
@root_option
@config_option
@plain_errors
def resume(nodes: tuple[str, ...], given_root: Path | None, config: Path | None) -> None:
    """Take a pause back: of these nodes, or without NODE that of the farm."""
    layout = root_to_change(given_root, config)
    orders = Orders(layout)
    for node in _known(layout, nodes):
        was = orders.resume(node)
        say(f"{'resumed' if was else 'was not paused:'} {node or _FARM}")
    if not nodes and (paused := [name for name in completing.node_names(layout) if orders.read(name).pause]):
        say(f"still paused by themselves: {', '.join(paused)}")


@click.command("drain")
@click.argument("nodes", nargs=-1, required=True, metavar="NODE...", shell_complete=completing.nodes)
@_why_option
@root_option
@config_option
@plain_errors
def drain(nodes: tuple[str, ...], why: str, given_root: Path | None, config: Path | None) -> None:
    """Have nodes finish what they render, take no more, and end. Started again, they work as before."""
    layout = root_to_change(given_root, config)
    order = Order(by=user_name(), when=utc_now(), why=why)
    for node in _known(layout, nodes):
        Orders(layout).drain(order, str(node))
        runs = layout.node_record(str(node)).exists()
        say(f"draining {node}" if runs else f"{node} does not run; there is nothing to drain")


@click.command("hours")
@click.argument("node", shell_complete=completing.nodes)
@click.argument("spans", nargs=-1, metavar="[SPAN]...")
@click.option("--always", is_flag=True, help="Take the working hours back.")
@root_option
@config_option
@plain_errors
def hours(node: str, spans: tuple[str, ...], given_root: Path | None, config: Path | None, *, always: bool) -> None:
    """Have a node take tasks at certain hours only, by its own clock; without SPAN, show them.

    SPAN is 22:00-06:00, or with days "mon-fri 18:00-24:00"; several add up. What is being rendered is finished.
    """
    if spans and always:
        raise click.UsageError("name hours, or say --always")
    layout = root_to_change(given_root, config)
    for words in spans:
        parse(words)
    orders = Orders(layout)
    for name in _known(layout, (node,)):
        if spans or always:
            orders.set_hours(spans, str(name))
        say(f"{name} takes tasks {', '.join(orders.read(name).hours) or 'at all hours'}")


def _known(layout: Layout, nodes: Iterable[str]) -> list[str | None]:
    """The nodes that are meant, None being the farm.

    Raises:
        NoSuchNode: with those that have never worked on this root.
    """
    known = completing.node_names(layout)
    unknown = [node for node in nodes if node not in known]
    if unknown:
        there = f"there are {', '.join(known)}" if known else "none has worked on this root yet"
        raise NoSuchNode(f"no node is called {', '.join(map(readable, unknown))}; {there}")
    return list(nodes) or [None]

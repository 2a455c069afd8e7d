"""What all lanes of one node share."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from render_worker.hauling import Hauling
from render_worker.health import Health
from render_worker.lanes.board import Board
from render_worker.lanes.resting import Resting
from render_worker.worklog import Worklog
from shared.log import Logger
from shared.store import Store


@dataclass(frozen=True)
class Station:
    """A node at work.

    Attributes:
        stop: set when its worker is to end.
    """

    node: str
    store: Store
    hauling: Hauling
    health: Health
    resting: Resting
    board: Board
    worklog: Worklog
    log: Logger
    stop: threading.Event

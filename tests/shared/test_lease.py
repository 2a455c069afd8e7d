"""All workers of a root have one lease, which the first of them fixes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.records.record import RecordError
from shared.recovery import agree_on_lease
from shared.settings import HEARTBEATS_PER_LEASE
from shared.store import Store


def test_the_first_worker_fixes_the_lease_of_a_root(layout: Layout) -> None:
    """Every other follows it, whatever its own configuration says."""
    assert agree_on_lease(Store(layout), 90.0, 5.0) == 90.0
    assert agree_on_lease(Store(layout), 30.0, 5.0) == 90.0


def test_of_many_workers_that_start_at_once_all_get_the_same_lease(
    layout: Layout, start_python: Callable[..., subprocess.Popen[str]], said: Callable[[subprocess.Popen[str]], str]
) -> None:
    """None of them finds the file half written."""
    code = """
import sys
from pathlib import Path
from shared.domain.layout import Layout
from shared.recovery import agree_on_lease
from shared.store import Store
layout = Layout(Path(sys.argv[1]))
print("ready", flush=True)
while not (layout.farm / "go").exists():
    pass
print(agree_on_lease(Store(layout), float(sys.argv[2]), 1.0), flush=True)
"""
    workers = [start_python(code, layout.root, 30 + number) for number in range(6)]
    assert [said(worker) for worker in workers] == ["ready"] * 6
    (layout.farm / "go").touch()
    assert len({said(worker) for worker in workers}) == 1


def test_a_heartbeat_too_slow_for_the_roots_lease_is_refused(layout: Layout) -> None:
    """Such a worker would look dead while it lives; it is told what to set."""
    agree_on_lease(Store(layout), 9.0, 1.0)
    assert agree_on_lease(Store(layout), 90.0, 9.0 / HEARTBEATS_PER_LEASE) == 9.0
    with pytest.raises(RootError, match="set it to at most 3"):
        agree_on_lease(Store(layout), 90.0, 5.0)


def test_a_damaged_lease_is_told_and_not_guessed(layout: Layout) -> None:
    """Two workers with different leases would be worse than none."""
    layout.lease.write_bytes(b"")
    with pytest.raises(RecordError, match=r"lease\.json"):
        agree_on_lease(Store(layout), 90.0, 5.0)

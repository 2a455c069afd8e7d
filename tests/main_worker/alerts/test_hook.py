"""The command: what it is given, and that neither it nor its children outlive their time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from main_worker.alerts.channel import NotTaken
from main_worker.alerts.hook import Hook
from shared.records.alerts import Alert

AlertOf = Callable[..., Alert]


def test_a_command_reads_the_alert_from_its_standard_input(alert_of: AlertOf, tmp_path: Path) -> None:
    """The same JSON as the webhook's; arguments are words, whatever is in them, and no shell sees them."""
    target = tmp_path / "a b; $(touch evil)"
    alert = alert_of()
    Hook(("sh", "-c", 'cat > "$0"', str(target)), 30).send(alert)
    assert json.loads(target.read_text())["title"] == alert.title


def test_a_command_that_fails_is_told_with_its_last_words(alert_of: AlertOf) -> None:
    """Its status and the end of its standard error, made harmless."""
    with pytest.raises(NotTaken, match=r"sh ended with status 3: no\\x1b\[2J way") as refused:
        Hook(("sh", "-c", "cat > /dev/null; printf 'no\\033[2J way\\n' >&2; exit 3"), 30).send(alert_of())
    assert not refused.value.is_final


def test_a_command_that_is_not_there_is_told(alert_of: AlertOf) -> None:
    """It may be installed meanwhile."""
    with pytest.raises(NotTaken, match="cannot run /nonexistent/hook"):
        Hook(("/nonexistent/hook",), 30).send(alert_of())


def test_a_command_that_does_not_read_is_no_failure(alert_of: AlertOf) -> None:
    """Not even for an alert that no pipe holds."""
    Hook(("true",), 30).send(alert_of(details={"path": "x" * 1_000_000}))


def test_a_command_that_takes_too_long_is_ended_with_its_children(alert_of: AlertOf, tmp_path: Path) -> None:
    """The next alert must not wait for ever, and nothing may be left running."""
    sign = tmp_path / "sign"
    started = time.monotonic()
    with pytest.raises(NotTaken, match=r"sh took longer than 0\.5 s and was ended"):
        Hook(("sh", "-c", f"(sleep 2; touch {sign}) & sleep 60"), 0.5).send(alert_of())
    assert time.monotonic() - started < 10
    time.sleep(2.5)
    assert not sign.exists()

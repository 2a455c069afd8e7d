"""The injections of the torture runs do what they say: a kill that does not kill would prove nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from console.init import lay_out
from tests.torture.scenes import CONFIG
from tests.torture.tracing import Injection, Run, Step, run_once, why_not

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=f"system calls cannot be watched here: {why_not()}"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # a test runner has threads of its own
]
Once = Callable[..., Run]


@pytest.fixture
def once(tmp_path: Path) -> Once:
    """Runs the main worker once on a root with one misplaced drop."""
    root, beside = lay_out(tmp_path / "root", CONFIG).root, tmp_path / "beside"
    (beside / "tmp").mkdir(parents=True)
    (root / "raw/stray.txt").write_text("hello")

    def run(**options: object) -> Run:
        return run_once(root, beside, **options)  # type: ignore[arg-type]

    return run


def test_every_change_is_counted(once: Once, tmp_path: Path) -> None:
    """The one rename that takes the drop away is among the calls, as a change that did not fail."""
    run = once(trace=True)
    assert run.status == 0, run.log
    renames = [call for call in run.calls if call.step.call == "renameat2"]
    assert [call.changes and not call.failed for call in renames] == [True]
    assert "raw/stray.txt" in renames[0].text
    assert (tmp_path / "root/trash/invalid/stray.txt").exists()


def test_a_kill_comes_before_its_step(once: Once, tmp_path: Path) -> None:
    """The rename is not done any more, and the worker has died of the signal."""
    run = once(injection=Injection(Step("renameat2", 1), signal="SIGKILL"))
    assert run.status == -signal.SIGKILL
    assert (tmp_path / "root/raw/stray.txt").exists()


def test_an_error_stands_for_its_step(once: Once, tmp_path: Path) -> None:
    """The worker is told of a full disk where there is none, and says so."""
    run = once(injection=Injection(Step("renameat2", 1), error="ENOSPC"))
    assert any("INJECTED" in call.text for call in run.calls)
    assert "No space left on device" in run.log
    assert (tmp_path / "root/raw/stray.txt").exists()

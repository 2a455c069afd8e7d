"""One root of all errors, and a refusal that keeps its parts."""

from __future__ import annotations

import pytest

from shared.child import ChildTimeout
from shared.config import ConfigError
from shared.domain import errors
from shared.domain.plan import PlanError
from shared.records.record import RecordError
from shared.store import HoldLost


@pytest.mark.parametrize(
    "error",
    [
        *(errors.RootError, errors.IllegalTransition, errors.ToolError, errors.MachineTrouble, errors.Stopped),
        *(errors.DropRefused, ChildTimeout, ConfigError, PlanError, RecordError, HoldLost),
    ],
)
def test_every_error_of_ours_has_one_root(error: type[Exception]) -> None:
    """A worker can tell what was raised on purpose from a bug."""
    assert issubclass(error, errors.ReelmillError)


def test_a_refused_drop_keeps_its_rejection() -> None:
    """The figures reach the file beside the drop, the words the log."""
    rejection = errors.Rejection("truncated", "It is cut.", "Copy it again.", {"seconds": 3})
    refused = errors.DropRefused(rejection)
    assert refused.rejection.measured == {"seconds": 3}
    assert str(refused) == "truncated: It is cut. Copy it again."

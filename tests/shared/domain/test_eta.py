"""When waiting tasks are done, at the pace of the nodes."""

from __future__ import annotations

import pytest

from shared.domain.eta import Capacity, usual_pace


@pytest.mark.parametrize(
    ("paces", "usual"), [((), None), ((None, None), None), ((0.0,), None), ((4.0, None), 4.0), ((1.0, 9.0, 2.0), 2.0)]
)
def test_a_new_node_is_taken_to_be_as_fast_as_the_others(paces: tuple[float | None, ...], usual: float | None) -> None:
    """The median of those that have made something."""
    assert usual_pace(paces) == usual


@pytest.mark.parametrize(
    ("capacity", "ahead", "own", "seconds"),
    [
        (Capacity(()), 0.0, 600.0, None),  # nobody takes tasks
        (Capacity((None,)), 0.0, 600.0, None),  # nobody has made anything
        (Capacity((2.0,)), 0.0, 600.0, 300.0),
        (Capacity((2.0,)), 600.0, 600.0, 600.0),
        (Capacity((2.0,), begun=600.0), 600.0, 600.0, 900.0),
        (Capacity((2.0, 2.0)), 0.0, 600.0, 300.0),  # one task is made by one node
        (Capacity((2.0, 2.0)), 1200.0, 600.0, 600.0),
        (Capacity((2.0, None)), 1200.0, 600.0, 600.0),
        (Capacity((1.0, 3.0)), 1200.0, 600.0, 600.0),
    ],
)
def test_the_nodes_share_what_is_ahead(capacity: Capacity, ahead: float, own: float, seconds: float | None) -> None:
    """And one of them makes what is last."""
    assert capacity.done_in(ahead, own) == seconds

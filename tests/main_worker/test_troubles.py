"""How long what failed rests, when it is hopeless, and when everything pauses."""

from __future__ import annotations

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from main_worker.troubles import LONG_REST_SECONDS, Trouble, Troubles, again

A, B = PurePosixPath("video/nature/a.mp4"), PurePosixPath("video/nature/b.mp4")


def test_the_rest_doubles_up_to_a_minute() -> None:
    """The first tries come soon, the later ones cost nobody anything."""
    trouble: Trouble | None = None
    rests = []
    for _ in range(8):
        trouble = again(trouble, "why", 100.0)
        rests.append(trouble.until - 100.0)
    assert rests == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0]


def test_what_costs_much_to_try_rests_up_to_an_hour() -> None:
    """Where its trouble is nothing that passes by itself."""
    troubles = Troubles()
    for _ in range(12):
        troubles.put_off(A, "why", 100.0, LONG_REST_SECONDS)
    assert troubles.rests(A, 3699.9)
    assert not troubles.rests(A, 3700.0)


@given(st.integers(1, 2000), st.floats(0, 1e9))
def test_however_often_it_fails_it_is_tried_again_within_a_minute(tries: int, now: float) -> None:
    """A disk that was full for a week is used a minute after it is not."""
    trouble = again(Trouble("why", tries, 0.0), "why", now)
    assert now < trouble.until <= now + 60.0


def test_a_drop_in_trouble_rests_alone() -> None:
    """Others are not held up, and it has its turn again."""
    troubles = Troubles()
    assert troubles.put_off(A, "why", 100.0)
    assert troubles.rests(A, 104.9)
    assert not troubles.rests(A, 105.0)
    assert not troubles.rests(B, 100.0)
    assert troubles.pause is None
    troubles.clear(A)
    assert not troubles.rests(A, 100.0)
    assert troubles.drops == {}


def test_the_same_trouble_is_no_news_and_another_is() -> None:
    """The log tells each once."""
    troubles = Troubles()
    news = [troubles.put_off(A, why, 0.0) for why in ("one", "one", "two", "one")]
    assert news == [True, False, True, True]
    assert [troubles.stop_all(why, 0.0) for why in ("full", "full", "lost")] == [True, False, True]


def test_three_failures_are_hopeless_for_somebody_who_waits() -> None:
    """A single drop that may still go well is a reason to wait."""
    troubles = Troubles()
    for _ in range(3):
        troubles.put_off(A, "why", 0.0)
    assert troubles.is_hopeless
    troubles.put_off(B, "why", 0.0)
    assert not troubles.is_hopeless
    troubles.clear(B)
    troubles.stop_all("full", 0.0)
    assert not troubles.is_hopeless


def test_a_pause_ends_once_and_starts_anew() -> None:
    """A later one is not made longer by an earlier one."""
    troubles = Troubles()
    for _ in range(5):
        troubles.stop_all("full", 0.0)
    assert troubles.resume()
    assert not troubles.resume()
    troubles.stop_all("full", 0.0)
    assert troubles.pause == Trouble("full", 1, 5.0)


def test_drops_that_are_gone_are_forgotten() -> None:
    """A new one of the name starts without a past."""
    troubles = Troubles()
    troubles.put_off(A, "why", 0.0)
    troubles.put_off(B, "why", 0.0)
    troubles.forget_all_but([B])
    assert list(troubles.drops) == [B]

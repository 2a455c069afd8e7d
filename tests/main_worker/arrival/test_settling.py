"""When a drop counts as complete, decided with the present passed in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from main_worker.arrival.settling import (
    Checksum,
    Clue,
    Done,
    Identity,
    Marker,
    Patience,
    Settled,
    Settling,
    Sighting,
    asks_for_writers,
    decide,
    look,
)

HERE = Identity(device=1, inode=2, size=3, mtime_ns=4)
PATIENCE = Patience(quiet=5.0, blind=30.0)
HASH = "0" * 64


def seen_at(now: float, clue: Clue | None = None) -> Sighting:
    return look(None, HERE, clue, now)


# -- the quiet period --------------------------------------------------------------------------------


def test_the_first_sight_of_a_drop_is_no_evidence() -> None:
    """However old its time stamps are, a drop is not taken the first time it is seen."""
    assert decide(seen_at(100.0), 100.0, PATIENCE, writer=False) == Settling(105.0)


def test_a_drop_settles_exactly_after_the_quiet_period() -> None:
    """Unchanged and closed for the quiet period is enough, and less is not."""
    seen = look(seen_at(100.0), HERE, None, 104.0)
    assert decide(seen, 104.9, PATIENCE, writer=False) == Settling(105.0)
    assert decide(seen, 105.0, PATIENCE, writer=False) == Settled(
        "unchanged for 5.0 s, and no program has it open for writing"
    )


def test_a_late_look_says_how_long_the_drop_was_quiet() -> None:
    """The evidence names the time that was observed, not the one that was asked for."""
    settled = decide(seen_at(100.0), 112.34, PATIENCE, writer=False)
    assert isinstance(settled, Settled)
    assert settled.evidence.startswith("unchanged for 12.3 s")


def test_where_nobody_can_tell_if_it_is_open_it_must_be_quiet_for_longer() -> None:
    """A network mount knows nothing of the writers on its other side; what is waited for is said."""
    waits = decide(seen_at(100.0), 105.0, PATIENCE, writer=None)
    assert isinstance(waits, Settling)
    assert waits.at == 130.0
    assert "cannot be seen from here" in waits.why
    assert decide(seen_at(100.0), 130.0, PATIENCE, writer=None) == Settled("unchanged for 30.0 s")


def test_an_event_that_tells_of_the_closing_is_as_good_as_the_kernel() -> None:
    """Then the shorter period is enough."""
    seen = look(seen_at(100.0), HERE, Clue.CLOSED, 101.0)
    assert decide(seen, 105.0, PATIENCE, writer=None) == Settled("unchanged for 5.0 s after its writer closed it")


def test_a_drop_that_a_program_has_open_for_writing_waits() -> None:
    """However quiet it is, and whatever else speaks for it: a copy that stalls is no finished copy."""
    markers: list[Marker | None] = [None, Done.DONE, Checksum(HASH)]
    for marker in markers:
        for clue in (None, *Clue):
            waits = decide(seen_at(100.0, clue), 500.0, PATIENCE, marker=marker, writer=True)
            assert isinstance(waits, Settling)
            assert waits.at == 505.0
            assert "open for writing" in waits.why


# -- better evidence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", [False, None])
def test_a_drop_that_was_renamed_into_place_is_taken_at_once(writer: bool | None) -> None:
    """A rename brings a file that was whole before; that is certain."""
    assert decide(seen_at(100.0, Clue.RENAMED), 100.0, PATIENCE, writer=writer) == Settled(
        "renamed into place", certain=True
    )


def test_a_done_beside_it_is_taken_at_its_word() -> None:
    """Its sender says that it is whole."""
    assert decide(seen_at(100.0), 100.0, PATIENCE, marker=Done.DONE) == Settled("its .done is there", certain=True)


def test_a_hash_beside_it_is_to_be_checked() -> None:
    """The hash goes along with the decision, for the examination to compare."""
    settled = decide(seen_at(100.0), 100.0, PATIENCE, marker=Checksum(HASH), writer=False)
    assert isinstance(settled, Settled)
    assert settled.sha256 == HASH
    assert not settled.certain, "until it is found to match, it may be the beginning of a copy"


def test_where_nobody_can_tell_if_it_is_open_its_hash_is_taken_when_it_is_quiet() -> None:
    """A large file that grows on a network mount is not read from its start at every look."""
    marker = Checksum(HASH)
    assert decide(seen_at(100.0), 104.0, PATIENCE, marker=marker) == Settling(105.0)
    assert isinstance(decide(seen_at(100.0), 105.0, PATIENCE, marker=marker), Settled)


def test_a_checksum_file_that_names_no_hash_is_no_evidence() -> None:
    """The quiet period has to do, and the record says what was not used."""
    marker = Checksum(None)
    assert isinstance(decide(seen_at(100.0), 100.0, PATIENCE, marker=marker, writer=False), Settling)
    settled = decide(seen_at(100.0), 105.0, PATIENCE, marker=marker, writer=False)
    assert isinstance(settled, Settled)
    assert settled.sha256 is None
    assert not settled.certain
    assert settled.evidence.endswith("its .sha256 names no SHA-256 hash and was not used")


def test_the_writers_are_asked_for_only_when_it_matters() -> None:
    """Asking means opening the file: not at every look, but before anything is taken."""
    assert not asks_for_writers(seen_at(100.0), None, 104.9, PATIENCE)
    assert not asks_for_writers(seen_at(100.0, Clue.CLOSED), Checksum(None), 104.9, PATIENCE)
    assert asks_for_writers(seen_at(100.0), None, 105.0, PATIENCE)
    assert asks_for_writers(seen_at(100.0, Clue.RENAMED), None, 100.0, PATIENCE)
    assert asks_for_writers(seen_at(100.0), Done.DONE, 100.0, PATIENCE)
    assert asks_for_writers(seen_at(100.0), Checksum(HASH), 100.0, PATIENCE)


# -- looks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["device", "inode", "size", "mtime_ns"])
@pytest.mark.parametrize("clue", [None, *Clue])
def test_any_change_starts_the_wait_anew_and_forgets_how_it_came(what: str, clue: Clue | None) -> None:
    """A preallocated copy changes only its time, a replaced file perhaps only its inode."""
    changed = replace(HERE, **{what: 99})
    seen = look(seen_at(100.0, clue), changed, None, 104.0)
    assert seen == Sighting(changed, 104.0, None, seen_at(100.0).first_seen)
    assert decide(seen, 105.0, PATIENCE, writer=False) == Settling(109.0)


def test_a_drop_that_changes_back_waits_anew() -> None:
    """What was seen in between counts, even where the drop looks as it did at first."""
    seen = look(look(seen_at(0.0), replace(HERE, size=9), None, 3.0), HERE, None, 4.0)
    assert decide(seen, 5.0, PATIENCE, writer=False) == Settling(9.0)


@pytest.mark.parametrize("later", [None, Clue.CLOSED])
def test_a_rename_that_was_seen_is_not_forgotten_while_the_file_is_the_same(later: Clue | None) -> None:
    """Its writer may close it after it was renamed: cp does not, rsync does."""
    assert look(seen_at(0.0, Clue.RENAMED), HERE, later, 1.0).clue is Clue.RENAMED


def test_a_file_that_was_closed_and_then_renamed_by_somebody_came_by_both() -> None:
    """The name it has now it got by renaming: the file is seen under it for the first time."""
    assert look(None, HERE, Clue.RENAMED, 1.0).clue is Clue.RENAMED


LOOKS = st.lists(
    st.tuples(st.floats(0.01, 10), st.integers(0, 2), st.sampled_from([None, Clue.CLOSED]), st.booleans()), min_size=1
)


@given(LOOKS, st.floats(0.1, 20), st.floats(0.1, 40))
def test_a_drop_is_taken_only_after_a_whole_quiet_period(
    looks: list[tuple[float, int, Clue | None, bool]], quiet: float, blind: float
) -> None:
    """Without proof, whatever is seen when, a settled drop was the same in every look of at least the quiet period."""
    now, changed_at, seen, last, closed = 0.0, 0.0, None, -1, False
    for pause, size, clue, knows in looks:
        now += pause
        if size != last:
            last, changed_at, closed = size, now, False
        closed = closed or clue is Clue.CLOSED
        seen = look(seen, replace(HERE, size=size), clue, now)
        decision = decide(seen, now, Patience(quiet, blind), writer=False if knows else None)
        needed = quiet if knows or closed else max(quiet, blind)
        assert isinstance(decision, Settled) == (now >= changed_at + needed)
        if isinstance(decision, Settled):
            assert not decision.certain
        else:
            assert now < decision.at <= changed_at + needed


@given(
    st.floats(0, 100),
    st.floats(0, 100),
    st.sampled_from([None, *Clue]),
    st.sampled_from([None, Done.DONE, Checksum(None), Checksum(HASH)]),
)
def test_nothing_is_ever_taken_while_it_is_open_for_writing(
    first: float, later: float, clue: Clue | None, marker: Marker | None
) -> None:
    """And what waits is looked at again after now, never before."""
    decision = decide(seen_at(first, clue), first + later, PATIENCE, marker=marker, writer=True)
    assert isinstance(decision, Settling)
    assert decision.at > first + later

"""How a node encodes each profile, and what it gives up."""

from __future__ import annotations

from render_worker.commands.encoders import Way
from render_worker.ways import MOST_STEPS_DOWN, Ways

CARD, HALF, SOFT, HEVC = Way("h264_nvenc", "cuda"), Way("h264_nvenc"), Way("libx264"), Way("libx265")


def test_what_fails_for_tasks_in_a_row_is_given_up_for_all_profiles() -> None:
    """The others go on as they did; one task that ends well begins the count anew."""
    ways = Ways({"default": (CARD, HALF, SOFT), "shorts": (CARD, SOFT), "small": (HEVC,)})
    assert (ways.usual, ways.decoder_of("h264_nvenc"), ways.decoder_of("libx265")) == (CARD, "cuda", None)
    for _ in range(MOST_STEPS_DOWN - 1):
        assert ways.note("default", stepped_down=True) is None
    assert ways.note("shorts", stepped_down=False) is None
    for _ in range(MOST_STEPS_DOWN - 1):
        assert ways.note("shorts", stepped_down=True) is None
    assert not ways.gave_up
    assert ways.note("default", stepped_down=True) == CARD
    assert ways.gave_up
    assert [ways.of(name) for name in ("default", "shorts", "small")] == [(HALF, SOFT), (SOFT,), (HEVC,)]
    assert ways.decoder_of("h264_nvenc") is None


def test_the_last_way_is_kept_and_what_is_not_there_has_none() -> None:
    """A node that cannot encode a profile leaves its tasks to others."""
    ways = Ways({"small": (HEVC,)})
    for _ in range(2 * MOST_STEPS_DOWN):
        assert ways.note("small", stepped_down=True) is None
    assert ways.of("small") == (HEVC,)
    assert ways.of("default") == ()

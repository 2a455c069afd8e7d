"""How large a viewer sees a picture."""

from __future__ import annotations

import pytest

from shared.domain.media import displayed_size


@pytest.mark.parametrize(
    ("width", "height", "rotation", "aspect", "size"),
    [
        (1920, 1080, 0, 1.0, (1920, 1080)),
        (1920, 1080, 90, 1.0, (1080, 1920)),
        (1920, 1080, 180, 1.0, (1920, 1080)),
        (1920, 1080, 270, 1.0, (1080, 1920)),
        (1440, 1080, 0, 4 / 3, (1920, 1080)),
        (1440, 1080, 90, 4 / 3, (1080, 1920)),
        (1, 1, 0, 0.01, (1, 1)),
    ],
)
def test_a_picture_is_widened_first_and_turned_then(
    width: int, height: int, rotation: int, aspect: float, size: tuple[int, int]
) -> None:
    """Pixel aspect belongs to the coded picture, rotation to the display."""
    assert displayed_size(width, height, rotation, aspect) == size

"""Sizes at which a picture of another shape is brought to a canvas, as `scale` takes them."""

from __future__ import annotations

from typing import Literal

from shared.domain.plan import Canvas

LONGEST = 4  # times the canvas, to which a picture is enlarged that loses its edges; more would fill the memory

Shape = Literal["inside", "outside", "stretched"]
"""Within the canvas; as small as it still covers it; exactly the canvas, whatever its own shape was."""


def pixels(shape: Shape, canvas: Canvas) -> dict[str, str]:
    """Width and height on a canvas, even so that no colour is lost."""
    width, height = canvas.width, canvas.height
    if shape == "stretched":
        return {"w": f"{width}", "h": f"{height}"}
    if shape == "inside":
        return {
            "w": f"max(2,min({width},trunc({height}*dar/2)*2))",
            "h": f"max(2,min({height},trunc({width}/dar/2)*2))",
        }
    return {
        "w": f"min({LONGEST * width},max({width},ceil({height}*dar/2-0.01)*2))",
        "h": f"min({LONGEST * height},max({height},ceil({width}/dar/2-0.01)*2))",
    }


def cells(shape: Shape, canvas: Canvas, side: int) -> dict[str, str]:
    """The same on a square of so many pixels a side that stands for the canvas."""
    if shape == "stretched":
        return {"w": f"{side}", "h": f"{side}"}
    wide = f"(dar*{canvas.height}/{canvas.width})"
    if shape == "inside":
        width, height = (f"max(1,round({side}*min(1,{share})))" for share in (wide, f"1/{wide}"))
    else:
        width, height = (f"round({side}*min({LONGEST},max(1,{share})))" for share in (wide, f"1/{wide}"))
    return {"w": width, "h": height}

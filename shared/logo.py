"""Which logo goes over the pictures of new videos."""

from __future__ import annotations

from pathlib import Path

from shared.config import LOGO_AUTO, Render
from shared.domain.errors import RootError
from shared.domain.layout import Layout


def find_logo(layout: Layout, render: Render, table: str = "render") -> Path | None:
    """The logo file the configuration asks for, or None where it asks for none.

    Args:
        table: where in the configuration it asks for it.

    Raises:
        RootError: the named file is not in ``assets/``.
    """
    name = render.logo
    if not name:
        return None
    path = layout.assets / ("logo.png" if name == LOGO_AUTO else name)
    if path.is_file():
        return path
    if name == LOGO_AUTO:
        return None
    raise RootError(f'{table}.logo = "{name}": there is no assets/{name}; put it there, or set {table}.logo to ""')

"""Which files in ``assets/`` new videos show: the logo, and the title and end cards of stories that have none."""

from __future__ import annotations

from pathlib import Path

from shared.config import Config
from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.settings import LOGO_AUTO, Render


def find_logo(layout: Layout, render: Render, table: str = "render") -> Path | None:
    """The logo file the configuration asks for, or None where it asks for none.

    Args:
        table: where in the configuration it asks for it.

    Raises:
        RootError: the named file is not in ``assets/``.
    """
    if render.logo == LOGO_AUTO:
        path = layout.assets / "logo.png"
        return path if path.is_file() else None
    return _find(layout, render.logo, f"{table}.logo")


def find_cards(layout: Layout, render: Render, table: str = "render") -> tuple[Path | None, Path | None]:
    """The title and the end card the configuration asks for, each None where it asks for none.

    Raises:
        RootError: a named file is not in ``assets/``.
    """
    return (
        _find(layout, render.title_card, f"{table}.title_card"),
        _find(layout, render.end_card, f"{table}.end_card"),
    )


def check_assets(config: Config, layout: Layout) -> None:
    """Raise RootError for what any profile asks for and is not there, so that it is said before the first task."""
    for name in config.profile_names:
        render, table = config.profile(name).render, config.table_of(name)
        find_logo(layout, render, table)
        find_cards(layout, render, table)


def _find(layout: Layout, name: str, key: str) -> Path | None:
    if not name:
        return None
    path = layout.assets / name
    if path.is_file():
        return path
    raise RootError(f'{key} = "{name}": there is no assets/{name}; put it there, or set {key} to ""')

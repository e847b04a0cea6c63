"""A player on a page: plays the segment that is selected in a time-line, from a local file.

The page names the files by relative addresses, so page and videos can be moved together. Without
them, or where the browser does not know their format, the page says so and is whole otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluation.report.fragments import table
from runtime.text import encodable

TEMPLATES = Path(__file__).parent / "templates"
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: object) -> Markup:
    """Render one of this package's templates, everything escaped."""
    return Markup(_ENVIRONMENT.get_template(template).render(values))


def words_table(rows: Sequence[Sequence[str]]) -> Markup:
    """A table of words, which may be long; the first row is the header. On a phone, rows of many
    cells become cards."""
    kind = "words cards" if len(rows[0]) > 3 else "words"
    return Markup('<div class="{}">{}</div>').format(kind, table(rows))


def player(files: Mapping[str, Path], folder: Path) -> Markup:
    """The element; its page needs `style`, `script` and `media=True`.

    Args:
        files: video id, as the time-line has it -> file.
        folder: where the page will be.
    """
    addresses = {encodable(video_id): relative_address(path, folder) for video_id, path in files.items()}
    return render("player.html.jinja", files=addresses)


def relative_address(path: Path, folder: Path) -> str:
    """Address of a file as seen from a page in a folder; nothing in it can be taken for another
    scheme.

    >>> relative_address(Path("videos/a b#1.mp4"), Path("runs/x"))
    '../../videos/a%20b%231.mp4'
    """
    return quote(os.fsencode(os.path.relpath(path.absolute(), folder.absolute())))


def style() -> str:
    """Style sheet of the player and of this package's sections."""
    return (TEMPLATES / "player.css").read_text(encoding="utf-8")


def script() -> str:
    """What makes the player play."""
    return (TEMPLATES / "player.js").read_text(encoding="utf-8")

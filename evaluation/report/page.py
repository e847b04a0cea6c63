"""The shell of a page: title, navigation, theme, sections, and the data of its widgets.

Whatever comes from annotations or predictions reaches the page either through templates that escape
(jinja2, autoescape on), or inside one block of JSON in which <, > and & are written as escapes, so
that nothing in it can end the block. A content security policy lets only the page's own scripts
run, named by their hash, and lets the page load nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from runtime.text import encodable

TEMPLATES = Path(__file__).parent / "templates"
STYLES = ("page.css", "content.css", "print.css")
SCRIPTS = ("page.js", "table.js", "chart.js", "timeline.js")
# Also the separators that older browsers take for line ends in scripts.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Section:
    """One part of a page.

    Attributes:
        id: anchor, and the key under which scripts find `data`; letters and hyphens.
        title: heading, and the text of the link in the navigation.
        body: HTML.
        data: what the section's widgets need, ready for JSON.
        printed: False leaves the section out of the print.
    """

    id: str
    title: str
    body: Markup
    data: Mapping[str, Any] = field(default_factory=dict)
    printed: bool = True


@cache
def environment() -> Environment:
    """The templates, everything escaped, unknown names refused."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_fragment(template: str, **values: Any) -> Markup:
    """Render one of the templates to HTML that may stand inside others."""
    return Markup(environment().get_template(template).render(values))


def render_page(
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    *,
    tasks: Sequence[str] = (),
    media: bool = False,
    footer: str = "",
    more_styles: Sequence[str] = (),
    more_scripts: Sequence[str] = (),
) -> str:
    """Render a whole page.

    Args:
        title: heading and title of the window.
        subtitle: a line below it.
        sections: in order.
        tasks: two or more names make a switch; elements with `data-task` show only for their task.
        media: whether the page may play local video files.
        footer: a line at the end.
        more_styles: style sheets behind the page's own.
        more_scripts: scripts behind the page's own; they may use its `report`.

    Returns:
        HTML; equal arguments give equal pages.
    """
    scripts = [Markup(text) for text in (*map(_asset, SCRIPTS), *more_scripts)]
    template = environment().get_template("page.html.jinja")
    page = template.render(
        title=title,
        subtitle=subtitle,
        sections=sections,
        tasks=tasks if len(tasks) > 1 else (),
        footer=footer,
        styles=[Markup(text) for text in (*map(_asset, STYLES), *more_styles)],
        scripts=scripts,
        policy=_policy(scripts, media),
        data=embed_json({section.id: section.data for section in sections if section.data}),
    )
    return encodable(page)


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(scripts: Iterable[str], media: bool) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "script-src": " ".join(f"'sha256-{value}'" for value in hashes),
        "img-src": "data:",
        **({"media-src": "file: 'self'"} if media else {}),
    }
    return "; ".join(f"{directive} {sources}" for directive, sources in allowed.items())


def embed_json(content: Any) -> Markup:
    r"""JSON that may stand inside a script element: nothing in it looks like markup.

    Raises:
        ValueError: if `content` holds NaN or infinity.

    >>> print(embed_json({"label": "</script>"}))
    {"label":"\u003c/script\u003e"}
    """
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return Markup(text.translate(_ESCAPES))

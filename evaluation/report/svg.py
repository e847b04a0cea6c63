"""Elements of inline SVG; attributes and texts are escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape


def element(name: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """One element; `class_` stands for class, underscores for hyphens, None leaves an attribute
    out.

    >>> print(element("text", "a < b", x=1.23456, text_anchor="end"))
    <text x="1.23" text-anchor="end">a &lt; b</text>
    """
    parts = [
        Markup(' {}="{}"').format(_attribute_name(key), _value(value))
        for key, value in attributes.items()
        if value is not None
    ]
    inner = Markup("").join(map(escape, children))
    return Markup("<{0}{1}>{2}</{0}>").format(name, Markup("").join(parts), inner)


def _attribute_name(key: str) -> str:
    return "viewBox" if key == "viewBox" else key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return number(value) if isinstance(value, float) else str(value)


def number(value: float) -> str:
    """Two decimals, without needless zeros.

    >>> number(3.0), number(0.126)
    ('3', '0.13')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def polyline_points(x: Iterable[float], y: Iterable[float]) -> str:
    """Coordinates as the attribute of a polyline."""
    return " ".join(f"{number(a)},{number(b)}" for a, b in zip(x, y, strict=True))

"""Charts as inline SVG: lines, bars, stacked bars. They need no script; with it they show values on
hover.

Colours come from the style sheet through classes (`seq-0` .. `seq-9` for ordered series, `cat-0` ..
`cat-5` for categories), so that one drawing serves light and dark. All are told apart without
colour vision.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evaluation.report.page import render_fragment
from evaluation.report.svg import element, number, polyline_points

WIDTH, HEIGHT = 440.0, 274.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 14.0, 40.0
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
MOST_STEPS = 5
OUTLIER = 4.0
TEXT_HEIGHT = 16.0
PERCENT_TICKS = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)


@dataclass(frozen=True)
class Series:
    """One line or one category.

    Attributes:
        name: for legend and hover.
        values: one for each x; None leaves a gap in bars, and is not allowed in lines.
        style: class of its colour.
    """

    name: str
    values: Sequence[float | None]
    style: str


def figure(
    title: str, explanation: str, drawing: Markup, legend: Sequence[Series | Points] = (), **more: str
) -> Markup:
    """A chart with its title, one line that says how to read it, and a legend.

    Args:
        title: what is shown.
        explanation: one sentence.
        drawing: SVG.
        legend: series, in the order of their first appearance in the drawing.
        more: `data-...` attributes of the figure, underscores for hyphens.
    """
    attributes = {f"data-{name.replace('_', '-')}": value for name, value in more.items()}
    return render_fragment(
        "figure.html.jinja",
        title=title,
        explanation=explanation,
        drawing=drawing,
        legend=legend,
        attributes=attributes,
    )


def line_chart(
    x: Sequence[float],
    lines: Sequence[Series],
    x_title: str,
    y_title: str,
    ticks: Sequence[float] = PERCENT_TICKS,
) -> Markup:
    """Lines over a common axis that starts at 0.

    Args:
        x: rising.
        lines: values in the unit of the axis, e.g. percent.
        x_title: name and unit.
        y_title: name and unit.
        ticks: of the vertical axis, from 0 to its end.
    """
    top = ticks[-1]
    to_x = [LEFT + PLOT_WIDTH * value / x[-1] for value in x]
    drawn = [
        element(
            "polyline",
            points=polyline_points(to_x, [_to_y(value or 0.0, top) for value in line.values]),
            class_=f"line {line.style}",
        )
        for line in lines
    ]
    hover = {
        "x": [float(number(value)) for value in x],
        "series": [[line.name, [float(number(value or 0.0)) for value in line.values]] for line in lines],
        "axis": x_title,
        "plot": [LEFT, PLOT_WIDTH],
        "height": [TOP, PLOT_HEIGHT, top],
    }
    cursor = element("line", class_="cursor", y1=TOP, y2=TOP + PLOT_HEIGHT, x1=LEFT, x2=LEFT)
    axes = [
        *_horizontal_grid(ticks, y_title),
        *_x_axis(x[-1], x_title, [x[-1] * step / 5 for step in range(6)]),
    ]
    return _svg([*axes, *drawn, cursor], f"{y_title} against {x_title}", data_line_chart=json.dumps(hover))


@dataclass(frozen=True)
class Points:
    """One line of `points_chart`.

    Attributes:
        name: for legend and hover.
        x: rising.
        y: a value for each x.
        style: class of its colour.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str


def points_chart(lines: Sequence[Points], x_title: str, title: str, highest: float = math.inf) -> Markup:
    """Lines through points that each have places of their own; a point shows its values on hover.

    Args:
        lines: at least one point altogether; both axes start at 0. Points above `axis_end` are
            drawn at the upper edge.
        x_title: name and unit; the places are whole numbers.
        title: of the figure, for readers who hear it.
        highest: value that cannot be passed, e.g. 1 for a share.
    """
    ticks = axis_steps(axis_end([value for line in lines for value in line.y]), highest)
    last = max(max(line.x) for line in lines) or 1.0
    whole_steps = range(0, math.floor(last) + 1, math.ceil(last / 5))
    parts = [*_horizontal_grid(ticks, ""), *_x_axis(last, x_title, whole_steps)]
    for line in lines:
        to_x = [LEFT + PLOT_WIDTH * value / last for value in line.x]
        to_y = [_to_y(min(value, ticks[-1]), ticks[-1]) for value in line.y]
        parts.append(element("polyline", points=polyline_points(to_x, to_y), class_=f"line {line.style}"))
        for x, y, place, value in zip(to_x, to_y, line.x, line.y, strict=True):
            hint = f"{x_title} {place:g}, {line.name}: {value:.4g}"
            parts.append(
                element("circle", cx=x, cy=y, r=3.0, class_=line.style, fill="transparent", data_hint=hint)
            )
    return _svg(parts, f"{title} against {x_title}")


def bar_chart(
    names: Sequence[str],
    values: Sequence[float | None],
    x_title: str,
    y_title: str,
    *,
    styles: Sequence[str] = ("bar",),
    hints: Sequence[str] = (),
    reference: float | None = None,
    highest: float = math.inf,
) -> Markup:
    """One bar for each name, with its value above it.

    Args:
        names: below the bars.
        values: one a bar; None draws none.
        x_title: name of the axis.
        y_title: name and unit.
        styles: classes of the bars, used in turn.
        hints: texts on hover, by default name and value.
        reference: a value drawn as a dashed line.
        highest: where the axis ends at the latest, e.g. 100 for shares in percent.
    """
    ticks = axis_steps(max([value or 0.0 for value in values] + [reference or 0.0]), highest)
    top = ticks[-1]
    step = PLOT_WIDTH / len(values)
    parts = _horizontal_grid(ticks, y_title)
    line_y = None if reference is None else _to_y(reference, top)
    said: list[Markup] = []  # above the dashed line, which would strike them out
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        left, middle = LEFT + step * (index + 0.16), LEFT + step * (index + 0.5)
        parts.append(element("text", name, x=middle, y=TOP + PLOT_HEIGHT + 16, text_anchor="middle"))
        if value is None:
            continue
        y = _to_y(value, top)
        hint = hints[index] if hints else f"{name}: {number(value)}"
        bar = {"x": left, "y": y, "width": step * 0.68, "height": max(TOP + PLOT_HEIGHT - y, 0.0)}
        parts.append(element("rect", **bar, class_=styles[index % len(styles)], data_hint=hint, tabindex="0"))
        if line_y is not None and y - TEXT_HEIGHT < line_y < y:
            y = line_y
        said.append(element("text", _short(value), x=middle, y=y - 4, text_anchor="middle", class_="value"))
    if line_y is not None:
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=line_y, y2=line_y, class_="reference"))
    return _svg([*parts, *said, _x_title(x_title)], f"{y_title} by {x_title}")


def stacked_chart(names: Sequence[str], categories: Sequence[Series], x_title: str, y_title: str) -> Markup:
    """Bars of shares that add up to 100; a bar whose values are None is left empty.

    Args:
        names: below the bars.
        categories: from bottom to top, percent for each bar.
        x_title: name of the axis.
        y_title: name and unit.
    """
    parts = _horizontal_grid(PERCENT_TICKS, y_title)
    step = PLOT_WIDTH / len(names)
    for index, name in enumerate(names):
        middle = LEFT + step * (index + 0.5)
        parts.append(element("text", name, x=middle, y=TOP + PLOT_HEIGHT + 16, text_anchor="middle"))
        below = 0.0
        for category in categories:
            value = category.values[index]
            if value is None:
                continue
            low, high = _to_y(below, 100.0), _to_y(below + value, 100.0)
            box = {"x": LEFT + step * (index + 0.1), "y": high, "width": step * 0.8, "height": low - high}
            hint = f"{name}, {category.name}: {value:.1f} %"
            parts.append(element("rect", **box, class_=category.style, data_hint=hint))
            below += value
    return _svg([*parts, _x_title(x_title)], f"{y_title} by {x_title}")


def axis_end(values: Sequence[float]) -> float:
    """Largest value that an axis needs to hold: a few outliers must not flatten all the others.

    More than four times the value that nine of ten reach at most is an outlier.

    >>> axis_end([1.0, 2.0, 3.0]), axis_end([1.0] * 19 + [1640.0])
    (3.0, 1.0)
    """
    usual = sorted(values)[math.ceil(0.9 * len(values)) - 1]
    if usual <= 0:
        return max(values)
    return max(value for value in values if value <= OUTLIER * usual)


def axis_steps(largest: float, highest: float = math.inf) -> list[float]:
    """Ticks of an axis from 0, in steps of 1, 2 or 5 times a power of ten, with room for a label
    below `highest`.

    >>> axis_steps(41.0), axis_steps(0.07), axis_steps(99.0, 100.0)[-1]
    ([0.0, 10.0, 20.0, 30.0, 40.0, 50.0], [0.0, 0.02, 0.04, 0.06, 0.08], 100.0)
    """
    wanted = min(1.08 * largest, highest) if largest > 0 else 1.0
    power = 10.0 ** math.floor(math.log10(wanted / MOST_STEPS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * MOST_STEPS >= wanted)
    return [float(f"{step * index:.6g}") for index in range(math.ceil(wanted / step) + 1)]


def _to_y(value: float, top: float) -> float:
    return TOP + PLOT_HEIGHT * (1 - value / top)


def _short(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.2f}" if 0.005 <= value < 0.05 else f"{value:.1f}"


def _horizontal_grid(ticks: Sequence[float], title: str) -> list[Markup]:
    parts = []
    for value in ticks:
        y = _to_y(value, ticks[-1])
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(element("text", f"{value:.4g}", x=LEFT - 6, y=y + 4, text_anchor="end"))
    middle = TOP + PLOT_HEIGHT / 2
    turned = f"rotate(-90 11 {number(middle)})"
    return [*parts, element("text", title, x=11.0, y=middle, text_anchor="middle", transform=turned)]


def _x_axis(last: float, title: str, ticks: Sequence[float]) -> list[Markup]:
    parts = [
        element(
            "text",
            f"{tick:.4g}",
            x=LEFT + PLOT_WIDTH * tick / last,
            y=TOP + PLOT_HEIGHT + 16,
            text_anchor="middle",
        )
        for tick in ticks
    ]
    return [*parts, _x_title(title)]


def _x_title(title: str) -> Markup:
    return element("text", title, x=LEFT + PLOT_WIDTH / 2, y=HEIGHT - 4, text_anchor="middle")


def _svg(parts: Sequence[Markup], label: str, **attributes: str) -> Markup:
    box = f"0 0 {number(WIDTH)} {number(HEIGHT)}"
    return element("svg", *parts, viewBox=box, role="img", aria_label=label, class_="chart", **attributes)

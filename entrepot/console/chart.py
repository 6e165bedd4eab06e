"""Charts: drawn here as SVG, coloured by the style sheet, told in words beside."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from entrepot.console.history import Stretch
from entrepot.console.html import Html, el, together

_WIDTH, _HEIGHT = 960, 140
NUMBER = 96
"""Stretches in a chart."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `of` a stretch, None where it has no value; `kind` chooses its colour."""

    kind: str
    of: Callable[[Stretch], float | None]
    is_area: bool = False


def chart(
    title: str,
    stretches: Sequence[Stretch],
    lines: Sequence[Line],
    *,
    top: float,
    told: Callable[[Stretch], str],
) -> Html:
    """A chart with values from 0 to `top`; `told` says a stretch in words."""
    step = _WIDTH / len(stretches)
    drawn = [_drawn(line, stretches, step, top) for line in lines]
    hints = [
        el(
            "rect",
            el("title", f"{_clock(stretch.began)}: {told(stretch)}"),
            x=round(place * step, 1),
            y=0,
            width=round(step, 1),
            height=_HEIGHT,
            class_="hint",
        )
        for place, stretch in enumerate(stretches)
        if stretch.counts is not None
    ]
    grid = [
        el("line", x1=0, x2=_WIDTH, y1=y, y2=y, class_="grid")
        for y in (0.5, _HEIGHT / 2, _HEIGHT - 0.5)
    ]
    return el(
        "svg",
        grid,
        drawn,
        hints,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=title,
    )


def _drawn(line: Line, stretches: Sequence[Stretch], step: float, top: float) -> Html:
    runs = _runs([line.of(stretch) for stretch in stretches])
    shapes = []
    for first, values in runs:
        points = [
            (round((first + place + 0.5) * step, 1), round(_HEIGHT * (1 - value / top), 1))
            for place, value in enumerate(values)
        ]
        if len(points) == 1:  # a moment by itself would not be seen
            (x, y), half = points[0], step / 2
            points = [(round(x - half, 1), y), (round(x + half, 1), y)]
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        if line.is_area:
            closed = f"{path}L{points[-1][0]} {_HEIGHT}L{points[0][0]} {_HEIGHT}Z"
            shapes.append(el("path", d=closed, class_=f"area {line.kind}"))
        shapes.append(el("path", d=path, class_=f"line {line.kind}"))
    return together(shapes)


def _runs(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """What is known, in one piece each, with the place it begins at."""
    runs: list[tuple[int, list[float]]] = []
    goes_on = False
    for place, value in enumerate(values):
        if value is None:
            goes_on = False
        elif goes_on:
            runs[-1][1].append(value)
        else:
            runs.append((place, [value]))
            goes_on = True
    return runs


def axis(stretches: Sequence[Stretch]) -> Html:
    """When it begins and ends, below a chart."""
    middle = stretches[len(stretches) // 2]
    marks = (stretches[0], middle)
    return el(
        "p",
        *(el("span", _clock(stretch.began)) for stretch in marks),
        el("span", "now"),
        class_="axis",
        aria_hidden="true",
    )


def _clock(moment: float) -> str:
    return time.strftime("%H:%M", time.localtime(moment))

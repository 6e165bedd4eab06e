"""Results as pictures: SVG, with text as text, so that they stay small and can be searched."""

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from bench.figures import DIRECT, ENTREPOT, EVERYBODY, NGINX, REGISTRY, Figure, Growth, Result

_COLOURS = {ENTREPOT: "#1b6ca8", REGISTRY: "#d98032", NGINX: "#8a8f98", DIRECT: "#5b9a68"}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "entrepot",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_COLUMNS = 3
_TITLE_LETTERS = 42


def of_results(results: Sequence[Result], file: Path) -> None:
    """A panel for each row, with a bar for each party: the row's first figure."""
    _draw(file, [partial(_bars, result=result) for result in results])


def of_growth(growths: Sequence[Growth], file: Path) -> None:
    """A panel for each first figure over what grows."""
    _draw(file, [partial(_line, growth=growth) for growth in growths])


def _draw(file: Path, panels: Sequence[Callable[[Axes], None]]) -> None:
    rows = ceil(len(panels) / _COLUMNS)
    with mpl.rc_context(_STYLE):
        drawing = Drawing(figsize=(3.4 * _COLUMNS, 1.7 * rows), layout="constrained")
        for number, panel in enumerate(panels, start=1):
            panel(drawing.add_subplot(rows, _COLUMNS, number))
        drawing.savefig(file, format="svg", metadata={"Date": None})


def _bars(axes: Axes, result: Result) -> None:
    figure = result.figures[0]
    found = {name: result.median(name, figure.key) for name in EVERYBODY}
    medians = {name: value for name, value in found.items() if value is not None}
    bars = axes.barh(
        list(medians), list(medians.values()), color=[_COLOURS[name] for name in medians]
    )
    axes.bar_label(bars, [f"{value:,.{figure.digits}f}" for value in medians.values()], padding=2)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_title(fill(result.title, _TITLE_LETTERS), fontsize=8, loc="left")
    axes.set_xlabel(_label(figure))
    axes.locator_params(axis="x", nbins=4)


def _line(axes: Axes, growth: Growth) -> None:
    figure = growth.figures[0]
    points = [(x, values[figure.key]) for x, values in growth.points if figure.key in values]
    axes.plot([x for x, _ in points], [y for _, y in points], marker="o", color=_COLOURS[ENTREPOT])
    if len(points) > 1 and points[-1][0] / points[0][0] > len(points) * 2:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_title(fill(growth.title, _TITLE_LETTERS), fontsize=8, loc="left")
    axes.set_xlabel(growth.along)
    axes.set_ylabel(_label(figure))


def _label(figure: Figure) -> str:
    better = "more" if figure.more_is_better else "less"
    return f"{figure.label} ({better} is better)"

"""Results as Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from bench.figures import DIRECT, ENTREPOT, EVERYBODY, NGINX, REGISTRY, Figure, Growth, Result

_AGAINST = (REGISTRY, NGINX, DIRECT)


def of_results(results: Sequence[Result]) -> str:
    """One line for each figure. Ratios are entrepot's figure divided by the other's."""
    head = ["work", "figure", *EVERYBODY, *(f"/ {name}" for name in _AGAINST), "aims"]
    return _markdown(head, (line for result in results for line in _lines(result)))


def of_growth(growth: Growth) -> str:
    """One line for each point."""
    head = [growth.along, *(figure.label for figure in growth.figures)]
    lines = (
        [f"{x:,}", *(_number(figure, values.get(figure.key)) for figure in growth.figures)]
        for x, values in growth.points
    )
    return _markdown(head, lines)


def _lines(result: Result) -> Iterator[list[str]]:
    for index, figure in enumerate(result.figures):
        medians = {name: result.median(name, figure.key) for name in EVERYBODY}
        yield [
            result.title if index == 0 else "",
            figure.label,
            *(_number(figure, medians[name]) for name in EVERYBODY),
            *(_ratio(medians[ENTREPOT], medians[name]) for name in _AGAINST),
            _aims(result) if index == 0 else "",
        ]


def _number(figure: Figure, value: float | None) -> str:
    return "" if value is None else f"{value:,.{figure.digits}f}"


def _ratio(ours: float | None, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if ours is not None and theirs else ""


def _aims(result: Result) -> str:
    return "; ".join(
        f"{text}: {'reached' if reached else 'missed'}" for text, reached in result.verdicts()
    )


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"

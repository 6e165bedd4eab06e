"""python -m tests.system.panels: the dashboards' panels as pictures for docs/operations.md, drawn from
their own queries, asked of a Prometheus that watches the stack of `deployed` under load.
"""

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import matplotlib as mpl
from matplotlib import pyplot as plt

from tests.parts.counting import Upstream
from tests.parts.faults import Throttle
from tests.parts.images import Layout, random_layer
from tests.stack.customers import pull
from tests.system.deployed import DEPLOY, Deployed, DeployedRabbit, answers

_IMAGES = 12


def main(into: Path, seconds: float) -> None:
    """Put the stack under load for so long, and write one picture for each dashboard."""
    mpl.use("Agg")
    with tempfile.TemporaryDirectory() as name, Upstream() as source:
        folder = Path(name)
        layout = Layout(folder / "images")
        for seed in range(_IMAGES):
            layout.add_image(str(seed), [random_layer(2_000_000, seed * 10 + n) for n in range(3)])
            layout.put_into(source.content, str(seed), "library/app", as_tag=str(seed))
        source.fail("*/blobs/*", Throttle(1_000_000))
        rabbit = DeployedRabbit(folder / "rabbit")
        try:
            stack = Deployed(folder, source.url, rabbit)
            with stack.up():
                began = time.time()
                _load(stack, began + seconds)
                for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
                    _draw(stack, json.loads(path.read_text()), began, into / f"{path.stem}.png")
        finally:
            rabbit.close()


def _load(stack: Deployed, until: float) -> None:
    def customer(number: int) -> None:
        for tag in cycle(range(_IMAGES)):
            if time.time() > until:
                return
            pull(stack.port, "library/app", str((tag + number) % _IMAGES))
            answers(f"http://127.0.0.1:{stack.port}/v2/library/app/manifests/absent")
            time.sleep(1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(customer, range(4)))


def _draw(stack: Deployed, dashboard: dict[str, Any], began: float, file: Path) -> None:
    figure, axes = plt.subplots(3, 3, figsize=(13, 8), dpi=70, layout="constrained")
    figure.suptitle(dashboard["title"])
    for axis, panel in zip(axes.flat, dashboard["panels"], strict=True):
        axis.set_title(panel["title"], fontsize=10)
        for target in panel["targets"]:
            for line in _series(stack, target["expr"].replace("[5m]", "[15s]"), began):
                name = target["legendFormat"]
                for label, value in line["metric"].items():
                    name = name.replace("{{" + label + "}}", value)
                points = [(float(at) - began, float(value)) for at, value in line["values"]]
                axis.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=7)
        if axis.lines:
            axis.legend(fontsize=6, loc="best")
    figure.savefig(file)
    plt.close(figure)


def _series(stack: Deployed, expression: str, began: float) -> list[Any]:
    asked = urlencode({"query": expression, "start": began, "end": time.time(), "step": 1})
    url = f"http://127.0.0.1:{stack.prometheus}/api/v1/query_range?{asked}"
    with urlopen(url, timeout=20) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))

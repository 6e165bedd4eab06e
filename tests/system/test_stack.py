"""deploy/ at work, as plain processes: see `deployed`; as containers: `make test-stack`."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.request import urlopen

import pytest
import yaml

from tests.parts.counting import Upstream
from tests.parts.faults import Throttle
from tests.parts.images import Layout, random_layer
from tests.stack.customers import crowd, pull
from tests.system.deployed import DEPLOY, Deployed, DeployedRabbit, answers
from tests.waiting import until

_LAYER_BYTES = 1_000_000
# Upstreams that do not tell what they allow have nothing to show.
_MAY_BE_EMPTY = {"min by (upstream) (entrepot_upstream_ratelimit_remaining)"}


@pytest.fixture(scope="module")
def source() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, source: Upstream) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("images"))
    for seed, tag in enumerate(("calm", "stormy", "watched")):
        layout.add_image(tag, [random_layer(_LAYER_BYTES, seed * 10 + n) for n in range(3)])
        layout.put_into(source.content, tag, "library/app", as_tag=tag)
    return layout


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, source: Upstream, images: Layout
) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("stack")
    rabbit = DeployedRabbit(folder / "rabbit")
    try:
        deployed = Deployed(folder, source.url, rabbit)
        with deployed.up():
            yield deployed
    finally:
        rabbit.close()


def gets(source: Upstream, images: Layout, tag: str) -> list[int]:
    blobs = images.blobs_of(images.tagged(tag))
    return [len(source.seen(f"*/blobs/{each}", "GET")) for each in blobs]


def test_many_cold_pulls_through_the_balancer_cost_one_download(
    stack: Deployed, source: Upstream, images: Layout
) -> None:
    source.fail("*/blobs/*", Throttle(_LAYER_BYTES))
    crowd(40, stack.port, "library/app", "calm")
    source.heal()
    assert gets(source, images, "calm") == [1, 1, 1, 1]


def test_no_pull_is_lost_while_a_frontend_and_a_fetcher_restart(
    stack: Deployed, source: Upstream, images: Layout
) -> None:
    source.fail("*/blobs/*", Throttle(_LAYER_BYTES // 4))
    layers = images.blobs_of(images.tagged("stormy"))
    with ThreadPoolExecutor(20) as pool:
        running = [pool.submit(pull, stack.port, "library/app", "stormy") for _ in range(20)]
        until(lambda: sum(source.sent(f"*/blobs/{each}") for each in layers) > 0, 60, "bytes")
        for index in (0, 2):  # a frontend, a fetcher
            stack.restart(index)
        source.heal()
        for each in running:
            each.result()
    # The successor goes on where the fetcher that ended was: nothing is downloaded twice but what
    # was on its way then.
    sent = sum(source.sent(f"*/blobs/{each}") for each in layers)
    assert sent < 1.3 * sum(len(images.read(each)) for each in layers)


def test_every_target_is_up(stack: Deployed) -> None:
    jobs = {"frontend": 2, "fetcher": 2, "janitor": 1, "rabbitmq": 1, "balancer": 1}
    expected = {job: str(count) for job, count in jobs.items()}

    def up() -> dict[str, str]:
        found = stack.query("sum by (job) (up)")
        return {each["metric"]["job"]: each["value"][1] for each in found}

    until(lambda: up() == expected, 60, f"all targets to be up, not {up()}")


def test_people_find_the_console_behind_the_balancer(stack: Deployed) -> None:
    with urlopen(f"http://127.0.0.1:{stack.console}/", timeout=20) as answer:
        page = answer.read().decode()
    assert page.count(">frontend</td>") == 2
    assert "The queue does not answer." not in page


def queries() -> list[str]:
    """Every query of every dashboard."""
    return [
        target["expr"]
        for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]


def test_no_panel_is_empty_under_load(stack: Deployed, source: Upstream, images: Layout) -> None:
    crowd(10, stack.port, "library/app", "watched")
    # An error of which there is a figure.
    assert not answers(f"http://127.0.0.1:{stack.port}/v2/library/app/manifests/absent")
    asked = [each for each in queries() if each not in _MAY_BE_EMPTY]
    assert len(asked) > 30
    for query in asked:
        # A rate takes two scrapes, what the janitor says a sweep.
        until(partial(stack.query, query), 40, f"an answer to {query}")


def test_what_keda_asks_has_one_answer(stack: Deployed) -> None:
    scaled = yaml.safe_load((DEPLOY / "kubernetes/autoscaling/fetcher.yml").read_text())
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    (found,) = until(partial(stack.query, query), 40, f"an answer to {query}")
    assert float(found["value"][1]) >= 0


def test_rules_are_evaluated_and_nothing_is_wrong(stack: Deployed) -> None:
    until(lambda: stack.query("entrepot:hits:rate5m"), 40, "recording rules to be evaluated")
    assert not stack.query('ALERTS{alertstate="firing"}')

"""Fixtures that tests of every package share."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.parts import rabbit_choice
from tests.parts.counting import Upstream
from tests.parts.images import Layout, machine_layers
from tests.parts.rabbit import Rabbit
from tests.parts.registry import Registry

_BROKER = pytest.StashKey[str]()

# How long an example takes says nothing where other processes want the processor too.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure() -> None:
    """Have SIGINT mean what it does to a run in the foreground.

    To one that a shell has put into the background it means nothing, nor to all that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"broker: {rabbit_choice.planned()}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    chosen = config.stash.get(_BROKER, None)
    if chosen is not None:
        terminalreporter.write_line(f"broker that ran: {chosen}")


@pytest.fixture(scope="session")
def rabbit(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Rabbit]:
    """A RabbitMQ for the whole run. A test that stops it starts it again."""
    broker, chosen = rabbit_choice.choose(tmp_path_factory.mktemp("rabbit"))
    pytestconfig.stash[_BROKER] = chosen
    yield broker
    broker.close()


@pytest.fixture
def amqp_url(rabbit: Rabbit) -> Iterator[str]:
    """URL of a virtual host of one's own, empty."""
    with rabbit.fresh_vhost() as url:
        yield url


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """An upstream without content that counts and fails as told."""
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A real image of four layers, as an OCI layout with the one tag `real`."""
    layout = Layout(tmp_path_factory.mktemp("image"))
    layout.add_image("real", machine_layers())
    return layout


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A `docker-registry` that takes pushes, for the whole run: use a repository of one's own."""
    with Registry(tmp_path_factory.mktemp("registry") / "storage") as server:
        yield server

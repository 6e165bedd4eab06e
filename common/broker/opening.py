"""From a URL to a broker."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.broker import Broker
from common.broker.embedded.broker import EmbeddedBroker
from common.broker.rabbitmq.broker import RabbitBroker


def open_broker(url: str, *, name: str) -> Broker:
    """The broker at `url`; call it after the last fork.

    `sqlite:///absolute/path` is the embedded one, `amqp://` and `amqps://` are RabbitMQ.
    `name` says whose connection it is, such as `entrepot: fetcher`.
    Returns at once, whether the broker answers or not: connecting goes on in the background.
    Raises ValueError for a URL of another kind; its text does not repeat the URL.
    """
    parts = urlsplit(url)
    if parts.scheme in {"amqp", "amqps"}:
        return RabbitBroker(url, name=name)
    path = Path(unquote(parts.path))
    if parts.scheme != "sqlite" or parts.netloc or not path.is_absolute() or path == Path("/"):
        raise ValueError("a queue's URL is sqlite:///absolute/path, amqp://… or amqps://…")
    return EmbeddedBroker(path)

"""How to connect."""

import pika

_HEARTBEAT_SECONDS = 30
_BLOCKED_SECONDS = 30
_SOCKET_SECONDS = 5
_STACK_SECONDS = 15


def parameters(url: str, name: str) -> pika.ConnectionParameters:
    """How to connect to `url`; `name` is shown in RabbitMQ's list of connections.

    Raises ValueError for what is no AMQP URL; its text does not repeat the URL.
    """
    try:
        made = pika.URLParameters(url)
    except Exception:  # noqa: BLE001 - whatever pika makes of it
        raise ValueError("not an AMQP URL") from None
    made.client_properties = {"connection_name": name}
    made.heartbeat = _HEARTBEAT_SECONDS
    # Without it a broker that ran out of memory or disk would hold us for ever.
    made.blocked_connection_timeout = _BLOCKED_SECONDS
    made.socket_timeout = _SOCKET_SECONDS
    made.stack_timeout = _STACK_SECONDS
    made.connection_attempts = 1
    return made

"""Structured logs: constant event text, data in fields; text for people, JSON elsewhere."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog


def get(name: str) -> Any:
    """A logger that says where it speaks from.

    Made when a module is imported, before `set_up`: so nothing is bound here, as binding would
    settle then and there how it writes.
    """
    return structlog.get_logger(name, component=name)


def always(name: str) -> Any:
    """A logger of what is asked for by a setting of its own, written whatever the level is."""
    logging.getLogger(name).setLevel(logging.INFO)
    return structlog.wrap_logger(
        None,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory_args=(name,),
        component=name,
    )


_LATE: dict[str, Callable[[], str | None]] = {}


def also(**fields: Callable[[], str | None]) -> None:
    """Have fields in every line that are asked for when it is written; None: not in this one.

    So what hardly any line needs costs nothing while there is none.
    """
    _LATE.update(fields)


def _add_late(_logger: Any, _method: str, event: Any) -> Any:
    for name, ask in _LATE.items():
        if name not in event and (value := ask()) is not None:
            event[name] = value
    return event


def _as_logstash(_logger: Any, _method: str, event: Any) -> Any:
    """The names logstash's event format gives to what every line has (version 1)."""
    event["@version"] = "1"
    event["@timestamp"] = event.pop("timestamp", None)
    event["message"] = event.pop("event", None)
    return event


def set_up(level: str, formatter: str, **fields: Any) -> None:
    """Route all logging, the libraries' included, to stderr.

    `level` is distribution's (`error`, `warn`, `info`, `debug`), `formatter` is `text`, `json` or
    `logstash`, empty for `text` on a terminal and `json` elsewhere; `fields` stand in every line
    (`log.fields`).
    """
    formatter = formatter or ("text" if sys.stderr.isatty() else "json")
    threshold = {"warn": logging.WARNING}.get(level) or logging.getLevelNamesMapping()[
        level.upper()
    ]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {**fields, **event},
        _add_late,
        structlog.processors.format_exc_info,
    ]
    choices: dict[str, list[Any]] = {
        "text": [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())],
        "json": [structlog.processors.JSONRenderer()],
        "logstash": [_as_logstash, structlog.processors.JSONRenderer()],
    }
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *choices[formatter],
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    # pika tells of every connection attempt in five lines; we log connections ourselves.
    logging.getLogger("pika").setLevel(logging.CRITICAL)

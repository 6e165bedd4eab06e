"""Whether the broker still delivers to us what it has.

It tells a consumer that its queue is gone; when queues are deleted and declared again in the same
moment, through the sentinel. This is for what remains: consumers that it has dropped without a word,
or counts and never serves. A fetcher would then wait for ever beside a full queue.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

from pika.exceptions import ChannelClosedByBroker

from common.broker.rabbitmq.link import Link
from common.broker.rabbitmq.taps import Idle, Taps
from common.broker.rabbitmq.topology import Channel, queue_name
from common.messages import Queue

# Between two looks, in seconds. Two are needed, and then a connection: within a client's patience.
LOOK_SECONDS = 4.0

# Queues, each with the taps that were idle when it was asked about.
Asked: TypeAlias = Sequence[tuple[Queue, frozenset[Idle]]]


class Vigil:
    """Looks at the queues that are consumed, and begins the connection anew when one contradicts us.

    It does where it has fewer consumers than we have idle taps, or at two looks in a row messages
    that wait though one and the same tap of ours was idle all the time. Beside a backlog a tap is idle
    ever again, until the broker has taken in its acknowledgement: so idle since the same moment.
    """

    def __init__(self, link: Link, taps: Taps, queues: Sequence[Queue], seconds: float) -> None:
        """Look every so many seconds, from `watch` on."""
        self._link = link
        self._taps = taps
        self._queues = tuple(queues)
        self._seconds = seconds
        # Taps that were idle at the last look though messages waited.
        self._passed_over: dict[Queue, frozenset[Idle]] = {}

    def watch(self) -> None:
        """Look, and go on; on the link's thread."""
        if self._link.is_up:
            self._link.scratch_channel(self._link.guarded(self._ask))
        self._link.later(self._seconds, self.watch)

    def _ask(self, channel: Channel) -> None:
        channel.add_on_close_callback(partial(self._closed, self._link.generation))
        # Who comes to be idle while the answer is under way is not in it.
        left = [(queue, self._taps.idle(queue)) for queue in self._queues]
        self._ask_next(channel, left)

    def _ask_next(self, channel: Channel, left: Asked) -> None:
        if not channel.is_open:
            return
        if not left:
            channel.close()
            return
        (queue, idle), *others = left

        def answered(frame: Any) -> None:
            self._judge(queue, idle & self._taps.idle(queue), frame.method)
            self._ask_next(channel, others)

        channel.queue_declare(
            queue_name(queue), passive=True, callback=self._link.guarded(answered)
        )

    def _judge(self, queue: Queue, idle: frozenset[Idle], found: Any) -> None:
        """`found` has the queue's messages that wait, and its consumers, everybody's."""
        passed_over = idle if found.message_count else frozenset()
        before = self._passed_over.pop(queue, frozenset())
        if found.consumer_count < len(idle) or passed_over & before:
            self._link.fail(f"{queue_name(queue)} does not deliver")
        else:
            self._passed_over[queue] = passed_over

    def _closed(self, generation: int, _channel: Channel, reason: BaseException) -> None:
        # What the broker closes it for is a queue that is gone.
        if generation == self._link.generation and isinstance(reason, ChannelClosedByBroker):
            self._link.fail(reason.reply_text)

"""Having the queue tell when something is to be looked at."""

from concurrent.futures import TimeoutError as FutureTimeoutError

from common import logs
from common.broker import Broker
from common.errors import BrokerUnavailable
from common.messages import Expiry, Queue

_log = logs.get(__name__)

# Seconds that a broker may take to confirm.
_CONFIRMATION = 15.0


class Alarms:
    """Expiry events to come. A lost one is made up for by the sweep, only later."""

    def __init__(self, broker: Broker) -> None:
        """Queue at `broker`."""
        self._broker = broker
        self._refused = False

    def arm(self, message: Expiry, delay: float) -> bool:
        """Whether `message` is queued for sure, to be delivered in `delay` seconds.

        While the broker is known to be away it is not asked: a walk that arms a million links
        must not wait for each.
        """
        if self._refused and not self._broker.connected:
            return False
        try:
            self._broker.publish(Queue.EXPIRY, message, delay=delay).result(_CONFIRMATION)
        except (BrokerUnavailable, FutureTimeoutError):
            _log.warning("expiry event not queued", key=message.key)
            self._refused = True
            return False
        self._refused = False
        return True

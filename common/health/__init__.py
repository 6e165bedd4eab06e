"""What can be wrong around a process, found out in the background and told without waiting."""

from common.health.configured import monitor_of
from common.health.monitor import Monitor, Watch
from common.health.readiness import Readiness

__all__ = ["Monitor", "Readiness", "Watch", "monitor_of"]

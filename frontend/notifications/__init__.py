"""Telling webhooks of pulls, as distribution's registries do, off the requests' path."""

from frontend.notifications.notifier import Notifier

__all__ = ["Notifier"]

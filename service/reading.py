"""
Builds what only looks at the view, for commands that need nothing of the worker and start at once.

This module knows neither the command line nor the environment.
"""

from __future__ import annotations

from service.adapters.clock import SystemClock
from service.adapters.redis_connection import RedisSettings
from service.adapters.view_reader import ViewReader
from service.processing.ports import Clock
from service.settings import Settings


def redis_settings(settings: Settings) -> RedisSettings:
    """Give where the view lives."""
    password = settings.redis_sentinel_password
    return RedisSettings(
        settings.redis_url.get_secret_value(),
        prefix=settings.redis_prefix,
        cluster=settings.redis_cluster,
        sentinel_username=settings.redis_sentinel_username,
        sentinel_password=None if password is None else password.get_secret_value(),
        allow_eviction=settings.redis_allow_eviction,
    )


def view_reader(settings: Settings) -> ViewReader:
    """Build what the commands read the view with."""
    return ViewReader(redis_settings(settings))


def system_clock() -> Clock:
    """Give the machine's clock."""
    return SystemClock()

"""
Builds what only looks at the view, for commands that need nothing of the worker and start at once.

This module knows neither the command line nor the environment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.adapters.clock import SystemClock
from service.adapters.redis_connection import RedisSettings
from service.adapters.view_reader import ViewReader
from service.certificates import Certificates
from service.processing.ports import Clock, Unavailable
from service.setting_kinds import PREFIX
from service.settings import Settings


def redis_settings(settings: Settings) -> RedisSettings:
    """Give where the view lives; raise `Unusable` for a file of certificates or a key that is none."""
    password = settings.redis_sentinel_password
    return RedisSettings(
        settings.redis_url.get_secret_value(),
        prefix=settings.redis_prefix,
        cluster=settings.redis_cluster,
        sentinel_username=settings.redis_sentinel_username,
        sentinel_password=None if password is None else password.get_secret_value(),
        tls=_tls(settings),
        allow_eviction=settings.redis_allow_eviction,
    )


def _tls(settings: Settings) -> dict[str, str]:
    certificates = Certificates(
        "REDIS",
        settings.redis_ca_file,
        settings.redis_certificate_file,
        settings.redis_key_file,
        settings.redis_key_password,
    )
    files = {
        "ssl_ca_certs": settings.redis_ca_file,
        "ssl_certfile": settings.redis_certificate_file,
        "ssl_keyfile": settings.redis_key_file,
    }
    given = {name: str(path) for name, path in files.items() if path is not None}
    if given:
        # The client makes a context of its own with each connection, and takes a bad file for a bad one.
        certificates.context()
    return given | ({"ssl_password": certificates.password} if certificates.password else {})


def view_reader(settings: Settings) -> ViewReader:
    """Build what the commands read the view with."""
    return ViewReader(redis_settings(settings))


@asynccontextmanager
async def opened_view(settings: Settings) -> AsyncIterator[ViewReader]:
    """Open what the commands read the view with; where it does not answer, say what names the place."""
    reader = view_reader(settings)
    try:
        yield reader
    except Unavailable as error:
        if PREFIX in str(error):
            raise
        raise Unavailable(f"{str(error).rstrip('.')}; check {PREFIX}REDIS_URL", error.kind) from error
    finally:
        await reader.close()


def system_clock() -> Clock:
    """Give the machine's clock."""
    return SystemClock()

"""Hides what must not be shown; this module knows no setting."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

HIDDEN = "********"

_SECRET_PARAMETERS = frozenset({"password", "ssl_password", "credential", "auth", "token"})


def redacted_url(url: str) -> str:
    """
    Write a URL without the password in it, wherever it stands; what cannot be taken apart is hidden whole.

    >>> redacted_url("rediss://worker:geheim@redis.example:6380/0?ssl_ca_certs=/ca.pem")
    'rediss://worker:********@redis.example:6380/0?ssl_ca_certs=/ca.pem'
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return HIDDEN
    # The last @ ends the credentials; an unescaped / or # in a password would move them out of the authority.
    if not parts.scheme or "@" in parts.path + parts.fragment + parts.query:
        return HIDDEN
    credentials, at, host = parts.netloc.rpartition("@")
    user, colon, _password = credentials.partition(":")
    kept = user + (f":{HIDDEN}" if colon else "") + at + host
    shown = [(name, HIDDEN if name.lower() in _SECRET_PARAMETERS else value) for name, value in query]
    return urlunsplit((parts.scheme, kept, parts.path, urlencode(shown, safe="/:*,"), parts.fragment))

"""What helps where a certificate is why a part outside cannot be reached, by what OpenSSL says."""

from __future__ import annotations

import re

_PREFIX = "EVSE_STATUS_"
_REFUSED_HERE = "CERTIFICATE_VERIFY_FAILED"
_REFUSED_THERE = re.compile(r"alert (\w+ )?certificate|alert unknown ca")


def tls_remedy(said: str, part: str, address: str) -> str:
    """Give the setting to look at, or nothing; `part` and `address` as they stand in names of settings."""
    if _REFUSED_HERE in said:
        if "mismatch" in said:
            return f"name it in {_PREFIX}{address} as its certificate does"
        if "expired" in said or "not yet valid" in said:
            return f"renew its certificate, or that of its authority in {_PREFIX}{part}_CA_FILE"
        return f"name a file with the authority that signed its certificate in {_PREFIX}{part}_CA_FILE"
    if "alert certificate required" in said:
        return f"it wants this client's certificate: set {_PREFIX}{part}_CERTIFICATE_FILE"
    if _REFUSED_THERE.search(said):
        return f"it does not take this client's certificate: check {_PREFIX}{part}_CERTIFICATE_FILE"
    return ""

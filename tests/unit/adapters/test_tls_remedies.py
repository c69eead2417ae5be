"""What is advised where a handshake failed for a certificate."""

from __future__ import annotations

import pytest

from service.adapters.tls_remedies import tls_remedy

_VERIFY = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (_VERIFY + "self-signed certificate in certificate chain", "EVSE_STATUS_REDIS_CA_FILE"),
        (_VERIFY + "IP address mismatch, certificate is not valid for '10.0.0.1'.", "EVSE_STATUS_REDIS_URL"),
        (_VERIFY + "certificate has expired", "renew its certificate"),
        ("tlsv13 alert certificate required", "set EVSE_STATUS_REDIS_CERTIFICATE_FILE"),
        ("tlsv1 alert unknown ca", "check EVSE_STATUS_REDIS_CERTIFICATE_FILE"),
        ("sslv3 alert bad certificate", "check EVSE_STATUS_REDIS_CERTIFICATE_FILE"),
    ],
)
def test_the_setting_is_named_that_helps(said: str, words: str) -> None:
    """Whose certificate was refused, and why, tells which it is."""
    assert words in tls_remedy(said, "REDIS", "REDIS_URL")


def test_nothing_is_advised_where_certificates_are_not_the_reason() -> None:
    """Other errors have remedies of their own."""
    assert tls_remedy("Connection refused", "REDIS", "REDIS_URL") == ""

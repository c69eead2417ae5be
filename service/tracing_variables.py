"""
The standard variables of OpenTelemetry that decide where spans go and how many: what is wrong with them.

Its SDK says so in the log alone, if at all: it goes on with an address that nothing can be sent to, and with
all spans where it does not know the sampler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

# The one for traces goes before the one for everything.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SAMPLER = "OTEL_TRACES_SAMPLER"
_SHARE = "OTEL_TRACES_SAMPLER_ARG"
_WITHOUT_SHARE = ("always_on", "always_off", "parentbased_always_on", "parentbased_always_off")
_WITH_SHARE = ("traceidratio", "parentbased_traceidratio")


def tracing_problems(environment: Mapping[str, str], prefix: str) -> list[str]:
    """Give a line about each that cannot be used."""
    return [*_unsupported(environment, prefix), *_endpoint(environment), *_sampler(environment)]


def _unsupported(environment: Mapping[str, str], prefix: str) -> Iterator[str]:
    """Look at those that want spans sent in a way that is not there."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if exporter not in ("", "otlp"):
        yield (
            f"OTEL_TRACES_EXPORTER: spans go to otlp and not to {exporter!r}; remove it, or set "
            f"{prefix}TRACING=false"
        )
    # The one for traces goes before the one for everything.
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    name = next((each for each in names if environment.get(each)), None)
    if name is not None and environment[name] != "http/protobuf":
        yield (
            f"{name}: spans are sent as http/protobuf and not as {environment[name]!r}; set "
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf and OTEL_EXPORTER_OTLP_ENDPOINT to the port of "
            "the collector that speaks HTTP, 4318 as a rule"
        )


def _endpoint(environment: Mapping[str, str]) -> Iterator[str]:
    name = next((each for each in _ENDPOINTS if environment.get(each)), None)
    if name is not None and not _is_address(environment[name]):
        # Without what it is: it may hold a password.
        yield f"{name}: is no address of a collector; write it with http:// or https://, as http://HOST:4318"


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _sampler(environment: Mapping[str, str]) -> Iterator[str]:
    sampler, share = environment.get(_SAMPLER, "").lower(), environment.get(_SHARE, "")
    if sampler and sampler not in _WITHOUT_SHARE + _WITH_SHARE:
        known = ", ".join(_WITHOUT_SHARE + _WITH_SHARE)
        yield f"{_SAMPLER}: there is no sampler {sampler!r}; set it to one of {known}"
    if share and sampler not in _WITHOUT_SHARE and not _is_share(share):
        yield f"{_SHARE}: {share!r} is no share of the batches; set it to a number from 0 to 1, as 0.1"


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False

"""
The two forms in which metrics are served: Prometheus' text, and OpenMetrics for those who ask for it.

They say the same, but that exemplars stand in OpenMetrics alone.
"""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics

END = "# EOF"
"""The last line of a page in OpenMetrics."""


class Form(StrEnum):
    """A form of metrics; the value is also the word by which a parent asks its worker for it."""

    TEXT = "metrics"
    OPENMETRICS = "openmetrics"

    @property
    def content_type(self) -> str:
        """What a page of this form is, for HTTP."""
        if self is Form.OPENMETRICS:
            return openmetrics.CONTENT_TYPE_LATEST
        return exposition.CONTENT_TYPE_LATEST


def wanted(accept: str) -> Form:
    """Choose by an `Accept` header: OpenMetrics only for who names it."""
    _, content_type = exposition.choose_encoder(accept)
    is_openmetrics = content_type.startswith("application/openmetrics-text")
    return Form.OPENMETRICS if is_openmetrics else Form.TEXT


def written(registry: CollectorRegistry, form: Form) -> bytes:
    """Write all series of a registry."""
    generate = openmetrics.generate_latest if form is Form.OPENMETRICS else exposition.generate_latest
    page: bytes = generate(registry)
    return page

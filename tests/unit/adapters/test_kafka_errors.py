"""What an error of Kafka's client means: whether waiting helps."""

from __future__ import annotations

import pytest
from aiokafka import errors

from service.adapters.kafka_errors import port_error
from service.processing.ports import ErrorKind, TooLarge, Unavailable, Unusable


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.NotLeaderForPartitionError(), Unavailable),
        (errors.KafkaConnectionError(), Unavailable),
        # The broker's own code failed, as it does while it comes up; and as the client says it of a group.
        (errors.UnknownError(), Unavailable),
        (errors.KafkaError(repr(errors.UnknownError())), Unavailable),
        (errors.KafkaError("something else"), Unusable),
        (errors.TopicAuthorizationFailedError(), Unusable),
        (errors.MessageSizeTooLargeError(), TooLarge),
    ],
)
def test_an_error_is_told_by_whether_waiting_helps(error: errors.KafkaError, kind: type[Exception]) -> None:
    """Somebody has to change something only where nothing but that helps."""
    assert type(port_error(error)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.KafkaConnectionError(), ErrorKind.UNANSWERED),
        (errors.NodeNotReadyError(), ErrorKind.UNANSWERED),
        (errors.KafkaTimeoutError(), ErrorKind.TIMED_OUT),
        (errors.RequestTimedOutError(), ErrorKind.TIMED_OUT),
        (errors.NotLeaderForPartitionError(), ErrorKind.UNREADY),
        (errors.KafkaError(repr(errors.UnknownError())), ErrorKind.UNREADY),
        (errors.TopicAuthorizationFailedError(), ErrorKind.REFUSED),
        (errors.MessageSizeTooLargeError(), ErrorKind.REFUSED),
    ],
)
def test_an_error_is_counted_by_how_it_failed(error: errors.KafkaError, kind: ErrorKind) -> None:
    """A broker that is away, one that is slow, one that cannot now, and one that will not."""
    assert port_error(error).kind is kind


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            errors.RequestTimedOutError(),
            "a broker did not do in time what it was asked (RequestTimedOutError)",
        ),
        (errors.UnknownError("at 3"), "a broker's own code failed (UnknownError, at 3)"),
        (errors.KafkaError(repr(errors.UnknownError())), "a broker's own code failed (UnknownError)"),
        (errors.ReplicaNotAvailableError(), "replica not available (ReplicaNotAvailableError)"),
        (errors.KafkaConnectionError("no route"), "KafkaConnectionError: no route"),
    ],
)
def test_an_error_is_told_in_words_with_its_name(error: errors.KafkaError, words: str) -> None:
    """In readiness it is read by people; numbers of the protocol tell them nothing."""
    assert str(port_error(error)).partition(": ")[2] == words


def test_a_member_that_is_fenced_is_told_what_has_to_differ() -> None:
    """The client does not know the error, and wraps what it does not know."""
    told = port_error(errors.KafkaError(repr(errors.for_code(82)())))

    assert isinstance(told, Unusable)
    assert "INSTANCE_ID must differ between workers" in str(told)

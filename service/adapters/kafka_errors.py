"""
What errors of Kafka's client mean to this project, and how long its answers are waited for.

Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from aiokafka import errors

from service.adapters.kafka_reasons import reasons_heard
from service.adapters.tls_remedies import tls_remedy
from service.processing.ports import ErrorKind, PortError, TooLarge, Unavailable, Unusable

_log = structlog.get_logger()

Answer = TypeVar("Answer")


class FencedInstanceIdError(errors.BrokerResponseError):
    """What the broker answers a static member that waits to be let in while another comes under its name."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


# The client has no such error, and takes its number for that of a broker whose own code failed.
errors.kafka_errors.setdefault(FencedInstanceIdError.errno, FencedInstanceIdError)


_REMEDIES: tuple[tuple[type[errors.KafkaError], str], ...] = (
    (errors.TopicAuthorizationFailedError, "give this user the right to the topic"),
    (errors.GroupAuthorizationFailedError, "give this user the right to the consumer group"),
    (errors.ClusterAuthorizationFailedError, "give this user the right IdempotentWrite to the cluster"),
    (errors.AuthenticationFailedError, "check user, password and mechanism"),
    (errors.UnsupportedSaslMechanismError, "name a mechanism the broker has"),
    (errors.InvalidSessionTimeoutError, "set SESSION_TIMEOUT between the broker's limits"),
    (errors.InconsistentGroupProtocolError, "the group has members of another kind: take another GROUP_ID"),
    (FencedInstanceIdError, "INSTANCE_ID must differ between workers, give each its own or none"),
    (errors.UnsupportedCodecError, "install the codec's package"),
    (errors.CorruptRecordException, "the record on the broker's disk is damaged: skip it or restore it"),
)
_WORDS: dict[type[errors.KafkaError], str] = {
    errors.RequestTimedOutError: "a broker did not do in time what it was asked",
    errors.LeaderNotAvailableError: "a partition has no leader now",
    errors.NotLeaderForPartitionError: "a partition is led by another broker now",
    errors.GroupCoordinatorNotAvailableError: "no broker coordinates the group now",
    errors.NotCoordinatorForGroupError: "the group is coordinated by another broker now",
    errors.GroupLoadInProgressError: "the broker that coordinates the group still loads it",
    errors.NotEnoughReplicasError: "too few replicas are in sync",
    errors.NotEnoughReplicasAfterAppendError: "too few replicas are in sync",
    errors.KafkaStorageError: "a broker cannot use its disk",
    errors.UnknownError: "a broker's own code failed",
    FencedInstanceIdError: "another worker joined the group under the name of this one",
    errors.NodeNotReadyError: "there is no connection to a broker",
}
"""What is met in outages, for people; what is not here says its name in words."""

FAREWELL_S = 5.0
"""Seconds that a client gets to close: a worker that is told to stop while Kafka is gone has to end soon."""

BRIEF_S = 1.0
"""Seconds for one that has nothing to say, or whose broker says nothing: closing connections takes less."""

TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)
"""What a broker answers to a batch that is larger than its topic takes."""

# The last one is what a broker answers when its own code failed, as it does while it comes up.
_PASSING = (
    errors.KafkaTimeoutError,
    errors.KafkaConnectionError,
    errors.KafkaUnavailableError,
    errors.UnknownError,
)
_WRAPPED = repr(errors.UnknownError())
"""How the client words it where it answers to a member of a group."""


@contextmanager
def translated(part: str = "Kafka") -> Iterator[None]:
    """Raise errors of the client as those of the ports; what is no error of Kafka's passes as it is."""
    try:
        yield
    except errors.KafkaError as error:
        raise port_error(error, part) from error


def port_error(error: errors.KafkaError, part: str = "Kafka") -> Unavailable | Unusable:
    """Say an error of the client in the words of the ports."""
    said = _in_words(error)
    if isinstance(error, TOO_LARGE):
        return TooLarge(f"{part} does not take a message so large: {said}")
    if error.retriable or isinstance(error, _PASSING) or str(error).endswith(_WRAPPED):
        return Unavailable(f"{part} does not answer: {said}", _silence(_class_of(error)))
    # Where it answers to a member of a group the client wraps what it does not expect, as above.
    remedy = next(
        (text for kind, text in _REMEDIES if isinstance(error, kind) or str(error).endswith(repr(kind()))),
        "",
    )
    return Unusable(f"{part} refuses: {said}" + (f" ({remedy})" if remedy else ""))


def _class_of(error: errors.KafkaError) -> type[errors.KafkaError]:
    """Give what an error is, or what it wraps."""
    wrapped = str(error).partition(f"{errors.KafkaError.__name__}: ")[2].removesuffix("()")
    return next((one for one in errors.kafka_errors.values() if one.__name__ == wrapped), type(error))


def _silence(kind: type[errors.KafkaError]) -> ErrorKind:
    if issubclass(kind, errors.RequestTimedOutError | errors.KafkaTimeoutError):
        return ErrorKind.TIMED_OUT
    return ErrorKind.UNREADY if issubclass(kind, errors.BrokerResponseError) else ErrorKind.UNANSWERED


def _in_words(error: errors.KafkaError) -> str:
    """Say an error for people, with its name, which can be searched for; the client's own words stay."""
    kind = _class_of(error)
    words = _WORDS.get(kind)
    if words is None and issubclass(kind, errors.BrokerResponseError):
        words = kind.message.lower().replace("_", " ")
    if words is None:
        return str(error) or kind.__name__
    details = "" if kind is not type(error) else "".join(f", {each}" for each in error.args)
    return f"{words} ({kind.__name__}{details})"


def missing_topic(topic: str) -> Unusable:
    """Say that a topic is missing, and what to do."""
    return Unusable(f"there is no topic {topic}: create it, or let the worker do so (CREATE_TOPICS=true)")


def check_tasks(client: str, tasks: Mapping[str, asyncio.Task[Any]]) -> None:
    """
    Raise `PortError` if one of the tasks that a client lives by has ended, which the client may never tell.

    Nothing but a new client helps, and a new process is a new client.
    """
    for name, task in tasks.items():
        if task.done():
            failure = None if task.cancelled() else task.exception()
            reason = failure.__cause__ or failure if failure is not None else None
            raise PortError(
                f"the {client} of Kafka's client goes on no more, its task for {name} ended "
                f"({reason!r}): the worker ends, so that it is started anew"
            ) from failure


async def partitions_of(client: Any, topic: str) -> Collection[int]:
    """
    Give the partitions of a topic; raise `Unusable` if there is no such topic.

    The client says so of a broker that does not answer, too; only one that does can know.
    """
    try:
        known: Collection[int] = await client._wait_on_metadata(topic)  # noqa: SLF001 - what its own start does
    except errors.UnknownTopicOrPartitionError as error:
        if not await client.force_metadata_update():
            raise Unavailable(f"Kafka does not answer: topic {topic} was asked for") from error
        found: Collection[int] | None = client.cluster.partitions_for_topic(topic)
        if found is None:
            raise missing_topic(topic) from error
        return found
    return known


class Patience:
    """Waits for answers of a client that itself may wait without end: `Unavailable` after `timeout_s`."""

    def __init__(self, part: str, timeout_s: float) -> None:
        self._part = part
        self._timeout_s = timeout_s
        self._outstanding: asyncio.Future[None] | None = None
        self._is_silent = False

    async def answer(self, question: Awaitable[Answer]) -> Answer:
        """Wait for a question that may be given up: it changes nothing."""
        with translated(self._part):
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await question
            except TimeoutError:
                raise self._unanswered() from None
        self._is_silent = False
        return answer

    async def turn(self, make: Callable[[], Awaitable[None]]) -> None:
        """
        Do what must not be given up half done, and not before the last such call has come to its end.

        Errors of the client come as they are.
        """
        if self._outstanding is not None:
            await self._wait(self._outstanding)
            self._outstanding.exception()  # its caller was told that it did not answer
        made: asyncio.Future[None] = asyncio.ensure_future(make())
        self._outstanding = made
        await self._wait(made)
        self._outstanding = None
        made.result()

    async def farewell(self, closing: Awaitable[None], within_s: float = FAREWELL_S) -> None:
        """
        Wait for a client to close, so long at most; one whose broker is gone may never do so, and is left.

        Where the last question was not answered in time, this is not waited for as long once more.
        A failure is logged and no more: what had to be written was, and often another error came first.
        """
        closed = asyncio.ensure_future(closing)
        within_s = min(self._timeout_s, BRIEF_S if self._is_silent else within_s)
        done, _ = await asyncio.wait((closed,), timeout=within_s)
        if not done:
            closed.cancel()
            return
        if closed.cancelled():  # the client's own doing: with the broker gone, it ends what it waits for so
            return
        if (failure := closed.exception()) is not None:
            _log.warning(
                f"A client of {self._part} did not close in order.", action="not_closed", error=repr(failure)
            )

    async def _wait(self, future: asyncio.Future[Answer]) -> None:
        done, _ = await asyncio.wait((future,), timeout=self._timeout_s)
        if not done:
            raise self._unanswered()
        self._is_silent = False

    def _unanswered(self) -> Unavailable:
        self._is_silent = True
        return Unavailable(f"{self._part} did not answer within {self._timeout_s:g} s", ErrorKind.TIMED_OUT)


class _PatienceToStart(Patience):
    """Says why nobody was reached, as far as the client tells."""

    async def answer(self, question: Awaitable[Answer]) -> Answer:
        with reasons_heard() as heard:
            try:
                return await super().answer(question)
            except Unavailable as error:
                if not heard:
                    raise
                said = "; ".join(heard)
                remedy = tls_remedy(said, "KAFKA", "KAFKA_BOOTSTRAP_SERVERS")
                raise Unavailable(
                    f"{error}: {said}" + (f" ({remedy})" if remedy else ""), error.kind
                ) from error


def patience_to_start(bootstrap_servers: Sequence[str], request_timeout_s: float) -> Patience:
    """
    Give the patience that a client's start needs.

    It asks one server after the other: those before the first that answers may each take all their time.
    """
    return _PatienceToStart("Kafka", request_timeout_s * (len(bootstrap_servers) + 1))

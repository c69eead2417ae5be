"""
The nodes of a Redis Cluster: each call goes to whoever has its slot, also while slots move.

Each node has a pool of connections as a single server has one. The cluster client of redis-py is not used: it
refuses scripts in a pipeline, and under load it sends ASKING and what has to follow it over two connections.
Knows neither keys nor values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from operator import methodcaller
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from redis import exceptions

from service.adapters.redis_calls import Call
from service.adapters.redis_connection import RedisSettings, connect, translated
from service.adapters.redis_topology import Node, Topology, slot_of
from service.adapters.view_scripts import Script
from service.processing.ports import ErrorKind, Unavailable, Unusable

Result = TypeVar("Result")

_WAITS_S = (0.0, 0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds before each attempt: a slot moves within milliseconds, and the worker repeats what takes longer."""

_MOST_CALLS = 100
"""Calls of one pipeline."""

_NOT_HERE = (exceptions.AskError, exceptions.TryAgainError, exceptions.NoScriptError)
"""Replies of a node that lacks the slot, or the script; MOVED is a kind of ASK to the client."""

_ELSEWHERE = (*_NOT_HERE, exceptions.ClusterDownError)
"""Replies that ask for another attempt."""

_ASKING = Call("", methodcaller("execute_command", "ASKING"))

RUN = Call("", methodcaller("info", "server"))
"""Asks a node for its process."""

End = tuple[Call, Callable[[Any], bool]]
"""A call that ends a pipeline, and who learns its reply or error and says whether it is good."""

Seal = Callable[[Node], End | None]
"""Gives what ends each pipeline to a node; None where it ends as it is."""


def _unsealed(_node: Node) -> None:
    """End no pipeline with anything."""


@dataclass(slots=True)
class Answers:
    """
    The replies, one for each call.

    `sealed`: the same connection carried the call and, after it, a sealing call whose reply was good.
    """

    replies: list[Any]
    sealed: list[bool]


class Nodes:
    """
    All nodes of one cluster, as far as they are known.

    `changed` is told when slots have other owners than before: what was known, and what is. Errors are those
    of the ports.
    """

    def __init__(
        self,
        settings: RedisSettings,
        scripts: Sequence[Script] = (),
        changed: Callable[[Topology, Topology], None] = lambda _old, _new: None,
    ) -> None:
        self.topology = Topology()
        self._settings = settings
        self._scripts = scripts
        self._changed = changed
        self._url = urlsplit(settings.url)
        self._clients: dict[tuple[str, int], Any] = {}
        self._any = connect(settings)
        self._scripted: set[Node] = set()
        self._silent: set[Node] = set()
        # Who told of the topology, and who told of one in which somebody does not answer.
        self._informant: Node | None = None
        self._doubted: Node | None = None
        self._learning = asyncio.Lock()

    async def close(self) -> None:
        """Disconnect from all nodes."""
        for client in (self._any, *self._clients.values()):
            await client.aclose()

    def client(self, node: Node) -> Any:
        """Give the client of one node alone."""
        place = (node.host, node.port)
        if place not in self._clients:
            user, at, _ = self._url.netloc.rpartition("@")
            host = f"[{node.host}]" if ":" in node.host else node.host
            url = urlunsplit(self._url._replace(netloc=f"{user}{at}{host}:{node.port}"))
            self._clients[place] = connect(replace(self._settings, url=url))
        return self._clients[place]

    async def learn(self, hint: Node | None = None) -> None:
        """Ask which node has which slot, `hint` first; raise `Unavailable` if no node says."""
        async with self._learning:
            failure = Unavailable("Redis Cluster: no node is known")
            for node in self._askable(hint):
                client, host = self._any, self._url.hostname or ""
                if node is not None:
                    client, host = self.client(node), node.host
                try:
                    topology = await _topology(client, host)
                except Unavailable as error:
                    failure = error
                    continue
                self._informant = node
                old, self.topology = self.topology, topology
                if old.owners != topology.owners:
                    self._changed(old, topology)
                return
            raise failure

    def _askable(self, hint: Node | None) -> list[Node | None]:
        """
        Give whom to ask for the topology, in this order; None is the address in the URL.

        Who told it last is asked again, but not who told of a node that does not answer: one that was getting
        slots from a node that failed goes on naming that.
        """
        known: list[Node | None] = [*self.topology.primaries, *self.topology.replicas]
        if hint is not None and hint not in known:
            known.append(hint)
        return [
            *sorted(
                known,
                key=lambda node: (
                    node != hint,
                    node in self._silent,
                    node == self._doubted,
                    node != self._informant,
                ),
            ),
            None,
        ]

    async def each(self, calls: Sequence[Call], seal: Seal = _unsealed) -> Answers:
        """
        Make each call where its key lies, and give the replies.

        Calls to one node share pipelines, in order; those that were sent elsewhere come after. Raises
        `Unavailable` where a node does not answer or slots are on their way for long; others may be done.
        """
        answers = Answers([None] * len(calls), [False] * len(calls))
        waiting: Sequence[int] = range(len(calls))
        for wait_s in _WAITS_S:
            if wait_s:
                await asyncio.sleep(wait_s)
            waiting = await _Attempt(self, calls, answers, seal).make(waiting)
            if not waiting:
                return answers
        what = answers.replies[waiting[0]]
        raise Unavailable(
            f"Redis Cluster moves slots, or has no node for some of them: {what}", ErrorKind.UNREADY
        )

    async def end(self, seal: Seal) -> bool:
        """Send the sealing call alone, to every node that has slots; tell whether all replies were good."""
        return all(await self.gathered(self._end(node, seal(node)) for node in self.topology.primaries))

    async def runs(self) -> dict[str, str]:
        """Give the process of every node that has slots: another one after each of its starts."""
        nodes = self.topology.primaries
        replies = await self.gathered(self.send(node, [RUN]) for node in nodes)
        with translated():
            return {node.name: run_of(reply) for node, [reply] in zip(nodes, replies, strict=True)}

    async def _end(self, node: Node, end: End | None) -> bool:
        if end is None:
            return False
        [reply] = await self.send(node, [end[0]])
        return _is_good(end, reply)

    async def gathered(self, sent: Iterable[Awaitable[Result]]) -> list[Result]:
        """Await what goes to several nodes; where one does not answer, the others may know of a failover."""
        results = await asyncio.gather(*sent, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        if failed:
            self._doubted = self._informant
            with suppress(Unavailable):
                await self.learn()
            try:
                raise failed[0]
            finally:
                del failed, results  # an error that is held where it was raised holds all that was sent
        return [result for result in results if not isinstance(result, BaseException)]

    async def send(self, node: Node, calls: Sequence[Call]) -> list[Any]:
        """Make calls at one node, whoever has their slots, and give the replies; errors are replies, too."""
        pipeline = self.client(node).pipeline(transaction=False)
        scripts = () if node in self._scripted else self._scripts
        for script in scripts:
            pipeline.script_load(script.text)
        for each in calls:
            each.ask(pipeline)
        try:
            with translated(f"Redis at {node.host}:{node.port}"):
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except Unavailable:
            self._silent.add(node)
            raise
        self._scripted.add(node)
        # A node that was cut off goes on telling what it knew of its cluster: the others are asked first.
        if any(isinstance(reply, exceptions.ClusterDownError) for reply in replies):
            self._silent.add(node)
        else:
            self._silent.discard(node)
        if any(isinstance(reply, exceptions.NoScriptError) for reply in replies):
            self._scripted.discard(node)
        return replies[len(scripts) :]


@dataclass(slots=True)
class _Attempt:
    """One attempt at calls, some of which may be sent elsewhere."""

    nodes: Nodes
    calls: Sequence[Call]
    answers: Answers
    seal: Seal
    asked: dict[Node, list[int]] = field(default_factory=dict)
    hint: Node | None = None
    lost_its_way: bool = False

    async def make(self, waiting: Sequence[int]) -> list[int]:
        """Make the calls of these numbers; give those that have to be made again."""
        portions: dict[Node, list[int]] = {}
        for i in waiting:
            owner = self.nodes.topology.owner_of(self.calls[i].key)
            if owner is None:
                self.answers.replies[i] = f"slot {slot_of(self.calls[i].key)} has none"
                self.lost_its_way = True
            else:
                portions.setdefault(owner, []).append(i)
        await self.nodes.gathered(self._to_owner(node, some) for node, some in portions.items())
        sent = [i for some in portions.values() for i in some]
        for i in sent:
            self._redirect(i)
        await self.nodes.gathered(self._to_asked(node, some) for node, some in self.asked.items())
        if self.lost_its_way:
            with suppress(Unavailable):
                await self.nodes.learn(self.hint)
        done = {i for i in sent if not isinstance(self.answers.replies[i], _ELSEWHERE)}
        for i in done:
            if isinstance(self.answers.replies[i], Exception):
                with translated():
                    raise self.answers.replies[i]
        return [i for i in waiting if i not in done]

    async def _to_owner(self, node: Node, some: Sequence[int]) -> None:
        for begin in range(0, len(some), _MOST_CALLS):
            part = some[begin : begin + _MOST_CALLS]
            end = self.seal(node)
            calls = [self.calls[i] for i in part]
            replies = await self.nodes.send(node, calls if end is None else [*calls, end[0]])
            is_sealed = end is not None and _is_good(end, replies.pop())
            for i, reply in zip(part, replies, strict=True):
                self.answers.replies[i] = reply
                self.answers.sealed[i] = is_sealed

    def _redirect(self, i: int) -> None:
        """Note where a call has to go instead."""
        reply = self.answers.replies[i]
        if isinstance(reply, exceptions.MovedError):
            self.lost_its_way = True
            self.hint = self.nodes.topology.at(reply.host, reply.port) if reply.host else None
        elif isinstance(reply, exceptions.AskError) and reply.host:
            self.asked.setdefault(self.nodes.topology.at(reply.host, reply.port), []).append(i)
        elif isinstance(reply, exceptions.ClusterDownError):
            self.lost_its_way = True

    async def _to_asked(self, node: Node, some: Sequence[int]) -> None:
        """Make calls whose keys a node is about to get: a word goes before each, on the same connection."""
        replies = await self.nodes.send(node, [one for i in some for one in (_ASKING, self.calls[i])])
        for i, reply in zip(some, replies[1::2], strict=True):
            self.answers.replies[i] = reply
            self.answers.sealed[i] = False


def run_of(reply: Any) -> str:
    """Read the name of a process from the reply to `RUN`; raise it where it is an error."""
    if isinstance(reply, Exception):
        raise reply
    return str(reply["run_id"])


def _is_good(end: End, reply: Any) -> bool:
    """Let who made a sealing call know its reply; raise what is wrong with the server."""
    good = end[1](reply)
    if isinstance(reply, Exception) and not isinstance(reply, _NOT_HERE):
        with translated():
            raise reply
    return good


async def _topology(client: Any, host: str) -> Topology:
    """Ask one node; raise `Unusable` where it is none of a cluster."""
    try:
        with translated(f"Redis at {host}"):
            slots = await client.execute_command("CLUSTER", "SLOTS")
    except exceptions.ResponseError as error:
        raise Unusable(
            f"Redis at {host} is no node of a cluster ({error}): set EVSE_STATUS_REDIS_CLUSTER=false"
        ) from error
    if not slots:
        raise Unavailable(
            f"Redis at {host} knows of no slots: its cluster is not made yet, or it left it",
            ErrorKind.UNREADY,
        )
    return Topology.read(slots, host)

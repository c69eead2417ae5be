"""
Whether another worker has taken this one's place in the group, as happens where both have one INSTANCE_ID.

The broker gives the place of a static member to whoever asked last, and knows the other one no more. It says
the same to a member that was away for too long; who is in the group under the name tells the two apart. Left
alone they would take it from each other for ever, since the client of the one that lost it joins again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka.protocol.admin import DescribeGroupsRequest

from service.adapters.kafka_errors import Patience
from service.processing.ports import PortError, Unusable

_UUID_LENGTH = 36


class Instance:
    """One static member, as its worker knows it: the ids that the broker gave it say who is meant."""

    def __init__(self, instance_id: str, patience: Patience, coordinator: Callable[[], Any]) -> None:
        self._instance_id = instance_id
        self._patience = patience
        self._coordinator = coordinator
        self._member_id = ""

    def joined(self) -> None:
        """Note the id that the client has now."""
        self._member_id = self._coordinator().member_id

    async def displaced(self) -> Unusable | None:
        """
        Give what is to be said if the client, which is about to join again, lost its place to another worker.

        None where the broker does not answer: then it joins, and the one that is displaced by that asks.
        """
        if not self._instance_id or not self._member_id or self._coordinator().member_id:
            return None  # no static member, or not in the group yet, or still in it
        try:
            holders = await self._patience.answer(self._holders(self._coordinator()))
        except PortError:
            return None
        hosts = [host for member_id, host in holders if member_id != self._member_id]
        return fenced(self._instance_id, hosts[0]) if hosts else None

    async def _holders(self, coordinator: Any) -> list[tuple[str, str]]:
        """Give id and host of the members under this name; the broker begins their ids with it."""
        await coordinator.ensure_coordinator_known()
        described = await coordinator._send_req(DescribeGroupsRequest([coordinator.group_id]))  # noqa: SLF001
        # error code, group, state, protocol type, protocol, members: each id, client, host, …
        members = [(member[0], member[2]) for group in described.groups for member in group[5]]
        length = len(self._instance_id) + 1 + _UUID_LENGTH
        return [
            (member_id, host)
            for member_id, host in members
            if member_id.startswith(f"{self._instance_id}-") and len(member_id) == length
        ]


def fenced(instance_id: str, host: str) -> Unusable:
    """Say that another worker has this one's name, and what helps."""
    return Unusable(
        f"another worker ({host.lstrip('/')}) has joined the group under INSTANCE_ID {instance_id} and taken "
        "this one's partitions: INSTANCE_ID must differ between workers, give each its own or none"
    )

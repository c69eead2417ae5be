"""Where a store leaves its trails, and what it takes from the replies."""

from __future__ import annotations

import pytest
from redis.exceptions import AskError

from schemas.view import Keys
from service.adapters.redis_nodes import RUN
from service.adapters.redis_topology import SLOTS, Node, Topology, slot_of
from service.adapters.redis_trails import Trails

A, B, C = (Node(name, name, 6379) for name in "abc")
THIRD = SLOTS // 3


def shared(*parts: tuple[int, Node], replicas: dict[str, str] | None = None) -> Topology:
    """Give each node slots up to a number, in order."""
    owners: list[Node | None] = []
    for after, node in parts:
        owners += [node] * (after - len(owners))
    return Topology(owners, (), replicas or {})


THREE = shared((THIRD, A), (2 * THIRD, B), (SLOTS, C))


def begun(topology: Topology = THREE) -> Trails:
    """Give trails in a cluster."""
    trails = Trails(Keys())
    trails.begin(topology, {"a": "process 1", "b": "process 1", "c": "process 1"})
    return trails


def slot_at(trails: Trails, node: Node) -> int:
    """Give the slot of a node's trail."""
    step = trails.look(node)
    assert step is not None
    return slot_of(step[0].key)


def proven(trails: Trails, node: Node, run: str = "process 1") -> None:
    """Let a node say which process it is, as it is asked to."""
    step = trails.step(node)
    assert step is not None
    assert step[0] is RUN
    assert not step[1]({"run_id": run})


def stepped(trails: Trails, node: Node, reply: object = 1) -> bool:
    """Step a node's trail with that reply."""
    step = trails.step(node)
    assert step is not None
    return step[1](reply)


def test_each_node_has_a_trail_in_a_slot_of_its_own() -> None:
    """All stores choose the same, high among the node's slots, where tools that move slots come last."""
    trails = begun()

    for node in (A, B, C):
        assert THREE.owners[slot_at(trails, node)] is node
    assert slot_at(trails, A) > THIRD * 0.9
    assert begun().tags == trails.tags
    assert len(trails.tags) == 3


def test_a_node_with_one_slot_has_a_trail_too() -> None:
    """Wherever that slot is."""
    topology = shared((1, B), (SLOTS, A))

    assert slot_at(begun(topology), B) == 0


@pytest.mark.parametrize(("number", "is_lost"), [(b"1", False), (b"7", False), (b"0", True), (None, True)])
def test_a_look_at_an_older_number_than_was_acknowledged_is_a_loss(number: bytes, *, is_lost: bool) -> None:
    """A newer one is that of a step whose reply was lost."""
    trails = begun()
    stepped(trails, A)
    look = trails.look(A)

    assert look is not None
    assert look[1](number) is not is_lost
    assert trails.is_lost is is_lost


def test_a_loss_is_forgotten_with_a_new_beginning() -> None:
    """What the nodes hold then is what they should."""
    trails = begun()
    stepped(trails, A, -1)
    was_lost = trails.is_lost
    trails.begin(THREE, {})

    assert (was_lost, trails.is_lost) == (True, False)


def test_a_trail_stays_where_its_slot_stays() -> None:
    """Also with the replica that takes over, to which it belongs as everything else does."""
    trails = begun()
    tags = trails.tags
    stepped(trails, A)
    promoted = Node("a2", "a2", 6379)

    trails.follow(
        shared((THIRD, A), (2 * THIRD, B), (SLOTS, C), replicas={"a2": "a"}),
        shared((THIRD, promoted), (2 * THIRD, B), (SLOTS, C)),
    )

    assert trails.tags == tags
    assert not trails.is_lost
    look = trails.look(promoted)
    assert look is not None
    assert not look[1](b"0")
    assert trails.is_lost


def test_a_replica_that_took_over_has_the_trail_though_its_primary_is_still_named() -> None:
    """As by a node that was getting a slot from the one that failed."""
    trails = begun()
    stepped(trails, A)
    slot, promoted = slot_at(trails, A), Node("a2", "a2", 6379)

    trails.follow(THREE, shared((1, A), (THIRD, promoted), (2 * THIRD, B), (SLOTS, C)))

    assert slot_at(trails, promoted) == slot
    look = trails.look(promoted)
    assert look is not None
    assert not look[1](None)
    assert trails.is_lost


def test_a_trail_whose_slot_went_is_replaced() -> None:
    """The node gets another; the one who got the slot keeps its own."""
    trails = begun()
    at_a, at_b = slot_at(trails, A), slot_at(trails, B)
    new = shared((at_a, A), (at_a + 1, B), (THIRD, A), (2 * THIRD, B), (SLOTS, C))

    trails.follow(THREE, new)
    proven(trails, A)

    assert slot_at(trails, B) == at_b
    assert slot_at(trails, A) != at_a
    assert new.owners[slot_at(trails, A)] is A
    assert not trails.is_lost


def test_a_slot_that_is_on_its_way_is_left() -> None:
    """What is stepped there says nothing of the node; until the slot has arrived it is not chosen again."""
    trails = begun()
    first = slot_at(trails, A)

    assert not stepped(trails, A, AskError(f"{first} b:6379"))
    proven(trails, A)

    assert slot_at(trails, A) != first
    assert THREE.owners[slot_at(trails, A)] is A


def test_a_node_whose_trail_went_is_trusted_as_the_process_it_was() -> None:
    """Another one may have lost what nobody can tell any more."""
    trails = begun()
    stepped(trails, A, AskError(f"{slot_at(trails, A)} b:6379"))
    look = trails.look(A)
    assert look is not None

    look[1]({"run_id": "process 2"})

    assert trails.is_lost
    assert trails.is_unproven


@pytest.mark.parametrize("known", [{"a2": "a"}, {}])
@pytest.mark.parametrize("with_trail", [True, False])
def test_a_replica_that_took_over_without_the_trail_may_lack_anything(
    known: dict[str, str], *, with_trail: bool
) -> None:
    """One that has it is asked as ever; nobody need have known the replica."""
    trails = begun()
    slot = slot_at(trails, A)
    promoted = Node("a2", "a2", 6379)
    went = [] if with_trail else [(slot, promoted), (slot + 1, B)]

    trails.follow(
        shared((THIRD, A), (2 * THIRD, B), (SLOTS, C), replicas=known),
        shared(*went, (THIRD, promoted), (2 * THIRD, B), (SLOTS, C)),
    )

    assert trails.is_lost is trails.is_unproven is not with_trail

"""Which node has which slot, and what the copies of a checkpoint tell of the nodes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.adapters.redis_copies import COPY_FIELDS, Copies, gained, read_slots, slots_word
from service.adapters.redis_topology import SLOTS, Node, Topology, slot_of

A, B = Node("a", "10.0.0.1", 6379), Node("b", "10.0.0.2", 6379)


def entry(first: int, last: int, *nodes: Node) -> list[object]:
    """Give an entry of `CLUSTER SLOTS` as a node sends it."""
    return [first, last, *([node.host.encode(), node.port, node.name.encode(), []] for node in nodes)]


def test_slots_replicas_and_their_primaries_are_read() -> None:
    """In whatever order; slots that nobody has have nobody."""
    topology = Topology.read([entry(100, 101, B), entry(0, 99, A, Node("c", "10.0.0.3", 6379))], "asked")

    assert (topology.owners[0], topology.owners[99], topology.owners[100]) == (A, A, B)
    assert topology.owners[102] is None
    assert topology.primaries == (A, B)
    assert [node.name for node in topology.replicas] == ["c"]
    assert topology.primary_of == {"c": "a"}
    assert topology.at("10.0.0.2", 6379) is topology.owners[100]
    assert topology.at("10.0.0.9", 1) == Node("", "10.0.0.9", 1)


def test_a_node_without_an_address_is_where_it_was_asked() -> None:
    """As a node of a cluster that was never told its name says of itself."""
    said = [
        [0, 99, [b"", 6379, b"a", []]],
        [100, 199, [None, 6380, b"b", []]],
        [200, 299, [b"?", 6381, b"c"]],
    ]

    topology = Topology.read(said, "asked")

    assert {node.host for node in topology.primaries} == {"asked"}


def test_slots_that_have_another_owner_are_gained() -> None:
    """Whoever has them now; the same answer twice gains nothing."""
    old, new = ([entry(0, 99, A), entry(100, 199, B)], [entry(0, 98, A), entry(99, 199, B)])

    assert gained(Topology.read(old, "x"), Topology.read(new, "x")) == {99}
    assert gained(Topology.read(old, "x"), Topology.read(old, "x")) == set()


@given(st.sets(st.integers(0, SLOTS - 1), max_size=40))
def test_slots_are_read_as_they_were_written(slots: set[int]) -> None:
    """With the node that had them, and the process that it was."""
    topology = Topology([A if slot in slots else B for slot in range(SLOTS)])

    assert read_slots(slots_word(A, topology, {"a": "f00"}).encode()) == ("a", "f00", slots)
    assert read_slots(None) == ("", "", set())


def copy(next_offset: int, node: Node | None = None, topology: Topology | None = None) -> list[bytes | None]:
    """Give what stands in a copy."""
    word = b"" if node is None or topology is None else slots_word(node, topology, {"a": "f00"}).encode()
    fields: dict[str, bytes | None] = dict.fromkeys(COPY_FIELDS, b"0")
    return list((fields | {"next_offset": b"%d" % next_offset, "mark": b"", "slots": word}).values())


def test_the_least_far_copy_holds() -> None:
    """The others go back to it; one that is missing leaves nothing."""
    copies = Copies({"main": copy(9), "a": copy(7), "b": copy(8)})

    least = copies.least()

    assert least is not None
    assert (least[0], least[1].next_offset) == ("a", 7)
    assert copies.further_than(least[1]) == ["main", "b"]
    assert copies.plain("a")["next_offset"] == b"7"
    assert "slots" not in copies.plain("a")
    assert Copies({"main": copy(9), "a": [None] * len(COPY_FIELDS)}).least() is None


def test_slots_that_no_copy_tells_of_are_doubtful() -> None:
    """A copy tells of its own node alone, and only where it lies with it."""
    then = Topology([A] * 100 + [B] * (SLOTS - 100))
    at_a, at_b = "{7}", "{8}"  # any two tags whose slots are placed below
    owners: list[Node | None] = [*[A] * 100, *[B] * (SLOTS - 100)]
    owners[slot_of(at_a)], owners[slot_of(at_b)] = A, B
    now = Topology(owners)
    copies = Copies({at_a: copy(1, A, then), at_b: copy(1, B, then)})

    assert copies.doubtful(now) == {slot_of(at_a)}
    assert copies.bereft(now) == {}

    swapped = Copies({at_b: copy(1, A, then)})
    assert swapped.doubtful(now) == set(range(SLOTS))
    assert swapped.bereft(now) == {"a": "f00"}


def test_a_key_lies_where_its_tag_does() -> None:
    """The first pair of braces that holds something."""
    assert slot_of("evse:{charger-1}:days") == slot_of("{charger-1}") == slot_of("charger-1")
    assert slot_of("123456789") == 0x31C3

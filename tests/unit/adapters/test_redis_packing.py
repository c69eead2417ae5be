"""A script's call is packed quickly, and as redis-py packs it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Connection

from service.adapters.redis_packing import QuickConnection

ARGUMENT = st.binary(max_size=9000) | st.text(st.characters(codec="utf-8")) | st.integers() | st.floats()


@given(st.sampled_from(["EVALSHA", "EVAL", "CONFIG GET", "HGET"]), st.lists(ARGUMENT, max_size=30))
def test_a_call_is_the_same_bytes(name: str, arguments: list[bytes | str | int | float]) -> None:
    """Whatever is called with what."""
    quick = QuickConnection().pack_command(name, *arguments)

    assert b"".join(quick) == b"".join(Connection().pack_command(name, *arguments))


def test_a_scripts_call_is_one_piece() -> None:
    """However large its arguments are: it is written at once."""
    assert len(QuickConnection().pack_command("EVALSHA", "sha", 0, b"x" * 100_000, b"y" * 100_000)) == 1

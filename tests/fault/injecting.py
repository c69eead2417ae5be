"""How each kind of fault is done to a running scenario; what could not be done is not counted."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from tests.fault.run import Run
from tests.fault.scenario import Fault, Kind
from tests.fault.workers import Worker
from tests.proxy import Point, Proxy

# A request of Kafka's begins with its length (four bytes) and the number of its kind: Produce and
# OffsetCommit before all, then Fetch, OffsetFetch, JoinGroup, Heartbeat, SyncGroup and InitProducerId.
_API_KEYS = (0, 0, 0, 0, 8, 8, 8, 8, 1, 9, 11, 12, 14, 22)
_API_KEY = slice(4, 6)

_STRUCK_S = 2.0
"""Seconds that a request to be cut is waited for; one that does not come is let be."""

_LAGS_S = 0.3
_LOOKS_FOR_BASES, _BETWEEN_LOOKS_S = 8, 0.4
_MOST_DELAY_S = 0.25

_STOP_S = 30.0
_WRITTEN_ANEW_S = 40.0


async def prepare(run: Run, fault: Fault) -> None:
    """Do what has to come some time before the fault."""
    if fault.kind is Kind.REDIS_RESTORED:
        await run.view.keep_dump(fault.call)
        run.note("a dump of the view is kept")
    if fault.kind is Kind.REDIS_FAILED_OVER and not run.view.is_lagging:
        await run.view.lag()
        run.note("the replica begins to lag")


async def inject(run: Run, fault: Fault) -> None:
    """Do it, and come back when it is over, or goes on beside the scenario."""
    await _INJECT[fault.kind](run, fault)


# Workers


async def _kill(run: Run, fault: Fault) -> None:
    place = run.pick(fault.place)
    if place is None:
        return
    worker = run.workers[place]
    run.promised.add(place)
    await worker.kill()
    run.count(Kind.KILL, worker.name)
    await asyncio.sleep(fault.lasting_s / 2)
    await run.start_worker(place)


async def _kill_at_call(run: Run, fault: Fault) -> None:
    """Arm a strike; whoever keeps the workers counts it when it came."""
    place = run.pick(fault.place)
    if place is None:
        return
    worker = run.workers[place]
    if not worker.armed:
        worker.arm_kill()
        run.note(f"worker {worker.name} is armed")


async def _join(run: Run, fault: Fault) -> None:
    if not await _has_joined(run):
        _has_left(run, fault)


async def _leave(run: Run, fault: Fault) -> None:
    if not _has_left(run, fault):
        await _has_joined(run)


async def _has_joined(run: Run) -> bool:
    """Let one more work, unless each place is taken."""
    place = run.idle_place()
    if place is None:
        return False
    await run.start_worker(place)
    run.count(Kind.JOIN, str(place))
    return True


def _has_left(run: Run, fault: Fault) -> bool:
    """Let one leave, unless nobody could take over from it."""
    place = run.pick(fault.place)
    if place is None or not run.has_company(place):
        return False
    worker = run.workers[place]
    run.count(Kind.LEAVE, worker.name)
    run.busy.add(place)
    run.beside(_stopped(run, place, worker))
    return True


def _was_told_before_it_listened(worker: Worker) -> bool:
    """Tell whether a process ended by its signal, as any does that has only just begun."""
    return worker.code == -signal.SIGTERM and not worker.last_words()


async def _stopped(run: Run, place: int, worker: Worker) -> None:
    if not await worker.stop(_STOP_S):
        run.differs(f"worker {worker.name} did not leave within {_STOP_S:g} s: {worker.last_words()}")
    elif worker.code != 0 and not worker.armed and not _was_told_before_it_listened(worker):
        run.differs(f"worker {worker.name} left with {worker.code}: {worker.last_words()}")
    run.busy.discard(place)


async def _pause(run: Run, fault: Fault) -> None:
    place = run.pick(fault.place)
    if place is None:
        return
    await run.accompany(place)
    worker = run.workers[place]
    where: str | None = "any instant"
    if fault.point is Point.REQUEST:
        worker.signal(signal.SIGSTOP)
    else:
        where = await worker.pause_in_call(_STRUCK_S)
    if where is None:
        return
    run.count(Kind.PAUSE, f"{worker.name} at {where} for {fault.lasting_s:.1f} s")
    run.beside(_held(run, place, fault.lasting_s, lambda: worker.signal(signal.SIGCONT)))


async def _held(run: Run, place: int, for_s: float, release: Callable[[], None]) -> None:
    """Let nothing else be done to a worker until it is released."""
    run.busy.add(place)
    await asyncio.sleep(for_s)
    release()
    run.note(f"place {place} is released")
    run.busy.discard(place)


# Networks


def _cut(kind: Kind, ways: Callable[[Run], tuple[Proxy, ...]]) -> Injection:
    async def inject_cut(run: Run, fault: Fault) -> None:
        place = run.pick(fault.place)
        if place is not None:
            run.count(kind, f"of {run.workers[place].name}")
            await ways(run)[place].cut()

    return inject_cut


def _cut_in_call(
    kind: Kind, ways: Callable[[Run], tuple[Proxy, ...]], matching: Callable[[Fault], Callable[[bytes], bool]]
) -> Injection:
    async def inject_cut_in_call(run: Run, fault: Fault) -> None:
        place = run.pick(fault.place)
        if place is None:
            return
        name, way = run.workers[place].name, ways(run)[place]
        struck = way.cut_next(fault.point, matching(fault))
        try:
            async with asyncio.timeout(_STRUCK_S):
                await struck.wait()
        except TimeoutError:
            way.let_be()
        else:
            run.count(kind, f"of {name}, {fault.point.value}")

    return inject_cut_in_call


def _delayed(kind: Kind, ways: Callable[[Run], tuple[Proxy, ...]]) -> Injection:
    async def inject_delay(run: Run, fault: Fault) -> None:
        delay_s = _MOST_DELAY_S * fault.call / (1 << 16)
        run.count(kind, f"by {delay_s * 1000:.0f} ms for {fault.lasting_s:.1f} s")
        for way in ways(run):
            way.delay_s = delay_s
        await asyncio.sleep(fault.lasting_s)
        for way in ways(run):
            way.delay_s = 0.0

    return inject_delay


def _out_of_sight(kind: Kind, ways: Callable[[Run], tuple[Proxy, ...]]) -> Injection:
    async def inject_out_of_sight(run: Run, fault: Fault) -> None:
        place = run.pick(fault.place)
        if place is None:
            return
        run.count(kind, f"of {run.workers[place].name} for {fault.lasting_s:.1f} s")
        way = ways(run)[place]
        way.freeze()
        run.beside(_held(run, place, fault.lasting_s, way.thaw))
        if fault.point is Point.REQUEST:
            # What was kept is lost, instead of coming late.
            await way.cut()

    return inject_out_of_sight


async def _worker_out_of_sight(run: Run, fault: Fault) -> None:
    """Lose a worker with a write on its way, which comes when others have long taken over."""
    place = run.pick(fault.place)
    if place is None:
        return
    await run.accompany(place)
    run.busy.add(place)
    redis, kafka = run.view.ways[place], run.stage.ways[place]
    caught = redis.freeze_at(_redis_script(fault)) if fault.call % 2 else kafka.freeze_at(_is_produce)
    with suppress(TimeoutError):
        async with asyncio.timeout(_STRUCK_S):
            await caught.wait()
    for way in (redis, kafka):
        way.let_be()
        way.freeze()
    what = ("a publication", "a save")[fault.call % 2] if caught.is_set() else "nothing"

    def release() -> None:
        redis.thaw()
        kafka.thaw()

    run.count(fault.kind, f"{run.workers[place].name} with {what} for {fault.lasting_s:.1f} s")
    run.beside(_held(run, place, fault.lasting_s, release))


def _is_produce(request: bytes) -> bool:
    return request[_API_KEY] == bytes(2)


def _kafka(run: Run) -> tuple[Proxy, ...]:
    return run.stage.ways


def _redis(run: Run) -> tuple[Proxy, ...]:
    return run.view.ways


def _kafka_request(fault: Fault) -> Callable[[bytes], bool]:
    wanted = _API_KEYS[fault.call % len(_API_KEYS)].to_bytes(2, "big")
    return lambda request: request[_API_KEY] == wanted


def _redis_script(_fault: Fault) -> Callable[[bytes], bool]:
    return lambda request: b"EVAL" in request[:64]


# Servers


async def _broker_stopped(run: Run, fault: Fault) -> None:
    await _broker_ends(run, fault, signal.SIGTERM)


async def _broker_killed(run: Run, fault: Fault) -> None:
    await _broker_ends(run, fault, signal.SIGKILL)


async def _broker_ends(run: Run, fault: Fault, number: signal.Signals) -> None:
    run.count(fault.kind)
    run.stage.broker.signal(number)
    await asyncio.to_thread(run.stage.broker.wait)
    await asyncio.sleep(fault.lasting_s)
    await run.stage.restart_broker()
    run.note("the broker serves again")


async def _full(run: Run, fault: Fault) -> None:
    run.count(fault.kind, f"for {fault.lasting_s:.1f} s")
    await run.view.fill_up(fault.call, fault.lasting_s)


async def _read_only(run: Run, fault: Fault) -> None:
    run.count(fault.kind, f"for {fault.lasting_s:.1f} s")
    await run.view.refuse_writes(fault.lasting_s)


async def _slow(run: Run, fault: Fault) -> None:
    run.count(fault.kind, f"for {fault.lasting_s:.1f} s")
    await run.view.be_slow(fault.call, fault.lasting_s)


async def _emptied(run: Run, fault: Fault) -> None:
    run.count(fault.kind)
    await run.view.restart(fault.call, with_dump=False)


async def _restored(run: Run, fault: Fault) -> None:
    run.count(fault.kind)
    await run.view.restart(fault.call, with_dump=True)


async def _failed_over(run: Run, fault: Fault) -> None:
    if not run.view.is_lagging:
        await prepare(run, fault)
        await asyncio.sleep(_LAGS_S)
    run.count(fault.kind)
    await run.view.fail_over()


async def _slots_moved(run: Run, fault: Fault) -> None:
    run.count(fault.kind)
    await run.view.move_slots(fault.call)


async def _log_cut(run: Run, fault: Fault) -> None:
    """Cut the log as soon as there are bases that reach beyond its beginning."""
    for _ in range(_LOOKS_FOR_BASES):
        begins = await run.log.cut_behind_bases(await run.checkpoints())
        if any(begins.values()):
            run.count(fault.kind, f"at {dict(sorted(begins.items()))}")
            return
        await asyncio.sleep(_BETWEEN_LOOKS_S)


async def _ledger_deleted(run: Run, fault: Fault) -> None:
    """
    Delete the ledger, and wait until it holds all again: else nothing would, if the view were lost.

    Not while a view that was lost is still to come back from it: of a log that was cut nothing would be left.
    """
    for _ in range(_LOOKS_FOR_BASES):
        begun = await run.log.marked()
        if begun and not run.log.is_gone_before(await run.checkpoints()):
            break
        await asyncio.sleep(_BETWEEN_LOOKS_S)
    else:
        return
    await run.log.delete_ledger()
    run.count(fault.kind)
    try:
        async with asyncio.timeout(_WRITTEN_ANEW_S):
            while not begun <= await run.log.written_anew():  # noqa: ASYNC110 - a topic tells nobody
                await asyncio.sleep(_BETWEEN_LOOKS_S)
    except TimeoutError:
        run.differs(f"the ledger was not written anew within {_WRITTEN_ANEW_S:g} s")
    run.note("the ledger is written anew")


Injection = Callable[[Run, Fault], Awaitable[None]]

_INJECT: Mapping[Kind, Injection] = {
    Kind.KILL: _kill,
    Kind.KILL_AT_CALL: _kill_at_call,
    Kind.JOIN: _join,
    Kind.LEAVE: _leave,
    Kind.PAUSE: _pause,
    Kind.WORKER_OUT_OF_SIGHT: _worker_out_of_sight,
    Kind.KAFKA_CUT: _cut(Kind.KAFKA_CUT, _kafka),
    Kind.KAFKA_CUT_IN_CALL: _cut_in_call(Kind.KAFKA_CUT_IN_CALL, _kafka, _kafka_request),
    Kind.KAFKA_DELAYED: _delayed(Kind.KAFKA_DELAYED, _kafka),
    Kind.KAFKA_OUT_OF_SIGHT: _out_of_sight(Kind.KAFKA_OUT_OF_SIGHT, _kafka),
    Kind.BROKER_STOPPED: _broker_stopped,
    Kind.BROKER_KILLED: _broker_killed,
    Kind.REDIS_CUT: _cut(Kind.REDIS_CUT, _redis),
    Kind.REDIS_CUT_IN_CALL: _cut_in_call(Kind.REDIS_CUT_IN_CALL, _redis, _redis_script),
    Kind.REDIS_DELAYED: _delayed(Kind.REDIS_DELAYED, _redis),
    Kind.REDIS_OUT_OF_SIGHT: _out_of_sight(Kind.REDIS_OUT_OF_SIGHT, _redis),
    Kind.REDIS_FULL: _full,
    Kind.REDIS_READ_ONLY: _read_only,
    Kind.REDIS_SLOW: _slow,
    Kind.REDIS_EMPTIED: _emptied,
    Kind.REDIS_RESTORED: _restored,
    Kind.REDIS_FAILED_OVER: _failed_over,
    Kind.SLOTS_MOVED: _slots_moved,
    Kind.LOG_CUT: _log_cut,
    Kind.LEDGER_DELETED: _ledger_deleted,
}

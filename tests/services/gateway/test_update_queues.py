"""In which order updates are handled."""

import asyncio

from contracts.clock import Clock
from services.gateway.incoming import Identity, read_update
from services.gateway.store.inbox import Arrival
from services.gateway.update_queues import UpdateQueues
from tests.services.gateway.telegram import private


def arrival(number: int, person: int, has_crashed: bool = False) -> Arrival:
    return Arrival(number, read_update({"message": private("эй", person)}, 1.0), has_crashed)


async def test_updates_over_which_the_process_may_have_died_are_handled_one_at_a_time() -> None:
    """Those of other chats meanwhile, and none before what was written in its chat before."""
    begun, may_end = list[int](), asyncio.Event()

    async def handle(number: int) -> None:
        begun.append(number)
        await may_end.wait()

    queues = UpdateQueues(handle, Identity(1, "bot"), Clock())
    suspects = [arrival(1, 7, True), arrival(2, 8, True)]
    queues.put([*suspects, arrival(3, 8), arrival(4, 9)])
    queues.put([arrival(2, 8)])  # which is delivered again
    await asyncio.sleep(0.01)
    assert sorted(begun) == [1, 4]
    may_end.set()
    await queues.talk.close(1.0)
    assert sorted(begun) == [1, 2, 4]

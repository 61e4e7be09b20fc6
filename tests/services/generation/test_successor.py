"""A replica that takes another's place under the same name, as pods do, is found at once."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from services.generation.client import GenerationClient, turn
from tests.conftest import BOT, Toy
from tests.services.generation.conftest import running


@contextmanager
def name_server(addresses: list[str]) -> Iterator[str]:
    """A DNS server that gives every name the first of the addresses; yields where it listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                asked, who = here.recvfrom(512)
                if not asked:
                    return
                end = asked.index(b"\0", 12) + 5  # of the question
                is_a = asked[end - 4 : end - 2] == b"\0\1"
                record = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 0, 4)
                found = record + socket.inet_aton(addresses[0]) if is_a else b""
                head = asked[:2] + b"\x81\x80\0\1" + struct.pack(">HHH", int(is_a), 0, 0)
                here.sendto(head + asked[12:end] + found, who)

        thread = Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{here.getsockname()[1]}"
        here.sendto(b"", here.getsockname())
        thread.join()


async def test_a_replica_in_the_place_of_another_is_asked_at_once(toy: Toy) -> None:
    folders, addresses = (toy.bots_dir, toy.models_dir), ["127.0.0.1"]
    with name_server(addresses) as dns:
        async with running(*folders) as old:
            port = old.ports.grpc
            name = f"dns://{dns}/generation.test:{port}"
            there = running(*folders, grpc_host="127.0.0.2", grpc_port=port)
            async with GenerationClient(name, timeout=10) as client, there as new:
                await client.generate(BOT, [turn("Привет")])
                addresses[0] = "127.0.0.2"
                old.stop.set()
                await old.ended
                await client.generate(BOT, [turn("Привет")])
                assert old.metric("requests_total", bot=BOT, code="OK") == 1
                assert new.metric("requests_total", bot=BOT, code="OK") == 1

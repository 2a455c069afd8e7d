"""A TCP port that leads to another one, on which everything arrives later: a long line, for benchmarks.

    python -m benchmarks.delay PORT TO_HOST TO_PORT SECONDS

It says ``ready`` when it listens. Little is held back beyond what is on its way: what a sender believes to be sent has
left it at the pace of the line behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence

_BLOCK = 16_384
_HELD = 64  # blocks on their way each way: 1 MiB, what a line of 20 MB/s holds in 50 ms


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float) -> None:
    """Each block gets there so much later, at any rate."""
    clock = asyncio.get_running_loop().time
    way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_HELD)

    async def read() -> None:
        while block := await source.read(_BLOCK):
            await way.put((clock() + seconds, block))
        await way.put((clock() + seconds, b""))

    async def write() -> None:
        while True:
            due, block = await way.get()
            await asyncio.sleep(max(0.0, due - clock()))
            if not block:
                return
            target.write(block)
            await target.drain()

    await asyncio.gather(read(), write())


async def _serve(port: int, host: str, to: int, seconds: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # either side may end it at any moment: then both are closed
            far_reader, far_writer = await asyncio.open_connection(host, to)
            for end in (writer, far_writer):
                end.transport.set_write_buffer_limits(_BLOCK)
            there = asyncio.create_task(_carry(reader, far_writer, seconds))
            back = asyncio.create_task(_carry(far_reader, writer, seconds))
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
                far_writer.close()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    port, host, to, seconds = arguments
    asyncio.run(_serve(int(port), host, int(to), float(seconds)))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Two hosts of a virtual network, and protocols that note what they are told."""

import asyncio
from typing import Any

from chaos.simulation.loop import VirtualLoop

PORT = 7001


class Tape(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.transport: Any = None
        self.data = b""
        self.pieces: list[int] = []
        self.events: list[Any] = []
        self.ended: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(len(data))

    def eof_received(self) -> None:
        self.events.append("eof")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("lost", type(exc).__name__))
        self.ended = self.loop.time()


class World:
    """Host "s" listens; host "c" calls it."""

    def __init__(self, seed: int = 1, **options: Any) -> None:
        self.loop = VirtualLoop(seed, **options)
        self.net = self.loop.net
        self.served: list[Tape] = []
        self.listener: Any = None
        self.listen()

    def listen(self) -> None:
        async def listen() -> None:
            self.listener = await self.loop.create_server(self._serve, "127.0.0.1", PORT)

        self.on("s", listen())

    def _serve(self) -> Tape:
        self.served.append(Tape(self.loop))
        return self.served[-1]

    def on(self, host: str, coroutine: Any) -> "asyncio.Task[Any]":
        """Begin a task of a host and run the turn."""
        with self.loop.host(host):
            task = self.loop.create_task(coroutine)
        self.loop.run_until(self.loop.time())
        return task

    def dial(self, host: str = "c", port: int = PORT) -> "asyncio.Task[Any]":
        return self.on(
            host, self.loop.create_connection(lambda: Tape(self.loop), "127.0.0.1", port)
        )

    def call(self, host: str = "c") -> tuple[Tape, Tape]:
        """A connection: the caller's end and the server's."""
        task = self.dial(host)
        self.run(0.1)
        return task.result()[1], self.served[-1]

    def run(self, seconds: float) -> None:
        self.loop.run_until(self.loop.time() + seconds)


def failure(task: "asyncio.Task[Any]") -> str:
    return type(task.exception()).__name__ if task.done() else "still waiting"

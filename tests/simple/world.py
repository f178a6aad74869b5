"""A front door in a thread of its own, for classes that block."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.server.house import House, served

_T = TypeVar("_T")


class World:
    """The house, reached from another thread."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        async with served() as house:
            self.house: House = house
            self._ready.set()
            await self._end.wait()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.house.port}{path}"

    def do(self, what: Callable[[House], _T]) -> _T:
        """Do something in the house's thread."""

        async def call() -> _T:
            return what(self.house)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)


@contextmanager
def world() -> Iterator[World]:
    """A world that ends with the block."""
    made = World()
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Silent:
    """A server that does as told.

    answers: for each request its status, or None: the connection closes without an answer.
    """

    def __init__(self, answers: list[int | None]) -> None:
        self.answers = answers
        self.requests: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for status in self.answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65_536)
                head, _, body = data.partition(b"\r\n\r\n")
                if b"Content-Length: " in head:
                    size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                    while len(body) < size:
                        body += connection.recv(65_536)
                self.requests.append(f"{head.split(b' HTTP')[0].decode()} {body.decode()}".strip())
                if status is not None:
                    connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % status)

    def close(self) -> None:
        self._socket.close()

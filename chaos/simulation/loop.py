"""An event loop whose time is a number (`timeline`) and whose network is `network`.

A run is a function of its seed; nothing depends on the hash seed, on real time or on threads.

    loop = VirtualLoop(seed=7)
    with loop.host("n1"):
        loop.create_task(serve())
    loop.run_until(loop.time() + 60)

Every callback belongs to a host. `loop.host(name)` says whose code runs, and all that it
schedules (callbacks, timers, tasks, connections) is that host's. So a host can be paused, as by
SIGSTOP: its callbacks wait, timers fire late, data waits in its sockets; or killed, as by
SIGKILL: none of its callbacks ever runs again. The same name is then another life.
"""

import asyncio
import contextvars
import inspect
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from chaos.simulation.endpoint import AnyProtocol, Endpoint
from chaos.simulation.hosts import CURRENT, Host
from chaos.simulation.network import Listener, Network
from chaos.simulation.timeline import HostHandle, HostTimer, Timeline

_T = TypeVar("_T")
_P = TypeVar("_P", bound=asyncio.BaseProtocol)


class _Task(asyncio.Task[Any]):
    host: Host


@dataclass(frozen=True)
class CallbackError:
    """What a callback raised, or what asyncio reported of a task or future nobody looked at."""

    time: float
    host: str
    message: str
    exception: BaseException
    text: str


class VirtualLoop(Timeline):
    """The loop, with its `net`.

    Args:
        seed: of `rng`, which draws latencies and breaks ties.
        latency: least and most seconds between hosts.
        patience: seconds of a cut after which the connections across it break.
        start: the first virtual time.

    `errors`: what callbacks raised so far and nobody has raised yet.
    `on_error`: told of each at once.
    """

    def __init__(
        self,
        seed: int,
        *,
        latency: tuple[float, float] = (0.0002, 0.001),
        patience: float = 10.0,
        start: float = 1000.0,
    ) -> None:
        super().__init__(seed, start)
        self.errors: list[CallbackError] = []
        self.on_error: Callable[[CallbackError], None] | None = None
        self.net = Network(self, latency, patience)
        self._hosts: dict[str, Host] = {}
        self._buried: list[asyncio.Task[Any]] = []
        self._tasks = 0
        self._is_running = False
        self._closed = False

    # Hosts.

    @contextmanager
    def host(self, name: str) -> Iterator[Host]:
        """Run the block as code of a host; after `kill` it begins a new life."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(name)
        token = CURRENT.set(host)
        try:
            yield host
        finally:
            CURRENT.reset(token)

    def pause(self, name: str) -> None:
        """Stop a host as SIGSTOP does."""
        self._hosts[name].blocked = True

    def resume(self, name: str) -> None:
        """Let it go on with all that waited."""
        host = self._hosts[name]
        host.blocked = False
        self._ready.extend(cast(deque[HostHandle | HostTimer], host.held))
        host.held.clear()

    def kill(self, name: str) -> None:
        """End a host as SIGKILL does. A callback of its own that calls this still returns."""
        host = self._hosts.pop(name, None)
        if host is None:
            return
        host.alive, host.blocked = False, True
        host.held.clear()
        # Its tasks are kept: destroyed, they would run their `finally` blocks.
        self._buried += list(host.tasks)
        self.net.lose_host(host)

    def is_alive(self, name: str) -> bool:
        """Whether a host of this name runs or is paused."""
        return name in self._hosts

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Those of all hosts that are alive, and are not done. asyncio knows them among those of
        every loop that ever was."""
        hosts = (self._outside, *self._hosts.values())
        return [task for host in hosts for task in host.tasks if not task.done()]

    # Running.

    def run_until(self, when: float, *, check: bool = True) -> None:
        """Run all that happens up to virtual time `when`.

        With `check`, raises an exception group of what callbacks raised.
        """
        self._run(when, None, check)

    def run_until_condition(
        self, condition: Callable[[], bool], limit: float, *, check: bool = True
    ) -> bool:
        """Run until the condition holds, at most `limit` seconds; whether it holds."""
        return condition() or self._run(self.now + limit, condition, check)

    def run_until_complete(self, future: Generator[Any, None, _T] | Awaitable[_T]) -> _T:
        """Run until the future is done; its result. For asyncio's Runner."""
        task = asyncio.ensure_future(cast(Awaitable[_T], future), loop=self)
        self._run(float("inf"), task.done, check=False)
        if not task.done():
            raise RuntimeError("nothing is left that could happen, and the future is not done")
        return task.result()

    def run_forever(self) -> None:
        """Run until `stop` is called or nothing is left that could happen."""
        self._run(float("inf"), None, check=False)

    def raise_errors(self) -> None:
        """Raise what callbacks raised, as an exception group, and forget it."""
        if self.errors:
            errors, self.errors = self.errors, []
            raise BaseExceptionGroup(
                "\n".join(f"{e.time:.6f} {e.host}: {e.message}\n{e.text}" for e in errors),
                [e.exception for e in errors],
            )

    def _run(self, until: float, condition: Callable[[], bool] | None, check: bool) -> bool:
        if self._is_running or self._closed:
            raise RuntimeError("the loop is running or closed")
        self._is_running, self._stopping = True, False
        asyncio._set_running_loop(self)
        try:
            holds = self._turns(until, condition)
        finally:
            asyncio._set_running_loop(None)
            self._is_running = False
            self._running = self._outside
        if check:
            self.raise_errors()
        return holds

    def is_running(self) -> bool:
        return self._is_running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """End the world. Tasks that are left never go on."""
        self._closed = True
        for task in (*self._buried, *self.tasks()):
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine) and (
                inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
            ):
                coroutine.close()  # it never began, and Python would say that it was forgotten
        self._ready.clear()
        self._timers.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # Of tasks asyncio reports when they are collected, whoever runs then.
        owner = context.get("task") or context.get("future")
        host = owner.host if isinstance(owner, _Task) else self._running
        if self._closed or not host.alive:
            return  # a killed process reports nothing
        message = str(context.get("message", ""))
        error = context.get("exception")
        if not isinstance(error, BaseException):
            error = RuntimeError(message)
        text = "".join(traceback.format_exception(error))
        raised = CallbackError(self.now, host.name, message, error, text)
        self.errors.append(raised)
        if self.on_error is not None:
            self.on_error(raised)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    # Futures, tasks, connections.

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, _T] | Generator[Any, None, _T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **_: Any,
    ) -> asyncio.Task[_T]:
        self._tasks += 1
        coroutine = cast(Coroutine[Any, Any, _T], coro)
        task = _Task(coroutine, loop=self, name=name or f"task-{self._tasks}", context=context)
        task.host = self._host_of(context)
        task.host.tasks.add(task)
        return task

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any = None,
        port: int | None = None,
        *,
        sock: Any = None,
        **_: Any,
    ) -> Listener:
        """Listen; the port is the current host's from now on. Raises OSError if it is in use.

        sock: where there is one, it says the port.
        """
        if sock is not None:
            port = sock.getsockname()[1]
        here = self._host_of(None)
        return self.net.listen(here, contextvars.copy_context(), protocol_factory, port or 0)

    async def create_connection(
        self,
        protocol_factory: Callable[[], _P],
        host: str | None = None,
        port: int | None = None,
        **_: Any,
    ) -> tuple[Endpoint, _P]:
        """Connect to whoever listens on the port. Raises OSError."""
        connected: asyncio.Future[Endpoint] = self.create_future()
        here = self._host_of(None)
        self.net.connect(here, contextvars.copy_context(), port or 0, connected)
        endpoint = await connected
        protocol = protocol_factory()
        endpoint.begin(cast(AnyProtocol, protocol))
        begun = self.create_future()
        self.call_soon(_settle, begun)
        try:
            await begun
        except BaseException:
            endpoint.close()
            raise
        return endpoint, protocol


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)

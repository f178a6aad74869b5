"""asyncio's loop less everything that a world of numbers has not."""

import asyncio
from typing import Any, NoReturn


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("the virtual loop has no real sockets, files, signals, threads or children")


_absent: Any = _refuse


class BareLoop(asyncio.AbstractEventLoop):
    """Says so where something real is asked for; the trivial rest of the face is here, too."""

    add_reader = remove_reader = add_writer = remove_writer = _absent
    add_signal_handler = remove_signal_handler = _absent
    sock_recv = sock_recv_into = sock_recvfrom = sock_recvfrom_into = _absent
    sock_sendall = sock_sendto = sock_sendfile = sock_connect = sock_accept = _absent
    connect_read_pipe = connect_write_pipe = connect_accepted_socket = _absent
    create_unix_server = create_unix_connection = create_datagram_endpoint = _absent
    subprocess_exec = subprocess_shell = start_tls = sendfile = _absent
    run_in_executor = set_default_executor = getaddrinfo = getnameinfo = _absent
    set_task_factory = set_exception_handler = _absent

    def get_task_factory(self) -> None:
        return None

    def get_exception_handler(self) -> None:
        return None

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """There is no debug mode: it would look at real time."""

    async def shutdown_asyncgens(self) -> None:
        """For asyncio's Runner."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """For asyncio's Runner."""

"""A way to a server that a test can cut."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def cut_off(address: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """A way to the server that can be cut: both ends of every connection are closed."""
    host, _, port = address.rpartition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((host, int(port)))
            sockets.extend((client, server))
            for pair in ((client, server), (server, client)):
                threads.append(threading.Thread(target=pump, args=pair))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()

    def cut() -> None:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    yield f"127.0.0.1:{listener.getsockname()[1]}", cut
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    accepting.join()
    cut()
    for thread in threads:
        thread.join()
    for one in sockets:
        one.close()

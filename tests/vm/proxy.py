# SPDX-License-Identifier: MIT
"""A company's proxy: it lets out what asks by CONNECT, to the places that it knows."""

from __future__ import annotations

import socket
import threading


class Proxy:
    """Answers on a port of the loopback, until the program ends or it is stopped.

    places   host and port as they are asked for, and the port of the loopback that they lead to
    asked    what was asked for, in order
    """

    def __init__(self, places: dict[str, int]) -> None:
        self.places = places
        self.asked: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Take no more connections."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(4096)
                if not data:
                    return
                head += data
            method, place, *_ = head.decode(errors="replace").split()
            self.asked.append(f"{method} {place}")
            if method != "CONNECT" or place not in self.places:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self.places[place])) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                back.start()
                _pass_on(client, server)
                back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return

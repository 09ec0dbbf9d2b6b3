# SPDX-License-Identifier: MIT
"""Runs moto's server in a process of its own, so that it does not share our interpreter's lock.

Prints the port that it listens on, and ends when its standard input does, however its parent ended.
"""

import os
import sys
from typing import Any

from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.sqs.models import Queue, SQSBackend


def lock_queues() -> None:
    """Have one thread at a time change a queue.

    moto deletes a message by replacing the list of all, so that two threads undo each other's
    deletions, and a message that was sent meanwhile is lost.
    """
    delete, receive = Queue.delete_message, SQSBackend.receive_message

    def delete_message(queue: Queue, *given: Any) -> None:
        with queue._messages_lock:
            delete(queue, *given)

    def receive_message(backend: SQSBackend, queue_name: str, *given: Any, **named: Any) -> Any:
        with backend.get_queue(queue_name)._messages_lock:  # released while it waits for messages
            return receive(backend, queue_name, *given, **named)

    Queue.delete_message = delete_message  # type: ignore[method-assign]
    SQSBackend.receive_message = receive_message  # type: ignore[method-assign]


def main() -> None:
    """Serve until the standard input ends."""
    lock_queues()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()
    os._exit(0)  # there is nothing to be saved, and waiting for idle connections takes a second


if __name__ == "__main__":
    main()

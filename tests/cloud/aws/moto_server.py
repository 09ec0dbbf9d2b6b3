# SPDX-License-Identifier: MIT
"""Runs moto's server outside of our interpreter, whose lock it would share, with fresh accounts.

Prints the port that it listens on, then takes commands on its standard input:

    set up   apply the calls that follow to every account that is served later
    serve    end the account that is served, and fork one that begins with what was set up

A GET of COUNTS tells how many messages each queue has: visible, in flight and delayed. SQS would
have to be asked for one queue after the other, and a test that waits asks often.

A single thread serves the set-up, so that a fork is safe; an account has a thread for each call.
Everything ends with the standard input, however the parent ended. Whoever starts this turns the
garbage collector off before all is imported; an account turns it on again.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections import defaultdict
from typing import Any

from moto.core.responses import BaseResponse
from moto.ec2.models.instances import Instance, StateReason
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.sqs.models import Queue, SQSBackend, sqs_backends
from moto.sqs.responses import SQSResponse
from werkzeug.serving import BaseWSGIServer, make_server

from cloud.aws import moto_fast, moto_url  # noqa: F401 - moto_url makes itself known
from cloud.headers import read_fast

OWNER = "owner"
REASON_TAG = "local-cloud:reason"
COUNTS = "/local-cloud/counts"


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


def lock_services() -> None:
    """Have one thread at a time use a service; SQS, where calls wait, has `lock_queues`.

    moto has no locks. Of two calls that ask for an address of one subnet at the same time, it
    answers one 500 with some of the machines begun, and knows no client token of them: a second
    try begins them again.
    """
    call_action = BaseResponse.call_action
    locks: dict[type, threading.Lock] = defaultdict(threading.Lock)

    def call_alone(response: BaseResponse) -> Any:
        if isinstance(response, SQSResponse):
            return call_action(response)
        with locks[type(response)]:
            return call_action(response)

    BaseResponse.call_action = call_alone  # type: ignore[method-assign]


def trust_owner() -> None:
    """Believe what the owner's key signs: the calls of the tests themselves, past the proxy."""
    check = BaseResponse._authenticate_and_authorize_action

    def check_others(response: BaseResponse, *given: Any) -> None:
        signed = response.headers.get("Authorization", "")
        name = signed.partition("Credential=")[2].partition("/")[0]
        key = iam_backends[response.current_account]["aws"].access_keys.get(name)
        if key is None or key.user_name != OWNER:
            check(response, *given)

    BaseResponse._authenticate_and_authorize_action = check_others  # type: ignore[method-assign]


def keep_reasons() -> None:
    """Let a tag say why an instance ends: moto knows no end but by TerminateInstances."""
    terminate = Instance.terminate

    def terminate_for_reason(instance: Instance) -> Any:
        before = terminate(instance)
        reason = instance.ec2_backend.tags.get(instance.id, {}).pop(REASON_TAG, "")
        if reason:
            instance.state_reason = StateReason(reason, reason.partition(":")[0])
        return before

    Instance.terminate = terminate_for_reason  # type: ignore[method-assign]


def count_messages() -> dict[str, list[int]]:
    """Count the messages of each queue as SQS does, by the queue's name."""
    backend = sqs_backends[os.environ["MOTO_ACCOUNT_ID"]][os.environ["AWS_DEFAULT_REGION"]]
    return {
        name: [
            queue.approximate_number_of_messages,
            queue.approximate_number_of_messages_not_visible,
            queue.approximate_number_of_messages_delayed,
        ]
        for name, queue in list(backend.queues.items())
    }


class App(DomainDispatcherApplication):
    """Moto, and COUNTS beside it."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one call, as WSGI wants it."""
        if environ["PATH_INFO"] != COUNTS:
            return super().__call__(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(count_messages()).encode()]


class Handler(MotoRequestHandler):
    """Moto's, without a line in its log for each call."""

    def log_request(self, *_: Any) -> None:
        """Say nothing: the proxy records the calls."""


class Accounts:
    """The process that is set up, and the one that serves."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._app = App(create_backend_app)
        self._set_up = self._server(threaded=False)
        self._serving = 0
        self._is_fresh = True  # whether anything was set up since the last account
        # Only this process has the writing end, so its end wakes the account that reads from it.
        self._alone, self._alive = os.pipe()

    def _server(self, threaded: bool) -> BaseWSGIServer:
        return make_server(
            "127.0.0.1", self.port, self._app, threaded,
            request_handler=Handler, fd=self._listener.fileno(),
        )  # fmt: skip

    def run(self) -> None:
        """Take commands, and calls while no account is served."""
        commands = sys.stdin.fileno()
        while True:
            wanted = [commands] if self._serving else [commands, self._listener.fileno()]
            ready = select.select(wanted, [], [])[0]
            if commands in ready:
                command = os.read(commands, 100)
                if not command:
                    break
                self.end()
                if command == b"serve\n":
                    self._serve()
                else:
                    self._is_fresh = True
                print("done", flush=True)
            else:
                self._set_up.handle_request()

    def end(self) -> None:
        """End the account that is served."""
        if self._serving:
            os.kill(self._serving, signal.SIGKILL)
            os.waitpid(self._serving, 0)
            self._serving = 0

    def _serve(self) -> None:
        if self._is_fresh:
            gc.collect()  # less memory makes each fork cheaper
            self._is_fresh = False
        gc.freeze()  # or the first collection would copy all memory that the two share
        self._serving = os.fork()
        if self._serving == 0:
            gc.enable()
            os.close(self._alive)
            threading.Thread(target=self._watch, daemon=True).start()
            mock_random.seed()  # or all accounts would draw the same ids
            self._server(threaded=True).serve_forever()

    def _watch(self) -> None:
        os.read(self._alone, 1)
        os._exit(0)


def main() -> None:
    """Serve until the standard input ends."""
    read_fast()
    moto_fast.apply()
    lock_queues()
    lock_services()
    trust_owner()
    keep_reasons()
    gc.collect()  # makes room for what is set up
    accounts = Accounts()
    print(accounts.port, flush=True)
    accounts.run()
    accounts.end()
    os._exit(0)  # there is nothing to be saved


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Serves calls of the AWS CLI at a socket, one after the other, in a process that has loaded it.

It is run by the CLI's own Python, with the socket's path, and ends when its standard input does. A
client sends its standard descriptors, then arguments, environment and folder; it gets the status.
"""

import contextlib
import functools
import gc
import inspect
import io
import marshal
import os
import select
import socket
import sys
from typing import Any

from awscli import clidriver
from botocore import hooks
from botocore.hooks import EventAliaser
from botocore.loaders import JSONFileLoader, Loader

# One call of each service that tests use.
CALLS = """
cloudformation describe-stacks
ec2 describe-images
iam list-roles
lambda list-functions
s3api list-buckets
ssm describe-parameters
sts get-caller-identity
"""
GARBAGE = 300_000  # objects: what a few calls leave behind, and Python would look for too often
NOBODY = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_MAX_ATTEMPTS": "1",
}


def keep_models() -> None:
    """Parse the descriptions of AWS and list their folders once."""
    parse = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: parse(str(path))  # type: ignore[method-assign]
    look, found = Loader.list_available_services, {}

    def list_services(loader: Loader, type_name: str) -> Any:
        if type_name not in found:
            found[type_name] = look(loader, type_name)
        return found[type_name]

    Loader.list_available_services = list_services  # type: ignore[method-assign]


def keep_names() -> None:
    """Make it cheap to register handlers, as each call does 1,900 times: half of its time."""
    init, names = EventAliaser.__init__, {}
    slow = hooks.accepts_kwargs

    def begin(aliaser: EventAliaser, *given: Any, **named: Any) -> None:
        init(aliaser, *given, **named)
        if aliaser._event_aliases is hooks.EVENT_ALIASES:
            aliaser._alias_name_cache = names

    def accepts_kwargs(function: Any) -> bool:
        code = getattr(function, "__code__", None)
        return bool(code.co_flags & inspect.CO_VARKEYWORDS if code else slow(function))

    EventAliaser.__init__ = begin  # type: ignore[method-assign]
    hooks.accepts_kwargs = accepts_kwargs


def load() -> None:
    """Load what a call needs: make calls that nobody answers."""
    with socket.socket() as nobody, contextlib.redirect_stderr(io.StringIO()):
        nobody.bind(("127.0.0.1", 0))  # it does not listen
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        os.environ.update(NOBODY | {"AWS_ENDPOINT_URL": endpoint})
        for line in CALLS.strip().splitlines():
            sys.argv = ["aws", *line.split(), "--query", "[One, Many[0].Two]", "--output", "text"]
            run()


def call(connection: socket.socket) -> None:
    """Be the AWS CLI that a client asks for."""
    _, descriptors, *_ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        arguments, environment, folder = marshal.loads(stream.read())
    become(descriptors, environment, folder)
    sys.argv = ["aws", *arguments]
    status = run()
    sys.stdout.flush()
    sys.stderr.flush()
    become([os.open(os.devnull, os.O_RDWR) for _ in range(3)], {}, "/")
    connection.send(bytes([status & 255]))


def become(descriptors: list[int], environment: dict[bytes, bytes], folder: str) -> None:
    """Take all that a process of its own would have been given."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, closefd=False)  # noqa: PTH123, SIM115
        for number, mode in enumerate("rww")
    )
    data_path = os.environ["AWS_DATA_PATH"]  # set by awscli when it is imported
    os.environ.clear()
    os.environb.update(environment)
    os.environ["AWS_DATA_PATH"] = data_path
    os.chdir(folder)


def run() -> int:
    """Run the CLI and give its exit status."""
    try:
        status: Any = clidriver.main()
    except SystemExit as ended:
        status = ended.code
    return status if isinstance(status, int) else int(status is not None)


def main() -> None:
    """Serve until the standard input ends."""
    path = sys.argv[1]
    keep_models()
    keep_names()
    load()
    gc.freeze()  # what is loaded stays
    gc.set_threshold(GARBAGE)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    print("ready", flush=True)
    alive = os.dup(0)
    while alive not in select.select([alive, listener], [], [])[0]:
        connection, _ = listener.accept()
        with connection:
            call(connection)


if __name__ == "__main__":
    main()

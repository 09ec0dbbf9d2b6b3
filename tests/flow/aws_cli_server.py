# SPDX-License-Identifier: MIT
"""Serves calls of the AWS CLI at a socket: each in a fork of this process, which has loaded it.

It is run by the CLI's own Python, with the socket's path, and ends when its standard input does. A
client sends its standard descriptors, then arguments, environment and folder; it gets the status.
"""

import functools
import gc
import marshal
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import awscli
import botocore
from awscli import clidriver
from botocore.loaders import JSONFileLoader

SERVICES = ("cloudformation", "ec2", "iam", "lambda", "s3", "ssm", "sts")


def keep_models() -> None:
    """Parse the descriptions of AWS once; whoever changes one does so in a fork."""
    plain = JSONFileLoader()
    parse = functools.cache(plain.load_file)
    JSONFileLoader.load_file = lambda _, path: parse(str(path))  # type: ignore[method-assign]
    data = Path(botocore.__file__).parent / "data"
    folders = [data, Path(awscli.__file__).parent / "data"]
    folders += [max((data / service).iterdir()) for service in SERVICES]
    for path in (path for folder in folders for path in folder.glob("*.json*")):
        parse(str(path.parent / path.name.removesuffix(".gz").removesuffix(".json")))


def call(connection: socket.socket) -> None:
    """Be the AWS CLI that a client asks for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, descriptors, *_ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        arguments, environment, folder = marshal.loads(stream.read())
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    data_path = os.environ["AWS_DATA_PATH"]  # set by awscli when it is imported
    os.environ.clear()
    os.environ.update(environment | {"AWS_DATA_PATH": data_path})
    os.chdir(folder)
    sys.argv = ["aws", *arguments]
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: PTH123, SIM115
    status = run()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([status & 255]))


def run() -> int:
    """Run the CLI and give its exit status."""
    try:
        status: Any = clidriver.main()
    except SystemExit as ended:
        status = ended.code
    return status if isinstance(status, int) else int(status is not None)


def main() -> None:
    """Serve until the standard input ends."""
    keep_models()
    gc.freeze()  # what the forks share is left alone
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(16)
    print("ready", flush=True)
    while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            try:
                call(connection)
            finally:
                os._exit(0)
        connection.close()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Runs moto's server in a process of its own, so that it does not share our interpreter's lock.

Prints the port that it listens on, and ends when its standard input does, however its parent ended.
"""

import os
import sys

from moto.moto_server.threaded_moto_server import ThreadedMotoServer


def main() -> None:
    """Serve until the standard input ends."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()
    os._exit(0)  # there is nothing to be saved, and waiting for idle connections takes a second


if __name__ == "__main__":
    main()

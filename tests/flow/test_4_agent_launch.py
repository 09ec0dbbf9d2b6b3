# SPDX-License-Identifier: MIT
"""4. The agent has the runner started outside of its sandbox: launch, and the agent with it."""

from __future__ import annotations

import array
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from floor import ENDS, LISTENS, PATIENT, STARTS, STUBBORN, Floor, assert_ended_well, assert_failed
from helpers import LABELS, REPOSITORY, until

from cloud.machines import Machines
from cloud.settings import BUILD, INHERITED

LAUNCH = str(BUILD / "bin" / "launch")
SANITIZERS = {name: os.environ[name] for name in INHERITED if name in os.environ}
MAGIC = 0x314C4152
IDLE = 5  # descriptors of a server that waits: standard ones, the listener, and signals


class Server:
    """runner.service, with its socket as systemd would pass it."""

    def __init__(self, directory: Path):
        self.path = directory / "launch.socket"
        self.log = directory / "launch.log"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self.path))
        listener.listen(8)
        # exec keeps the shell's pid, which LISTEN_PID has to be
        script = 'eval "exec 3<&$1 $1<&-"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --serve'
        with listener, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", script, LAUNCH, str(listener.fileno())],
                pass_fds=[listener.fileno()], env=SANITIZERS, stderr=log, umask=0o077,
            )  # fmt: skip

    def command(self, *words: str) -> list[str]:
        """Give what has this server start a program."""
        return [LAUNCH, "--socket", str(self.path), *words]

    def start(self, script: str, **options) -> subprocess.Popen[str]:
        """Start a shell script through it."""
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {"PATH": os.environ["PATH"]} | SANITIZERS | options.pop("env", {})
        command = self.command("/bin/sh", "-c", script)
        return subprocess.Popen(command, **(pipe | {"env": environment} | options))

    def run(self, script: str, **options) -> subprocess.CompletedProcess[str]:
        """Run a shell script through it to its end."""
        with self.start(script, **options) as client:
            out, err = client.communicate(timeout=30)
        return subprocess.CompletedProcess(client.args, client.returncode, out, err)

    def connect(self) -> socket.socket:
        """Connect as something that is no client."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(10)
        connection.connect(str(self.path))
        return connection

    def descriptors(self) -> int:
        """Count what it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> int:
        """Tell it to end."""
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    server = Server(tmp_path)
    assert until(lambda: server.descriptors() >= IDLE), server.log.read_text()
    yield server
    assert server.stop() == 0, server.log.read_text()


def is_running(pid: int) -> bool:
    """Tell whether a process lives: not gone, and no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


# -- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 7, 125, 255])
def test_it_exits_as_the_program_did(server, code):
    assert server.run(f"exit {code}").returncode == code


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_it_is_killed_as_the_program_was(server, number, tmp_path):
    assert server.run(f"kill -{int(number)} $$", cwd=tmp_path).returncode == -number
    assert not list(tmp_path.glob("core*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(server, number):
    name = number.name.removeprefix("SIG")
    client = server.start(f"trap 'echo got; exit 9' {name}; echo up; while :; do sleep 0.05; done")
    assert client.stdout.readline() == "up\n"
    client.send_signal(number)
    assert client.communicate(timeout=10) == ("got\n", "")
    assert client.returncode == 9


def test_a_signal_that_comes_too_late_does_not_hide_the_end(server):
    for _ in range(40):
        client = server.start("echo up; exit 9")
        assert client.stdout.readline() == "up\n"
        server.process.send_signal(signal.SIGSTOP)
        client.send_signal(signal.SIGINT)
        server.process.send_signal(signal.SIGCONT)
        assert client.wait(10) in (9, -signal.SIGINT)
        client.communicate()


def test_a_client_that_dies_takes_the_program_and_its_children_with_it(server):
    client = server.start("sleep 300 & echo $$ $!; wait")
    pids = [int(pid) for pid in client.stdout.readline().split()]
    client.kill()
    assert until(lambda: not any(map(is_running, pids)), 10)
    assert server.run("echo next").stdout == "next\n"


def test_what_a_program_leaves_behind_stays(server):
    # a runner that updates itself does so
    done = server.run("sleep 300 >/dev/null 2>&1 & echo $!")
    pid = int(done.stdout)
    time.sleep(0.2)
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_server_that_dies_takes_the_program_with_it(server):
    client = server.start("echo $$; exec sleep 300")
    pid = int(client.stdout.readline())
    server.process.kill()
    assert client.wait(10) == 125
    assert "the connection to runner.service ended" in client.stderr.read()
    assert until(lambda: not is_running(pid), 10)
    server.stop = lambda: 0


def test_a_server_that_is_told_to_end_lets_the_program_end(server):
    client = server.start("echo up; sleep 0.5; echo done; exit 3")
    assert client.stdout.readline() == "up\n"
    assert server.stop() == 0
    assert client.communicate(timeout=10)[0] == "done\n"
    assert client.returncode == 3


# -- what the program gets --------------------------------------------------------------------


def test_the_program_has_what_the_client_has_and_nothing_else(server, tmp_path):
    show = "tr '\\0' '\\n' </proc/self/environ; pwd; umask; ls /proc/self/fd | tr '\\n' ' '; "
    show += "echo err >&2; readlink /proc/self/fd/0; "
    show += "[ $(cut -d ' ' -f 5 /proc/$$/stat) = $$ ] && echo its own group"
    given = {"A": "1", "EMPTY": "", "ODD": "a=b\nc", "PATH": "/usr/bin:/bin"}
    done = server.run(show, cwd=tmp_path, env=given)
    inside = [f"{name}={value}" for name, value in SANITIZERS.items()]
    expected = ["A=1", "EMPTY=", "ODD=a=b", "c", "PATH=/usr/bin:/bin", *inside]
    lines = done.stdout.splitlines()
    assert sorted(lines[: len(expected)]) == sorted(expected)
    assert lines[len(expected) :] == [str(tmp_path), "0022", "0 1 2 3 /dev/null", "its own group"]
    assert done.stderr == "err\n"


def test_the_secret_is_forgotten_once_it_was_sent(server):
    client = server.start("echo up; sleep 300", env={"JIT": "SECRET-17"})
    assert client.stdout.readline() == "up\n"
    for pid in (client.pid, server.process.pid):
        assert b"SECRET-17" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert b"SECRET-17" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    client.kill()
    client.wait()
    assert "SECRET-17" not in server.log.read_text()


def test_a_second_client_waits_for_its_turn(server):
    first = server.start("echo first; sleep 1; echo end")
    assert first.stdout.readline() == "first\n"
    second = server.start("echo second; exit 2")
    time.sleep(0.3)
    assert second.poll() is None
    assert first.communicate(timeout=10)[0] == "end\n"
    assert second.communicate(timeout=10)[0] == "second\n"
    assert (first.returncode, second.returncode) == (0, 2)


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("/opt/nowhere/x", 127, "the program cannot start /opt/nowhere/x: No such file"),
        ("/etc", 126, "the program cannot start /etc: Permission denied"),
        ("sh", 125, "usage: launch"),
    ],
)
def test_a_program_that_cannot_be_started(server, program, code, words):
    done = subprocess.run(server.command(program), capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert words in done.stderr


def test_an_environment_that_is_too_large(server):
    huge = {"SECRET": "s3cret" * 10000, "MORE": "x" * 100000}
    done = server.run("echo never", env=huge)
    assert (done.returncode, done.stdout) == (125, "")
    assert "arguments and environment together are larger than 128 KiB" in done.stderr
    assert "s3cret" not in done.stderr


def test_nobody_serves(tmp_path):
    path = tmp_path / "nobody"
    command = [LAUNCH, "--socket", str(path), "/bin/true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert f"{path}: No such file or directory (is runner.socket active" in done.stderr


def test_a_server_without_a_socket():
    done = subprocess.run([LAUNCH, "--serve"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "start runner.service with runner.socket" in done.stderr


def pass_descriptors(connection: socket.socket, packet: bytes, count: int) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    rights = array.array("i", [null] * count)
    connection.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(null)


def request(directory: str, *arguments: str, environment: tuple[str, ...] = ()) -> bytes:
    texts = b"".join(text.encode() + b"\0" for text in (directory, *arguments, *environment))
    return struct.pack("=III", MAGIC, len(arguments), len(environment)) + texts


@pytest.mark.parametrize(
    ("packet", "count", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 2, "no request of this version"),
        (b"x", 2, "1 bytes are no request"),
        (request("/", "/bin/true")[:-1], 2, "ends too early"),
        (request("/", "true"), 2, "no absolute path"),
        (request("/", "/bin/true"), 0, "has not 2 descriptors"),
        (request("/", "/bin/true"), 1, "has not 2 descriptors"),
        (request("/", "/bin/true"), 9, "has not 2 descriptors"),
        (b"x" * 132000, 2, "larger than 128 KiB"),
    ],
)
def test_garbage_is_refused(server, packet, count, words):
    with server.connect() as connection:
        if count:
            pass_descriptors(connection, packet, count)
        else:
            connection.send(packet)
        end, value, text = struct.unpack("=Ii480s", connection.recv(1024))
    assert (end, value) == (2, 125)
    assert words in text.decode()
    assert words in server.log.read_text()
    assert server.run("echo next").stdout == "next\n"
    assert until(lambda: server.descriptors() == IDLE, 5)


def test_garbage_while_the_program_runs_ends_it(server):
    with server.connect() as connection:
        pass_descriptors(connection, request("/", "/bin/sleep", "300"), 2)
        connection.send(b"garbage")
        assert struct.unpack("=Ii480s", connection.recv(1024))[:2] == (1, signal.SIGKILL)
    assert "sent what is no signal, the program is killed" in server.log.read_text()
    assert server.run("echo next").stdout == "next\n"


def test_a_client_that_says_nothing_does_not_block_the_others(server):
    with server.connect():
        started = time.monotonic()
        assert server.run("echo next").stdout == "next\n"
        assert 4 < time.monotonic() - started < 8
    assert "no request within 5 s" in server.log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused(server):
    server.path.chmod(0o777)
    for folder in list(server.path.parents)[:-2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    program = shutil.copy(LAUNCH, server.path.parent)  # where that user can reach it
    command = [program, "--socket", str(server.path), "/usr/bin/id"]
    done = subprocess.run(
        command, user="nobody", cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 125
    assert "user 65534 may not start programs here" in done.stderr


# -- the agent with it ------------------------------------------------------------------------


@pytest.fixture
def floor(make_stage, server):
    with Floor(make_stage(make_machines=Machines)) as floor:
        floor.configure(runner={"user": "root"} if os.geteuid() == 0 else {})
        yield floor


def through(floor: Floor, server: Server, *lines: str) -> Floor:
    """Have a shell script in the place of the runner, started by the server."""
    return floor.configure(runner={"command": server.command("/bin/sh", "-c", "\n".join(lines))})


def test_a_job_runs_through_it(floor, server):
    job = floor.cloud.github.queue_job(REPOSITORY, LABELS)
    command = floor.machines.setup.config["runner"]["command"]
    floor.configure(runner={"command": server.command(*command)}).put().run()
    assert job.state == "completed"
    assert floor.report("ready", "job_started", "finished")["result"] == "Succeeded"
    assert floor.jit_config[:40] not in floor.text() + server.log.read_text()
    assert_ended_well(floor)


def test_the_runner_is_no_child_of_the_agent(floor, server):
    through(floor, server, "echo parent $PPID", LISTENS, STARTS, ENDS).put().run()
    assert f"parent {server.process.pid}" in floor.text()
    floor.report("ready", "job_started", "finished")


def test_a_runner_without_a_job_is_explained(floor, server):
    through(floor, server, "echo 'An error occurred'; exit 7").put().run()
    assert_failed(floor, "exit code 7", "bake an image with the current runner", "An error")


def test_a_runner_that_is_not_there(floor, server):
    floor.configure(runner={"command": server.command("/opt/nowhere/x")}).put().run()
    assert_failed(floor, "check runner.command", "launch: the program cannot start /opt/nowhere/x")


def test_a_runner_that_crashes_in_its_job(floor, server):
    through(floor, server, LISTENS, STARTS, "kill -SEGV $$").put().run()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "in the middle of its job", "SIGSEGV", stages=stages)


def test_nobody_starts_the_runner(floor, server):
    server.path.unlink()
    through(floor, server, LISTENS).put().run()
    assert_failed(floor, "runner.service did not start it", "is runner.socket active")
    assert floor.text().count("will be started again") == 3


def test_an_agent_that_is_killed_takes_the_runner_with_it(floor, server):
    through(floor, server, "echo runner $$", LISTENS, STARTS, STUBBORN).put().switch_on()
    assert floor.says("Running job")
    pid = next(int(x["message"][7:]) for x in floor.log() if "runner " in x["message"][:7])
    assert is_running(pid)
    floor.machine.agent.kill()
    assert until(lambda: not is_running(pid), 10)
    floor.ended()
    assert "FailureAction=poweroff" in floor.machine.reason


def test_the_runner_is_told_to_end(floor, server):
    through(floor, server, LISTENS, STARTS, PATIENT).put(job_limit_seconds=1).run()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "longer than its limit of 1 s", stages=stages)
    assert "Exiting..." in floor.text()


def test_a_runner_that_ignores_that_is_killed(floor, server):
    floor.configure(stop_grace_seconds=1)
    through(floor, server, "echo runner $$", LISTENS, STARTS, STUBBORN).put(job_limit_seconds=1)
    floor.run()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "longer than its limit of 1 s", stages=stages)
    pid = next(int(x["message"][7:]) for x in floor.log() if "runner " in x["message"][:7])
    assert until(lambda: not is_running(pid), 10)


def test_a_runner_that_updates_itself_is_started_again(floor, server):
    again = f"test -e new && {{ {LISTENS}; {STARTS}; {ENDS}; exit 0; }}"
    update = "(sleep 1; touch new update.finished) & exit 3"
    through(floor, server, again, update).put().run()
    floor.report("ready", "job_started", "finished")

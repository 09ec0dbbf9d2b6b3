# SPDX-License-Identifier: MIT
"""4. The starter: the agent has the runner started outside of its own sandbox."""

from __future__ import annotations

import array
import contextlib
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from floor import (
    ENDS,
    HANGS,
    LISTENS,
    PATIENT,
    STARTS,
    STUBBORN,
    Floor,
    assert_ended_well,
    assert_failed,
)
from helpers import LABELS, REPOSITORY

from cloud.limits import PATIENCE, until
from cloud.machines.processes import is_running
from cloud.machines.runner_service import RunnerService
from cloud.settings import BUILD

STARTER = BUILD / "bin" / "starter"
MAGIC = 0x314C4152
IDLE = 5  # descriptors of a starter that waits: standard ones, the listener, and signals
ANSWER = "=Ii480s"
STARTED, EXITED, KILLED, FAILED, WORKER = range(5)
ASK_WORKER = 0


def request(directory: str, *arguments: str, environment: tuple[str, ...] = ()) -> bytes:
    texts = b"".join(text.encode() + b"\0" for text in (directory, *arguments, *environment))
    return struct.pack("=III", MAGIC, len(arguments), len(environment)) + texts


class Client:
    """The agent's side of one connection, as runner-agent/starter/message.h tells it."""

    def __init__(self, path: Path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.output = b""
        self.pid = 0
        self._pipe = -1

    def send(self, packet: bytes, descriptors: list[int]) -> None:
        rights = array.array("i", descriptors)
        about = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        self.socket.sendmsg([packet], about)

    def ask(self, packet: bytes) -> Client:
        """Send a request with a pipe for the output."""
        self._pipe, end = os.pipe()
        self.send(packet, [end])
        os.close(end)
        return self

    def answer(self) -> tuple[int, int, str]:
        try:
            data = self.socket.recv(1024)
        except ConnectionResetError:  # a signal came too late; the answer is there all the same
            data = self.socket.recv(1024)
        event, value, text = struct.unpack(ANSWER, data)
        return event, value, text.split(b"\0")[0].decode()

    def started(self) -> Client:
        event, self.pid, _ = self.answer()
        assert event == STARTED
        return self

    def reads(self, text: str) -> Client:
        """Wait for output."""
        while text.encode() not in self.output:
            data = os.read(self._pipe, 65536)
            assert data, self.output
            self.output += data
        return self

    def ended(self) -> tuple[int, int]:
        """Give how the program ended; all that it printed is in `output` then."""
        event, value, _ = self.answer()
        while data := os.read(self._pipe, 65536):
            self.output += data
        self.close()
        return event, value

    def signal(self, number: int) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.socket.send(struct.pack("=I", number))

    def close(self) -> None:
        self.socket.close()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


class Server(RunnerService):
    """The starter, and what it is asked for."""

    def start(self, script: str, folder: str = "/", **environment: str) -> Client:
        """Start a shell script."""
        variables = {"PATH": os.environ["PATH"]} | environment
        texts = tuple(f"{name}={value}" for name, value in variables.items())
        packet = request(folder, "/bin/sh", "-c", script, environment=texts)
        return Client(self.path).ask(packet).started()

    def run(self, script: str, **options: str) -> str:
        """Run a shell script to its good end, and give what it printed."""
        client = self.start(script, **options)
        assert client.ended() == (EXITED, 0)
        return client.output.decode()

    def descriptors(self) -> int:
        """Count what it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stop(self) -> int:
        """Tell it to end."""
        self.process.terminate()
        return self.process.wait(PATIENCE)


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    server = Server(STARTER, tmp_path)
    assert until(lambda: server.descriptors() >= IDLE), server.log.read_text()
    yield server
    ended = server.stop()
    server.forget()
    assert ended == 0, server.log.read_text()


# -- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 7, 125, 255])
def test_an_exit_code_is_told(server, code):
    assert server.start(f"exit {code}").ended() == (EXITED, code)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_killed_the_program_is_told(server, number):
    assert server.start(f"ulimit -c 0; kill -{int(number)} $$").ended() == (KILLED, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(server, number):
    name = number.name.removeprefix("SIG")
    client = server.start(f"trap 'echo got; exit 9' {name}; echo up; while :; do sleep 0.05; done")
    client.reads("up\n").signal(number)
    assert client.ended() == (EXITED, 9)
    assert client.output == b"up\ngot\n"


def worker(client: Client) -> int:
    client.signal(ASK_WORKER)
    event, value, _ = client.answer()
    assert event == WORKER
    return value


def test_whether_a_worker_lives_is_told(server, tmp_path):
    (tmp_path / "Runner.Worker").symlink_to("/bin/sleep")
    for name in ("begin", "end"):
        os.mkfifo(tmp_path / name)
    client = server.start(
        "echo up; read x <begin; ./Runner.Worker 300 & echo works; read x <end; kill $!;"
        " echo idle; while :; do sleep 0.05; done",
        str(tmp_path),
    )
    assert worker(client.reads("up\n")) == 0
    (tmp_path / "begin").write_text("go\n")
    client.reads("works\n")
    assert until(lambda: worker(client) == 1)
    (tmp_path / "end").write_text("go\n")
    client.reads("idle\n")
    assert until(lambda: worker(client) == 0)  # also where nobody waits for it
    client.signal(signal.SIGTERM)
    assert client.ended() == (KILLED, signal.SIGTERM)


def test_the_worker_of_another_runner_is_none_of_this_one(server, tmp_path):
    (tmp_path / "Runner.Worker").symlink_to("/bin/sleep")
    other = subprocess.Popen([str(tmp_path / "Runner.Worker"), "300"], start_new_session=True)
    name = Path(f"/proc/{other.pid}/comm")
    assert until(lambda: name.read_text() == "Runner.Worker\n")
    client = server.start(HANGS)
    found = worker(client)
    other.kill()
    other.wait()
    assert found == 0
    client.signal(signal.SIGTERM)
    assert client.ended() == (KILLED, signal.SIGTERM)


def test_a_kill_is_for_the_program_and_its_children(server):
    client = server.start("sleep 300 & echo $! up; wait")
    child = int(client.reads("up\n").output.split()[0])
    client.signal(signal.SIGKILL)
    assert client.ended() == (KILLED, signal.SIGKILL)
    assert until(lambda: not is_running(child))


def test_a_signal_that_comes_too_late_does_not_hide_the_end(server):
    for _ in range(40):
        client = server.start("echo up; exit 9").reads("up\n")
        server.process.send_signal(signal.SIGSTOP)
        client.signal(signal.SIGINT)
        server.process.send_signal(signal.SIGCONT)
        assert client.ended() in ((EXITED, 9), (KILLED, signal.SIGINT))


def test_an_agent_that_goes_takes_the_program_and_its_children_with_it(server):
    client = server.start("sleep 300 & echo $! up; wait")
    child = int(client.reads("up\n").output.split()[0])
    client.close()
    assert until(lambda: not is_running(client.pid) and not is_running(child))
    assert server.run("echo next") == "next\n"


def test_what_a_program_leaves_behind_stays(server):
    # a runner that updates itself does so
    pid = int(server.run("sleep 300 >/dev/null 2>&1 & echo $!"))
    assert server.run("echo next") == "next\n"
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_server_that_dies_takes_the_program_with_it(server):
    client = server.start("exec sleep 300")
    server.process.kill()
    assert client.socket.recv(1024) == b""
    assert until(lambda: not is_running(client.pid))
    server.stop = lambda: 0


def test_a_server_that_is_told_to_end_lets_the_program_end(server):
    client = server.start("echo up; sleep 0.5; echo done; exit 3").reads("up\n")
    assert server.stop() == 0
    assert client.ended() == (EXITED, 3)
    assert client.output == b"up\ndone\n"


# -- what the program gets --------------------------------------------------------------------


def test_the_program_has_what_was_asked_for_and_its_user_and_nothing_else(server, tmp_path):
    show = (
        "tr '\\0' '\\n' </proc/self/environ; echo --; pwd; umask; ls /proc/self/fd | tr '\\n' ' '; "
    )
    show += "echo; echo err >&2; readlink /proc/self/fd/0; "
    show += "[ $(cut -d ' ' -f 5 /proc/$$/stat) = $$ ] && echo its own group"
    said = server.run(show, folder=str(tmp_path), A="1", EMPTY="", ODD="a=b", PATH="/usr/bin:/bin")
    variables, rest = said.split("--\n")
    user = {"HOME", "LOGNAME", "SHELL", "USER"} | (
        {"RUNNER_ALLOW_RUNASROOT"} if os.geteuid() == 0 else set()
    )
    given = dict(line.split("=", 1) for line in variables.splitlines())
    assert given.keys() - {"PWD"} == {"A", "EMPTY", "ODD", "PATH"} | user
    assert (given["A"], given["EMPTY"], given["ODD"]) == ("1", "", "a=b")
    assert given["HOME"] == str(Path("~").expanduser())
    lines = rest.splitlines()
    assert lines == [str(tmp_path), "0022", "0 1 2 3 ", "err", "/dev/null", "its own group"]


def test_the_secret_is_in_the_program_only(server):
    client = server.start("echo up; sleep 300", JIT="SECRET-17").reads("up\n")
    for name in ("environ", "cmdline"):
        assert b"SECRET-17" not in Path(f"/proc/{server.process.pid}/{name}").read_bytes()
    assert b"SECRET-17" in Path(f"/proc/{client.pid}/environ").read_bytes()
    client.close()
    assert "SECRET-17" not in server.log.read_text()


def test_a_second_request_waits_for_its_turn(server):
    first = server.start("echo first; sleep 1; echo end").reads("first\n")
    second = Client(server.path).ask(request("/", "/bin/sh", "-c", "echo second; exit 2"))
    second.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        second.answer()
    second.socket.settimeout(20)
    assert first.ended() == (EXITED, 0)
    assert second.started().ended() == (EXITED, 2)
    assert (first.output, second.output) == (b"first\nend\n", b"second\n")


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("/opt/nowhere/x", "the program cannot start /opt/nowhere/x: No such file or directory"),
        ("/etc", "the program cannot start /etc: Permission denied"),
    ],
)
def test_a_program_that_cannot_be_started(server, program, words):
    client = Client(server.path).ask(request("/", program))
    assert client.answer() == (FAILED, 0, words)
    client.close()
    assert words in server.log.read_text()


def test_a_folder_that_is_not_there(server):
    client = Client(server.path).ask(request("/opt/nowhere", "/bin/true"))
    event, _, text = client.answer()
    client.close()
    assert event == FAILED
    assert "cannot enter its folder /opt/nowhere" in text


def test_it_is_not_for_people():
    for arguments in ([], ["--help"]):
        done = subprocess.run([STARTER, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "runner.service" in done.stderr


@pytest.mark.parametrize(
    ("packet", "count", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 1, "the request is of another version"),
        (b"x", 1, "the request is cut off: it has 1 bytes"),
        (request("/", "/bin/true")[:-1], 1, "the request is cut off"),
        (request("/", "true"), 1, "no absolute path"),
        (request("/", "/bin/true"), 0, "must carry exactly one descriptor"),
        (request("/", "/bin/true"), 2, "must carry exactly one descriptor"),
        (request("/", "/bin/true"), 9, "must carry exactly one descriptor"),
        (b"x" * 132000, 1, "larger than 128 KiB"),
    ],
)
def test_garbage_is_refused(server, packet, count, words):
    client = Client(server.path)
    null = os.open("/dev/null", os.O_RDWR)
    client.send(packet, [null] * count)
    os.close(null)
    event, _, text = client.answer()
    client.close()
    assert event == FAILED
    assert words in text
    assert words in server.log.read_text()
    assert server.run("echo next") == "next\n"
    assert until(lambda: server.descriptors() == IDLE)


def test_garbage_while_the_program_runs_ends_it(server):
    client = server.start("exec sleep 300")
    client.socket.send(b"garbage")
    assert client.ended() == (KILLED, signal.SIGKILL)
    assert "sent what is no signal, the program is killed" in server.log.read_text()
    assert server.run("echo next") == "next\n"


def test_who_says_nothing_does_not_block_the_agent(server):
    silent = Client(server.path)
    started = time.monotonic()
    assert server.run("echo next") == "next\n"
    assert 4 < time.monotonic() - started < 30
    silent.close()
    assert "no request within 5 s" in server.log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused(server):
    server.path.chmod(0o777)
    for folder in list(server.path.parents)[:-2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    said, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os.write(end, Client(server.path).answer()[2].encode())
        os._exit(0)
    os.close(end)
    os.waitpid(child, 0)
    with os.fdopen(said) as text:
        assert text.read() == "user 65534 may not start programs here"


# -- the agent with it ------------------------------------------------------------------------


def test_the_runner_is_no_child_of_the_agent(floor):
    floor.script("echo parent $PPID", LISTENS, STARTS, ENDS).put().run()
    assert f"parent {floor.machine.runner_service.process.pid}" in floor.text()
    floor.report("ready", "job_started", "finished")


def test_the_configuration_is_told_to_the_runner_only(floor):
    job = floor.cloud.github.queue_job(REPOSITORY, LABELS)
    floor.put().run()
    assert job.state == "completed"
    assert floor.report("ready", "job_started", "finished")["result"] == "Succeeded"
    assert floor.jit_config[:40] not in floor.text() + floor.machine.runner_service.log.read_text()
    assert_ended_well(floor)


def test_a_runner_that_is_not_there(floor):
    floor.configure(runner={"command": ["/opt/nowhere/x"]}).put().run()
    assert_failed(floor, "the runner cannot be started", "cannot start /opt/nowhere/x: No such")


def test_nobody_starts_the_runner(floor):
    floor.machines.setup.starter = None
    floor.put().run()
    assert_failed(floor, "starter.socket: No such file or directory (is runner.socket active?)")
    assert floor.text().count("will be started again") == 3


def test_a_runner_service_that_comes_late_is_found_and_spot_notices_are_looked_for(floor, tmp_path):
    floor.machines.setup.starter = None
    path = tmp_path / "late"
    floor.configure(runner={"socket": str(path)}).script(PATIENT, LISTENS, STARTS, HANGS)
    floor.put().switch_on()
    assert floor.says("will be started again")
    service = RunnerService(STARTER, tmp_path)
    try:
        path.symlink_to(service.path)
        assert floor.says("Running job")
        floor.machine.metadata.notice(time.time() + 60)
        floor.ended()
    finally:
        service.process.terminate()
        service.process.wait(PATIENCE)
        service.forget()
    floor.report("ready", "job_started", "interrupted")


def test_what_the_starter_would_refuse_is_asked_for_once(floor):
    floor.configure(runner={"socket": "/run/" + "x" * 110}).put().run()
    assert_failed(floor, "is too long for a socket's path")
    assert "will be started again" not in floor.text()


def stop_starter(floor: Floor) -> None:
    assert until(lambda: floor.machine.runner_service is not None)
    floor.machine.runner_service.process.send_signal(signal.SIGSTOP)


def test_a_runner_service_that_never_comes_is_given_up(floor):
    floor.configure(stop_grace_seconds=1).switch_on()
    stop_starter(floor)
    floor.put(idle_limit_seconds=2).ended()
    assert_failed(floor, "the runner did not listen within 2 s")
    assert "the runner started" not in floor.text()


def test_a_runner_service_that_no_longer_answers_is_given_up(floor):
    floor.configure(stop_grace_seconds=1).script(PATIENT, LISTENS, HANGS)
    floor.put(idle_limit_seconds=3).switch_on()
    assert floor.says("Listening")
    stop_starter(floor)
    floor.deregister().ended()
    assert_failed(floor, "no job within 3 s", stages=("ready", "idle", "failed"))


def test_a_runner_service_that_dies_in_the_job_is_told(floor):
    floor.script(STUBBORN, "echo runner $$", LISTENS, STARTS, HANGS).put().switch_on()
    assert floor.says("Running job")
    pid = runner_of(floor)
    floor.machine.runner_service.process.kill()
    floor.ended()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "the connection to runner.service ended", stages=stages)
    assert not is_running(pid)


def test_an_agent_that_is_killed_takes_the_runner_with_it(floor):
    floor.script(STUBBORN, "echo runner $$", LISTENS, STARTS, HANGS).put().switch_on()
    assert floor.says("Running job")
    pid = runner_of(floor)
    assert is_running(pid)
    floor.machine.agent.kill()
    assert until(lambda: not is_running(pid))
    floor.ended()
    assert "FailureAction=poweroff" in floor.machine.reason


def runner_of(floor: Floor) -> int:
    """Give the number that a runner has printed of itself."""
    said = (entry["message"] for entry in floor.log())
    return next(int(line[7:]) for line in said if line.startswith("runner "))


def test_the_runner_is_told_to_end(floor):
    floor.script(PATIENT, LISTENS, STARTS, HANGS).put(job_limit_seconds=1).run()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "longer than its limit of 1 s", stages=stages)
    assert "Exiting..." in floor.text()


def test_a_runner_that_ignores_that_is_killed(floor):
    floor.configure(stop_grace_seconds=1)
    floor.script(STUBBORN, "echo runner $$", LISTENS, STARTS, HANGS).put(job_limit_seconds=1).run()
    stages = ("ready", "job_started", "failed")
    assert_failed(floor, "longer than its limit of 1 s", stages=stages)
    assert not is_running(runner_of(floor))

# SPDX-License-Identifier: BSD-2-Clause
"""hvctl daemon: several hvctl on one line at a time, on a clean one and on one that damages."""

import contextlib
import os
import re
import socket
import stat
import subprocess
import threading

import pexpect
import pytest

import record
from monitor_line import HVCTL, SERVER, end

LIST = "name\tstate\tvcpus\nalpha\trunning\t1\nbeta\toff\t12\n"


def hvctl(line, *words, code=0, stdin=None, timeout=120):
    done = subprocess.run([HVCTL, "--line", line, "--timeout", "60", *words], check=False, capture_output=True,
                          text=True, encoding="latin-1", input=stdin, timeout=timeout)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


@contextlib.contextmanager
def monitor(tmp_path, *options):
    """A monitor on a pseudo-terminal; its path."""
    with subprocess.Popen([SERVER, *options, "pty"], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


@contextlib.contextmanager
def daemon(line, path, *options):
    with subprocess.Popen([HVCTL, "--line", line, "--timeout", "30", "daemon", "--socket", path, *options],
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == f"the line is shared: hvctl -l {path}\n"
            yield process
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(name="shared", params=[(), ("--lossy", "500")], ids=["clean", "lossy"])
def fixture_shared(request, tmp_path):
    """The path of a daemon's socket."""
    path = f"{tmp_path}/socket"
    with monitor(tmp_path, *request.param) as line, daemon(line, path):
        yield path


def test_verbs(shared):
    assert hvctl(shared, "list") == LIST
    assert "beta is off" in hvctl(shared, "stats", "beta", code=1)
    assert hvctl(shared, "mem", "dump", "alpha", "0", "5000").count("\n") == 313
    assert "the fake core starts" in hvctl(shared, "log")
    assert "dance" in hvctl(shared, "exec", "dance", code=1)


def test_many_at_once(shared):
    """Each gets its own command's output, whole."""
    commands = {"list": LIST, "stats alpha": "vcpu\texit\tcount\n0\tcpuid\t12\n0\thlt\t34567\n"}
    running = [(expected, subprocess.Popen([HVCTL, "-l", shared, "-t", "60", *command.split()],
                                           stdout=subprocess.PIPE, text=True))
               for _ in range(5) for command, expected in commands.items()]
    for expected, process in running:
        assert process.communicate(timeout=120)[0] == expected and process.returncode == 0


def test_viewers_and_typists(shared):
    """Two have the same console: both see all of it, and what both type arrives, each line once."""
    viewers = [pexpect.spawn(HVCTL, ["-l", shared, "-t", "60", "console", "alpha"], timeout=60, encoding="utf-8",
                             echo=False) for _ in range(2)]
    for viewer in viewers:
        viewer.expect("Ctrl-]")
        viewer.expect("alpha booted")
    for number in range(6):
        viewers[number % 2].send(f"line{number}\r")
        for viewer in viewers:
            viewer.expect(f"line{number}\r\nalpha# ")
    assert hvctl(shared, "list") == LIST
    for viewer in viewers:
        viewer.send("\x1d.")
        end(viewer)


def test_commands_during_a_flood(tmp_path):
    """While consoles and logs are followed and there is always something in them, commands go on."""
    path = f"{tmp_path}/socket"
    with monitor(tmp_path, "--chatter") as line, daemon(line, path):
        followers = [subprocess.Popen([HVCTL, "-l", path, "log", "-f"], stdout=subprocess.PIPE) for _ in range(6)]
        for follower in followers:
            follower.stdout.readline()
        for _ in range(10):
            assert hvctl(path, "list") == LIST
        for follower in followers:
            follower.terminate()
            text = follower.communicate(timeout=20)[0].decode("latin-1")
            ticks = [int(number) for number in re.findall(r"0\.(\d+) tick", text)]
            assert ticks == list(range(ticks[0], ticks[0] + len(ticks))), "a follower has lost something"


def test_clients_that_talk_nonsense(shared):
    """Each harms itself alone."""
    clients = []
    for text in (b"", b"~", b"~\xff\x03" + bytes(2000), os.urandom(4096), b"list\r" * 100, b"\x7e\xff\x7d" * 500):
        client = socket.socket(socket.AF_UNIX)
        client.connect(shared)
        client.sendall(text)
        clients.append(client)
    assert hvctl(shared, "list") == LIST
    for client in clients:
        client.close()
    assert hvctl(shared, "list") == LIST


def test_too_many_clients(shared):
    clients = [socket.socket(socket.AF_UNIX) for _ in range(17)]
    for client in clients:
        client.connect(shared)
    assert b"as many clients" in clients[-1].recv(100)
    for client in clients:
        client.close()
    assert hvctl(shared, "list") == LIST


def test_the_line_is_refused_politely(tmp_path):
    """What the daemon has, no other hvctl gets, and no other daemon."""
    path = f"{tmp_path}/socket"
    with monitor(tmp_path) as line, daemon(line, path):
        assert "in use by another program" in hvctl(line, "list", code=3)
        assert "another daemon serves it" in hvctl(path, "daemon", "--socket", path, code=1)
        assert hvctl(path, "list") == LIST


def test_permissions(tmp_path):
    path, other = f"{tmp_path}/socket", f"{tmp_path}/other"
    with monitor(tmp_path) as line:
        with daemon(line, path):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert not os.path.exists(path)
        # One that a daemon has left behind is no hindrance, and a file stays what it is.
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        with daemon(line, path, "--group", str(_own_group())):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
            assert os.stat(path).st_gid == os.getgid()
        with open(other, "w", encoding="ascii") as file:
            file.write("precious")
        assert "something else" in hvctl(line, "daemon", "--socket", other, code=1)
        assert os.path.getsize(other) == 8
        assert "no group" in hvctl(line, "daemon", "--socket", path, "--group", "no-such-group", code=2)
        for words in ([], ["--socket"], ["--dance", "x"]):
            hvctl(line, "daemon", *words, code=2)


def _own_group():
    import grp  # pylint: disable=import-outside-toplevel
    return grp.getgrgid(os.getgid()).gr_name


def relay(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)


def test_hypervisor_that_restarts(tmp_path):
    """Its sessions are over, as after another host's HELLO: those who were at something are told, and the next
    ones are served."""
    path = f"{tmp_path}/socket"
    with subprocess.Popen([SERVER, f"unix:{tmp_path}/monitor"], stdout=subprocess.PIPE, text=True) as server, \
            socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as machine:
        server.stdout.readline()
        machine.connect(f"{tmp_path}/monitor")
        listener.bind(f"{tmp_path}/line")
        listener.listen(1)
        accepted = []

        def serve():
            accepted.append(listener.accept()[0])
            threading.Thread(target=relay, args=(machine, accepted[0]), daemon=True).start()
            relay(accepted[0], machine)

        threading.Thread(target=serve, daemon=True).start()
        with daemon(f"{tmp_path}/line", path):
            viewer = pexpect.spawn(HVCTL, ["-l", path, "console", "alpha"], timeout=60, encoding="utf-8", echo=False)
            viewer.expect("alpha booted")
            machine.sendall(record.encode(bytes([record.HELLO, 0, 1, 0]) + b"else" + bytes([1, 0])))
            viewer.expect("closed by the other side")
            end(viewer, 3)
            assert hvctl(path, "list") == LIST
            assert "typed" in hvctl(path, "console", "--quiet", "0.3", "alpha", stdin="typed\r")
        server.kill()
        accepted[0].close()


def test_line_that_ends(tmp_path):
    """The daemon ends too, and says why."""
    path = f"{tmp_path}/socket"
    with subprocess.Popen([SERVER, f"unix:{tmp_path}/line"], stdout=subprocess.PIPE, text=True) as server:
        line = server.stdout.readline().strip()
        with daemon(line, path) as process:
            assert hvctl(path, "list") == LIST
            server.kill()
            server.wait()
            hvctl(path, "list", code=3)
            assert process.wait(60) == 3


def test_clone(shared):
    """Pieces are carried by a command, which goes through as any other; so does the word of one that knows none."""
    for vm in ("alpha", "beta"):
        hvctl(shared, "exec", f"fill {vm}")
    assert "beta: is paused where alpha was" in hvctl(shared, "clone", "--stop", "alpha", "beta")
    assert hvctl(shared, "exec", "sum beta") == hvctl(shared, "exec", "sum alpha")
    hvctl(shared, "exec", "earlier")
    assert "this hypervisor is an earlier one" in hvctl(shared, "clone", "alpha", "beta", code=1)

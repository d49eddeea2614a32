# SPDX-License-Identifier: BSD-2-Clause
"""hvctl on the real monitor with a made-up machine behind it (tests/hvctl/server.c), over a socket
and a pseudo-terminal, on clean and on damaging lines."""

import os
import subprocess
import time

import pexpect
import pytest

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
HVCTL = os.path.join(BUILD, "hvctl")
SERVER = os.path.join(BUILD, "monitor-server")


class Line:
    def __init__(self, tmp_path, *options, pty=False):
        where = "pty" if pty else f"unix:{tmp_path}/line"
        # pylint: disable-next=consider-using-with
        self.server = subprocess.Popen([SERVER, *options, where], stdout=subprocess.PIPE, text=True)
        self.name = self.server.stdout.readline().strip()

    def run(self, *words, code=0, stdin=None, timeout=60):
        done = subprocess.run([HVCTL, "--line", self.name, *words], check=False,
                              capture_output=True, text=True, input=stdin, timeout=timeout)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr

    def close(self):
        self.server.kill()
        self.server.wait()


@pytest.fixture(name="line", params=["socket", "pty"])
def fixture_line(request, tmp_path):
    line = Line(tmp_path, pty=request.param == "pty")
    yield line
    line.close()


def test_list(line):
    out, _ = line.run("list")
    assert out == "name\tstate\tvcpus\nalpha\trunning\t1\nbeta\toff\t12\n"


def test_failure_goes_to_stderr(line):
    out, err = line.run("stats", "beta", code=1)
    assert out == "" and "beta is off" in err


def test_unknown_names_are_told(line):
    _, err = line.run("stats", "gamma", code=1)
    assert "gamma" in err and "alpha" in err
    _, err = line.run("exec", "dance", code=1)
    assert "dance" in err


def test_long_output_is_cut_and_said(line):
    out, err = line.run("exec", "flood")
    assert out.startswith("line 0 of a thousand") and "no room" in err


def test_console_types_and_shows(line):
    out, _ = line.run("console", "--quiet", "0.5", "alpha", stdin="uname\r")
    assert "uname" in out and "alpha# " in out


def test_console_on_a_terminal(line):
    child = pexpect.spawn(HVCTL, ["--line", line.name, "console", "beta"], timeout=20,
                          encoding="utf-8")
    child.expect("Ctrl-]")
    child.send("one\r")
    child.expect("beta# ")
    child.send("\x1d.")
    child.expect("left the console")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_interactive_prompt(line):
    child = pexpect.spawn(HVCTL, ["--line", line.name], timeout=20, encoding="utf-8")
    child.expect("hvctl> ")
    child.sendline("list")
    child.expect("beta +off +12")
    child.sendline("nonsense")
    child.expect("nonsense")
    child.sendline("quit")
    child.expect(pexpect.EOF)


def test_usage_errors_are_two():
    for words in (["--nothing"], ["dance"], ["stats"], ["list", "more"], ["-t", "soon", "list"]):
        done = subprocess.run([HVCTL, "--line", "unix:/nowhere", *words], check=False,
                              capture_output=True, text=True)
        assert done.returncode in (2, 3) and done.stderr, words
    assert subprocess.run([HVCTL, "--help"], check=False, capture_output=True).returncode == 0


def test_line_that_is_not_there():
    for name in ("unix:/nowhere/line", "tcp:localhost:1", "/dev/null"):
        done = subprocess.run([HVCTL, "--line", name, "-t", "0.5", "list"], check=False,
                              capture_output=True, text=True)
        assert done.returncode == 3 and done.stderr.startswith("hvctl: "), (name, done)


def test_silent_line(tmp_path):
    """A line where nobody answers: a bounded wait and a clear message."""
    line = Line(tmp_path)
    line.server.send_signal(19)  # SIGSTOP
    start = time.monotonic()
    try:
        _, err = line.run("-t", "1", "list", code=3)
        assert "does not answer" in err and time.monotonic() - start < 10
    finally:
        line.close()


@pytest.mark.parametrize("one_in", [200, 1000])
def test_lossy_line(tmp_path, one_in):
    """Bytes that are lost, flipped and doubled, both ways: slower, never wrong, never stuck."""
    line = Line(tmp_path, "--lossy", str(one_in))
    try:
        for _ in range(5):
            out, _ = line.run("-t", "60", "list", timeout=200)
            assert out == "name\tstate\tvcpus\nalpha\trunning\t1\nbeta\toff\t12\n"
        text = "".join(f"word{i} " for i in range(30))
        out, _ = line.run("-t", "60", "console", "--quiet", "1", "alpha", stdin=text + "\r",
                          timeout=200)
        assert text in out
    finally:
        line.close()


def test_chatter_does_not_disturb(tmp_path):
    line = Line(tmp_path, "--chatter")
    try:
        for _ in range(5):
            assert line.run("list")[0].startswith("name\tstate")
        assert len(line.run("log")[0]) > 0
    finally:
        line.close()


def test_server_that_restarts(tmp_path):
    """A new hypervisor on the same line knows nothing of the session before."""
    for _ in range(2):
        line = Line(tmp_path)
        try:
            assert "alpha" in line.run("list")[0]
        finally:
            line.close()
        if os.path.exists(tmp_path / "line"):
            os.unlink(tmp_path / "line")

# SPDX-License-Identifier: BSD-2-Clause
"""`hvctl console`: on a terminal, from a script that waits for what a guest prints, and for another program."""

import os
import subprocess
import time

import pexpect
import pytest

from monitor_line import HVCTL, Line, end


@pytest.fixture(name="line", params=["socket", "pty"])
def fixture_line(request, tmp_path):
    line = Line(tmp_path, pty=request.param == "pty")
    yield line
    line.close()


def test_types_and_shows(line):
    out, _ = line.run("console", "--quiet", "0.5", "alpha", stdin="uname\r")
    assert "uname" in out and "alpha# " in out


def test_is_shown_to_its_end(line):
    """What is there already takes several answers: quiet is it only behind the last of them."""
    text = "".join(f"word{i} " for i in range(600))
    assert text in line.run("console", "alpha", stdin=text + "\r")[0]
    assert text in line.run("console", "--quiet", "0", "alpha", stdin="")[0]


def test_on_a_terminal(line):
    child = pexpect.spawn(HVCTL, ["--line", line.name, "console", "beta"], timeout=20,
                          encoding="utf-8")
    child.expect("Ctrl-]")
    child.send("one\r")
    child.expect("beta# ")
    child.send("\x1d.")
    child.expect("left the console")
    end(child)


def test_as_a_pty(line):
    """Another program has the console; it may come and go, and nothing is lost meanwhile."""
    with subprocess.Popen([HVCTL, "--line", line.name, "console", "--pty", "alpha"],
                          stdout=subprocess.PIPE, text=True) as served:
        path = served.stdout.readline().strip()
        for word in ("first", "second"):
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
            os.write(fd, word.encode() + b"\r")
            text = b""
            while not text.endswith(word.encode() + b"\r\nalpha# "):
                text += os.read(fd, 4096)
            os.close(fd)
            assert (b"alpha booted" in text) == (word == "first")
        served.terminate()
        assert served.wait(20) == 0
    line.run("console", "--pty", code=2)


def test_with_any_bytes(line):
    """What a guest prints is in frames: it cannot be taken for one."""
    typed = "~\xff\x03~\xff~~}\x7d\x11\x13~"
    out, _ = line.run("console", "--quiet", "0.5", "alpha", stdin=typed + "\r")
    assert typed in out


def test_until_it_is_printed(line):
    """The guest echoes what is typed, and says its prompt."""
    out, err = line.run("console", "--no-scrollback", "--quiet", "600", "--until", "^alpha# two$", "alpha",
                        stdin="one\rtwo\r")
    assert "one" in out and "two" in out and "booted" not in out and err == ""


def test_until_what_is_there_already(line):
    """Then what comes from standard input is sent still."""
    line.run("console", "--quiet", "600", "--until", "booted", "alpha", stdin="typed\r")
    line.run("console", "--quiet", "600", "--until", "typed", "alpha", stdin="")


def test_until_what_is_not_printed(line):
    start = time.monotonic()
    out, err = line.run("console", "--quiet", "0.5", "--until", "^booted", "alpha", stdin="one\r", code=1)
    assert "one" in out and "alpha has printed nothing that matches '^booted'" in err
    assert time.monotonic() - start >= 0.5


def test_until_on_a_terminal(line):
    """Who types is not waited for."""
    child = pexpect.spawn(HVCTL, ["--line", line.name, "console", "--until", "# three", "alpha"], timeout=20,
                          encoding="utf-8")
    child.expect("Ctrl-]")
    child.send("three\r")
    child.expect("left the console")
    end(child)


def test_arguments(line):
    for words, why in ((("--until",), "takes a regular expression"), (("--until", "(", "alpha"), "is no regular expression"),
                       (("--until", "x", "--pty", "alpha"), "not for a pseudo-terminal"),
                       (("--quiet", "x", "alpha"), "takes seconds"), (("--till", "x", "alpha"), "no option '--till'")):
        assert why in line.run("console", *words, code=2)[1]

# SPDX-License-Identifier: BSD-2-Clause
"""`hvctl console --until`: scripts that wait for what a guest prints, and for no longer."""

import time

import pexpect
import pytest

from test_hvctl import HVCTL, Line


@pytest.fixture(name="line")
def fixture_line(tmp_path):
    line = Line(tmp_path)
    yield line
    line.close()


def test_ends_when_it_is_printed(line):
    """The guest echoes what is typed, and says its prompt."""
    out, err = line.run("console", "--no-scrollback", "--quiet", "600", "--until", "^alpha# two$", "alpha",
                        stdin="one\rtwo\r")
    assert "one" in out and "two" in out and "booted" not in out and err == ""


def test_is_there_already(line):
    """Then what comes from standard input is sent still."""
    line.run("console", "--quiet", "600", "--until", "booted", "alpha", stdin="typed\r")
    line.run("console", "--quiet", "600", "--until", "typed", "alpha", stdin="")


def test_is_not_printed(line):
    start = time.monotonic()
    out, err = line.run("console", "--quiet", "0.5", "--until", "^booted", "alpha", stdin="one\r", code=1)
    assert "one" in out and "alpha has printed nothing that matches '^booted'" in err
    assert time.monotonic() - start >= 0.5


def test_on_a_terminal(line):
    """Who types is not waited for."""
    child = pexpect.spawn(HVCTL, ["--line", line.name, "console", "--until", "# three", "alpha"], timeout=20,
                          encoding="utf-8")
    child.expect("Ctrl-]")
    child.send("three\r")
    child.expect("left the console")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_mistakes(line):
    for words, why in ((("--until",), "takes a regular expression"), (("--until", "(", "alpha"), "is no regular expression"),
                       (("--until", "x", "--pty", "alpha"), "not for a pseudo-terminal"),
                       (("--quiet", "x", "alpha"), "takes seconds"), (("--till", "x", "alpha"), "no option '--till'")):
        assert why in line.run("console", *words, code=2)[1]

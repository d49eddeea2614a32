# SPDX-License-Identifier: BSD-2-Clause
"""The prompt on a terminal: editing, the lines before, completion, signals; and on a terminal that cannot edit."""

import os
import signal

import pexpect
import pytest

from monitor_line import HVCTL, Line, end

UP = "\x1b[A"
PROMPT = "hvctl> "


@pytest.fixture(name="line")
def fixture_line(tmp_path):
    line = Line(tmp_path)
    yield line
    line.close()


def at_prompt(line, term="xterm", **options):
    child = pexpect.spawn(HVCTL, ["--line", line.name], timeout=20, encoding="utf-8",
                          env={**os.environ, "TERM": term, "HOME": "/nowhere"}, **options)
    child.expect(PROMPT)
    return child


def leave(child):
    child.expect(PROMPT)
    child.sendline("quit")
    end(child)


def test_verb_is_completed(line):
    child = at_prompt(line)
    child.send("lis\t\r")
    child.expect("beta +off +12")
    leave(child)


def test_words_are_shown(line):
    child = at_prompt(line)
    child.send("lin\t\t")
    child.expect("\nlink  links\r\n")
    child.expect(PROMPT)
    child.send("s --\t\t")
    child.expect("\n--help  --rates\r\n")
    child.send("\x15li\t\t")
    child.expect("\nlink  links  list\r\n")
    child.send("\x15")
    child.sendline("")
    leave(child)


def test_names_are_asked_for(line):
    """Of VMs, where the verb takes one."""
    child = at_prompt(line)
    child.send("stats al\t\r")
    child.expect("hlt +34567")
    child.expect(PROMPT)
    child.send("pause \t\t")
    child.expect("\n--help  alpha  beta\r\n")
    child.send("\x15quit al\t")
    child.expect("\x07")
    child.send("\x15")
    child.sendline("help pau\t")
    child.expect("usage: hvctl .* pause")
    leave(child)


def test_files_are_completed(line, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "file.conf").write_text("nonsense\n")
    child = at_prompt(line, dimensions=(24, 200))
    child.send(f"config check {tmp_path}/so\tf\t\r")
    child.expect("file.conf:1: ")
    leave(child)


def test_lines_before_come_back(line):
    child = at_prompt(line)
    child.sendline("list")
    child.expect("beta +off")
    child.expect(PROMPT)
    child.sendline("nonsense")
    child.expect("there is no verb 'nonsense'")
    child.expect(PROMPT)
    child.sendline(UP + UP)
    child.expect("beta +off")
    leave(child)


def test_interrupt_drops_the_line(line):
    """And another signal ends hvctl."""
    child = at_prompt(line)
    child.send("destroy alpha")
    child.expect("destroy alpha")
    child.sendintr()
    child.expect(PROMPT)
    child.sendline("list")
    child.expect("beta +off")
    child.expect(PROMPT)
    child.kill(signal.SIGTERM)
    end(child)


def test_end_of_input_leaves(line):
    child = at_prompt(line)
    child.send("\x04")
    end(child)


@pytest.mark.parametrize("term", ["dumb", "", "no-such-terminal"])
def test_terminal_that_cannot_edit(line, term):
    child = at_prompt(line, term)
    child.sendline("list")
    child.expect("beta +off +12")
    leave(child)


def test_garbage_is_only_that(line):
    """Control characters, bytes that are no characters, a long line."""
    child = at_prompt(line)
    child.send(bytes(range(0x80, 0x100)).decode("latin-1"))
    child.send("\x15" + "x" * 5000 + "\r")
    child.expect("there is no verb 'xxx")
    child.expect(PROMPT)
    child.sendline("a " * 33)
    child.expect("more than 32 words")
    leave(child)

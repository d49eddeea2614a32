# SPDX-License-Identifier: BSD-2-Clause
"""What snapshot, restore and migrate show of how far they are: on a terminal only, in a line that is gone at the end."""

import re

import pexpect
import pytest

from monitor_line import HVCTL, Line, end


@pytest.fixture(name="line")
def fixture_line(tmp_path):
    line = Line(tmp_path, "--slow")
    line.run("exec", "fill")
    yield line
    line.close()


def on_terminal(line, *words, columns=100, code=0):
    """What the terminal got, and what of it a person sees at the end."""
    child = pexpect.spawn(HVCTL, ["--line", line.name, *words], timeout=60, encoding="utf-8",
                          dimensions=(24, columns))
    end(child, code)
    return child.before, screen(child.before)


def screen(text):
    """Lines as a terminal that is wide enough shows them."""
    lines = []
    for written in text.split("\n"):
        row = ""
        for part in written.split("\r"):
            row = part + row[len(part):]
        lines.append(row.rstrip())
    return "\n".join(lines)


def shown(text):
    """Each state of the line that tells how far it is."""
    return [part.rstrip() for part in re.split("[\r\n]", text) if "%" in part]


def test_snapshot_and_restore(line, tmp_path):
    path = str(tmp_path / "file")
    text, seen = on_terminal(line, "snapshot", "--stop", "alpha", path)
    assert "%" not in seen and seen.startswith("alpha: 3 rounds, "), repr(text)
    lines = shown(text)
    assert all(re.fullmatch(r" *\d+% alpha: round \d+, [01] of 1 MiB(, \d+(\.\d)? (KiB|B)/s)?", one)
               for one in lines), lines
    percents = [int(one.split("%")[0]) for one in lines if "round 1," in one]
    assert len(percents) > 3 and percents == sorted(percents) and percents[-1] <= 100
    assert any("/s" in one for one in lines), lines
    line.run("destroy", "--yes", "alpha")
    text, seen = on_terminal(line, "restore", "--paused", path)
    assert "%" not in seen and seen.startswith("alpha: restored"), repr(text)
    assert shown(text) and all("% alpha: " in one and "round" not in one for one in shown(text))


@pytest.mark.parametrize("columns", [1, 6, 24, 40])
def test_narrow_terminal(line, tmp_path, columns):
    """Parts of it, from the left, and never so many that the terminal begins another row."""
    text, seen = on_terminal(line, "snapshot", "alpha", str(tmp_path / "file"), columns=columns)
    assert "%" not in seen
    assert all(len(part) < columns or part.startswith("alpha: 3 rounds")
               for part in re.split("[\r\n]", text)), repr(text)
    assert bool(shown(text)) == (columns > 5)
    assert any("round 1" in one for one in shown(text)) == (columns > 20)
    assert any("MiB" in one for one in shown(text)) == (columns > 36)


def test_migration(line, tmp_path):
    (tmp_path / "other").mkdir()
    other = Line(tmp_path / "other")
    try:
        other.run("exec", "fill")
        other.run("destroy", "--yes", "alpha")
        text, seen = on_terminal(line, "migrate", "alpha", other.name)
        assert "%" not in seen and "alpha: runs there as alpha" in seen
        assert any("% alpha: round 1, " in one for one in shown(text))
    finally:
        other.close()


def test_what_ends_it_has_a_line_of_its_own(line, tmp_path):
    child = pexpect.spawn(HVCTL, ["--line", line.name, "snapshot", "alpha", str(tmp_path / "file")], timeout=20,
                          encoding="utf-8", dimensions=(24, 100))
    child.expect("% alpha: round 1, ")
    child.sendintr()
    end(child, 1)
    assert "\nhvctl: interrupted\n" in "\n" + screen(child.before), repr(child.before)


def test_nothing_for_programs(line, tmp_path):
    """Nor where standard output alone is a terminal."""
    path = str(tmp_path / "file")
    _, err = line.run("snapshot", "alpha", path)
    assert err == ""
    command = f"{HVCTL} --line {line.name} snapshot alpha {path} 2>{tmp_path}/err"
    output, code = pexpect.run(f"sh -c '{command}'", encoding="utf-8", withexitstatus=True, timeout=60)
    assert code == 0 and output.startswith("alpha: 3 rounds, ")
    assert (tmp_path / "err").read_text() == ""


def test_a_job_in_the_background_leaves_the_terminal_alone(line, tmp_path):
    child = pexpect.spawn("bash", ["--norc", "-i"], timeout=60, encoding="utf-8", dimensions=(24, 200),
                          env={"PS1": "", "PATH": "/usr/bin:/bin", "TERM": "dumb"})
    child.setecho(False)
    child.sendline(f"{HVCTL} --line {line.name} snapshot alpha {tmp_path}/file & wait; echo it is o''ver")
    child.expect("it is over")
    assert "3 rounds" in child.before and "%" not in child.before, repr(child.before)
    child.close(force=True)

# SPDX-License-Identifier: BSD-2-Clause
"""hvctl clone on a monitor with two made-up VMs (tests/hvctl/fake_vm.c), alpha and beta, on lines that lose and damage
bytes, too."""

import signal

import pexpect
import pytest

from monitor_line import HVCTL, Line, end

LOSSY = ("--lossy", "15000")


@pytest.fixture(name="line", params=[(), LOSSY], ids=["clean", "lossy"])
def fixture_line(request, tmp_path):
    line = Line(tmp_path, *request.param)
    line.run("exec", "fill")
    line.run("exec", "fill beta")
    yield line
    line.close()


def status(line, vm):
    header, row = line.run("exec", f"snapshot {vm}")[0].strip().split("\n")
    return dict(zip(header.split("\t"), row.split("\t")))


def states(line):
    return [status(line, vm)["state"] for vm in ("alpha", "beta")]


def sum_of(line, vm):
    return line.run("exec", f"sum {vm}")[0]


def test_twin(line):
    """It has what the first one had when it was paused, and stays as it is, while the first one goes on."""
    out, _ = line.run("clone", "--stop", "alpha", "beta")
    assert "alpha: 3 rounds\n" in out and "on the line" not in out, out
    assert "beta: is paused where alpha was: 'hvctl resume beta' has it go on" in out
    assert states(line) == ["paused", "paused"]
    assert status(line, "alpha")["tracking"] == status(line, "beta")["tracking"] == "0"
    assert sum_of(line, "beta") == sum_of(line, "alpha")
    line.run("resume", "alpha")
    line.run("destroy", "--yes", "beta")
    assert "paused for 5000 ticks (0.005 s)" in line.run("clone", "alpha", "beta")[0]
    assert states(line) == ["running", "paused"]
    line.run("exec", "dirty alpha start")
    line.run("exec", "dirty alpha")
    assert sum_of(line, "beta") != sum_of(line, "alpha")


def test_one_that_is_paused(line):
    """Stays so, with or without --stop, and has no rounds but the first one and the last one."""
    line.run("pause", "alpha")
    assert "alpha: 2 rounds\n" in line.run("clone", "alpha", "beta")[0]
    assert states(line) == ["paused", "paused"] and sum_of(line, "beta") == sum_of(line, "alpha")


def test_wrong_usage(line):
    for words, why in ((("alpha", "alpha"), "'alpha' cannot be cloned onto itself"),
                       (("alpha",), "that of another to become its twin"),
                       (("alpha", "beta", "gamma"), "'gamma' is not an argument of it"),
                       (("--go", "alpha", "beta"), "'--go' is not an argument of it")):
        assert why in line.run("clone", *words, code=2)[1]
    for words in (("alpha", "gamma"), ("gamma", "alpha")):
        assert "no VM named 'gamma'" in line.run("clone", *words, code=1)[1]
    assert states(line) == ["running", "absent"]


def test_earlier_hypervisor(line):
    """It is told from one that can by what it says, before anything is done."""
    line.run("exec", "earlier")
    _, err = line.run("clone", "alpha", "beta", code=1)
    assert err.startswith("hvctl: this hypervisor is an earlier one, which cannot clone VMs\n")
    assert states(line) == ["running", "absent"] and status(line, "alpha")["tracking"] == "0"


def test_where_none_can_be(line):
    line.run("clone", "alpha", "beta")
    assert "beta is paused" in line.run("clone", "alpha", "beta", code=1)[1]
    line.run("destroy", "--yes", "beta")
    line.run("destroy", "--yes", "alpha")
    assert "alpha is absent: only a VM that runs or is paused" in line.run("clone", "alpha", "beta", code=1)[1]
    assert states(line) == ["absent", "absent"]


def test_disk_that_is_another(line):
    """It is found out before the target is touched."""
    line.run("exec", "other image beta")
    assert "disk 0 of beta (fake.img) is another one" in line.run("clone", "alpha", "beta", code=1)[1]
    assert states(line) == ["running", "absent"] and status(line, "alpha")["tracking"] == "0"


def test_overlay_without_room(line):
    """The target is dropped, and the first one goes on untracked."""
    line.run("exec", "small pool beta")
    assert "disk 0 of alpha holds more than there is room for in its overlay there" in line.run("clone", "alpha", "beta", code=1)[1]
    assert states(line) == ["running", "absent"] and status(line, "alpha")["tracking"] == "0"


def test_overlay_that_is_full(line):
    """What alpha writes to takes the place of what it discards, which is told later: it fits in the end."""
    line.run("exec", "full pool")
    line.run("exec", "full pool beta")
    line.run("clone", "--stop", "alpha", "beta")
    assert sum_of(line, "beta") == sum_of(line, "alpha")


def test_image_that_is_written_to(line):
    """All of it is replaced, if that is meant."""
    line.run("exec", "rw disk")
    line.run("exec", "rw disk beta")
    assert "clone: what disk 0 of beta has, which is rw, is replaced" in line.run("clone", "alpha", "beta", code=2)[1]
    assert states(line) == ["running", "absent"] and status(line, "alpha")["tracking"] == "0"
    line.run("clone", "--stop", "--yes", "alpha", "beta")
    assert sum_of(line, "beta") == sum_of(line, "alpha")


def test_one_that_is_tracked_by_others(line):
    """That goes on, and the target is dropped."""
    line.run("exec", "dirty alpha start")
    before = status(line, "alpha")["tracking"]
    assert "alpha is tracked already" in line.run("clone", "alpha", "beta", code=1)[1]
    assert states(line) == ["running", "absent"] and status(line, "alpha")["tracking"] == before != "0"


@pytest.fixture(name="slow")
def fixture_slow(tmp_path):
    line = Line(tmp_path, "--slow")
    line.run("exec", "fill")
    line.run("exec", "fill beta")
    yield line
    line.close()


def begun(line):
    """A clone on its way, at a terminal."""
    child = pexpect.spawn(HVCTL, ["--timeout", "1", "--line", line.name, "clone", "alpha", "beta"], encoding="utf-8",
                          timeout=60)
    child.expect("% alpha: round 1, ")
    return child


def test_interrupted(slow):
    """The first one goes on, and nothing is left of the target."""
    child = begun(slow)
    child.kill(signal.SIGINT)
    end(child, 1)
    assert "interrupted" in child.before
    assert states(slow) == ["running", "absent"] and status(slow, "alpha")["tracking"] == "0"


def test_line_that_is_lost(slow):
    """Nobody can be told to go on: what may be left is said."""
    child = begun(slow)
    slow.close()
    end(child, 3)
    assert "alpha may be left tracked, and beta half there: see 'hvctl list'" in child.before

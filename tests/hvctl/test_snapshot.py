# SPDX-License-Identifier: BSD-2-Clause
"""hvctl snapshot, restore and migrate on monitors with a made-up VM (tests/hvctl/fake_vm.c), on lines that lose
and damage bytes, too."""

import os
import signal
import subprocess
import time

import pytest

from monitor_line import HVCTL, Line

LOSSY = ("--lossy", "15000")


def start(path, *options):
    path.mkdir()
    return Line(path, *options)


@pytest.fixture(name="line", params=[(), LOSSY], ids=["clean", "lossy"])
def fixture_line(request, tmp_path):
    line = start(tmp_path / "line", *request.param)
    line.run("exec", "fill")
    yield line
    line.close()


@pytest.fixture(name="clean")
def fixture_clean(tmp_path):
    """For what a line that loses bytes makes slow and does not change."""
    line = start(tmp_path / "line")
    line.run("exec", "fill")
    yield line
    line.close()


def status(line):
    header, row = line.run("exec", "snapshot alpha")[0].strip().split("\n")
    return dict(zip(header.split("\t"), row.split("\t")))


def sum_of(line):
    return line.run("exec", "sum")[0]


def test_there_and_back(line, tmp_path):
    path = str(tmp_path / "file")
    out, _ = line.run("snapshot", "--stop", "alpha", path)
    assert out.startswith("alpha: 3 rounds, "), out
    assert status(line)["state"] == "paused" and status(line)["tracking"] == "0"
    before = sum_of(line)
    _, err = line.run("restore", path, code=1)
    assert "alpha is paused" in err
    line.run("destroy", "--yes", "alpha")
    line.run("exec", "fill")
    assert sum_of(line) != before
    assert "alpha: restored" in line.run("restore", "--paused", path)[0]
    assert status(line)["state"] == "paused" and sum_of(line) == before


def test_it_goes_on_meanwhile(line, tmp_path):
    path = str(tmp_path / "file")
    out, _ = line.run("snapshot", "alpha", path)
    assert out.endswith("paused for 5000 ticks (0.005 s)\n")
    assert status(line)["state"] == "running"
    assert os.path.exists(path) and not os.path.exists(path + ".part")


def test_a_part_is_gone_on_with(line, tmp_path):
    path = str(tmp_path / "file")
    with subprocess.Popen([HVCTL, "--line", line.name, "snapshot", "--stop", "alpha", path],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not os.path.exists(path + ".part"):
            time.sleep(0.0005)
        process.send_signal(signal.SIGINT)
    if process.returncode != 0:
        assert status(line)["state"] == "running" and status(line)["tracking"] != "0"
        _, err = line.run("snapshot", "--stop", "alpha", path)
        assert "goes on in round" in err or "begins anew" in err
    before = sum_of(line)
    line.run("destroy", "--yes", "alpha")
    line.run("exec", "fill")
    line.run("restore", "--paused", path)
    assert sum_of(line) == before


def test_one_that_is_tracked_by_others(line, tmp_path):
    line.run("exec", "dirty alpha start")
    _, err = line.run("snapshot", "alpha", str(tmp_path / "file"), code=1)
    assert "alpha is tracked already: 'hvctl dirty alpha stop' ends that" in err
    # Of a tracking that is over there is nothing to go on with.
    line.run("exec", "dirty alpha stop")
    (tmp_path / "file.part").write_bytes(b"POSTSNAP")
    line.run("snapshot", "alpha", str(tmp_path / "file"))
    assert status(line)["tracking"] == "0"


def test_refused_at_once(clean, tmp_path):
    """Nothing of a VM with something that no snapshot carries is fetched in vain."""
    clean.run("exec", "hinder")
    _, err = clean.run("snapshot", "alpha", str(tmp_path / "file"), code=1)
    assert "hvctl: alpha has what no snapshot carries\n" in err
    assert not (tmp_path / "file.part").exists() and status(clean)["tracking"] == "0"


def test_files_that_are_none(line, tmp_path):
    path = tmp_path / "file"
    _, err = line.run("restore", str(path), code=1)
    assert "No such file" in err
    path.write_bytes(b"x" * 100)
    _, err = line.run("restore", str(path), code=1)
    assert "no snapshot of a VM" in err
    assert status(line)["state"] == "running"
    _, err = line.run("snapshot", "gamma", str(path), code=1)
    assert "gamma" in err
    _, err = line.run("snapshot", "alpha", "/nowhere/file", code=1)
    assert "/nowhere/file.part" in err
    _, err = line.run("snapshot", "alpha", code=2)
    assert "a file's" in err
    _, err = line.run("restore", "--faster", str(path), code=2)
    assert "--faster" in err


def held(line):
    header, row = line.run("exec", "snapshot alpha disks")[0].strip().split("\n")
    return int(dict(zip(header.split("\t"), row.split("\t")))["held"])


def test_disks_come_along(line, tmp_path):
    """What the overlay holds, and no more: blocks that are zeros, too."""
    path = str(tmp_path / "file")
    before = held(line)
    line.run("snapshot", "--stop", "alpha", path)
    assert held(line) > before
    seen = held(line), sum_of(line)
    line.run("destroy", "--yes", "alpha")
    line.run("restore", "--paused", path)
    assert (held(line), sum_of(line)) == seen


def test_disks_that_are_others(line, tmp_path):
    """Over another image, which is told before anything is lost; and with less room."""
    path = str(tmp_path / "file")
    line.run("snapshot", "--stop", "alpha", path)
    line.run("destroy", "--yes", "alpha")
    line.run("exec", "small pool")
    _, err = line.run("restore", path, code=1)
    assert "alpha: its disk 0 has less room in its overlay than is held" in err
    assert status(line)["state"] == "absent"
    line.run("exec", "fill")
    line.run("exec", "other image")
    before = held(line)
    _, err = line.run("restore", path, code=1)
    assert "disk 0 of alpha (fake.img) is another one: its image's sum is" in err
    assert status(line)["state"] == "absent" and held(line) == before > 0


def content(line):
    header, row = line.run("exec", "snapshot alpha disks")[0].strip().split("\n")
    return dict(zip(header.split("\t"), row.split("\t")))["content"]


def test_images_that_are_written_to_come_along(clean, tmp_path):
    """All of one, and only if it is meant."""
    path = str(tmp_path / "file")
    clean.run("exec", "rw disk")
    clean.run("snapshot", "--stop", "alpha", path)
    before = sum_of(clean)
    clean.run("destroy", "--yes", "alpha")
    clean.run("exec", "fill")
    filled = sum_of(clean)
    _, err = clean.run("restore", path, code=2)
    assert "what disk 0 of alpha has, which is rw, is replaced" in err and "say --yes" in err
    assert status(clean)["state"] == "absent" and sum_of(clean) == filled != before
    assert "alpha: restored" in clean.run("restore", "--paused", "--yes", path)[0]
    assert (content(clean), sum_of(clean)) == ("whole", before)


def test_images_that_are_half_restored(clean, tmp_path):
    path = str(tmp_path / "file")
    clean.run("exec", "rw disk")
    clean.run("snapshot", "--stop", "alpha", path)
    before = sum_of(clean)
    clean.run("destroy", "--yes", "alpha")
    clean.run("exec", "refuse")
    _, err = clean.run("restore", "--yes", path, code=1)
    assert "disk 0 of alpha (fake.img) is half restored, and alpha does not start" in err
    assert content(clean) == "half"
    clean.run("restore", "--yes", "--paused", path)
    assert (content(clean), sum_of(clean)) == ("whole", before)


def test_disks_of_other_modes(clean, tmp_path):
    """What was in an overlay is not written to an image."""
    path = str(tmp_path / "file")
    clean.run("snapshot", "--stop", "alpha", path)
    clean.run("destroy", "--yes", "alpha")
    clean.run("exec", "rw disk")
    before = sum_of(clean)
    _, err = clean.run("restore", "--yes", path, code=1)
    assert "disk 0 of alpha (fake.img) is another one: it is rw, the snapshot's ro or an overlay" in err
    assert (status(clean)["state"], content(clean), sum_of(clean)) == ("absent", "whole", before)


def test_migration_of_an_image(line, tmp_path):
    line.run("exec", "rw disk")
    with_disk = start(tmp_path / "other")
    try:
        for command in ("rw disk", "fill", "other image"):
            with_disk.run("exec", command)
        with_disk.run("destroy", "--yes", "alpha")
        _, err = line.run("migrate", "alpha", with_disk.name, code=2)
        assert "is replaced" in err and content(with_disk) == "whole"
        assert status(line)["state"] == "running" and status(line)["tracking"] == "0"
        line.run("migrate", "--yes", "alpha", with_disk.name)
        assert sum_of(with_disk) == sum_of(line) and content(with_disk) == "whole"
    finally:
        with_disk.close()


def test_migration_with_a_full_overlay(line, tmp_path):
    """What is written comes before what is discarded, and finds its room behind it."""
    other = start(tmp_path / "other")
    try:
        for place in line, other:
            place.run("exec", "fill")
            place.run("exec", "full pool")
        other.run("destroy", "--yes", "alpha")
        line.run("migrate", "alpha", other.name)
        assert sum_of(other) == sum_of(line) and held(other) == held(line)
        line.run("exec", "small pool")
        _, err = other.run("migrate", "alpha", line.name, code=1)
        assert "disk 0 of alpha holds more than there is room for in its overlay there" in err
        assert status(other)["state"] == "running" and status(line)["state"] == "absent"
    finally:
        other.close()


@pytest.mark.parametrize("options", [(), LOSSY], ids=["clean", "lossy"])
def test_migration(line, tmp_path, options):
    other = start(tmp_path / "other", *options)
    try:
        other.run("destroy", "--yes", "alpha")
        _, err = line.run("migrate", "alpha", other.name, code=1)
        assert "(fake.img) is another one" in err and "alpha is restoring" not in err
        other.run("exec", "fill")
        out, _ = line.run("migrate", "alpha", other.name)
        assert "alpha: runs there as alpha" in out
        assert status(line)["state"] == "absent" and status(other)["state"] == "running"
        assert sum_of(other) == sum_of(line)
        # There is no place for it: it stays.
        _, err = other.run("migrate", "alpha", f"unix:{tmp_path}/nowhere", code=3)
        assert "nowhere" in err
        line.run("exec", "restore alpha begin")
        _, err = other.run("migrate", "alpha", line.name, code=1)
        assert "alpha is restoring" in err
        assert status(other)["state"] == "running" and status(other)["tracking"] == "0"
    finally:
        other.close()

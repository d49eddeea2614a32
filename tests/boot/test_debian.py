# SPDX-License-Identifier: BSD-2-Clause
"""Debian 12 with systemd on a virtio disk, its address by DHCP from another guest. `make debian-test` runs it: its
image is its own."""

import os
import re

import pexpect
import pytest

from conftest import boot
from postern_machine import BUILD, ESCAPE

IMAGE = os.path.join(BUILD, "postern-debian.img")
LOGIN_SECONDS = 900


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run):
    assert can_run is None
    if not os.path.exists(IMAGE):
        pytest.skip("its image is not built: `make debian-test` does")
    yield from boot("debian", "debian", ["server"], options=["--image", IMAGE], wait=LOGIN_SECONDS)


@pytest.fixture(scope="module", name="debian")
def fixture_debian(machine):
    """Logged in as root."""
    guest = machine.guest("debian")
    machine.wait_until("debian at its login prompt", lambda: "debian login: " in guest.console(), LOGIN_SECONDS)
    child = guest.spawn()
    child.expect("Ctrl-]")
    child.send("root\r")
    child.expect("# ", timeout=300)
    child.send(ESCAPE + ".")
    child.expect(pexpect.EOF)
    guest.run("PS1='# '; bind 'set enable-bracketed-paste off'; stty cols 500")
    return guest


def test_systemd_boots(debian):
    assert "Debian GNU/Linux 12" in debian.run("cat /etc/os-release")
    assert debian.run("cat /proc/1/comm").strip() == "systemd"
    debian.run("until [ \"$(systemctl is-system-running)\" != starting ]; do sleep 5; done", 600)
    assert debian.run("systemctl --failed --no-legend --plain --no-pager").strip() == ""


def test_root_is_the_disk(debian):
    assert re.search(r"^/dev/vda / ext4 rw", debian.run("cat /proc/mounts"), re.MULTILINE)
    debian.run("echo kept > /root/kept; sync; echo 3 > /proc/sys/vm/drop_caches")
    assert debian.run("cat /root/kept").strip() == "kept"


def test_address_by_dhcp(machine, debian):
    text = debian.run("until ip -4 -o address show scope global | grep inet; do sleep 1; done", 300)
    assert re.search(r"inet 10\.0\.0\.[1-9]\d/24 .* dynamic ", text), text
    assert "1 received" in debian.run("ping -c 1 10.0.0.1")
    assert "dhcp" in machine.guest("server").run("ps").lower()


def test_tools_of_the_distribution(machine, debian):
    machine.guest("server").run("iperf3 -s -D")
    output = debian.run("iperf3 -c 10.0.0.1 -n 1M", 300)
    assert re.search(r"receiver", output), output
    device = debian.run("ls -d /sys/class/net/e*").strip().rsplit("/", maxsplit=1)[-1]
    assert "postern" in debian.run(f"ethtool -i {device}")


def test_restart_boots_from_the_same_disk(machine, debian):
    debian.type("systemctl reboot --force --force")
    machine.wait_until("debian at its login prompt again",
                       lambda: debian.console().count("debian login: ") >= 2, LOGIN_SECONDS)
    assert machine.vms()["debian"]["starts"] == "2"

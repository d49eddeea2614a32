# SPDX-License-Identifier: BSD-2-Clause
"""The guest with lwIP on a link in mode open with the smallest window, on the CPU of its peer, which
gives it its address. It waits by MWAIT, which exits there and gives way to the peer. For a while the link is gated,
and the guest is brought back from a twin."""

import re

import pytest

from conftest import boot_own
from lwip_guest import assert_echo, statistics
from traffic import assert_ping, modes

WEB = "10.0.0.50"
DHCP = f"start {WEB}\nend {WEB}\ninterface eth0\nlease_file /tmp/leases\noption subnet 255.255.255.0\n"


@pytest.fixture(scope="module", name="lwip")
def fixture_lwip(can_run, tmp_path_factory):
    assert can_run is None
    # A CPU that nobody needs would take its part of the emulator's time.
    yield from boot_own("lwip_open", ["web", "alpha"], tmp_path_factory, options=["--cpus", "1"])


def test_guest_that_can_do_nothing_says_why_and_ends(lwip):
    for name, reason in (("lonely", "this VM has no link"), ("confused", "here on: ip=10.0.0")):
        lwip.wait_for_state(name, "off")
        assert reason in lwip.guest(name).console()
        assert f"{name}: exits with code 3" in lwip.hvctl("log")


def test_address_by_dhcp(lwip):
    lines = DHCP.replace("\n", "\\n")
    lwip.guest("alpha").run(f"mkdir -p /tmp; printf '{lines}' > /tmp/udhcpd.conf; : > /tmp/leases;"
                            " udhcpd -S /tmp/udhcpd.conf")
    lwip.wait_until("web has its address",
                    lambda: f"address {WEB}" in lwip.guest("web").console(), 180)
    assert_ping(lwip.guest("alpha"), WEB, 10)


def test_page_tells_statistics(lwip):
    page = statistics(lwip.guest("alpha"), WEB)
    assert (page["link.mode"], page["link.up"], page["ring.data_size"]) == ("open", "1", "32768")


def test_data_comes_back_as_it_was(lwip):
    """Through a ring of 32 KiB, which is full again and again."""
    assert_echo(lwip.guest("alpha"), WEB, 2 << 20)
    page = statistics(lwip.guest("alpha"), WEB)
    assert (page["rx.dropped"], page["link.faults"]) == ("0", "0")


@pytest.mark.parametrize("mode", ["gated", "open"])
def test_link_changes_its_mode(lwip, mode):
    """Both drivers follow, while pings go on."""
    alpha = lwip.guest("alpha")
    alpha.run(f"ping -i 0.2 {WEB} > /tmp/pings 2>&1 &")
    lwip.hvctl("link", "mode", "net0", mode)
    lwip.wait_until("both ends have it",
                    lambda: modes(lwip, "net0") == dict.fromkeys(("alpha", "web"), mode), 60)
    alpha.run("killall ping")
    assert_ping(alpha, WEB)
    assert_echo(alpha, WEB, 1 << 20)
    page = statistics(alpha, WEB)
    assert (page["link.mode"], page["link.faults"], page["link.gate_errors"]) == (mode, "0", "0")
    assert f"the link's mode is now {mode}" in lwip.guest("web").console()


def come_back(lwip):
    """web is brought back to where it is now."""
    lwip.hvctl("clone", "--stop", "web", "spare")
    lwip.hvctl("destroy", "--yes", "web")
    lwip.hvctl("clone", "spare", "web")
    lwip.hvctl("resume", "web")


def test_connection_survives_a_restore(lwip):
    """In mode gated; the driver opens its port anew in the middle of the stream."""
    for link in ("net0", "net1"):
        lwip.hvctl("link", "mode", link, "gated")
    alpha = lwip.guest("alpha")
    before = int(statistics(alpha, WEB)["rx.packets"])
    assert_echo(alpha, WEB, 1 << 20, meanwhile=lambda: come_back(lwip))
    page = statistics(alpha, WEB)
    assert int(page["rx.packets"]) > before + 16 and page["link.faults"] == "0"
    assert "the VM was restored from a snapshot" in lwip.guest("web").console()
    assert lwip.vms()["spare"]["state"] == "paused"


def test_peer_goes_down_and_up(lwip):
    alpha = lwip.guest("alpha")
    before = len(re.findall("link down", lwip.guest("web").console()))
    alpha.run("ip link set eth0 down; sleep 1; ip link set eth0 up; sleep 1")
    assert_ping(alpha, WEB)
    assert len(re.findall("link down", lwip.guest("web").console())) == before + 1

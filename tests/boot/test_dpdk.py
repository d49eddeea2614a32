# SPDX-License-Identifier: BSD-2-Clause
"""Debian's testpmd over a link behind gates, and a program with libpostern at its other end: one boot
for all tests of this file."""

import re

import pytest

from conftest import boot
from traffic import crossing_exits

EAL = ("-d librte_net_postern.so --lcores 0@0,1@0 --no-huge --no-pci -m 64 --no-telemetry --no-shconf"
       " --vdev=net_postern0")
OPTIONS = "-i --auto-start --nb-cores=1 --no-mlockall --total-num-mbufs=2048"


@pytest.fixture(scope="module", name="dpdk")
def fixture_dpdk(can_run):
    assert can_run is None
    yield from boot("dpdk", "dpdk", ["alpha", "beta"])


class Testpmd:
    """testpmd in a guest; what it has printed is in /tmp/testpmd."""

    def __init__(self, guest, options):
        self.guest = guest
        guest.run("[ -p /tmp/in ] || mkfifo /tmp/in; exec 3<>/tmp/in; : > /tmp/testpmd")
        guest.run(f"dpdk-testpmd {EAL} -- {OPTIONS} {options} < /tmp/in >> /tmp/testpmd 2>&1 &")
        self.wait_for("Checking link statuses")
        # Its start throws away what has come by then.
        self.ask("show fwd stats all")

    def wait_for(self, text):
        self.guest.machine.wait_until(
            f"testpmd says {text}",
            lambda: text in self.guest.run("cat /tmp/testpmd"), 120)

    def ask(self, command):
        """What it prints of a command."""
        self.guest.run(f": > /tmp/testpmd; echo '{command}' >&3; echo 'show config cores' >&3")
        self.wait_for("core")
        return self.guest.run("cat /tmp/testpmd")

    def quit(self):
        self.guest.run("echo quit >&3; wait", timeout=120)


@pytest.fixture(scope="module", name="testpmd")
def fixture_testpmd(dpdk):
    return Testpmd(dpdk.guest("alpha"), "--forward-mode=macswap")


def exchange(machine, words):
    """All packets come back, in their order and as they were: `packets` fails otherwise."""
    output = machine.guest("beta").run(f"packets exchange {words}", timeout=300)
    assert "came back: ok" in output, output
    return output


def test_every_packet_comes_back(dpdk, testpmd):
    before = crossing_exits(dpdk)
    exchange(dpdk, "count=5000 size=0")
    # A view's opening and closing, and a doorbell at each end's coming.
    assert crossing_exits(dpdk) - before < 200
    assert re.search(r"RX-packets: 5000 .*TX-packets: 5000 ", testpmd.ask("show port stats 0"),
                     re.DOTALL)


def test_generator_that_is_killed_and_starts_again(dpdk, testpmd):
    dpdk.guest("beta").run("packets exchange count=4000000000 size=0 > /dev/null & sleep 1;"
                           " killall -9 packets")
    exchange(dpdk, "count=2000")
    output = testpmd.ask("show port xstats 0")
    assert "crossing_errors: 0" in output and "rx_too_long: 0" in output, output


def test_jumbo_frames(dpdk, testpmd):
    """Of several mbufs each."""
    testpmd.quit()
    again = Testpmd(dpdk.guest("alpha"), "--forward-mode=io --max-pkt-len=9018 --enable-scatter"
                    " --tx-offloads=0x8000")
    exchange(dpdk, "count=300 size=9000")
    exchange(dpdk, "count=300 size=0")
    again.guest.run("killall -9 dpdk-testpmd")


def test_dead_peer_is_no_peer(dpdk):
    """One that was killed: the module closes its end."""
    code, output = dpdk.guest("beta").run_any("packets send count=1 wait=2")
    assert code == 1 and "there is no peer" in output, output

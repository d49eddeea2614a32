# SPDX-License-Identifier: BSD-2-Clause
"""Debian's testpmd over a link behind gates, and a program with libpostern at its other end: one boot
for all tests of this file."""

import re

import pytest

from conftest import boot_fast, changed_config
from traffic import LONG, crossing_exits, modes

EAL = ("-d librte_net_postern.so --lcores 0@0,1@0 --no-huge --no-pci -m 64 --no-telemetry --no-shconf"
       " --vdev=net_postern0")
OPTIONS = "-i --auto-start --nb-cores=1 --no-mlockall --total-num-mbufs=2048"


# A VM of alpha's shape, to be its twin, whose link leads to one that never starts.
TWIN = {"link net0\n": """vm spare
    kernel    /postern/vmlinuz-cloud
    memory    256M
    vcpus     1
    pcpus     0
    autostart off

vm nobody
    kernel    /postern/vmlinuz-cloud
    memory    128M
    vcpus     1
    pcpus     1
    autostart off

link net1
    ends    spare nobody
    mode    gated
    window  4M
    queues  2

link net0
"""}


@pytest.fixture(scope="module", name="dpdk")
def fixture_dpdk(can_run, tmp_path_factory):
    assert can_run is None
    options = changed_config(tmp_path_factory.mktemp("config"), "dpdk", TWIN)
    yield from boot_fast("dpdk", ["alpha", "beta"], tmp_path_factory, options=options)


class Testpmd:
    """testpmd in a guest. What it prints is in /tmp/testpmd, all of it only when it has ended."""

    __test__ = False  # pytest takes it for tests by its name

    def __init__(self, guest, options):
        self.guest = guest
        guest.run("[ -p /tmp/in ] || mkfifo /tmp/in; exec 3<>/tmp/in; : > /tmp/testpmd")
        guest.run(f"dpdk-testpmd {EAL} -- {OPTIONS} {options} < /tmp/in >> /tmp/testpmd 2>&1 &")
        # Its start throws away what has come by then.
        guest.machine.wait_until("testpmd is at its prompt",
                                 lambda: "testpmd> " in guest.run("cat /tmp/testpmd"), 120)

    def quit(self, *commands):
        """Ends it after some commands; all that it has printed."""
        for command in (*commands, "quit"):
            self.guest.run(f"echo '{command}' >&3")
        return self.guest.run("wait; cat /tmp/testpmd")


@pytest.fixture(scope="module", name="testpmd")
def fixture_testpmd(dpdk):
    return Testpmd(dpdk.guest("alpha"), "--forward-mode=macswap")


def exchange(machine, words):
    """All packets come back, in their order and as they were: `packets` fails otherwise."""
    output = machine.guest("beta").run(f"packets exchange {words}", timeout=300)
    assert "came back: ok" in output, output
    return output


def test_every_packet_comes_back(dpdk, testpmd):
    assert testpmd is not None
    before = crossing_exits(dpdk)
    exchange(dpdk, "count=5000 size=0")
    # A view's opening and closing, and a doorbell at each end's coming.
    assert crossing_exits(dpdk) - before < 200


def test_generator_that_is_killed_and_starts_again(dpdk, testpmd):
    dpdk.guest("beta").run("packets exchange count=4000000000 size=0 > /dev/null & sleep 1;"
                           " killall -9 packets")
    exchange(dpdk, "count=2000")
    output = testpmd.quit("show port stats 0", "show port xstats 0")
    received, sent = map(int, re.search(r"RX-packets: (\d+) .*TX-packets: (\d+) ", output,
                                        re.DOTALL).groups())
    assert received >= 7000 and sent >= 7000, output
    assert "crossing_errors: 0" in output and "rx_too_long: 0" in output, output


def test_jumbo_frames(dpdk):
    """Of several mbufs each."""
    testpmd = Testpmd(dpdk.guest("alpha"), "--forward-mode=io --max-pkt-len=9018 --enable-scatter"
                      " --tx-offloads=0x8000")
    exchange(dpdk, "count=300 size=9000")
    exchange(dpdk, "count=300 size=0")
    testpmd.guest.run("killall -9 dpdk-testpmd")


def check_modes(dpdk):
    """testpmd follows when its peer comes, with both of its queues."""
    for mode in ("open", "gated"):
        dpdk.hvctl("link", "mode", "net0", mode)
        exchange(dpdk, "count=1000 size=0")
        assert modes(dpdk, "net0") == {"alpha": mode, "beta": mode}


def check_restore(dpdk):
    """alpha is brought back from a twin; testpmd finds its rings closed, and opens them anew. Of 256 MiB all is copied
    twice, which takes the emulator more than a minute: with LONG=1 only."""
    dpdk.hvctl("clone", "--stop", "alpha", "spare")
    dpdk.hvctl("destroy", "--yes", "alpha")
    dpdk.hvctl("clone", "spare", "alpha")
    dpdk.hvctl("destroy", "--yes", "spare")
    dpdk.hvctl("resume", "alpha")
    for queue in (1, 0):
        exchange(dpdk, f"count=1000 size=0 queue={queue}")


def test_two_queues(dpdk):
    """Each of testpmd's threads' queues has its own ring: what comes by one goes back by it."""
    testpmd = Testpmd(dpdk.guest("alpha"), "--forward-mode=macswap --rxq=2 --txq=2")
    for queue in (1, 0):
        exchange(dpdk, f"count=1000 size=0 queue={queue}")
    check_modes(dpdk)
    if LONG:
        check_restore(dpdk)
    output = testpmd.quit("show port xstats 0")
    for direction in ("rx", "tx"):
        for queue in (0, 1):
            (packets,) = re.findall(rf"{direction}_q{queue}_packets: (\d+)", output)
            assert int(packets) >= 1000, output


def test_dead_peer_is_no_peer(dpdk):
    """One that was killed: the module closes its end."""
    code, output = dpdk.guest("beta").run_any("packets send count=1 wait=2", timeout=300)
    assert code == 1 and "there is no peer" in output, output

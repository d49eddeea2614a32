# SPDX-License-Identifier: BSD-2-Clause
"""Two Debian guests whose link is behind gates: one boot for all tests of this file."""

import re

import pytest

from conftest import boot
from postern_machine import FALLBACK, table
from traffic import assert_data_arrives, statistics

CROSSING_EXITS = ("vmcall", "vmfunc", "ept_violation")
BENCH = "insmod /lib/modules/postern_bench.ko what={}; rmmod postern_bench 2> /dev/null"


@pytest.fixture(scope="module", name="gated")
def fixture_gated(can_run):
    assert can_run is None
    yield from boot("gated", "gated", ["alpha", "beta"])


def assert_ping(machine, count=3):
    output = machine.guest("alpha").run(f"ping -c {count} -i 0.2 10.0.0.2")
    assert f"{count} packets transmitted, {count} packets received" in output


def exits(machine, name, *reasons):
    counts = {row["exit"]: int(row["count"]) for row in table(machine.hvctl("stats", name))}
    return sum(counts.get(reason, 0) for reason in reasons)


def vmcalls(machine, name):
    return exits(machine, name, "vmcall")


def restart_interface(guest):
    guest.run("ip link set eth0 down; ip link set eth0 up; sleep 1")


def test_link_is_gated(gated):
    (row,) = table(gated.hvctl("links"))
    assert row["mode"] == "gated"


def test_ping(gated):
    assert_ping(gated, 10)


def test_iperf3(gated):
    gated.guest("beta").run("iperf3 -s -D; sleep 1")
    before = vmcalls(gated, "alpha")
    output = gated.guest("alpha").run("iperf3 -c 10.0.0.2 -n 20M", timeout=300)
    assert "receiver" in output, output
    # Doorbells: the crossings themselves make no exits, but by the fallback.
    packets = int(gated.guest("alpha").run("cat /sys/class/net/eth0/statistics/tx_packets"))
    assert FALLBACK or vmcalls(gated, "alpha") - before < packets


def test_packets_cause_no_exits(gated):
    """5000 packets to a peer that polls: a few crossings are interrupted, a doorbell or two ring."""
    if FALLBACK:
        pytest.skip("each crossing is two exits by the fallback")
    alpha, beta = gated.guest("alpha"), gated.guest("beta")
    beta.run("insmod /lib/modules/postern_bench.ko what=receive count=5000")
    before = [exits(gated, name, *CROSSING_EXITS) for name in ("alpha", "beta")]
    alpha.run("insmod /lib/modules/postern_bench.ko what=send size=64 count=5000;"
              " rmmod postern_bench")
    after = [exits(gated, name, *CROSSING_EXITS) for name in ("alpha", "beta")]
    assert "receive.count 5000" in beta.run("dmesg | tail -5")
    beta.run("rmmod postern_bench")
    assert sum(after) - sum(before) < 100, (before, after)


def test_random_data_both_ways_at_once(gated):
    assert_data_arrives(gated, 20)


def test_driver_saw_no_faults(gated):
    for name in ("alpha", "beta"):
        output = gated.guest(name).run("dmesg | grep postern_net")
        assert "broken" not in output and "crossing" not in output, output


def test_ring_is_opened_anew(gated):
    gated.guest("beta").run("nic eth0 reset; sleep 1")
    assert_ping(gated)
    assert "gate_errors" not in statistics(gated.guest("beta"))


def test_program_wants_a_port_that_is_down(gated):
    code, output = gated.guest("alpha").run_any("cross")
    assert code == 1 and "no port is to be had: -16" in output, output


def test_program_crosses(gated):
    """From ring 3, without a system call, and what it must not do ends with signals."""
    alpha = gated.guest("alpha")
    output = alpha.run("ip link set eth0 down; cross 20000", timeout=300)
    assert "FAILED" not in output, output
    done, checks = re.search(r"cross: (\d+) of (\d+) checks ok", output).groups()
    assert done == checks
    alpha.run("ip link set eth0 up; sleep 1")
    assert_ping(gated)


def test_interface_and_program_exclude_each_other(gated):
    alpha = gated.guest("alpha")
    output = alpha.run("ip link set eth0 down; cross 2000000 > /tmp/cross & sleep 2;"
                       " ip link set eth0 up 2>&1; cross; killall cross; sleep 1;"
                       " ip link set eth0 up; sleep 1", timeout=300)
    assert "busy" in output and "-16" in output, output
    assert_ping(gated)


def test_revoked_section_takes_the_link_down(gated):
    """Under load; the peer of the one that revokes lives on, and the link comes back."""
    alpha, beta = gated.guest("alpha"), gated.guest("beta")
    alpha.run("iperf3 -c 10.0.0.2 -t 100 > /dev/null 2>&1 &")
    alpha.run("sleep 2; " + BENCH.format("revoke"))
    gated.wait_until("beta has seen it", lambda: "revoked" in beta.run("dmesg | tail -5"), 30)
    assert beta.run("cat /sys/class/net/eth0/carrier").strip().endswith("0")
    alpha.run("killall iperf3; " + BENCH.format("grant"))
    restart_interface(alpha)
    assert_ping(gated)
    assert beta.run("cat /sys/class/net/eth0/carrier").strip().endswith("1")


def test_module_leaves_and_comes_back(gated):
    """Its memory is the kernel's again, without the gate in it."""
    beta = gated.guest("beta")
    beta.run("rmmod postern_net && insmod /lib/modules/postern_net.ko &&"
             " ip address add 10.0.0.2/24 dev eth0 && ip link set eth0 up; sleep 1")
    assert_ping(gated)
    output = beta.run("dmesg")
    assert not re.search(r"(?i)unchecked MSR access|BUG:|WARNING:|Oops", output), output

# SPDX-License-Identifier: BSD-2-Clause
"""Two Debian guests whose link is behind gates: one boot for all tests of this file."""

import re

import pytest

import driver_checks
from conftest import boot_fast, changed_config
from driver_checks import assert_ping
from postern_machine import FALLBACK, table
from traffic import assert_data_arrives, megabytes
from under_traffic import check_steps, to_and_fro, to_cpus, to_mode

CROSSING_EXITS = ("vmcall", "vmfunc", "ept_violation")
BENCH = "insmod /lib/modules/postern_bench.ko what={}; rmmod postern_bench 2> /dev/null"

# By the fallback alpha has a second CPU, which it shares with beta: views are changed under both.
SECOND_CPU = {"    vcpus   1\n    pcpus   0\n": "    vcpus   2\n    pcpus   0 1\n"}


@pytest.fixture(scope="module", name="gated")
def fixture_gated(can_run, tmp_path_factory):
    assert can_run is None
    options = changed_config(tmp_path_factory.mktemp("config"), "gated", SECOND_CPU) if FALLBACK else []
    yield from boot_fast("gated", ["alpha", "beta"], tmp_path_factory, options=options)


def exits(machine, name, *reasons):
    counts = {row["exit"]: int(row["count"]) for row in table(machine.hvctl("stats", name))}
    return sum(counts.get(reason, 0) for reason in reasons)


def vmcalls(machine, name):
    return exits(machine, name, "vmcall")


def restart_interface(guest):
    guest.run("ip link set eth0 down; ip link set eth0 up; sleep 1")


def test_links(gated):
    rows = table(gated.hvctl("links").split("\n\n")[0])
    assert [row["mode"] for row in rows] == ["gated", "direct"]
    # Each end has given the whole pool.
    assert (rows[1]["given0"], rows[1]["given1"]) == ("512", "512")


def test_ping(gated):
    assert_ping(gated, 10)


def test_iperf3(gated):
    gated.guest("beta").run("iperf3 -s -D; sleep 1")
    before = vmcalls(gated, "alpha")
    output = gated.guest("alpha").run(f"iperf3 -c 10.0.0.2 -n {megabytes(4, 20)}M", timeout=300)
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
    assert_data_arrives(gated, megabytes(5, 20))


def test_packets_come_in_pages(gated):
    driver_checks.check_pages(gated, "eth1", "10.0.1")


def test_driver_saw_no_faults(gated):
    for name in ("alpha", "beta"):
        output = gated.guest(name).run("dmesg | grep postern_net")
        assert "broken" not in output and "crossing" not in output, output


def test_xdp_verdicts(gated):
    driver_checks.check_xdp_verdicts(gated)


def test_xdp_answers_pings(gated):
    driver_checks.check_xdp_answers_pings(gated)


def test_xdp_redirects_to_another_interface(gated):
    driver_checks.check_xdp_redirects_between(gated)


def test_timestamps(gated):
    driver_checks.check_timestamps(gated)


def test_byte_queue_limit(gated):
    driver_checks.check_byte_queue_limit(gated)


if FALLBACK:  # else tests/boot/test_life_cycle.py does it
    def test_vcpus_move_and_modes_change_under_traffic(gated):
        """Also in the middle of crossings; and what was opened is gated again."""
        check_steps(gated, 2, to_cpus(1, 0, 0), to_mode("open"), to_and_fro("alpha 0", "alpha 1", "beta 0"),
                    to_mode("gated"), to_cpus(0, 0, 0))


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
    beta.wait_until("dmesg | tail -5 | grep 'taken back'")
    beta.wait_until("grep 0 /sys/class/net/eth0/carrier")
    alpha.run("killall iperf3; " + BENCH.format("grant"))
    restart_interface(alpha)
    assert_ping(gated)
    assert beta.run("cat /sys/class/net/eth0/carrier").strip().endswith("1")


def test_stream_survives_resets_programs_and_reload(gated):
    driver_checks.check_stream_survives(gated, reload=True)

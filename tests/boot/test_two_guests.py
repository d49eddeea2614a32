# SPDX-License-Identifier: BSD-2-Clause
"""Two Debian guests and their link, as a user meets them: one boot for all tests of this file."""

import re

import driver_checks
from postern_machine import table
from traffic import assert_data_arrives, megabytes, statistics

IDLE_SECONDS = 4  # emulated


def test_guests_are_debian_kernels(two):
    for name in ("alpha", "beta"):
        assert "-cloud-amd64" in two.guest(name).run("uname -r")


def test_guest_sees_its_machine(two):
    output = two.guest("alpha").run("dmesg")
    assert "x2apic" in output
    assert re.search(r"tsc: Detected [0-9.]+ MHz processor", output)
    assert re.search(r"rtc_cmos .* setting system clock to 20", output)
    assert "ttyS0 at I/O 0x3f8" in output
    assert "Unable to" not in output
    assert not re.search(r"(?i)unchecked MSR access|BUG:|WARNING:", output), output


def test_hypervisor_log(two):
    output = two.hvctl("log")
    assert re.search(r"\d+ CPU in VMX operation", output)
    assert "alpha: starts with 1 vCPU" in output
    assert not re.search(r"^E ", output, re.MULTILINE), output


def test_list(two):
    rows = two.vms()
    assert set(rows) == {"alpha", "beta"}
    for row in rows.values():
        assert (row["state"], row["vcpus"], row["starts"]) == ("running", "1", "1")
        assert int(row["exits"]) > 0


def test_stats_counts_exits_by_reason(two):
    def vmcalls():
        rows = table(two.hvctl("stats", "alpha"))
        counts = {row["exit"]: int(row["count"]) for row in rows}
        assert counts["all"] == sum(value for key, value in counts.items() if key != "all")
        assert counts["cpuid"] > 0 and counts["io_instruction"] > 0
        return counts["io_instruction"]

    before = vmcalls()
    two.guest("alpha").run("echo a line for the console")
    assert vmcalls() > before


def test_costs_of_exits(two):
    """Of the second in which they are counted, whatever was before. It is the host's: in that of a slow one a guest
    that rests may have none."""
    two.guest("alpha").run("(while sleep 0.05; do :; done) &")
    for _ in range(2):
        rows = table(two.hvctl("stats", "--costs", "1", "alpha"))
        assert {"hlt", "external_interrupt"} & {row["exit"] for row in rows}, rows
        for row in rows:
            classes = [int(count) for name, count in row.items() if name.startswith("<") or name == "more"]
            assert len(classes) == 8 and sum(classes) == int(row["count"]) < 5000, row
            assert 0 < int(row["mean_ticks"]) < 1000000, row
    two.guest("alpha").run("kill $!")


def test_capability_report(two):
    rows = {row["feature"]: row for row in table(two.hvctl("caps"))}
    assert rows["VMX"]["need"] == "required"
    assert all(row["state"] == "yes" for row in rows.values() if row["need"] == "required")
    assert any(row["need"] == "wanted" for row in rows.values())


def test_unknown_vm_is_named(two):
    assert "gamma" in two.hvctl("stats", "gamma", code=1)


def test_no_networks(two):
    assert two.hvctl("networks").endswith("held\nthe configuration has no networks\n")
    assert "has no networks" in two.hvctl("fdb", "lan", code=1)


def test_scroll_back(two):
    assert "postern-guest: beta is ready" in two.guest("beta").console()


def test_ping(two):
    output = two.guest("alpha").run("ping -c 10 -i 0.2 10.0.0.2")
    assert "10 packets transmitted, 10 packets received" in output


def test_links_are_counted(two):
    (row,) = table(two.hvctl("links"))
    assert (row["mode"], row["end0"], row["end1"]) == ("open", "alpha", "beta")
    assert int(row["doorbells0"]) > 0 and int(row["doorbells1"]) > 0


def test_iperf3(two):
    two.guest("beta").run("iperf3 -s -D; sleep 1")
    output = two.guest("alpha").run(f"iperf3 -c 10.0.0.2 -n {megabytes(5, 20)}M", timeout=300)
    assert "receiver" in output, output


def test_random_data_both_ways_at_once(two):
    assert_data_arrives(two, megabytes(10, 100))


def test_driver_saw_no_faults(two):
    for name in ("alpha", "beta"):
        guest = two.guest(name)
        counters = guest.run("cd /sys/class/net/eth0/statistics; grep . rx_errors tx_errors"
                             " rx_frame_errors rx_dropped")
        assert all(line.endswith(":0") for line in counters.split()), counters
        assert "broken" not in guest.run("dmesg | grep postern_net")


def test_driver_statistics(two):
    """Of one queue, hence the sums are its own; and the kernel's are the same."""
    alpha = two.guest("alpha")
    values = statistics(alpha)
    for name in ("tx_packets", "rx_packets", "tx_doorbells", "ring_interrupts", "polls", "rearms"):
        assert values[name] == values["queue0_" + name] > 0, name
    sent = int(alpha.run("cat /sys/class/net/eth0/statistics/tx_packets"))
    assert values["tx_packets"] <= sent <= statistics(alpha)["tx_packets"]
    assert "1 of 1" in alpha.run("nic eth0 channels")


def test_xdp_verdicts(two):
    driver_checks.check_xdp_verdicts(two)


def test_xdp_answers_pings(two):
    driver_checks.check_xdp_answers_pings(two)


def test_xdp_metadata(two):
    driver_checks.check_xdp_metadata(two)


def test_xdp_limits_the_mtu(two):
    driver_checks.check_xdp_limits_the_mtu(two)


def test_stream_survives_resets_and_programs(two):
    driver_checks.check_stream_survives(two, reload=False)


def test_timestamps(two):
    driver_checks.check_timestamps(two)


def test_peer_that_makes_no_room(two):
    """Its interrupts are masked for a while. What waits for it is limited, as by ethtool -G, and in the
    end the log says so; no kernel warning. More room is used at once, and nothing is lost."""
    alpha, beta = two.guest("alpha"), two.guest("beta")
    sent = "cat /sys/class/net/eth0/statistics/tx_bytes"

    def ring(packets):
        output = alpha.run(f"nic eth0 ring {packets}")
        return map(int, re.search(r"^(\d+) of (\d+)\s*$", output, re.MULTILINE).groups())

    least, whole = ring(1)
    assert 1 < least < whole / 2
    driver_checks.assert_ping(two)
    driver_checks.mask_interrupts(beta, True)
    before = int(alpha.run(sent))
    alpha.run("udp send 10.0.0.2 9 700 1472 &")
    two.wait_until("alpha says so", lambda: "made no room" in alpha.run("dmesg | tail -3"), 120)
    assert statistics(alpha)["tx_stalls"] == 1
    waiting = int(alpha.run(sent)) - before
    assert 0 < waiting <= least * 1530
    assert list(ring(whole)) == [whole, whole]
    assert int(alpha.run(sent)) - before > waiting
    driver_checks.mask_interrupts(beta, False)
    driver_checks.assert_ping(two)
    driver_checks.assert_no_complaints(two)
    alpha.run("killall -q udp; true")


def test_byte_queue_limit(two):
    driver_checks.check_byte_queue_limit(two)


def test_no_doorbell_per_packet(two):
    """Under load the peer polls: doorbells are far fewer than packets."""
    packets = int(two.guest("alpha").run("cat /sys/class/net/eth0/statistics/tx_packets"))
    (row,) = table(two.hvctl("links"))
    assert int(row["doorbells0"]) < packets, (row, packets)


def test_hvctl_answers_while_guests_are_busy(two):
    for name in ("alpha", "beta"):
        two.guest(name).run("(while :; do :; done) &")
    for _ in range(5):
        assert {row["state"] for row in two.vms().values()} == {"running"}
        assert "postern" in two.hvctl("log").lower()
    for name in ("alpha", "beta"):
        two.guest(name).run("kill $!")


def test_idle_link_costs_no_exits(two):
    """Between idle guests nothing goes on for some seconds but what their kernels' timers do, and a
    look at IA32_TSC_ADJUST each second. They resolve a neighbour's address again now and then."""
    timers = {"all", "hlt", "external_interrupt", "rdmsr", "wrmsr", "interrupt_window",
              "preemption_timer"}

    def state():
        texts = [two.hvctl("stats", name) for name in ("alpha", "beta")]
        (link,) = table(two.hvctl("links"))
        counts = [{row["exit"]: int(row["count"]) for row in table(text)
                   if row["exit"] not in timers} for text in texts]
        tsc, hertz = map(int, re.search(r"tsc (\d+) hz (\d+)", texts[0]).groups())
        return (link["doorbells0"], link["doorbells1"], counts), tsc / hertz

    assert two.guest("alpha").run("cat /sys/class/net/eth0/carrier").strip() == "1"
    quiet, start = state()

    def is_quiet():
        nonlocal quiet, start
        now, at = state()
        if now != quiet:
            quiet, start = now, at
        return at - start > IDLE_SECONDS

    two.wait_until("the link costs no exits", is_quiet, 120)


def test_shutdown_of_all_ends_the_machine(two):
    """The last test: afterwards the machine is off."""
    two.hvctl("shutdown")
    two.wait_until("the machine is off",
                   lambda: "all VMs are off; the machine goes off" in two.serial(), 60)

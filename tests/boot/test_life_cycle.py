# SPDX-License-Identifier: BSD-2-Clause
"""VMs that end in each way, while their neighbour goes on. Both of Debian's kernels, two vCPUs in
one guest, three vCPUs on two CPUs."""

import os
import socket
import time

from postern_machine import ESCAPE, table
from traffic import statistics

# A triple fault: an IDT without entries and an exception, from the kernel's own memory.
TRIPLE_FAULT = "insmod /lib/modules/postern_bench.ko what=triple_fault"


def test_kernels_and_cpus(mixed):
    assert "-cloud-amd64" in mixed.guest("alpha").run("uname -r")
    kernel = mixed.guest("beta").run("uname -r")
    assert "-amd64" in kernel and "cloud" not in kernel
    assert "2" in mixed.guest("alpha").run("grep -c ^processor /proc/cpuinfo")
    assert "1" in mixed.guest("beta").run("grep -c ^processor /proc/cpuinfo")


def test_ping_between_kernels(mixed):
    output = mixed.guest("beta").run("ping -c 5 -i 0.2 10.0.0.1")
    assert "5 packets received" in output


def ping_from(guest, cpu):
    """Pings beta from one of alpha's CPUs, and says how many packets its queues sent for it."""
    before = statistics(guest)
    output = guest.run(f"taskset {1 << cpu} ping -c 5 -i 0.2 10.0.0.2")
    assert "5 packets received" in output, output
    after = statistics(guest)
    return [after.get(name, 0) - before.get(name, 0)
            for name in ("queue0_tx_packets", "queue1_tx_packets")]


def test_each_cpu_sends_by_its_own_queue(mixed):
    """Until the peer closes one: then by the other."""
    alpha, beta = mixed.guest("alpha"), mixed.guest("beta")
    assert "2 of 2" in alpha.run("nic eth0 channels")
    assert ping_from(alpha, 0)[0] >= 5
    assert ping_from(alpha, 1)[1] >= 5
    beta.run("nic eth0 channels 1; sleep 2")
    first, second = ping_from(alpha, 1)
    assert first >= 5 and second == 0
    beta.run("nic eth0 channels 2; sleep 2")
    assert ping_from(alpha, 1)[1] >= 5


def test_shared_cpu_is_shared_by_time(mixed):
    """alpha's second vCPU and beta's only one share a CPU: both make progress, by time slices."""
    mixed.guest("alpha").run("for i in 1 2; do (while :; do :; done) & done")
    mixed.guest("beta").run("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done", timeout=300)
    rows = table(mixed.hvctl("stats", "beta"))
    assert any(row["exit"] == "preemption_timer" and int(row["count"]) > 0 for row in rows)
    mixed.guest("alpha").run("kill $(jobs -p)")


def test_reboot_restarts_that_vm_only(mixed):
    mixed.guest("alpha").type("reboot")
    mixed.guest("alpha").wait_ready(times=2)
    vms = mixed.vms()
    assert (vms["alpha"]["starts"], vms["beta"]["starts"]) == ("2", "1")
    assert "5 packets received" in mixed.guest("beta").run("ping -c 5 -i 0.2 10.0.0.1")


def test_panic_stops_that_vm(mixed):
    """Without a reboot on panic the guest just hangs; with one it resets: on_reboot follows."""
    alpha = mixed.guest("alpha")
    alpha.type("echo 1 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger")
    mixed.wait_until("alpha is started again", lambda: mixed.vms()["alpha"]["starts"] == "3")
    assert "Kernel panic" in alpha.console()
    mixed.guest("beta").run("true")
    alpha.wait_ready(times=3)


def test_triple_fault_stops_that_vm(mixed):
    mixed.guest("alpha").type(TRIPLE_FAULT)
    mixed.wait_for_state("alpha", "crashed")
    log = mixed.hvctl("log")
    assert "alpha/0: triple fault" in log or "alpha/1: triple fault" in log
    assert "rip" in log and "cr3" in log
    assert "down" in mixed.guest("beta").run("cat /sys/class/net/eth0/operstate")


def test_crashed_vm_starts_again(mixed):
    mixed.hvctl("start", "alpha")
    mixed.guest("alpha").wait_ready(times=4)
    assert "5 packets received" in mixed.guest("beta").run("ping -c 5 -i 0.2 10.0.0.1")


def test_poweroff_ends_that_vm(mixed):
    mixed.guest("alpha").type("poweroff")
    mixed.wait_for_state("alpha", "off")
    assert mixed.vms()["beta"]["state"] == "running"
    mixed.guest("beta").run("ip link show eth0 | grep NO-CARRIER")


def test_start_and_shutdown(mixed):
    mixed.hvctl("start", "alpha")
    assert "is running" in mixed.hvctl("start", "alpha", code=1)
    mixed.hvctl("shutdown", "alpha")
    mixed.wait_for_state("alpha", "off")


def test_damaged_line_recovers(mixed):
    """Garbage, half frames and a flag on the line: hvctl works after them."""
    for garbage in (b"\x7e\xff\x03half", b"\x7e\xff\x03" + b"\x00" * 3000, os.urandom(500),
                    b"\x7d\x7e\x7d\x7e~~~", ESCAPE.encode() * 5):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(mixed.line)
            line.sendall(garbage)
        assert mixed.vms()["beta"]["state"] == "running"


def read_until(line, text, wanted, typed, seconds=120):
    """Types a line every now and then until `wanted` comes; all that came."""
    end = time.monotonic() + seconds
    asked = 0.0
    while wanted not in text and time.monotonic() < end:
        if time.monotonic() - asked > 10:
            line.sendall(typed)
            asked = time.monotonic()
        try:
            text += line.recv(4096)
        except TimeoutError:
            pass
    return text


def test_dumb_terminal(mixed):
    """Plain text on the line, without hvctl, once its last session has ended."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(mixed.line)
        line.settimeout(1)
        text = read_until(line, b"", b"postern>", b"\r")
        assert b"postern>" in text, text
        text = read_until(line, b"", b"beta", b"list\r")
        assert b"list" in text and b"running" in text, text
        # Its console, too, whose output nobody asks for but the person who watches.
        text = read_until(line, b"", b"leaves it", b"console beta\r")
        text = read_until(line, b"", b"<-here", b"echo $((6*7))'<-'here\r")
        assert b"42<-here" in text, text
        text = read_until(line, b"", b"postern>", ESCAPE.encode())
        assert b"postern>" in text, text

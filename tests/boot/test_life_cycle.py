# SPDX-License-Identifier: BSD-2-Clause
"""VMs that end in each way, while their neighbour goes on. Both of Debian's kernels, two vCPUs in
one guest, three vCPUs on two CPUs."""

import os
import socket
import time

from clone_checks import check_clone_and_back
from postern_machine import ESCAPE, table
from traffic import statistics
from under_traffic import check_steps, to_and_fro, to_cpus, to_mode

# A triple fault: an IDT without entries and an exception, from the kernel's own memory.
TRIPLE_FAULT = "insmod /lib/modules/postern_bench.ko what=triple_fault"


def test_kernels_and_cpus(mixed):
    assert "-cloud-amd64" in mixed.guest("alpha").run("uname -r")
    kernel = mixed.guest("beta").run("uname -r")
    assert "-amd64" in kernel and "cloud" not in kernel
    assert "2" in mixed.guest("alpha").run("grep -c ^processor /proc/cpuinfo")
    assert "1" in mixed.guest("beta").run("grep -c ^processor /proc/cpuinfo")


def assert_pages_carry(mixed):
    """Over the second link long packets come in pages that their receiver has given to the other."""
    def posted(name):
        return statistics(mixed.guest(name), "eth1").get("rx_posted", 0)

    before = {name: posted(name) for name in ("alpha", "beta")}
    output = mixed.guest("beta").run("ping -c 5 -i 0.2 -s 1400 10.0.1.1")
    assert "5 packets received" in output, output
    assert all(posted(name) >= before[name] + 5 for name in before)


def test_ping_between_kernels(mixed):
    output = mixed.guest("beta").run("ping -c 5 -i 0.2 10.0.0.1")
    assert "5 packets received" in output
    assert_pages_carry(mixed)


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


def test_sleeping_peer_comes_back(mixed):
    """beta's drivers go to sleep for a second and wake up: the link is down meanwhile."""
    alpha, beta = mixed.guest("alpha"), mixed.guest("beta")
    changes = "cat /sys/class/net/eth0/carrier_changes"
    before = int(alpha.run(changes))
    beta.run("echo 1 > /sys/module/suspend/parameters/pm_test_delay;"
             " echo devices > /sys/power/pm_test; echo freeze > /sys/power/state; sleep 1", timeout=300)
    alpha.wait_until(f"[ $({changes}) -ge {before + 2} ]")
    assert "5 packets received" in alpha.run("ping -c 5 -i 0.2 10.0.0.2")
    assert_pages_carry(mixed)


def test_shared_cpu_is_shared_by_time(mixed):
    """alpha's second vCPU and beta's only one share a CPU: both make progress, by time slices."""
    mixed.guest("alpha").run("for i in 1 2; do (while :; do :; done) & done")
    mixed.guest("beta").run("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done", timeout=300)
    rows = table(mixed.hvctl("stats", "beta"))
    assert any(row["exit"] == "preemption_timer" and int(row["count"]) > 0 for row in rows)
    mixed.guest("alpha").run("kill $(jobs -p)")


def test_vcpus_move_and_modes_change_under_traffic(mixed):
    """Each vCPU to the other CPU, also all to one, and the first link's mode there and back, while data go both ways
    and each of alpha's CPUs sends by its own queue."""
    check_steps(mixed, 2, to_cpus(1, 0, 0), to_mode("gated"), to_cpus(0, 0, 0),
                to_and_fro("alpha 0", "alpha 1", "beta 0"), to_mode("open"))
    assert ping_from(mixed.guest("alpha"), 0)[0] >= 5 and ping_from(mixed.guest("alpha"), 1)[1] >= 5
    assert_pages_carry(mixed)


def test_panic_restarts_that_vm_only(mixed):
    """Without a reboot on panic the guest just hangs; with one it resets: on_reboot follows."""
    alpha = mixed.guest("alpha")
    alpha.type("echo 1 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger")
    mixed.wait_until("alpha is started again", lambda: mixed.vms()["alpha"]["starts"] == "2")
    assert "Kernel panic" in alpha.console()
    mixed.guest("beta").run("true")
    alpha.wait_ready(times=2)
    assert mixed.vms()["beta"]["starts"] == "1"
    assert "5 packets received" in mixed.guest("beta").run("ping -c 5 -i 0.2 10.0.0.1")
    assert_pages_carry(mixed)


def test_triple_fault_stops_that_vm(mixed):
    mixed.guest("alpha").type(TRIPLE_FAULT)
    mixed.wait_for_state("alpha", "crashed")
    # What alpha had given is not reached any more; what beta has is still there for the next alpha.
    given = {row["name"]: (row["given0"], row["given1"]) for row in table(mixed.hvctl("links"))}
    assert given["net0"] == ("0", "0") and given["net1"] == ("0", "256")
    log = mixed.hvctl("log")
    assert "alpha/0: triple fault" in log or "alpha/1: triple fault" in log
    assert "rip" in log and "cr3" in log
    mixed.guest("beta").wait_until("grep down /sys/class/net/eth0/operstate")


def test_crashed_vm_starts_again(mixed):
    mixed.hvctl("start", "alpha")
    mixed.guest("alpha").wait_ready(times=3)
    assert "5 packets received" in mixed.guest("beta").run("ping -c 5 -i 0.2 10.0.0.1")
    assert_pages_carry(mixed)


def test_paused_guest_goes_on(mixed):
    """Its peer finds it gone quiet, with its link up, and then where it was. What it writes is tracked."""
    alpha, beta = mixed.guest("alpha"), mixed.guest("beta")
    mixed.hvctl("dirty", "alpha", "start")
    mixed.hvctl("pause", "alpha")
    mixed.wait_for_state("alpha", "paused")
    mixed.hvctl("dirty", "alpha")
    assert beta.run_any("ping -c 1 -W 1 10.0.0.1")[0] != 0
    assert "up" in beta.run("cat /sys/class/net/eth0/operstate")
    # It writes nothing, but to pages that its peer may write to.
    quiet = int(table(mixed.hvctl("dirty", "alpha"))[0]["pages"])
    mixed.hvctl("resume", "alpha")
    assert "5 packets received" in beta.run("ping -c 5 -i 0.2 10.0.0.1")
    alpha.run("dd if=/dev/zero of=/tmp/zeros bs=1M count=8; rm /tmp/zeros")
    assert int(table(mixed.hvctl("dirty", "alpha"))[0]["pages"]) >= quiet + (8 << 20) // 4096
    mixed.hvctl("dirty", "alpha", "stop")
    assert_pages_carry(mixed)
    assert mixed.vms()["alpha"]["starts"] == "3"


def test_clone_and_back(mixed):
    """alpha is brought back from its twin, while packets go over a link in each mode."""
    check_clone_and_back(mixed)
    assert_pages_carry(mixed)


def test_poweroff_ends_that_vm(mixed):
    mixed.guest("alpha").type("poweroff")
    mixed.wait_for_state("alpha", "off")
    assert mixed.vms()["beta"]["state"] == "running"
    mixed.guest("beta").wait_until("ip link show eth0 | grep NO-CARRIER")


def test_start_and_shutdown(mixed):
    mixed.hvctl("start", "alpha")
    assert "is running" in mixed.hvctl("start", "alpha", code=1)
    mixed.hvctl("shutdown", "alpha")
    mixed.wait_for_state("alpha", "off")


def test_destroyed_vm_frees_its_memory(mixed):
    """In the middle of its boot, too."""
    def free():
        return {row["what"]: int(row["value"]) for row in table(mixed.hvctl("info"))}["memory.free_kib"]

    before = free()
    mixed.hvctl("start", "alpha")
    mixed.hvctl("destroy", "--yes", "alpha")
    mixed.wait_for_state("alpha", "absent")
    absent = free()
    # With what its tracking had taken.
    assert absent > before + (128 << 10)
    mixed.hvctl("create", "alpha")
    assert before < free() < absent and mixed.vms()["alpha"]["state"] == "off"
    mixed.hvctl("destroy", "--yes", "alpha")
    assert free() == absent
    assert mixed.vms()["beta"]["state"] == "running"


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
        text = read_until(line, b"", b"running", b"list\r")
        assert b"list" in text and b"running" in text, text
        # Its console, too, whose output nobody asks for but the person who watches.
        text = read_until(line, b"", b"leaves it", b"console beta\r")
        text = read_until(line, b"", b"<-here", b"echo $((6*7))'<-'here\r")
        assert b"42<-here" in text, text
        text = read_until(line, b"", b"postern>", ESCAPE.encode())
        assert b"postern>" in text, text

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures the hypervisor in Bochs and writes its rows of build/bench.csv.

    bench.py [PART...]

Names of parts, which are the functions measure_...() below, measure those only, and write nothing. "debian" is
measured only if it is named: `make debian-bench` does.
In Bochs the time-stamp counter counts emulated instructions, so that these figures repeat; they
say how much work an operation is, not how long it takes on silicon.
"""

import contextlib
import os
import re
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "boot"))
# pylint: disable=wrong-import-position
import bench_csv
from frames import MODULE, PACKETS, exits, measure_frames, measure_own, measured
from kit_machine import KitMachine, menu, other_disks, running as kit_running
from postern_machine import BUILD, Machine, platform_probe, table
from programs import measure_testpmd
from traffic import crossing_exits
# pylint: enable=wrong-import-position

COMMAND = "make bench-bochs"
BURST_PACKETS = 10000  # fit the ring all at once: the sender never has to wait
DATAGRAM = 64 - 14 - 20 - 8  # bytes, in a frame of 64 with headers of Ethernet, IPv4 and UDP
ROUND_TRIPS = 500
BUSY_POLL_US = 100000  # longer than any wait there
IDLE_SECONDS = 20  # emulated
DIRECT_SECONDS = 900
DEBIAN_IMAGE = os.path.join(BUILD, "postern-debian.img")
DEBIAN_DIRECT_IMAGE = os.path.join(BUILD, "postern-debian-direct.img")
SAVED_PAGES = 500  # that a guest writes to all the time while it is saved, 16 of them each 5 ms
# As the image's own entries for Bochs have it.
LINUX_OPTIONS = " apicv=off append=cryptomgr.notests append=pti=off append=clearcpuid=smap"
BLOCKS = (100, 228)  # of 4 KiB: the difference is what one costs. The disk has 256; a line typed has the same length

# Name: the most that is wanted, and what others take.
GOALS = {
    "exit.hypercall": (130, "KVM 6.1: 1068, as given"),
    "exit.cpuid": (160, "KVM 6.1: 1070, as given"),
    "packet.64.pktgen.instructions": (2700, "of both guests and the hypervisor"),
    "packet.64.pktgen.link_exits": (0, "the link's own; timer ticks apart"),
    "packet.64.pktgen.gated.instructions": (2700, ""),
    "packet.64.pktgen.gated.link_exits": (0, ""),
    "packet.64.virtio.link_exits": (round(1 / 16, 4), "in bursts of 32; with the receiver's interrupts"),
    "packet.1500.virtio.link_exits": (round(1 / 16, 4), "the same"),
    "packet.64.one_cpu.instructions": (2700, "both guests on one CPU"),
    "packet.64.one_cpu.built.instructions": (2700, "the same, frames as a forwarder has them"),
    "packet.64.one_cpu.clone.instructions": (2700, "the same, pktgen with clone_skb"),
    "gate.roundtrip": (40, "a null hypercall on KVM 6.1: 1068, as given"),
    "gate.exits": (0, "of a million crossings"),
    "view.kib": (16, "and the window's tables"),
    "packet.64.libpostern.instructions": (60, "both ends, in bursts of 32"),
    "packet.64.libpostern.exits": (0, ""),
    "boot.ratio": (1.10, "1 is the bare machine"),
    "idle.exits_per_s": (10, ""),
    "memory.hypervisor_kib": (4096, ""),
}
# The least that is wanted.
GOALS_LEAST = {
    "packet.64.one_cpu.own.ratio": (5, "times the instructions, by virtio's NICs"),
    "packet.64.dpdk.ratio": (5, "of programs"),
    "packet.64.one_cpu.uncleared.own.ratio": (5, "where kernels clear nothing that they allocate"),
}


class Results:
    def __init__(self):
        self.rows = []

    def add(self, name, value, unit):
        self.rows.append((name, value, unit, "bochs", COMMAND))
        print(f"  {name}: {value} {unit}", flush=True)

    def write(self, path):
        bench_csv.replace(path, COMMAND, self.rows)

    def print(self):
        print(f"\n{'name':40}{'value':>12}  {'unit':14}{'goal':>8}  compare")
        for name, value, unit, _, _ in self.rows:
            goal, note = (GOALS | GOALS_LEAST).get(name, ("", ""))
            is_missed = goal != "" and (value < goal if name in GOALS_LEAST else value > goal)
            missed = " missed" if is_missed else ""
            print(f"{name:40}{value:>12}  {unit:14}{goal:>8}  {note}{missed}")


def measure_exits(machine, results):
    alpha = machine.guest("alpha")
    alpha.run(f"insmod {MODULE} what=exits && rmmod postern_bench")
    values = measured(alpha)
    for name in ("exit.hypercall", "exit.cpuid", "exit.pio", "exit.mmio"):
        results.add(name, int(values[name]), "instructions")


def printed_values(output, *names):
    """Of the program udp, or the end of the benchmark."""
    values = dict(re.findall(r"^udp: (\S+) (\d+)\r?$", output, re.MULTILINE))
    if not set(names) <= set(values):
        raise SystemExit(f"datagrams were lost: {output}")
    return [int(values[name]) for name in names]


def measure_datagrams(machine, results, mode=""):
    """From socket to socket, a system call for each at both ends."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    alpha.run("ping -c 1 10.0.0.2")
    beta.run(f"udp receive 9000 {PACKETS} > /tmp/udp 2>&1 &")
    output = alpha.run(f"sleep 1; udp send 10.0.0.2 9000 {PACKETS} {DATAGRAM}")
    output += beta.run("wait; cat /tmp/udp")
    start, last = printed_values(output, "send.start", "receive.last")
    results.add(f"packet.64.udp{mode}.instructions", round((last - start) / PACKETS, 1),
                "instructions")


def measure_round_trips(machine, results):
    """One datagram at a time, there and back, by how the sockets wait."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    for way, busy in (("doorbell", ""), ("poll", f" {BUSY_POLL_US}")):
        beta.run(f"udp answer 9001 {ROUND_TRIPS}{busy} > /tmp/udp 2>&1 &")
        output = alpha.run(f"sleep 1; udp ask 10.0.0.2 9001 {ROUND_TRIPS} {DATAGRAM}{busy}")
        beta.run("wait")
        (ticks,) = printed_values(output, "ask.ticks")
        results.add(f"latency.64.udp.{way}", round(ticks / ROUND_TRIPS, 1), "instructions")


def send_bursts(machine, count):
    """Packets from a program with libpostern to another; what both have printed, and the exits."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    before = crossing_exits(machine)
    beta.run(f"packets receive count={count} > /tmp/packets 2>&1 &")
    output = alpha.run(f"packets send count={count}")
    output += beta.run("wait; cat /tmp/packets", timeout=300)
    values = {name: int(value)
              for name, value in re.findall(r"^packets: (\S+) (\d+)$", output, re.MULTILINE)}
    if (values.get("send.packets"), values.get("receive.packets")) != (count, count):
        raise SystemExit(f"packets were lost: {output}")
    return values, crossing_exits(machine) - before


def measure_libpostern(machine, results, mode=""):
    """The instructions in the bursts that moved packets, and, apart from them, in those that found
    none. Exits are the difference of a long and a short run: what opening costs is in both."""
    for name in ("alpha", "beta"):
        machine.guest(name).run("ip link set eth0 down")
    _, few = send_bursts(machine, 32)
    values, many = send_bursts(machine, BURST_PACKETS)
    ticks = [values[f"{end}.ticks"] / BURST_PACKETS for end in ("send", "receive")]
    row = f"packet.64.libpostern{mode}"
    results.add(f"{row}.instructions", round(sum(ticks), 1), "instructions")
    results.add(f"{row}.send", round(ticks[0], 1), "instructions")
    results.add(f"{row}.receive", round(ticks[1], 1), "instructions")
    results.add(f"{row}.empty_poll",
                round(values["receive.empty_ticks"] / max(1, values["receive.empty_bursts"]), 1),
                "instructions")
    return round(max(0, many - few) / (BURST_PACKETS - 32), 4)


@contextlib.contextmanager
def running(config=None, guests=("alpha", "beta"), **more):
    machine = Machine("bench", config, on="bochs", **more)
    try:
        machine.start()
        for name in guests:
            machine.guest(name).wait_ready()
        yield machine
    finally:
        machine.stop()


def measure_fallback(results):
    with running(entry="gated-bochs-fallback") as machine:
        measure_datagrams(machine, results, ".fallback")
        measure_libpostern(machine, results, ".fallback")


def measure_gated(results):
    with running("gated") as machine:
        measure_frames(machine, results, "packet.64.pktgen.gated")
        measure_frames(machine, results, "packet.1500.pktgen.gated", 1500)
        measure_datagrams(machine, results, ".gated")
        # The second link: long packets go into pages of the receiver's.
        measure_frames(machine, results, "packet.64.pktgen.direct", 64, "eth1")
        measure_frames(machine, results, "packet.1500.pktgen.direct", 1500, "eth1")
        exits_64 = measure_libpostern(machine, results)
        results.add("packet.64.libpostern.exits", exits_64, "exits")


def measure_virtio(results):
    """From one virtio NIC to another, by the hypervisor's switch."""
    to = "02:50:4f:01:01:02"
    with running("vswitch", ("alpha", "beta")) as machine:
        for name, peer in (("alpha", "10.0.1.2"), ("beta", "10.0.1.1")):
            machine.guest(name).run(f"ping -c 1 {peer}")
        # A CPU for each guest: alpha's second one would share beta's.
        machine.guest("alpha").run("ethtool -L eth1 combined 1;"
                                   " echo 0 > /sys/devices/system/cpu/cpu1/online")
        measure_frames(machine, results, "packet.64.virtio", 64, "eth1", to=to)
        measure_frames(machine, results, "packet.1500.virtio", 1500, "eth1", to=to)
    compare_nics(results)


def compare_nics(results):
    """How many times the instructions of Postern's NIC behind its gate, if both were measured."""
    values = {row[0]: row[1] for row in results.rows}
    for size in (64, 1500):
        native = values.get(f"packet.{size}.pktgen.gated.instructions")
        virtio = values[f"packet.{size}.virtio.instructions"]
        if native is not None:
            results.add(f"packet.{size}.virtio.ratio", round(virtio / native, 2), "")


def measure_one_cpu(results):
    with running("shared") as machine:
        measure_frames(machine, results, "packet.64.one_cpu")
        measure_frames(machine, results, "packet.64.one_cpu.built", frames="built")
        measure_frames(machine, results, "packet.64.one_cpu.clone", frames="shared")


@contextlib.contextmanager
def own_config(name, more="", *options):
    """Two Debian guests of a configuration of tests/configs."""
    with tempfile.TemporaryDirectory() as directory:
        entry = os.path.join(directory, "entry.cfg")
        with open(entry, "w", encoding="ascii") as file:
            file.write(menu(name, LINUX_OPTIONS + more, kit=False))
        put = ["--put", entry, "--put", f"tests/configs/{name}.conf"]
        with running(None, options=[*put, *options]) as machine:
            yield machine


def measure_nics(results):
    """Both kinds of NIC on one CPU, where ticks are all the machine's work, and how much of that is the kernels' own.
    Then once more with kernels that do not clear what they allocate: an instruction here for each byte."""
    for suffix, more in (("", ""), (".uncleared", " append=init_on_alloc=0")):
        with own_config("nics", more, "--cpus", "1") as machine:
            machine.guest("alpha").run("ping -c 1 10.0.0.2; ping -c 1 10.0.1.2")
            measure_own(machine, results, suffix, "eth0", "eth1", "02:50:4f:01:00:02")


def measure_programs(results):
    with own_config("programs") as machine:
        measure_testpmd(machine, results)


def copy_blocks(machine, words, count):
    """By dd on alpha's second disk; the ticks that it took, and the exits of the line typed."""
    alpha = machine.guest("alpha")
    before, _, _, _ = exits(machine, "alpha")
    output = alpha.run(f"echo 3 > /proc/sys/vm/drop_caches; tsc; taskset 1 dd bs=4k count={count} {words} 2> /dev/null;"
                       " tsc")
    after, _, _, _ = exits(machine, "alpha")
    start, end = map(int, re.findall(r"^\d+$", output, re.MULTILINE))
    return end - start, after - before


def measure_disk(results):
    """A system call and a request for each block, and as the kernel reads ahead and writes behind: up to a MiB at once."""
    ways = {"read": "if=/dev/vdb of=/dev/null iflag=direct", "write": "if=/dev/zero of=/dev/vdb oflag=direct",
            "read_cached": "if=/dev/vdb of=/dev/null", "write_cached": "if=/dev/zero of=/dev/vdb conv=fsync"}
    with running("virtio") as machine:
        for way, words in ways.items():
            few, many = (copy_blocks(machine, words, count) for count in BLOCKS)
            blocks = BLOCKS[1] - BLOCKS[0]
            results.add(f"disk.4k.{way}.instructions", round((many[0] - few[0]) / blocks, 1), "instructions")
            results.add(f"disk.4k.{way}.exits", round((many[1] - few[1]) / blocks, 2), "exits")


def measure_lwip(results):
    """From the guest with lwIP to a socket of Linux, in mode gated."""
    with running("lwip", ("web", "alpha")) as machine:
        output = machine.guest("alpha").run(
            f"ping -c 1 10.0.0.2; udp fetch 10.0.0.2 19 {PACKETS} {DATAGRAM}")
        start, last = printed_values(output, "send.start", "receive.last")
        results.add("packet.64.lwip.instructions", round((last - start) / PACKETS, 1),
                    "instructions")


def measure_idle(machine, results):
    worst = 0.0
    time.sleep(5)
    for name in ("alpha", "beta"):
        before, vcpus, start, hertz = exits(machine, name)
        now, end = before, start
        while end - start < IDLE_SECONDS * hertz:
            time.sleep(1)
            now, _, end, _ = exits(machine, name)
        worst = max(worst, (now - before) * hertz / (end - start) / vcpus)
    results.add("idle.exits_per_s", round(worst, 2), "exits/s")


def measure_two_guests(results):
    with running("two") as machine:
        measure_exits(machine, results)
        measure_frames(machine, results, "packet.64.pktgen")
        measure_frames(machine, results, "packet.1500.pktgen", 1500)
        measure_datagrams(machine, results)
        measure_round_trips(machine, results)
        measure_idle(machine, results)
        measure_libpostern(machine, results, ".open")
        (row,) = [row for row in table(machine.hvctl("info"))
                  if row["what"] == "memory.hypervisor_kib"]
        results.add("memory.hypervisor_kib", int(row["value"]), "KiB")


def printed_by(name, option="", more=()):
    """What the guest tests/NAME prints, alone on its CPU and without a limit to its stays."""
    with tempfile.TemporaryDirectory() as directory:
        machine = KitMachine(name, directory, f" test=on apicv=off max_stay=0{option}", more)
        try:
            machine.start()
            machine.wait_until(f"{name} has measured",
                               lambda: "measured\n" in machine.console(name), 300)
            values = dict(re.findall(r"^measure (\S+) (\d+)$", machine.console(name),
                                     re.MULTILINE))
            info = {row["what"]: row["value"] for row in table(machine.hvctl("info"))}
            return {name: int(value) / 1000 for name, value in values.items()}, info
        finally:
            machine.stop()


def measure_views(results):
    values, info = printed_by("crossings")
    for name in ("gate.roundtrip", "view.open", "view.close", "view.revoke"):
        results.add(name, round(values[name], 1), "instructions")
    results.add("gate.exits", int(values["gate.exits"]), "exits")
    results.add("view.kib", int(info["view.crossings.net0_kib"]), "KiB")
    results.add("gate.owned_tables", round(values["gate.owned_tables"], 1), "instructions")
    values, _ = printed_by("crossings", " fallback=on")
    results.add("gate.fallback", round(values["gate.fallback"], 1), "instructions")


def measure_latency(results):
    """MWAIT does not wait here, which makes it a poll of a few instructions more."""
    values, _ = printed_by("latency", more=["--mwait"])
    for way in ("poll", "mwait", "doorbell"):
        name = f"latency.64.{way}"
        results.add(name, round(values[name], 1), "instructions")


def stamp(text, step):
    """The TSC when a guest came to "init" or "login", or None."""
    found = re.search(rf"postern-guest: {step} at TSC (\d+)", text)
    return int(found.group(1)) if found else None


def boot_with_hypervisor():
    machine = Machine("bench", "one", on="bochs", options=["--cpus", "1"])
    try:
        machine.start()
        alpha = machine.guest("alpha").wait_ready()
        start = int(re.search(r"started (\d+)", machine.hvctl("stats", "alpha")).group(1))
        return stamp(alpha.console(), "init") - start
    finally:
        machine.stop()


def boot_directly(entry, step, options):
    """What a kernel without the hypervisor prints, until it has come to the step."""
    machine = Machine("bench", entry=entry, on="bochs", options=["--cpus", "1", *options])
    try:
        machine.start(wait=0)
        end = time.monotonic() + DIRECT_SECONDS
        while stamp(machine.serial(), step) is None:
            if time.monotonic() > end:
                raise SystemExit(f"the kernel does not boot directly:\n{machine.serial()[-2000:]}")
            time.sleep(1)
        return machine.serial()
    finally:
        machine.stop()


def measure_saving(machine, results, vm, row):
    """What hvctl prints of a snapshot of the VM, which runs. Its pause lasts for some of hvctl's requests: how many
    ticks go by while one is under way depends on how fast the emulator is."""
    with tempfile.TemporaryDirectory() as directory:
        printed = machine.hvctl("snapshot", vm, os.path.join(directory, "snapshot"))
    report = re.search(r"(\d+) rounds, (\d+) bytes on the line, paused for (\d+) ticks", printed)
    for name, value, unit in zip(("rounds", "bytes", "pause"), report.groups(), ("rounds", "bytes", "ticks")):
        results.add(f"snapshot.{row}.{name}", int(value), unit)


def measure_snapshot(results):
    """Of guests of 16 MiB: one that only ticks, the same while it writes to pages, one with traffic, and one that writes
    to its disks."""
    with tempfile.TemporaryDirectory() as directory, \
            kit_running(KitMachine("snapshot", directory, guests=("life",), more=other_disks(directory))) as machine:
        machine.wait_until("talker is ready", lambda: "talker: ready" in machine.console("talker"))
        measure_saving(machine, results, "talker", "idle")
        machine.hvctl("console", "--quiet", "1", "--no-scrollback", "talker", stdin=f"b 2000 {SAVED_PAGES}\n")
        machine.wait_until("it is busy", lambda: f"busy with {SAVED_PAGES} pages" in machine.console("talker"))
        measure_saving(machine, results, "talker", "busy")
        for vm in ("answerer", "asker"):
            machine.hvctl("start", vm)
        machine.wait_until("traffic begins", lambda: "traffic: begins" in machine.console("asker"))
        measure_saving(machine, results, "asker", "traffic")
        machine.hvctl("start", "keeper")
        machine.wait_until("it writes to its disk", lambda: "disk: ready" in machine.console("keeper"))
        measure_saving(machine, results, "keeper", "disk")


def measure_boot(results):
    text = boot_directly("direct", "init", ["--memory", "256"])  # of memory about what the guest has
    start = re.search(r"the TSC before the kernel:\D*?(0x[0-9a-fA-F]+)", text)
    bare = stamp(text, "init") - int(start.group(1), 16)
    guest = boot_with_hypervisor()
    results.add("boot.direct", bare, "instructions")
    results.add("boot.guest", guest, "instructions")
    results.add("boot.ratio", round(guest / bare, 4), "")


def only_vm(path, name):
    """The block of one VM in a configuration."""
    with open(path, encoding="utf-8") as file:
        return re.search(rf"^vm {name}\n(?:[ \t]+.*\n)+", file.read(), re.MULTILINE).group()


def boot_debian():
    """Alone, without the guest that gives it an address: what it prints, and the TSC at its start."""
    with tempfile.TemporaryDirectory() as directory:
        config = os.path.join(directory, "debian.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(only_vm("guests/debian/debian.conf", "debian"))
        machine = Machine("bench", "debian", on="bochs",
                          options=["--cpus", "1", "--image", DEBIAN_IMAGE, "--put", config])
        try:
            machine.start()
            debian = machine.guest("debian")
            machine.wait_until("debian at its login prompt",
                               lambda: stamp(debian.console(), "login") is not None, DIRECT_SECONDS)
            start = int(re.search(r"started (\d+)", machine.hvctl("stats", "debian")).group(1))
            return debian.console(), start
        finally:
            machine.stop()


def measure_debian(results):
    """From the kernel's start, and from init, to the login prompt; without the hypervisor, the disk's image is a file of
    the initramfs, and the kernel first unpacks that."""
    text, start = boot_debian()
    guest = stamp(text, "login") - stamp(text, "init")
    results.add("boot.debian.all", stamp(text, "login") - start, "instructions")
    results.add("boot.debian.guest", guest, "instructions")
    text = boot_directly("debian-direct", "login", ["--memory", "1024", "--image", DEBIAN_DIRECT_IMAGE])
    bare = stamp(text, "login") - stamp(text, "init")
    results.add("boot.debian.direct", bare, "instructions")
    results.add("boot.debian.ratio", round(guest / bare, 4), "")


PARTS = {"two_guests": measure_two_guests, "gated": measure_gated, "fallback": measure_fallback,
         "virtio": measure_virtio, "one_cpu": measure_one_cpu, "nics": measure_nics, "programs": measure_programs,
         "disk": measure_disk, "lwip": measure_lwip, "views": measure_views, "latency": measure_latency,
         "snapshot": measure_snapshot, "boot": measure_boot}
APART = {"debian": measure_debian}  # its image is `make debian-root`'s


def main(names):
    refusal = platform_probe.bochs_refusal()
    if refusal is not None:
        raise SystemExit(f"bench: {refusal}")
    parts = PARTS | APART
    unknown = set(names) - set(parts)
    if unknown:
        raise SystemExit(f"bench: no part {', '.join(unknown)}; there are {', '.join(parts)}")
    results = Results()
    for name in names or PARTS:
        parts[name](results)
    if not names:
        results.write(os.path.join(BUILD, "bench.csv"))
    results.print()


if __name__ == "__main__":
    main(sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures the hypervisor in Bochs and writes its rows of build/bench.csv.

In Bochs the time-stamp counter counts emulated instructions, so that these figures repeat; they
say how much work an operation is, not how long it takes on silicon.
"""

import os
import re
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "boot"))
# pylint: disable-next=wrong-import-position
import bench_csv
# pylint: disable-next=wrong-import-position
from kit_machine import KitMachine
# pylint: disable-next=wrong-import-position
from postern_machine import BUILD, Machine, platform_probe, table
# pylint: disable-next=wrong-import-position
from traffic import crossing_exits

COMMAND = "make bench-bochs"
MODULE = "/lib/modules/postern_bench.ko"
PACKETS = 5000
BURST_PACKETS = 10000  # fit the ring all at once: the sender never has to wait
IDLE_SECONDS = 20  # emulated

# Name: the most that is wanted, and what others take.
GOALS = {
    "exit.hypercall": (130, "KVM 6.1 on this CPU: 1068"),
    "exit.cpuid": (160, "KVM 6.1 on this CPU: 1070"),
    "packet.64.instructions": (2700, "of both guests and the hypervisor"),
    "gate.roundtrip": (40, "a null hypercall on KVM 6.1: 1068"),
    "gate.exits": (0, "of a million crossings"),
    "view.kib": (16, "and the window's tables"),
    "packet.64.libpostern.instructions": (60, "both ends, in bursts of 32"),
    "packet.64.libpostern.exits": (0, ""),
    "boot.ratio": (1.10, "1 is the bare machine"),
    "idle.exits_per_s": (10, ""),
    "memory.hypervisor_kib": (4096, ""),
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
        print(f"\n{'name':24}{'value':>12}  {'unit':14}{'goal':>8}  compare")
        for name, value, unit, _, _ in self.rows:
            goal, note = GOALS.get(name, ("", ""))
            missed = " missed" if goal != "" and value > goal else ""
            print(f"{name:24}{value:>12}  {unit:14}{goal:>8}  {note}{missed}")


def exits(machine, name):
    """All exits of a VM so far, its vCPUs, and the TSC."""
    text = machine.hvctl("stats", name)
    rows = [row for row in table(text) if row["exit"] == "all"]
    tsc, hertz = map(int, re.search(r"tsc (\d+) hz (\d+)", text).groups())
    return sum(int(row["count"]) for row in rows), len(rows), tsc, hertz


def measured(guest):
    """What postern_bench has written to a guest's kernel log, newest last."""
    return dict(re.findall(r"postern_bench: (\S+) (\d+)", guest.run("dmesg")))


def measure_exits(machine, results):
    alpha = machine.guest("alpha")
    alpha.run(f"insmod {MODULE} what=exits && rmmod postern_bench")
    values = measured(alpha)
    for name in ("exit.hypercall", "exit.cpuid", "exit.pio", "exit.mmio"):
        results.add(name, int(values[name]), "instructions")


def measure_packets(machine, results, size, mode=""):
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    beta.run(f"insmod {MODULE} what=receive count={PACKETS}")
    alpha.run("sleep 1")
    # The monitor's own questions cost no exits of these VMs but those of the typed lines, which
    # are measured and taken off.
    sending = f"insmod {MODULE} what=send size={size} count={PACKETS}; rmmod postern_bench"
    nothing = f"insmod {MODULE} what=none size={size} count={PACKETS}; true rmmod postern_bench"
    counts = []
    for command in (nothing, sending):
        before = sum(exits(machine, name)[0] for name in ("alpha", "beta"))
        alpha.run(command)
        counts.append(sum(exits(machine, name)[0] for name in ("alpha", "beta")) - before)
    sent, received = measured(alpha), measured(beta)
    beta.run("rmmod postern_bench")
    if (sent["send.count"], received["receive.count"]) != (str(PACKETS), str(PACKETS)):
        raise SystemExit(f"packets were lost: {sent} {received}")
    ticks = int(received["receive.last"]) - int(sent["send.start"])
    results.add(f"packet.{size}{mode}.instructions", round(ticks / PACKETS, 1), "instructions")
    return round(max(0, counts[1] - counts[0]) / PACKETS, 4)


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


def measure_fallback(results):
    machine = Machine("bench", entry="gated-bochs-fallback", on="bochs")
    try:
        machine.start()
        for name in ("alpha", "beta"):
            machine.guest(name).wait_ready()
        measure_libpostern(machine, results, ".fallback")
    finally:
        machine.stop()


def measure_gated(results):
    machine = Machine("bench", "gated", on="bochs")
    try:
        machine.start()
        for name in ("alpha", "beta"):
            machine.guest(name).wait_ready()
        exits_64 = measure_packets(machine, results, 64, ".gated")
        measure_packets(machine, results, 1500, ".gated")
        results.add("packet.64.gated.exits", exits_64, "exits")
        exits_64 = measure_libpostern(machine, results)
        results.add("packet.64.libpostern.exits", exits_64, "exits")
    finally:
        machine.stop()


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
    machine = Machine("bench", "two", on="bochs")
    try:
        machine.start()
        for name in ("alpha", "beta"):
            machine.guest(name).wait_ready()
        measure_exits(machine, results)
        exits_64 = measure_packets(machine, results, 64)
        measure_packets(machine, results, 1500)
        results.add("packet.64.exits", exits_64, "exits")
        measure_idle(machine, results)
        measure_libpostern(machine, results, ".open")
        (row,) = [row for row in table(machine.hvctl("info"))
                  if row["what"] == "memory.hypervisor_kib"]
        results.add("memory.hypervisor_kib", int(row["value"]), "KiB")
    finally:
        machine.stop()


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


def init_tsc(text):
    found = re.search(r"postern-guest: init at TSC (\d+)", text)
    return int(found.group(1)) if found else None


def boot_with_hypervisor():
    machine = Machine("bench", "one", on="bochs", options=["--cpus", "1"])
    try:
        machine.start()
        alpha = machine.guest("alpha").wait_ready()
        start = int(re.search(r"started (\d+)", machine.hvctl("stats", "alpha")).group(1))
        return init_tsc(alpha.console()) - start
    finally:
        machine.stop()


def boot_directly():
    # Of memory about what the guest has.
    machine = Machine("bench", entry="direct", on="bochs",
                      options=["--cpus", "1", "--memory", "256"])
    try:
        machine.start(wait=0)
        end = time.monotonic() + 600
        while init_tsc(machine.serial()) is None:
            if time.monotonic() > end:
                raise SystemExit(f"the kernel does not boot directly:\n{machine.serial()[-2000:]}")
            time.sleep(1)
        text = machine.serial()
        start = re.search(r"the TSC before the kernel:\D*?(0x[0-9a-fA-F]+)", text)
        return init_tsc(text) - int(start.group(1), 16)
    finally:
        machine.stop()


def measure_boot(results):
    bare = boot_directly()
    guest = boot_with_hypervisor()
    results.add("boot.direct", bare, "instructions")
    results.add("boot.guest", guest, "instructions")
    results.add("boot.ratio", round(guest / bare, 4), "")


def main():
    refusal = platform_probe.bochs_refusal()
    if refusal is not None:
        raise SystemExit(f"bench: {refusal}")
    results = Results()
    measure_two_guests(results)
    measure_gated(results)
    measure_fallback(results)
    measure_views(results)
    measure_latency(results)
    measure_boot(results)
    results.write(os.path.join(BUILD, "bench.csv"))
    results.print()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-2-Clause
"""Frames from one Linux guest's kernel to another's, by the modules postern_bench and postern_feed: their
instructions and exits, and how much of that both kernels take without a NIC."""

import re

from postern_machine import table
from traffic import link_exits

MODULE = "/lib/modules/postern_bench.ko"
FEED = "/lib/modules/postern_feed.ko"
PACKETS = 5000
FEW = 32  # packets, after which what begins a stream is over


def exits(machine, name):
    """All exits of a VM so far, its vCPUs, and the TSC."""
    text = machine.hvctl("stats", name)
    rows = [row for row in table(text) if row["exit"] == "all"]
    tsc, hertz = map(int, re.search(r"tsc (\d+) hz (\d+)", text).groups())
    return sum(int(row["count"]) for row in rows), len(rows), tsc, hertz


def measured(guest):
    """What the modules have written to a guest's kernel log, newest last."""
    return dict(re.findall(r"postern_(?:bench|feed): (\S+) (\d+)", guest.run("dmesg")))


def counted_exits(machine):
    """All of both guests; those that the NICs cause: doorbells or notifications, and the receiver's interrupts; and a
    virtio sender's interrupts for what was sent, which it takes as the exit of its notification ends."""
    nets = [row for row in table(machine.hvctl("devices").split("\n\n", 1)[0]) if row["device"] == "net"]
    own = sum(int(row["notifications"]) + (int(row["interrupts"]) if row["vm"] != "alpha" else 0) for row in nets)
    return [sum(exits(machine, name)[0] for name in ("alpha", "beta")), link_exits(machine) + own,
            sum(int(row["interrupts"]) for row in nets if row["vm"] == "alpha")]


def send_frames(machine, options):
    """By the bench module in alpha; the exits meanwhile, as counted_exits() has them."""
    before = counted_exits(machine)
    machine.guest("alpha").run(f"insmod {MODULE} {options}")
    return [new - old for old, new in zip(before, counted_exits(machine))]


def measure_frames(machine, results, row, size=64, interface="eth0", frames="allocated", to=""):
    """Exits of the typed lines are measured and taken off; of the link's own those are, too, by
    which a stream begins. A virtio NIC's receiver, which is named by `to`, may lose some: then it is
    measured what it takes until most of them have come."""
    expected = PACKETS * 9 // 10 if to else PACKETS
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    typed = send_frames(machine, "what=none; true rmmod postern_bench")
    sending = (f"what=send dev={interface} size={size} frames={frames}{to and f' to={to}'} "
               "count=")
    few = send_frames(machine, f"{sending}{FEW}; rmmod postern_bench")
    beta.run(f"insmod {MODULE} what=receive count={expected}")
    alpha.run("sleep 1")
    many = send_frames(machine, f"{sending}{PACKETS}; rmmod postern_bench")
    sent, received = measured(alpha), measured(beta)
    came = int(beta.run("cat /sys/module/postern_bench/parameters/received").split()[-1])
    beta.run("rmmod postern_bench")
    if (sent["send.count"], received.get("receive.count")) != (str(PACKETS), str(expected)):
        raise SystemExit(f"packets were lost: {came} of {PACKETS} came: {sent} {received}")
    ticks = int(received["receive.last"]) - int(sent["send.start"])
    results.add(f"{row}.instructions", round(ticks / expected, 1), "instructions")
    if to:
        results.add(f"{row}.lost", round(1 - came / PACKETS, 4), "of them")
    if size == 64 or to:
        results.add(f"{row}.exits", round(max(0, many[0] - typed[0]) / PACKETS, 4), "exits")
        results.add(f"{row}.link_exits", round(max(0, many[1] - few[1]) / (PACKETS - FEW), 4),
                    "exits")
    if to:
        results.add(f"{row}.sent_interrupts", round(max(0, many[2] - few[2]) / (PACKETS - FEW), 4), "interrupts")
    return ticks / expected


def measure_kernels(machine, results, row, size):
    """What the kernels do for a packet that no NIC has a part in, of both ends: frames allocated, sent to Linux's `dummy`,
    which frees them; frames built as by a driver, received by no NIC, up to the packet handler."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    alpha.run(f"insmod {MODULE} what=send dev=dummy0 size={size} count={PACKETS}; rmmod postern_bench")
    beta.run(f"insmod {MODULE} what=receive count={PACKETS}; insmod {FEED} size={size} count={PACKETS}")
    sent, fed = measured(alpha), measured(beta)
    beta.run("rmmod postern_feed postern_bench")
    if not sent["send.count"] == fed["feed.count"] == fed["receive.count"] == str(PACKETS):
        raise SystemExit(f"the kernels lost packets: {sent} {fed}")
    send = (int(sent["send.end"]) - int(sent["send.start"])) / PACKETS
    receive = int(fed["feed.ticks"]) / PACKETS
    results.add(f"{row}.kernel.send", round(send, 1), "instructions")
    results.add(f"{row}.kernel.receive", round(receive, 1), "instructions")
    return send + receive


def measure_own(machine, results, suffix, gated, virtio, to):
    """Of the interface behind gates and of virtio's, on one CPU: all the machine's work, and that less the kernels'."""
    for guest in map(machine.guest, ("alpha", "beta")):
        guest.run("insmod /lib/modules/dummy.ko; ip link set dummy0 up")
    for size in (64, 1500):
        row = f"packet.{size}.one_cpu{suffix}"
        kernels = measure_kernels(machine, results, row, size)
        native = measure_frames(machine, results, f"{row}.gated", size, gated)
        other = measure_frames(machine, results, f"{row}.virtio", size, virtio, to=to)
        results.add(f"{row}.ratio", round(other / native, 2), "")
        results.add(f"{row}.own.gated", round(native - kernels, 1), "instructions")
        results.add(f"{row}.own.virtio", round(other - kernels, 1), "instructions")
        results.add(f"{row}.own.ratio", round((other - kernels) / (native - kernels), 2), "")

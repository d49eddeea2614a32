# SPDX-License-Identifier: BSD-2-Clause
"""Packets between DPDK's testpmd in two guests, by the drivers for Postern's NIC and for virtio's: no kernel has a part in
them."""

import re

EAL = "--lcores 0@0,1@0 -m 64 --no-telemetry"
NICS = {"native": f"-d librte_net_postern.so {EAL} --no-huge --no-pci --no-shconf --vdev=net_postern0",
        "virtio": f"-d /lib/x86_64-linux-gnu/librte_net_virtio.so.23 {EAL} --in-memory --iova-mode=pa"}
OPTIONS = "-i --nb-cores=1 --no-mlockall --total-num-mbufs=2048 --record-core-cycles"
PEER = "02:50:4f:01:00:02"  # virtio's; the other end of a link gets all
HUGE_PAGES = 48  # of 2 MiB
START_SECONDS = 120


def prepare(guest):
    """Has DPDK find the virtio NIC, and memory whose addresses it can tell a device."""
    guest.run("insmod /lib/modules/uio.ko; insmod /lib/modules/uio_pci_generic.ko;"
              " echo '1af4 1041' > /sys/bus/pci/drivers/uio_pci_generic/new_id;"
              f" echo {HUGE_PAGES} > /proc/sys/vm/nr_hugepages;"
              " mkdir -p /dev/hugepages; mount -t hugetlbfs none /dev/hugepages;"
              " mkfifo /tmp/in; exec 3<>/tmp/in")


def start(guest, eal, options):
    """A testpmd, whose commands come by a pipe, until it is at its prompt."""
    guest.run(": > /tmp/testpmd")
    guest.run(f"dpdk-testpmd {eal} -- {OPTIONS} {options} < /tmp/in >> /tmp/testpmd 2>&1 &")
    guest.machine.wait_until("testpmd is at its prompt", lambda: "testpmd> " in guest.run("cat /tmp/testpmd"),
                             START_SECONDS)


def finish(guest, *commands):
    """The packets that went by its driver, and the ticks in its bursts for each."""
    for command in (*commands, "quit"):
        guest.run(f"echo '{command}' >&3")
    text = guest.run("wait; cat /tmp/testpmd", timeout=300)
    ticks, packets = re.search(r"CPU cycles/packet=(\S+) \(total cycles=\d+ / total \w+ packets=(\d+)\)", text).groups()
    return int(packets), float(ticks)


def measure_testpmd(machine, results):
    """Of 64 bytes in bursts of 32, for a second of the machine's. The ticks are those of bursts that moved packets, with
    testpmd's own work in them."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    ticks = {}
    for guest in (alpha, beta):
        prepare(guest)
    for name, eal in NICS.items():
        start(beta, eal, "--forward-mode=rxonly --auto-start")
        start(alpha, eal, f"--forward-mode=txonly --txpkts=64 --eth-peer=0,{PEER}")
        alpha.run("echo start >&3; sleep 1; echo stop >&3; sleep 1")
        sent, send = finish(alpha)
        came, receive = finish(beta, "stop")
        if came < 0.99 * sent:
            raise SystemExit(f"packets were lost: {came} of {sent} came to {name}")
        results.add(f"packet.64.dpdk.{name}.send", send, "instructions")
        results.add(f"packet.64.dpdk.{name}.receive", receive, "instructions")
        ticks[name] = send + receive
    results.add("packet.64.dpdk.ratio", round(ticks["virtio"] / ticks["native"], 2), "")

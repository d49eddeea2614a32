# SPDX-License-Identifier: BSD-2-Clause
"""Data between the two guests of a link, and what their drivers say of it."""

import os
import re

from postern_machine import table

# LONG=1 sends much more data: what takes minutes in an emulator is not for each run of the suite.
LONG = bool(os.environ.get("LONG"))

CROSSING_EXITS = ("vmcall", "vmfunc", "ept_violation")


def statistics(guest, interface="eth0"):
    """What ethtool would show of the driver, without the zeros."""
    text = guest.run(f"nic {interface} stats")
    return {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)\s*$", text, re.MULTILINE)}


def crossing_exits(machine):
    """Exits so far of both guests that packets through the gate could cause; not of crossings that
    were interrupted, by clocks mostly, and went on."""
    total = 0
    for name in ("alpha", "beta"):
        text = machine.hvctl("stats", name)
        total += sum(int(row["count"]) for row in table(text) if row["exit"] in CROSSING_EXITS)
        vcpus = table(text[text.index("\n\n"):])
        total -= sum(int(row["crossings_resumed"]) for row in vcpus)
    return total


def modes(machine, link):
    """The mode that each end of the link has."""
    ends = table(machine.hvctl("links").split("\n\n")[1])
    return {row["vm"]: row["mode"] for row in ends if row["link"] == link}


def link_exits(machine):
    """Exits so far that the links themselves have caused, at both of their ends: doorbells, the
    interrupts that these became, and where VMFUNC does not do them the crossings."""
    text = machine.hvctl("links")
    total = 0
    for row in table(text):
        total += sum(int(row[name]) for name in ("doorbells0", "doorbells1", "held0", "held1"))
    for row in table(text.split("\n\n", 1)[1]):
        total += sum(int(row[name]) for name in ("interrupts", "aborted", "switches", "violations"))
    return total


def megabytes(usually, long):
    return long if LONG else usually


def assert_ping(guest, address, count=3, size=56):
    output = guest.run(f"ping -c {count} -s {size} -i 0.2 {address}")
    assert f"{count} packets transmitted, {count} packets received" in output


def assert_silence(guest, address):
    code, output = guest.run_any(f"ping -c 2 -W 1 -i 0.2 {address}")
    assert code == 1 and " 0 packets received" in output, output


def assert_data_arrives(machine, amount, net="10.0.0", meanwhile=lambda: None):
    """`amount` MiB of random data go both ways at the same time, and what arrives is what was sent, whatever is done to
    the machine meanwhile."""
    guests = {"alpha": (f"{net}.2", "beta", 1), "beta": (f"{net}.1", "alpha", 2)}
    for name, (_, _, seed) in guests.items():
        # nc's own loop copies 1 KiB at a time: the programs get the socket itself.
        machine.guest(name).run(
            "mkdir -p /tmp; : > /tmp/in.sum; echo 'stream > /tmp/in.sum' > /tmp/receive;"
            f" echo 'stream {amount << 20} {seed} 2> /tmp/out.sum' > /tmp/send")
        machine.guest(name).run("nc -l -p 5000 -e sh /tmp/receive &")
    for name, (peer, _, _) in guests.items():
        machine.guest(name).run(f"nc {peer} 5000 -e sh /tmp/send &")
    meanwhile()
    for name in guests:
        machine.wait_until(
            f"{name} has received all",
            lambda guest=machine.guest(name): guest.run("cat /tmp/in.sum").strip(), 600)
    sums = set()
    for name, (_, peer, _) in guests.items():
        sent = machine.guest(name).run("cat /tmp/out.sum").split()
        received = machine.guest(peer).run("cat /tmp/in.sum").split()
        assert sent == received, f"from {name} to {peer}"
        assert int(sent[1]) == amount << 20
        sums.add(sent[0])
    assert len(sums) == 2, "each guest sends its own data"

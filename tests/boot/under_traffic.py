# SPDX-License-Identifier: BSD-2-Clause
"""What is done to a machine while alpha and beta send to each other: nobody is to notice."""

import re

from driver_checks import assert_no_complaints
from postern_machine import table
from traffic import assert_data_arrives, modes

GUESTS = ("alpha", "beta")
STREAM_MIB = 1


class Pings:
    """From each of alpha's CPUs to beta, over the first link. What the kernels have complained of before is
    forgotten."""

    def __init__(self, machine, cpus):
        self.machine, self.alpha, self.cpus = machine, machine.guest("alpha"), range(cpus)
        for name in GUESTS:
            machine.guest(name).run("dmesg -c > /dev/null")
        for cpu in self.cpus:
            self.alpha.run(f"taskset {1 << cpu} ping -i 0.2 10.0.0.2 > /tmp/pings{cpu} 2>&1 &")
        self.go_on()

    def received(self):
        files = " ".join(f"/tmp/pings{cpu}" for cpu in self.cpus)
        return [int(count) for count in self.alpha.run(f"grep -hc 'bytes from' {files} || true").split()]

    def go_on(self):
        before = self.received()
        self.machine.wait_until("packets go on from each CPU", lambda: all(
            now > then + 2 for now, then in zip(self.received(), before)), 120)

    def end(self):
        self.go_on()
        self.alpha.run("killall ping")
        assert_no_complaints(self.machine)
        for name in GUESTS:
            log = self.machine.guest(name).run("dmesg")
            assert not re.search(r"(?i)stalls? on|unstable|general protection|broken|cannot be opened", log), log
        assert self.machine.hvctl("log", "--level", "error") == ""


def run_verbs(machine, *lines):
    """Verbs for one hvctl, of which none may fail."""
    machine.hvctl(stdin="".join(f"{line}\n" for line in lines))


def vcpus(machine):
    """Of alpha and beta."""
    return [row for row in table(machine.hvctl("vcpu", "list")) if row["vm"] in GUESTS]


def pcpus(machine):
    return [int(row["pcpu"]) for row in vcpus(machine)]


def to_cpus(*place):
    """A step: the vCPUs, as `hvctl vcpu list` has them, go to those CPUs."""
    def run(machine):
        names = [f"{row['vm']} {row['vcpu']}" for row in vcpus(machine)]
        run_verbs(machine, *(f"vcpu pin {name} {cpu}" for name, cpu in zip(names, place)))
        assert pcpus(machine) == list(place)
    return run


def to_and_fro(*names, times=10):
    """A step: each of those vCPUs ("VM VCPU") comes and goes between the first two CPUs, quickly, and ends on the second."""
    def run(machine):
        run_verbs(machine, *[f"vcpu pin {vcpu} {cpu}" for cpu in (0, 1) for vcpu in names] * times)
    return run


def to_mode(mode):
    """A step: the first link has that mode, for both ends."""
    def run(machine):
        machine.hvctl("link", "mode", "net0", mode)
        machine.wait_until(f"net0 is {mode}", lambda: modes(machine, "net0") == dict.fromkeys(GUESTS, mode), 60)
    return run


def check_steps(machine, cpus, *steps):
    """Behind each step packets go on from each of so many CPUs of alpha, and data, which arrive. The vCPUs are where
    they were at the end."""
    def meanwhile():
        for step in steps:
            step(machine)
            pings.go_on()
        to_cpus(*before)(machine)

    before = pcpus(machine)
    pings = Pings(machine, cpus)
    assert_data_arrives(machine, STREAM_MIB, meanwhile=meanwhile)
    pings.end()

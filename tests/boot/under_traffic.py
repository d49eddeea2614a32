# SPDX-License-Identifier: BSD-2-Clause
"""What is done to a machine while alpha and beta send to each other: nobody is to notice."""

import re

from driver_checks import assert_no_complaints
from postern_machine import table
from traffic import assert_data_arrives

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
        return [int(self.alpha.run(f"grep -c 'bytes from' /tmp/pings{cpu} || true")) for cpu in self.cpus]

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


def check_vcpus_move(machine, vcpus, places):
    """To the CPUs of `places`, one after the other, a list with a CPU for each of `vcpus` ("VM VCPU"); then quickly to
    and fro between the first two, and back."""
    def pin(place):
        run_verbs(machine, *(f"vcpu pin {vcpu} {cpu}" for vcpu, cpu in zip(vcpus, place)))
        assert pcpus() == [str(cpu) for cpu in place]

    def pcpus():
        return [row["pcpu"] for row in table(machine.hvctl("vcpu", "list"))]

    def meanwhile():
        for place in places:
            pin(place)
            pings.go_on()
        run_verbs(machine, *[f"vcpu pin {vcpu} {place[i]}" for place in places[:2]
                             for i, vcpu in enumerate(vcpus)] * 10)
        pings.go_on()
        pin(before)

    before = [int(cpu) for cpu in pcpus()]
    pings = Pings(machine, sum(vcpu.startswith("alpha ") for vcpu in vcpus))
    assert_data_arrives(machine, STREAM_MIB, meanwhile=meanwhile)
    pings.end()


def check_modes_change(machine, cpus, modes):
    """Of the first link, to one after the other; alpha has so many CPUs."""
    def current():
        ends = table(machine.hvctl("links").split("\n\n")[1])
        return {row["vm"]: row["mode"] for row in ends if row["link"] == "net0"}

    def meanwhile():
        for mode in modes:
            machine.hvctl("link", "mode", "net0", mode)
            machine.wait_until(f"net0 is {mode}", lambda mode=mode: current() == dict.fromkeys(GUESTS, mode), 60)
            pings.go_on()

    pings = Pings(machine, cpus)
    assert_data_arrives(machine, STREAM_MIB, meanwhile=meanwhile)
    pings.end()

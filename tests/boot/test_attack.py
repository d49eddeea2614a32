# SPDX-License-Identifier: BSD-2-Clause
"""A guest that attacks: each claim of tests/attack is an attack that has to fail harmlessly. Beside it runs a
victim (tests/victim) that looks at its own canaries after each. docs/security.md names them all."""

import os
import re

import pytest

from kit_machine import KitMachine, check_all_ran, check_claim, claims_in, running
from postern_machine import FALLBACK, ROOT, table

NAMES = claims_in("attack")
# By violations stacks are not writable at times, and Bochs loses virtual interrupts then.
TRACKED = () if FALLBACK else ("attack", "victim")
# What the hypervisor has to say of the attacker, not of itself: a line, and indented ones with registers.
ABOUT_ATTACKER = re.compile(r"^E +[0-9.]+ (attack[/:]|  )")


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    with running(KitMachine("attack", tmp_path_factory.mktemp("attack"), guests=["victim"])) as machine:
        yield machine


@pytest.fixture(scope="module", name="text")
def fixture_text(machine):
    """What is in TRACKED is tracked all the time, and harvested every now and then."""
    harvests = []

    def harvest():
        harvests.extend(int(table(machine.hvctl("dirty", name))[0]["pages"]) for name in TRACKED)

    for name in TRACKED:
        machine.hvctl("dirty", name, "start")
    text = machine.run_claims("attack", meanwhile=harvest)
    assert all(pages > 0 for pages in harvests)
    with open(os.path.join(machine.directory, "console.txt"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(machine.directory, "log.txt"), "w", encoding="utf-8") as file:
        file.write(machine.hvctl("log"))
    return text


@pytest.mark.parametrize("name", NAMES)
def test_attack_fails(printed, name):
    check_claim(printed, name)


def test_runner_came_to_its_end(text):
    check_all_ran(text, NAMES)


def test_victim_is_unharmed(machine, text):
    assert text
    row = machine.vms()["victim"]
    assert (row["state"], row["starts"]) == ("running", "1")
    console = machine.console("victim")
    assert "victim: ready, 0 bad" in console
    assert "changed" not in console and "claim" not in console


def test_hypervisor_is_unharmed(machine, text):
    assert text
    log = machine.hvctl("log")
    bad = [line for line in log.splitlines()
           if line.startswith("E ") and not ABOUT_ATTACKER.match(line)]
    assert not bad
    assert "panic" not in log


def test_next_vm_start_is_clean(machine, text):
    """What the attacks left does not outlive their VM: it starts anew and attacks again."""
    assert text
    machine.wait_for_state("attack", "off")
    machine.hvctl("start", "attack")
    machine.wait_until("the attacker begins anew",
                       lambda: machine.console("attack").count(f"claim {NAMES[0]}: success") == 2)


def test_every_attack_is_described():
    """docs/security.md and the claims name each other."""
    with open(os.path.join(ROOT, "docs/security.md"), encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`", row)}
    assert set(NAMES) - named == set(), "attacks without a row"
    known = set(NAMES)
    for guest in ("claims", "network", "views"):
        known |= set(claims_in(guest))
    for folder in ("tests/boot", "tests/fuzz", "tests/unit"):
        for name in os.listdir(os.path.join(ROOT, folder)):
            if name.endswith((".py", ".c")):
                with open(os.path.join(ROOT, folder, name), encoding="utf-8") as file:
                    known |= set(re.findall(r"\b(test_\w+)\b", file.read()))
                known.add(os.path.splitext(name)[0])
    assert named - known == set(), "rows that name no test"

# SPDX-License-Identifier: BSD-2-Clause
"""What Postern promises to a guest, claim by claim: each claim of tests/claims is a test here. All are
tried twice: with the local APIC that the CPU virtualises, where it can, and with injected interrupts."""

import pytest

from kit_machine import KitMachine, check_all_ran, check_claim, claims_in, running

NAMES = claims_in("claims")


@pytest.fixture(scope="module", name="machine", params=["on", "off"],
                ids=["apicv_on", "apicv_off"])
def fixture_machine(request, can_run, tmp_path_factory):
    assert can_run is None
    with running(KitMachine("claims", tmp_path_factory.mktemp("claims"), f" apicv={request.param}")) as machine:
        yield machine


@pytest.fixture(scope="module", name="text")
def fixture_text(machine):
    return machine.run_claims("claims")


@pytest.mark.parametrize("name", NAMES)
def test_claim(printed, name):
    check_claim(printed, name)


def test_runner_came_to_its_end(text):
    check_all_ran(text, NAMES)


def test_exit_code_is_logged(machine, printed):
    bad = any(verdict in ("error", "failure") for verdict, _ in printed.values())
    assert f"claims: exits with code {3 if bad else 1}" in machine.hvctl("log")
    machine.wait_for_state("claims", "off")


def test_neighbour_goes_on(machine):
    assert machine.vms()["peer"]["starts"] == "1"

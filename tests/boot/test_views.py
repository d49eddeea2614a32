# SPDX-License-Identifier: BSD-2-Clause
"""Views, gates and #VE, claim by claim: each claim of tests/views is a test here."""

import pytest

from kit_machine import KitMachine, check_all_ran, check_claim, claims_in, running, verdicts

NAMES = claims_in("views")


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    with running(KitMachine("views", tmp_path_factory.mktemp("views"), " test=on apicv=off",
                            more=["--mwait"])) as machine:
        yield machine


@pytest.fixture(scope="module", name="text")
def fixture_text(machine):
    return machine.run_claims("views")


@pytest.mark.parametrize("name", NAMES)
def test_claim(printed, name):
    check_claim(printed, name)


def test_runner_came_to_its_end(text):
    check_all_ran(text, NAMES)


def test_neighbour_goes_on(machine):
    assert machine.vms()["peer"]["starts"] == "1"


def test_stay_is_bounded(can_run, tmp_path_factory):
    """On a machine of its own, with no other limit to a stay in the guest."""
    assert can_run is None
    with running(KitMachine("crossings", tmp_path_factory.mktemp("crossings"),
                            " test=on apicv=off max_stay=0")) as machine:
        printed = verdicts(machine.run_claims("crossings"))
    assert printed["stay_in_a_view_is_bounded"][0] == "success", printed

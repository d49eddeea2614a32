# SPDX-License-Identifier: BSD-2-Clause
"""Views, gates and #VE, claim by claim: each claim of tests/views is a test here."""

import pytest

from kit_machine import CLOSING, KitMachine, claims_in, verdicts

NAMES = claims_in("views")


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    machine = KitMachine("views", tmp_path_factory.mktemp("views"), " test=on apicv=off")
    try:
        yield machine.start()
    finally:
        machine.stop()


@pytest.fixture(scope="module", name="text")
def fixture_text(machine):
    return machine.run_claims("views")


@pytest.fixture(scope="module", name="printed")
def fixture_printed(text):
    return verdicts(text)


@pytest.mark.parametrize("name", NAMES)
def test_claim(printed, name):
    verdict, reason = printed.get(name, ("missing", "it printed no line"))
    if verdict == "skip":
        pytest.skip(reason)
    assert verdict == "success", f"{verdict}: {reason}"


def test_runner_came_to_its_end(text, printed):
    assert CLOSING.search(text), text[-2000:]
    assert set(printed) == set(NAMES)


def test_neighbour_goes_on(machine):
    assert machine.vms()["peer"]["starts"] == "1"


def test_stay_is_bounded(can_run, tmp_path_factory):
    """On a machine of its own, with no other limit to a stay in the guest."""
    assert can_run is None
    machine = KitMachine("crossings", tmp_path_factory.mktemp("crossings"),
                         " test=on apicv=off max_stay=0")
    try:
        printed = verdicts(machine.start().run_claims("crossings"))
    finally:
        machine.stop()
    assert printed["stay_in_a_view_is_bounded"][0] == "success", printed

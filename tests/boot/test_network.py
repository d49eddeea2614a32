# SPDX-License-Identifier: BSD-2-Clause
"""Networks, claim by claim: each claim of tests/network is a test here."""

import pytest

from kit_machine import KitMachine, check_all_ran, check_claim, claims_in, running
from postern_machine import table

NAMES = claims_in("network")


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    with running(KitMachine("network", tmp_path_factory.mktemp("network"), " apicv=off")) as machine:
        yield machine


@pytest.fixture(scope="module", name="text")
def fixture_text(machine):
    return machine.run_claims("network")


@pytest.mark.parametrize("name", NAMES)
def test_claim(printed, name):
    check_claim(printed, name)


def test_runner_came_to_its_end(text):
    check_all_ran(text, NAMES)


def test_monitor_shows_what_the_switch_knows(machine, text):
    assert text
    rows = table(machine.hvctl("fdb", "lan"))
    ports = {row["mac"]: (row["port"], row["vm"], row["kind"]) for row in rows}
    assert ports["02:50:4f:01:00:02"] == ("1", "beta", "learned")
    foreign = {row["vm"]: row["kind"] for row in table(machine.hvctl("fdb", "owned"))}
    assert foreign["beta"] == "foreign"
    members = {(row["name"], row["vm"]): row for row in table(machine.hvctl("networks"))}
    assert int(members["lan", "beta"]["dropped"]) > 1000  # of its flood
    assert int(members["guarded", "network"]["dropped"]) > 100  # beyond its limit
    assert members["owned", "network"]["switch"] == "beta"


def test_only_the_one_that_died_was_restarted(machine, text):
    assert text
    vms = machine.vms()
    assert (vms["beta"]["starts"], vms["gamma"]["starts"]) == ("1", "2")

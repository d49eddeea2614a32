# SPDX-License-Identifier: BSD-2-Clause
"""Views, gates and #VE, claim by claim: each claim of tests/views is a test here."""

import re

import pytest

from kit_machine import KitMachine, check_all_ran, check_claim, claims_in, running, verdicts
from postern_machine import FALLBACK, table

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


def test_links_show_what_exits_did(machine, text):
    assert text
    links, ends = (table(part) for part in machine.hvctl("links").split("\n\n"))
    assert [row["queues"] for row in links] == ["1", "1", "2", "1"]
    assert int(links[2]["doorbells0"]) > 0
    own, peer = (row for row in ends if row["link"] == "net0")
    assert (own["vm"], peer["vm"]) == ("views", "peer")
    assert int(own["resumed"]) > 0 and int(own["aborted"]) > 0 and int(own["violations"]) > 0
    assert int(own["switches"]) > 0 or "views change by VMFUNC" in machine.hvctl("caps")
    assert int(ends[5]["interrupts"]) == int(links[2]["doorbells0"])


def test_links_show_pools(machine, text):
    """The guest has ended: what it gave is its own again, and what it was given stays."""
    assert text
    machine.wait_for_state("views", "off")
    links = table(machine.hvctl("links").split("\n\n")[0])
    assert [row["mode"] for row in links] == ["gated", "open", "open", "direct"]
    assert [row["pool_kib"] for row in links] == ["0", "0", "0", "128"]
    assert [(row["given0"], row["given1"]) for row in links] == [("0", "0")] * 3 + [("0", "2")]


def test_caps_say_who_does_it(machine):
    caps = machine.hvctl("caps")
    for what, native in (("views change", "VMFUNC"), ("violations come", "#VE")):
        (by,) = re.findall(f"^{what} by (.*)$", caps, re.MULTILINE)
        assert by == "exits" or by == native and not FALLBACK, caps


def test_neighbour_goes_on(machine, text):
    """It was started anew three times, by claims that asked it to end."""
    assert text
    row = machine.vms()["peer"]
    assert (row["state"], row["starts"]) == ("running", "4")


def test_stay_is_bounded(can_run, tmp_path_factory):
    """On a machine of its own, with no other limit to a stay in the guest."""
    assert can_run is None
    with running(KitMachine("crossings", tmp_path_factory.mktemp("crossings"),
                            " test=on apicv=off max_stay=0")) as machine:
        printed = verdicts(machine.run_claims("crossings"))
    assert printed["stay_in_a_view_is_bounded"][0] == "success", printed

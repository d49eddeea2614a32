# SPDX-License-Identifier: BSD-2-Clause
"""Machines that tests share: a boot takes minutes in an emulator."""

import pytest

from kit_machine import verdicts
from postern_machine import Machine, platform, platform_probe


def pytest_terminal_summary(terminalreporter):
    """Skips print their reasons."""
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"SKIPPED {report.nodeid}: {report.longrepr[-1]}")


@pytest.fixture(scope="session", name="can_run")
def fixture_can_run():
    refusal = platform_probe.REFUSALS[platform()]()
    if refusal is not None:
        pytest.skip(f"no guests can run on {platform()}: {refusal}")


@pytest.fixture(scope="module", name="printed")
def fixture_printed(text):
    """The verdicts in what a guest of tests/kit printed, the module's `text`."""
    return verdicts(text)


def boot(name, config, guests, **more):
    machine = Machine(name, config, **more)
    try:
        machine.start()
        for guest in guests:
            machine.guest(guest).wait_ready()
        yield machine
    finally:
        machine.stop()


@pytest.fixture(scope="module", name="two")
def fixture_two(can_run):
    """Two Debian cloud guests, a CPU each, with a link."""
    assert can_run is None
    yield from boot("two", "two", ["alpha", "beta"])


@pytest.fixture(scope="module", name="mixed")
def fixture_mixed(can_run):
    """A cloud guest with two vCPUs and a generic one that shares a CPU with it, with a link."""
    assert can_run is None
    yield from boot("mixed", "mixed", ["alpha", "beta"])

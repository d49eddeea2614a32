# SPDX-License-Identifier: BSD-2-Clause
"""Machines that tests share: a boot takes minutes in an emulator."""

import os

import pytest

from clone_checks import TWIN
from kit_machine import menu, verdicts
from postern_machine import BOOT_SECONDS, ROOT, Machine, platform, platform_probe, small_firmware

# What a configuration's own entry has, in Bochs, and what makes boots and copies shorter still there: no REP MOVSB and
# STOSB in guests' kernels, with an instruction's time for each byte, and nothing prepared for tracing, which was a
# third of a boot.
LINUX_OPTIONS = (" apicv=off append=cryptomgr.notests append=pti=off append=clearcpuid=smap,erms"
                 " append=initcall_blacklist=trace_eval_init,tracer_init_tracefs"
                 " append=initcall_blacklist=ftrace_check_for_weak_functions")


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


def boot(name, config, guests, *, wait=BOOT_SECONDS, **more):
    machine = Machine(name, config, **more)
    try:
        machine.start(wait)
        for guest in guests:
            machine.guest(guest).wait_ready()
        yield machine
    finally:
        machine.stop()


def own_entry(directory, config, options=LINUX_OPTIONS):
    """Options of the launcher for an entry of one's own, which starts the configuration, and for its firmware."""
    script = os.path.join(directory, "entry.cfg")
    with open(script, "w", encoding="ascii") as file:
        file.write(menu(config, options, kit=False))
    return ["--put", script, *small_firmware()]


def boot_fast(name, guests, tmp_path_factory, *, options=(), **more):
    """A configuration of the image as boot() does it, but in Bochs with LINUX_OPTIONS."""
    if platform() != "bochs":
        yield from boot(name, name, guests, options=options, **more)
    else:
        entry = own_entry(tmp_path_factory.mktemp("entry"), name)
        yield from boot(name, None, guests, options=[*entry, *options], **more)


def boot_own(name, guests, tmp_path_factory, *, options=()):
    """The same with a configuration of tests/configs, which the image does not have."""
    config = os.path.join(ROOT, "tests/configs", f"{name}.conf")
    entry = own_entry(tmp_path_factory.mktemp(name), name)
    yield from boot(name, None, guests, options=[*entry, "--put", config, *options])


def changed_config(directory, name, changes):
    """Options of the launcher for a configuration of guests/examples in which each key of `changes` is its value."""
    with open(os.path.join(ROOT, "guests/examples", f"{name}.conf"), encoding="utf-8") as file:
        text = file.read()
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = os.path.join(directory, f"{name}.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return ["--put", path]


@pytest.fixture(scope="module", name="two")
def fixture_two(can_run, tmp_path_factory):
    """Two Debian cloud guests, a CPU each, with a link."""
    assert can_run is None
    yield from boot_fast("two", ["alpha", "beta"], tmp_path_factory)


@pytest.fixture(scope="module", name="mixed")
def fixture_mixed(can_run, tmp_path_factory):
    """A cloud guest with two vCPUs and a generic one that shares a CPU with it, with links in each mode, and room for
    the first one's twin."""
    assert can_run is None
    options = changed_config(tmp_path_factory.mktemp("config"), "mixed", TWIN)
    yield from boot_fast("mixed", ["alpha", "beta"], tmp_path_factory, options=options)

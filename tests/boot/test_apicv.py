# SPDX-License-Identifier: BSD-2-Clause
"""Interrupts that the CPU delivers itself, where it can: the other path from that which the other
tests of Bochs take."""

import pytest

from conftest import LINUX_OPTIONS, own_entry
from postern_machine import Machine, platform, table


def test_virtual_interrupt_delivery(can_run, tmp_path):
    """With one CPU, as the configuration needs: Bochs is faster by far then."""
    assert can_run is None
    entry = own_entry(tmp_path, "one", LINUX_OPTIONS.replace("apicv=off", "apicv=on"))
    machine = Machine("apicv", options=[*entry, "--cpus", "1"])
    try:
        machine.start()
        if "injected at entries" in machine.hvctl("caps"):
            pytest.skip(f"the CPU of {platform()} does not deliver virtual interrupts itself")
        alpha = machine.guest("alpha").wait_ready()
        alpha.run("sleep 1; dmesg | grep -i x2apic")
        text = machine.hvctl("stats", "alpha")
        counts = {row["exit"]: int(row["count"]) for row in table(text)}
        # Without it each interrupt costs an exit for its end, a WRMSR: thousands by now.
        assert counts["wrmsr"] < 500, text
        assert "interrupt_window" not in counts
    finally:
        machine.stop()

# SPDX-License-Identifier: BSD-2-Clause
"""Interrupts that the CPU delivers itself, where it can: the other path from that which the other
tests of Bochs take."""

import pytest

from postern_machine import Machine, platform, table

SCRIPT = """set default="apicv"
set timeout=0
menuentry "apicv" {
    chainloader /EFI/postern/postern.efi config=one apicv=on max_stay=20 append=cryptomgr.notests
}
"""


def test_virtual_interrupt_delivery(can_run, tmp_path):
    assert can_run is None
    script = tmp_path / "entry.cfg"
    script.write_text(SCRIPT)
    machine = Machine("apicv", options=["--put", str(script)])
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

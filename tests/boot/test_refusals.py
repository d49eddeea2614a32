# SPDX-License-Identifier: BSD-2-Clause
"""Machines and files that the hypervisor cannot work with: it says why and goes back."""

import time

import pytest

from postern_machine import PATIENCE, Machine, platform_probe, small_firmware

GOOD_VM = """vm alpha
    kernel /postern/vmlinuz-cloud
    memory 128M
    pcpus 0
"""

# A kernel that is read at once, with a disk.
DISK_VM = GOOD_VM.replace("vmlinuz-cloud", "lwip.elf") + "    disk /postern/{} {}\n"
IMAGES = {"empty.img": b"", "odd.img": bytes(513)}

# Name, configuration, and what is to be said.
BAD_CONFIGS = [
    ("missing", None, "/postern/missing.conf"),
    ("keyword", GOOD_VM + "    colour blue\n", 'keyword.conf:5: "colour" is nothing that a vm has'),
    ("number", GOOD_VM.replace("128M", "lots"), 'number.conf:3: memory "lots"'),
    ("empty", "# nothing\n", "empty.conf:0: no VM is declared"),
    ("cpus", GOOD_VM.replace("pcpus 0", "pcpus 5"),
     "vm alpha (line 1): pcpu 5, but this machine has 1 CPU"),
    ("memory", GOOD_VM.replace("128M", "2G"), "the configuration needs"),
    ("nokernel", GOOD_VM.replace("vmlinuz-cloud", "vmlinuz-none"), "/postern/vmlinuz-none"),
    ("notkernel", GOOD_VM.replace("vmlinuz-cloud", "notkernel.conf"),
     "/postern/notkernel.conf: the file is too short for a kernel's header"),
    ("nodisk", DISK_VM.format("none.img", "ro"), "/postern/none.img: no such file on the boot volume"),
    ("emptydisk", DISK_VM.format("empty.img", "rw"), "/postern/empty.img: is empty or not a file"),
    ("odddisk", DISK_VM.format("odd.img", "overlay 64K"),
     "/postern/odd.img: has 513 bytes, which is no multiple of 512: no disk's image"),
    ("badoption", GOOD_VM, "colour=blue"),
]


def menu_script(names):
    """GRUB starts one configuration after the other; each comes back to it."""
    lines = []
    for name in names:
        option = " colour=blue" if name == "badoption" else ""
        lines += [f"chainloader /EFI/postern/postern.efi config={name}{option}", "boot"]
    return "\n".join([*lines, "echo refusals-done", "set timeout=100", ""])


def test_bad_configurations(tmp_path):
    refusal = platform_probe.bochs_refusal()
    if refusal is not None:
        pytest.skip(refusal)
    options = []
    for name, text, _ in BAD_CONFIGS:
        if text is not None:
            path = tmp_path / f"{name}.conf"
            path.write_text(text)
            options += ["--put", str(path)]
    for name, content in IMAGES.items():
        (tmp_path / name).write_bytes(content)
        options += ["--put", str(tmp_path / name)]
    script = tmp_path / "entry.cfg"
    script.write_text(menu_script(name for name, _, _ in BAD_CONFIGS))
    options += ["--put", str(script), *small_firmware(), "--cpus", "1"]
    machine = Machine("refusals", on="bochs", options=options)
    try:
        machine.start(wait=0)
        end = time.monotonic() + PATIENCE * 400
        while "refusals-done" not in machine.serial() and time.monotonic() < end:
            time.sleep(1)
        text = machine.serial()
    finally:
        machine.stop()
    assert "refusals-done" in text, text[-3000:]
    for name, _, message in BAD_CONFIGS:
        assert message in text, f"{name}: {text[-6000:]}"
    assert text.count("back to the boot menu") >= len(BAD_CONFIGS)


def test_cpu_without_vmx():
    """QEMU without KVM: q35 with OVMF, ACPI tables, and no VMX."""
    refusal = platform_probe.qemu_refusal()
    if refusal is not None:
        pytest.skip(refusal)
    machine = Machine("novmx", entry="two", on="qemu", options=["--memory", "1024"])
    try:
        machine.start(wait=0)
        end = time.monotonic() + PATIENCE * 200
        while "has not started" not in machine.serial() and time.monotonic() < end:
            time.sleep(0.5)
        text = machine.serial()
    finally:
        machine.stop()
    assert "VMX" in text and "enable Intel Virtualization Technology" in text, text[-3000:]
    assert "Postern has not started; back to the boot menu" in text, text[-3000:]

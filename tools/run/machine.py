# SPDX-License-Identifier: BSD-2-Clause
"""The emulated machine: its disk, its settings and the emulator's command line."""

import os
import re
import shutil
import struct
import subprocess
import uuid

ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
SECTOR = 512
OVMF_BOCHS = "/usr/share/ovmf/OVMF.fd"
OVMF_QEMU_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_QEMU_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
ENTRY_FILE = "::/postern/entry.cfg"

BOCHSRC = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
megs: {memory}
romimage: file={ovmf}
cpu: model={cpu_model}, count={cpus}, ips={ips}, reset_on_triple_fault=0, ignore_bad_msrs=1{mwait}
pci: enabled=1, chipset=i440fx, slot1=pcivga
vga: extension=vbe
ata0: enabled=1
ata0-master: type=disk, mode=flat, path={disk}
boot: disk
com1: enabled=1, mode=socket-client, dev=localhost:{port}
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
mouse: enabled=0
port_e9_hack: enabled=1
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
log: bochs.log
"""


class MachineError(Exception):
    """Something that the caller of this script can put right; the text says what."""


def esp_offset(image):
    """Where the EFI system partition begins in a GPT image, in bytes."""
    with open(image, "rb") as disk:
        disk.seek(SECTOR)
        header = disk.read(92)
        if header[:8] != b"EFI PART":
            raise MachineError(f"{image}: not a GPT disk image")
        (table,) = struct.unpack_from("<Q", header, 72)
        count, size = struct.unpack_from("<II", header, 80)
        disk.seek(table * SECTOR)
        for _ in range(min(count, 128)):
            entry = disk.read(size)
            if len(entry) == size and uuid.UUID(bytes_le=entry[:16]) == ESP_TYPE:
                return struct.unpack_from("<Q", entry, 32)[0] * SECTOR
    raise MachineError(f"{image}: no EFI system partition in it")


def choose_entry(disk, name):
    """Makes GRUB start the entry `name` at once: its grub.cfg reads this file."""
    if not re.fullmatch(r"[\w.+-]+", name):
        raise MachineError(f"'{name}' cannot be the name of a menu entry")
    if shutil.which("mcopy") is None:
        raise MachineError("mcopy is missing: install the package mtools")
    done = subprocess.run(
        ["mcopy", "-o", "-i", f"{disk}@@{esp_offset(disk)}", "-", ENTRY_FILE],
        input=f'set default="{name}"\nset timeout=0\n'.encode(),
        capture_output=True,
        check=False,
        env=dict(os.environ, MTOOLS_SKIP_CHECK="1"),
    )
    if done.returncode != 0:
        raise MachineError(f"{ENTRY_FILE} in {disk}: {done.stderr.decode().strip()}")


def put_file(disk, path):
    """Copies a file into the image's /postern."""
    done = subprocess.run(
        ["mcopy", "-o", "-i", f"{disk}@@{esp_offset(disk)}", path, "::/postern/"],
        capture_output=True, check=False, env=dict(os.environ, MTOOLS_SKIP_CHECK="1"))
    if done.returncode != 0:
        raise MachineError(f"{path} into {disk}: {done.stderr.decode().strip()}")


def prepare_disk(settings, directory):
    """A copy of the image for this run, so that no run changes what the next one finds."""
    image = settings["image"]
    disk = os.path.join(directory, "disk.img")
    if not os.path.exists(image):
        raise MachineError(f"{image} does not exist: build it with 'make image'")
    for stale in (disk, disk + ".lock"):
        if os.path.exists(stale):
            os.unlink(stale)
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", "--", image, disk], check=True)
    os.chmod(disk, 0o644)
    for path in settings["put"]:
        put_file(disk, path)
    if settings["entry"]:
        choose_entry(disk, settings["entry"])


def need_file(path, package):
    if not os.path.exists(path):
        raise MachineError(f"{path} is missing: install the package {package}")
    return path


def bochs_command(settings, port):
    """Writes Bochs's settings into the current directory and returns its command line."""
    with open("bochsrc", "w", encoding="ascii") as file:
        file.write(
            BOCHSRC.format(
                memory=settings["memory"],
                cpus=settings["cpus"],
                cpu_model=settings["cpu_model"],
                ips=settings["ips"],
                mwait=", mwait_is_nop=1" if settings["mwait"] else "",
                ovmf=need_file(OVMF_BOCHS, "ovmf"),
                disk="disk.img",
                port=port,
            )
        )
        file.writelines(line + "\n" for line in settings["bochs_lines"])
    # Debian's Bochs has its debugger compiled in: it wants to be told to go on.
    with open("bochs.rc", "w", encoding="ascii") as file:
        file.write("c\n")
    return ["bochs", "-q", "-f", "bochsrc", "-rc", "bochs.rc"]


def qemu_command(settings, port):
    """QEMU's command line; its firmware's variables are copied into the current directory."""
    need_file(OVMF_QEMU_CODE, "ovmf")
    shutil.copyfile(need_file(OVMF_QEMU_VARS, "ovmf"), "vars.fd")
    if settings["platform"] == "kvm":
        processor = ["-accel", "kvm", "-cpu", "host"]
    else:
        processor = ["-accel", "tcg", "-cpu", "max"]
    flash = "if=pflash,format=raw"
    return [
        *["qemu-system-x86_64", "-machine", "q35", *processor],
        *["-smp", str(settings["cpus"]), "-m", str(settings["memory"])],
        *["-drive", f"{flash},unit=0,readonly=on,file={OVMF_QEMU_CODE}"],
        *["-drive", f"{flash},unit=1,file=vars.fd"],
        *["-drive", "id=disk,if=none,format=raw,file=disk.img", "-device", "ide-hd,drive=disk"],
        *["-chardev", f"socket,id=line,host=localhost,port={port}", "-serial", "chardev:line"],
        *["-debugcon", "stdio", "-net", "none", "-display", "none", "-monitor", "none"],
        "-no-reboot",
    ]


def command(settings, port):
    """The emulator's command line; it connects to `port` with its serial line."""
    if settings["platform"] == "bochs":
        return bochs_command(settings, port)
    return qemu_command(settings, port)

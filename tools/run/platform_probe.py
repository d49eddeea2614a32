# SPDX-License-Identifier: BSD-2-Clause
"""Which platforms this machine can run the image on."""

import fcntl
import os
import shutil
import struct

KVM_GET_SUPPORTED_CPUID = 0xC008AE05  # _IOWR(0xAE, 0x05, struct kvm_cpuid2)
ENTRIES = 256
ENTRY = struct.Struct("<10I")  # function, index, flags, eax, ebx, ecx, edx, padding
CPUID_1_ECX_VMX = 1 << 5


def kvm_refusal():
    """None if the host's KVM offers VMX to its guests, else why not. The device file alone says
    nothing: KVM has to be asked."""
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is not installed"
    try:
        kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    table = bytearray(8 + ENTRIES * ENTRY.size)
    struct.pack_into("<II", table, 0, ENTRIES, 0)
    try:
        fcntl.ioctl(kvm, KVM_GET_SUPPORTED_CPUID, table, True)
    except OSError as error:
        return f"KVM_GET_SUPPORTED_CPUID: {error.strerror}"
    finally:
        os.close(kvm)
    (count,) = struct.unpack_from("<I", table)
    for i in range(count):
        entry = ENTRY.unpack_from(table, 8 + i * ENTRY.size)
        if entry[0] == 1:
            return None if entry[5] & CPUID_1_ECX_VMX else "the host's KVM offers no VMX to guests"
    return "KVM names no CPUID leaf 1"


def bochs_refusal():
    """None if Bochs can be run, else why not."""
    if shutil.which("bochs") is None:
        return "bochs is not installed"
    return None


def qemu_refusal():
    """None if QEMU can be run, else why not."""
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is not installed"
    return None


REFUSALS = {"kvm": kvm_refusal, "bochs": bochs_refusal, "qemu": qemu_refusal}


def choose():
    """The platform that can run guests here, and why it is that one."""
    refusal = kvm_refusal()
    if refusal is None:
        return "kvm", "the host's KVM offers VMX"
    return "bochs", f"no nested KVM: {refusal}"

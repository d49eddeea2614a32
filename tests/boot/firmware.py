# SPDX-License-Identifier: BSD-2-Clause
"""OVMF with fewer drivers: half of what it decompresses before it boots, most of a machine's start in Bochs, is
its shell, network, TLS and USB, which no test uses. The rest stays as it is, byte for byte and where it is.

Formats: UEFI Platform Initialization Specification, volume 3, firmware volumes, files and sections."""

import lzma
import os
import struct
import uuid

LZMA = uuid.UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf").bytes_le  # of a section that is compressed so
SECTION_GUID_DEFINED, SECTION_UI, SECTION_VOLUME = 0x02, 0x15, 0x17
WITH_SECTIONS = (0x07, 0x09)  # types of files: drivers and applications
FILE_PAD = 0xf0
FILE_HEADER, STATE, FILE_CHECKSUM = 24, 23, 0xaa
DICTIONARY = 1 << 24
UNUSED = set("""
    Shell TlsDxe TlsAuthConfigDxe SecureBootConfigDxe UiApp IScsiDxe Ip4Dxe Ip6Dxe UefiPxeBcDxe HttpBootDxe HttpDxe
    HttpUtilitiesDxe TcpDxe DnsDxe Dhcp4Dxe Dhcp6Dxe Mtftp4Dxe Mtftp6Dxe Udp4Dxe Udp6Dxe MnpDxe ArpDxe VlanConfigDxe
    SnpDxe DpcDxe httpDynamicCommand tftpDynamicCommand LinuxInitrdDynamicShellCommand VirtioNetDxe VirtioGpuDxe
    VirtioFsDxe VirtioScsiDxe VirtioBlkDxe VirtioRngDxe UhciDxe EhciDxe XhciDxe UsbBusDxe UsbKbDxe UsbMassStorageDxe
    UdfDxe NvmExpressDxe ScsiBus ScsiDisk TcgDxe Tcg2Dxe Tcg2ConfigDxe Tcg2PlatformDxe EbcDxe RamDiskDxe LogoDxe
    """.split())


def size_at(data, at):
    """A section's or a file's: three bytes."""
    return int.from_bytes(data[at:at + 3], "little")


def sections(data, at, end):
    """Where each begins and ends, and its type."""
    while at + 4 <= end and 4 <= size_at(data, at) <= end - at:
        yield at, at + size_at(data, at), data[at + 3]
        at += (size_at(data, at) + 3) & ~3


def files(data, volume):
    """Where each file of the firmware volume begins and ends."""
    length, header, extended = struct.unpack_from("<32xQ8xH2xH", data, volume)
    if extended != 0:
        header = extended + struct.unpack_from("<I", data, volume + extended + 16)[0]
    at = (header + 7) & ~7
    while at + FILE_HEADER <= length and data[volume + at:volume + at + 16] != b"\xff" * 16:
        size = size_at(data, volume + at + 20)
        if not FILE_HEADER <= size <= length - at:
            raise ValueError("a file that is longer than its volume")
        yield volume + at, volume + at + size
        at += (size + 7) & ~7


def name_of(data, start, end):
    if data[start + 18] in WITH_SECTIONS:
        for first, last, kind in sections(data, start + FILE_HEADER, end):
            if kind == SECTION_UI:
                return data[first + 4:last].decode("utf-16le").rstrip("\0")
    return None


def make_pad(data, start, end):
    """Makes the file one that only takes room. Its header's sum is 0, without the state and the data's checksum."""
    header = bytearray(b"\xff" * 16 + bytes((0, 0, FILE_PAD, 0)) + data[start + 20:start + FILE_HEADER])
    header[16] = -sum(header[:STATE]) & 0xff
    header[17] = FILE_CHECKSUM
    data[start:end] = header + b"\xff" * (end - start - FILE_HEADER)


def without_unused(image):
    """The image with fewer drivers; ValueError where it is not as Debian's are."""
    image = bytearray(image)
    section = image.find(LZMA) - 4
    if section < 0 or image[section + 3] != SECTION_GUID_DEFINED:
        raise ValueError("no section that is compressed with LZMA")
    start = section + struct.unpack_from("<H", image, section + 20)[0]
    end = section + size_at(image, section)
    data = bytearray(lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(bytes(image[start:end])))
    at, removed = 0, 0
    while at + 8 <= len(data) and size_at(data, at) >= 4:
        if data[at + 3] == SECTION_VOLUME:
            # A volume is longer than three bytes can say only where its header is, too.
            for first, last in files(data, at + 4):
                if name_of(data, first, last) in UNUSED:
                    make_pad(data, first, last)
                    removed += 1
        at += (size_at(data, at) + 3) & ~3
    if removed == 0:
        raise ValueError("none of the drivers that are not used")
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": DICTIONARY, "lc": 3, "lp": 0, "pb": 2, "preset": 9}]
    packed = (bytes(image[start:start + 1]) + struct.pack("<IQ", DICTIONARY, len(data)) +
              lzma.compress(bytes(data), lzma.FORMAT_RAW, filters=filters))
    if image[start] != 0x5d or len(packed) > end - start:
        raise ValueError("other parameters of LZMA")
    image[start:end] = packed.ljust(end - start, b"\0")
    return bytes(image)


def small(source, target):
    """Writes `target`, unless it is there; None: `source` is something else than was expected, and has to do."""
    newest = max(map(os.path.getmtime, filter(os.path.exists, (source, __file__))))
    if not os.path.exists(target) or os.path.getmtime(target) < newest:
        try:
            with open(source, "rb") as file:
                image = without_unused(file.read())
        except (OSError, ValueError, lzma.LZMAError, struct.error):
            return None
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(f"{target}.{os.getpid()}", "wb") as file:
            file.write(image)
        os.replace(f"{target}.{os.getpid()}", target)
    return target

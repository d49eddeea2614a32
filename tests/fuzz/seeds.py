# SPDX-License-Identifier: BSD-2-Clause
"""Inputs for the fuzzers to begin with, one function per fuzzer. Each is in the form that its
fuzzer reads; see there."""

import glob
import struct
import zlib


def config():
    for path in sorted(glob.glob("guests/examples/*.conf") + glob.glob("tests/configs/*.conf")):
        with open(path, "rb") as file:
            yield file.read()
    yield b"vm a\n  kernel = /a\n  memory = 64M\n  cpus = 0\n"
    yield (b"vm a\nkernel /k\npcpus 0\nafter b c\nweight 7\nexclusive on\non_crash restart 3\nvm b\nkernel /k\n"
           b"pcpus 1\nautostart off\non_crash keep\non_reboot destroy\nvm c\nkernel /k\npcpus 1\nafter b\n")


def frame(payload):
    """As lib/hdlc.h has it. The FCS of RFC 1662 is zlib's CRC-32."""
    body = b"\xff\x03" + payload
    body += struct.pack("<I", zlib.crc32(body))
    escaped = b"".join(bytes((0x7d, byte ^ 0x20)) if byte in (0x7d, 0x7e, 0x11, 0x13)
                       else bytes((byte,)) for byte in body)
    return b"\x7e" + escaped + b"\x7e"


def hdlc():
    # The decoder's size, the byte that goes with a silence, the line.
    yield bytes((60, 1)) + b"text ~ text" + frame(b"a payload ~ with } flags") + b"text"
    yield bytes((8, 2)) + frame(b"too long for the buffer") + frame(b"ab") + b"\x7e\x01\x7e\xff\x03"


def request(kind, sequence, body=b"", session=7):
    message = struct.pack("<BBHI", kind, 0, sequence, session) + body
    return bytes((2, len(message))) + message


def monitor():
    hello = request(1, 1, struct.pack("<H", 1))
    talk = bytes((6, 60))
    yield hello + talk + request(2, 2, struct.pack("<H", 0)) + talk + request(6, 3)
    yield hello + request(7, 2, struct.pack("<HHQ", 2, 0, 0)) + talk
    yield hello + request(8, 2, struct.pack("<HHQI", 2, 0, 64, 2 << 30 | 3)) + talk
    yield (hello + request(3, 2, b"exits") + talk + request(4, 3, struct.pack("<HHQ", 1, 500, 0))
           + talk + request(3, 4, b"flood") + talk)
    yield (bytes((0x57, 5)) + b"hello" + hello + request(4, 2, struct.pack("<HHQ", 0, 64, 0))
           + request(5, 3, struct.pack("<HHQ", 2, 0, 0) + b"ls\r") + talk)
    for line in (b"exits\r", b"help\r", b"console alpha\r", b"~", b"\x1b[A\x7f\x03"):
        yield bytes((0x17, 0, 0, len(line))) + line + bytes((5, 255)) + talk


def multiboot_header(flags, *addresses):
    return struct.pack(f"<III{len(addresses)}I", 0x1badb002, flags,
                       (-0x1badb002 - flags) & 0xffffffff, *addresses)


def multiboot():
    at = 0x200000
    yield (bytes((3, 1)) + multiboot_header(0x10003, at, at, at + 64, at + 5000, at + 32)
           + bytes(64))
    yield bytes((2, 0)) + multiboot_header(0x10000, at, at, 0, 0, at + 40) + bytes(40)
    segments = (struct.pack("<8I", 1, 0x80, 0, at, 64, 128, 5, 4)
                + struct.pack("<8I", 1, 0xc0, 0, at + 4096, 16, 8192, 6, 4))
    elf = struct.pack("<IBBB9xHHIIIIIHHHHHH", 0x464c457f, 1, 1, 1, 2, 3, 1, at + 4, 52, 0, 0, 52,
                      32, 2, 0, 0, 0)
    file = (elf + segments).ljust(0x80, b"\0") + multiboot_header(3)
    yield bytes((7, 2)) + file.ljust(0x100, b"\x90")


def linux_boot():
    def put(image, offset, form, value):
        struct.pack_into(form, image, offset, value)

    for relocatable, preferred, options in ((1, 2 << 20, 3), (0, 1 << 20, 6), (1, 16 << 20, 0)):
        image = bytearray(2048)
        put(image, 0x1f1, "<B", 1)          # setup_sects
        put(image, 0x1fe, "<H", 0xaa55)
        put(image, 0x200, "<H", 0x66eb)     # jump: the header's end
        image[0x202:0x206] = b"HdrS"
        put(image, 0x206, "<H", 0x020f)
        put(image, 0x211, "<B", 1)
        put(image, 0x22c, "<I", 0x7fffffff)  # initrd_addr_max
        put(image, 0x230, "<I", 2 << 20)     # kernel_alignment
        put(image, 0x234, "<B", relocatable)
        put(image, 0x236, "<H", 0x3f)        # xloadflags
        put(image, 0x238, "<I", 2047)        # cmdline_size
        put(image, 0x258, "<Q", preferred)
        put(image, 0x260, "<I", 3 << 20)     # init_size
        yield bytes((options, 4)) + bytes(image)
    yield bytes((0, 0)) + bytes(image[:1024 + 30])  # ends before its entry


def mmio_insn():
    for text in ("028807", "02668907", "028b07", "02488b4708", "02c74708 78563412",
                 "02a1" + "11" * 8, "020fb607", "02480fbe4710", "020fbf8710000000", "0165 8b04 24", "008a1e3412",
                 "02458844b5 7f", "0248c7050100000002000000", "012ea3 00100000"):
        yield bytes.fromhex(text)


def ring():
    def victim(kind, loads=0):
        return bytes((loads << 4 | 8 | kind,))

    def peer_sends(length):
        return b"\x02" + struct.pack("<H", length)

    def buffer(offset, size):
        return struct.pack("<I", offset)[:3] + struct.pack("<H", size)

    take, keep, release, publish, sync = (victim(kind) for kind in (0, 1, 2, 5, 7))
    arm = victim(3) + buffer(0, 2000)
    send = victim(4) + struct.pack("<H", 1000)
    yield (peer_sends(60) + peer_sends(1500) + keep + take + take + take + release + arm) * 8
    yield (send * 40 + publish + victim(6) + struct.pack("<H", 4000) + b"\x03") * 3
    yield b"\x04" + sync + b"\x06" + sync + send + publish + b"\x03\x05" + sync + b"\x07" + sync
    # A head, a tail and a record's length written into the middle of what the victim does.
    yield peer_sends(60) + victim(0, 3) + bytes((0xc0, 8, 7)) + struct.pack("<h", 16) + sync
    yield (send * 40 + publish + victim(4, 2) + b"\xe8\x03" + bytes((0xc0, 9, 1))
           + struct.pack("<h", 1))
    yield peer_sends(60) + b"\x00\x03\x00" + take + sync + b"\x04" + sync
    yield peer_sends(60) + victim(0, 4) + bytes((0x85, 0)) + struct.pack("<I", 1 << 20) + sync
    # Posted buffers, both ways, and lent payloads; then an entry that changes, and a wrong count.
    post = b"\x01" + buffer(0x1000, 2000)
    send_long = victim(4) + struct.pack("<H", 1002)
    yield (arm * 3 + peer_sends(1002) + peer_sends(1003) + release) * 4
    yield (post * 3 + send_long * 2 + publish + b"\x03") * 4
    yield post + victim(4, 2) + struct.pack("<H", 1002) + bytes((0x44, 0x80)) + b"\xff\xff" + sync
    yield post + bytes((0x00, 0xc4, 12)) + struct.pack("<Q", 5000) + send_long + sync


def switch():
    def frame(port, to, source, rest=b"\x08\x00" + bytes(6)):
        body = bytes((to, 0, 0, 0, 0, 0, source, 0, 0, 0, 0, 0)) + rest
        return bytes((0x82 | port << 3, len(body))) + body

    talk = frame(0, 0xff, 1) + frame(1, 1, 2) + frame(0, 2, 1) + b"\x08\x08" + frame(2, 2, 1)
    tagged = frame(2, 0xff, 3, b"\x81\x00\x60\x0a\x86\xdd") + frame(0, 3, 1)
    yield bytes((2, 0)) + (talk + b"\x09" + frame(0, 2, 1) + b"\x89") * 3
    # VLAN 10: ports 0 and 1 without tags, port 2 with; port 3 mirrors port 1.
    vlans = b"\x00\x09\x00" + b"\x08\x09\x00" + b"\x11\x09\x00" + b"\x1a\x02"
    yield bytes((2, 4)) + vlans + talk + tagged + talk
    # No IPv6 from port 0; a limit, a fixed address.
    yield (bytes((2, 3)) + b"\x06\x00\xdd\x86\x01\xff\x00" + b"\x0b\x10\x27\x00\x00\x00"
           + b"\x15\x03" + talk + tagged + frame(2, 1, 3) + frame(1, 1, 3)) + talk * 5


def virtq():
    """Some chains of each layout; see tests/fuzz/fuzz_virtq.c for the places."""
    def poke(at, data):
        return bytes((0, len(data))) + struct.pack("<H", at) + data

    def table(at, *rows):
        return poke(at, b"".join(struct.pack("<QIHH", *row) for row in rows))

    take = b"\x01\x02\x03\x04"
    yield (bytes((0, 3)) + table(0, (0x1000, 16, 1, 1), (0x1100, 64, 3, 2), (0x1200, 1, 2, 0))
           + poke(0x400, struct.pack("<4H", 0, 2, 0, 1)) + take + take)
    yield (bytes((6, 3)) + table(0, (0x2000, 32, 4, 0)) + table(0x2000, (0, 9, 1, 1), (9, 9, 2, 0))
           + poke(0x400, struct.pack("<3H", 0, 1, 0)) + take)
    yield (bytes((1, 3)) + table(0, (0x1000, 16, 7, 0x81), (0x1100, 64, 7, 0x82)) + take
           + table(0x20, (0x1000, 16, 5, 0x80)) + take)
    yield (bytes((7, 3)) + table(0x2000, (0x1000, 16, 0, 0), (0x1100, 64, 0, 2))
           + table(0, (0x2000, 32, 7, 0x84)) + poke(0x400, b"\0\x80\2\0") + take)


def virtio():
    """One request of each device, in each layout; see tests/fuzz/fuzz_virtio.c for the places."""
    def poke(at, data):
        return bytes((0, len(data))) + struct.pack("<H", at) + data

    def split(queue, *rows):
        base = 0x1000 * queue
        table = b"".join(struct.pack("<QIHH", address, size, flags | (i + 1 < len(rows)), i + 1)
                         for i, (address, size, flags) in enumerate(rows))
        return poke(base, table) + poke(base + 0x400, struct.pack("<3H", 0, 1, 0)) + bytes((4 | queue << 3,))

    def packed(queue, *rows):
        table = b"".join(struct.pack("<QIHH", address, size, 5, 0x80 | flags | (i + 1 < len(rows)))
                         for i, (address, size, flags) in enumerate(rows))
        return poke(0x1000 * queue, table) + bytes((4 | queue << 3,))

    for layout, add in ((128, split), (192, packed)):
        kinds = [next(kind for kind in range(layout, 256) if kind % 6 == model) for model in range(6)]
        yield bytes(kinds[:1]) + add(0, (0x4000, 64, 2)) + bytes((0x23, 20, 0, 0))
        yield bytes(kinds[1:2]) + add(1, (0x4000, 64, 0)) + add(0, (0x4000, 64, 2)) + b"\x07\x06"
        for kind in kinds[2:5]:
            for header, data in ((0, 2), (1, 0), (8, 2)):
                yield (bytes((kind,)) + poke(0x4000, struct.pack("<IIQ", header, 0, 3))
                       + add(0, (0x4000, 16, 0), (0x5000, 512, data), (0x6000, 1, 2)))
            for header in (11, 13):
                yield (bytes((kind,)) + poke(0x4000, struct.pack("<IIQQII", header, 0, 0, 0, 9, 0))
                       + add(1, (0x4000, 32, 0), (0x6000, 1, 2)))
        # A segment of TCP that is to be cut, a frame that comes, a command.
        segment = struct.pack("<BB5H", 1, 1, 54, 100, 34, 16, 0) + bytes(12) + b"\x08\0\x45" + bytes(8)
        yield (bytes(kinds[5:]) + poke(0x4000, segment + b"\x06" + bytes(22) + b"\x50" + bytes(100))
               + add(1, (0x4000, 600, 0)))
        yield bytes(kinds[5:]) + add(0, (0x4000, 600, 2)) + bytes((7, 0x23, 100, 0, 1, 0))
        yield bytes(kinds[5:]) + poke(0x4000, bytes(3)) + add(2, (0x4000, 3, 0), (0x6000, 1, 2))


def trace():
    info = (b"what\tvalue\ntsc_hz\t1000000000\ncpus\t2\n\nevent\tname\n0\texit\n1\trun\n\nvm\tname\n0\ta\n\n"
            b"exit\tname\n10\tcpuid\n")
    records = b"".join(struct.pack("<QIBBBBQ", 1000 + i, 5, i % 6, 0, 0, 10, i) for i in range(8))
    yield (b"postern-trace 1\ninfo %d\n" % len(info) + info +
           b"cpu 0 3 %d\n" % len(records) + records + b"cpu 1 0 0\n")


def snapshot():
    yield struct.pack("<IIIQI", 2 << 30 | 5, 1 << 30 | 3, 7, 9, 3 << 30 | 2)
    yield struct.pack("<IQQ", 2, 1, 2)
    yield struct.pack("<BHIIQIII", 2, 512, 3 << 30 | 100, 1 << 30 | 600, 7, 2 << 30 | 512, 1, 9) + bytes(4)
    # All of a disk, which an overlay with one block has no room for: only what is zeros.
    yield struct.pack("<BHIIQIIQI", 1, 0, 2 << 30 | 512, 1 << 30 | 512, 7, 2 << 30 | 512, 1 << 30 | 62, 9, 2 << 30 | 2)
    header = struct.Struct("<HHIII")
    yield header.pack(2, 1, 0, 808, 0) + bytes(808) + header.pack(3, 1, 0, 832, 0) + bytes(832)
    yield header.pack(1, 1, 0, 8, 0) + bytes(8) + header.pack(4, 1, 0, 3, 0) + bytes(8)
    # A NIC, and two pages of a gate.
    yield header.pack(11, 1, 0, 40, 0) + struct.pack("<QIIIIIIII", 65536, 1, 1, 0, 0, 1, 0, 0, 0)
    yield header.pack(12, 1, 0, 1040, 0) + struct.pack("<QIIQQQQ", 0, 3, 2, 0x5000, 0, 0x6000, 1) + bytes(992)
    # Two views and an area of #VE.
    yield (header.pack(13, 1, 2, 8, 0) + struct.pack("<Q", 0x3f000) + header.pack(14, 1, 2, 8, 0) + struct.pack("<II", 0, 0)
           + header.pack(14, 1, 1, 8, 0) + struct.pack("<II", 3, 7))


SEEDS = {"snapshot": snapshot, "virtq": virtq, "virtio": virtio,
         "config": config, "hdlc": hdlc, "monitor": monitor, "multiboot": multiboot,
         "linux_boot": linux_boot, "mmio_insn": mmio_insn, "ring": ring, "switch": switch, "trace": trace}

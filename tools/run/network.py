# SPDX-License-Identifier: BSD-2-Clause
"""A network of one's own.

Bochs has no way to run without a display, and the one that needs no window is a VNC server on all
of the host's addresses, with no password. In a network namespace nobody else can reach it; the
serial line's UNIX socket is a file and is not affected.
"""

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def make_private():
    """Moves this process into a network namespace that has a loopback device only. False where the
    system does not allow it; nothing has changed then."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) != 0:
        # Without privilege it takes a user namespace as well, in which we remain who we are.
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        write("/proc/self/setgroups", "deny")
        write("/proc/self/gid_map", f"{group} {group} 1")
        write("/proc/self/uid_map", f"{user} {user} 1")
    raise_loopback()
    return True

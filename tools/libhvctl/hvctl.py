# SPDX-License-Identifier: BSD-2-Clause
"""The Postern hypervisor for Python: a binding of libhvctl (libhvctl.h).

    with hvctl.Hypervisor("build/run/line") as hypervisor:
        for vm in hypervisor.table("list"):
            print(vm["name"], vm["state"])
        console = hypervisor.console("alpha")
        console.type("uname -r\\n")
        print(console.expect(r"\\d+\\.\\d+\\.\\d+.*").group())
"""

import ctypes
import os
import re
import time

_FAILED = -2


class Error(Exception):
    """The line, or the hypervisor, did not do what was asked; str() says why."""


class CommandFailed(Error):
    """The hypervisor carried the command out, and it failed."""


def _load(path):
    library = ctypes.CDLL(path)
    text, size = ctypes.c_char_p, ctypes.c_size_t
    for name, result, arguments in (
            ("open", ctypes.c_void_p, (text, ctypes.c_uint, text, size)),
            ("close", None, (ctypes.c_void_p,)),
            ("error", text, (ctypes.c_void_p,)),
            ("execute", ctypes.c_int, (ctypes.c_void_p, text, ctypes.POINTER(ctypes.c_void_p),
                                       ctypes.POINTER(size))),
            ("console", text, (ctypes.c_void_p, ctypes.c_uint)),
            ("read", ctypes.c_ssize_t, (ctypes.c_void_p, text, ctypes.POINTER(ctypes.c_uint64),
                                        text, size, ctypes.POINTER(ctypes.c_uint64))),
            ("write", ctypes.c_ssize_t, (ctypes.c_void_p, text, text, size)),
            ("memory", ctypes.c_ssize_t, (ctypes.c_void_p, text, ctypes.c_uint64, text, size))):
        function = getattr(library, f"hvctl_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def tables(output):
    """The tables of a command's output, each a list of dictionaries; numbers are int or float."""
    def value(cell):
        for kind in (int, float):
            try:
                return kind(cell)
            except ValueError:
                pass
        return None if cell == "-" else cell

    found, header = [], None
    for line in output.splitlines():
        cells = line.split("\t")
        if len(cells) == 1:
            header = None
        elif header is None:
            header = cells
            found.append([])
        else:
            found[-1].append(dict(zip(header, map(value, cells))))
    return found


class Hypervisor:
    """A session with the hypervisor on a line. Not for several threads at once."""

    def __init__(self, line, timeout=10, library=None):
        """`library` is the path of libhvctl.so; else POSTERN_LIBHVCTL, else the system's."""
        self._library = _load(library or os.environ.get("POSTERN_LIBHVCTL", "libhvctl.so"))
        error = ctypes.create_string_buffer(256)
        self._handle = self._library.hvctl_open(os.fsencode(line), int(timeout * 1000), error,
                                                len(error))
        if not self._handle:
            raise Error(f"{line}: {error.value.decode(errors='replace')}")

    def close(self):
        self._library.hvctl_close(self._handle)
        self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def _session(self):
        if self._handle is None:
            raise Error("the session is closed")
        return self._handle

    def check(self, result):
        """Raises what a negative result of the library stands for."""
        if result < 0:
            text = self._library.hvctl_error(self._session()).decode(errors="replace").strip()
            raise (CommandFailed if result == _FAILED else Error)(text)
        return result

    def execute(self, command):
        """Runs a command of the monitor and returns what it prints."""
        output, size = ctypes.c_void_p(), ctypes.c_size_t()
        self.check(self._library.hvctl_execute(self._session(), command.encode(),
                                               ctypes.byref(output), ctypes.byref(size)))
        return ctypes.string_at(output.value, size.value).decode(errors="replace")

    def table(self, command):
        """The first table of what a command prints."""
        found = tables(self.execute(command))
        return found[0] if found else []

    def consoles(self):
        """The names of the consoles."""
        names, index = [], 0
        while (name := self._library.hvctl_console(self._session(), index)) is not None:
            names.append(name.decode())
            index += 1
        return names

    def console(self, name):
        return Console(self, name)

    def read(self, console, offset):
        """What the console printed from that byte on, the offset behind it, and how many bytes
        before it were lost."""
        buffer = ctypes.create_string_buffer(4096)
        at, lost = ctypes.c_uint64(offset), ctypes.c_uint64()
        count = self.check(self._library.hvctl_read(self._session(), console.encode(),
                                                    ctypes.byref(at), buffer, len(buffer),
                                                    ctypes.byref(lost)))
        return buffer.raw[:count], at.value, lost.value

    def write(self, console, data):
        """Types bytes; returns how many were taken."""
        return self.check(self._library.hvctl_write(self._session(), console.encode(), data,
                                                    len(data)))

    def memory(self, vm, address, size):
        """That much of a VM's memory, from a guest-physical address on."""
        data, buffer = b"", ctypes.create_string_buffer(4096)
        while len(data) < size:
            count = self.check(self._library.hvctl_memory(self._session(), vm.encode(), address + len(data), buffer,
                                                          min(len(buffer), size - len(data))))
            if count == 0:
                raise Error(f"{vm} has no memory at {address + len(data):#x}")
            data += buffer.raw[:count]
        return data


class Console:
    """A console, read from its beginning."""

    def __init__(self, hypervisor, name):
        self._hypervisor, self.name = hypervisor, name
        self._offset, self._unread = 0, ""
        self.lost = 0  # bytes that the hypervisor no longer had

    def _read(self):
        data, self._offset, lost = self._hypervisor.read(self.name, self._offset)
        self.lost += lost
        self._unread += data.decode(errors="replace")
        return bool(data)

    def type(self, text, timeout=30):
        """Types all of it."""
        data, end = text.encode(), time.monotonic() + timeout
        while data:
            taken = self._hypervisor.write(self.name, data)
            data = data[taken:]
            if taken == 0:
                if time.monotonic() > end:
                    raise Error(f"{self.name} takes no input")
                time.sleep(0.01)

    def expect(self, pattern, timeout=30):
        """Waits until what was not yet taken has the pattern, takes all up to its end, and returns
        the match."""
        end = time.monotonic() + timeout
        while (match := re.search(pattern, self._unread)) is None:
            if not self._read():
                if time.monotonic() > end:
                    raise Error(f"{self.name}: no {pattern!r} in {self._unread[-500:]!r}")
                time.sleep(0.02)
        self._unread = self._unread[match.end():]
        return match

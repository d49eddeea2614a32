# SPDX-License-Identifier: BSD-2-Clause
"""Owns one emulator: passes its serial line on to one client at a time, and ends with it.

Runs in the background with the run's directory as its current directory:
    lock         held as long as the supervisor lives
    state.json   what is going on, replaced as a whole
    line         the serial line, a UNIX socket
    serial.log   everything that the machine sent on it
    emulator.log what the emulator printed
"""

import ctypes
import errno
import fcntl
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time

import machine
import network

CLIENT_BACKLOG = 1 << 20  # bytes for a client that does not read; then it loses some
CHUNK = 1 << 16
CONNECT_SECONDS = 60
PR_SET_PDEATHSIG = 1


def take_lock():
    """The lock's descriptor, to be kept open; None if another supervisor has it."""
    lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def die_with_parent():
    """In the emulator's process: no supervisor, no emulator, however the supervisor ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Relay:
    """Bytes between the machine and whoever has the line open."""

    def __init__(self, selector, machine_socket, line, log):
        self.selector = selector
        self.machine = machine_socket
        self.line = line
        self.log = log
        self.client = None
        self.to_client = bytearray()
        self.to_machine = bytearray()
        self.machine.setblocking(False)
        selector.register(self.machine, selectors.EVENT_READ, self.from_machine)
        selector.register(self.line, selectors.EVENT_READ, self.accept)

    def listen_to(self, sock, read, write, callback):
        """Asks for just these events; for none, the selector must not know the socket."""
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        if sock in self.selector.get_map():
            if events:
                self.selector.modify(sock, events, callback)
            else:
                self.selector.unregister(sock)
        elif events:
            self.selector.register(sock, events, callback)

    def interest(self):
        """Listens for room to send only while there is something to send."""
        self.listen_to(self.machine, True, bool(self.to_machine), self.from_machine)
        if self.client is not None:
            # A client that floods a slow machine has to wait.
            self.listen_to(self.client, len(self.to_machine) < CHUNK, bool(self.to_client),
                           self.from_client)

    def accept(self, _events):
        client, _ = self.line.accept()
        if self.client is not None and self.has_left():
            self.drop_client()
        if self.client is not None:
            try:
                client.send(b"the line is in use by another program\n")
            except OSError:
                pass
            client.close()
            return
        client.setblocking(False)
        self.client = client
        self.to_client.clear()
        self.selector.register(client, selectors.EVENT_READ, self.from_client)

    def has_left(self):
        """Whether the client closed its end, what it sent before taken up. The selector may tell of
        that only after the next client."""
        try:
            while len(self.to_machine) < CHUNK:
                data = self.client.recv(CHUNK)
                if not data:
                    return True
                self.to_machine += data
        except BlockingIOError:
            pass
        except OSError:
            return True
        return False

    def drop_client(self):
        self.listen_to(self.client, False, False, None)
        self.client.close()
        self.client = None
        self.to_client.clear()

    def from_client(self, events):
        try:
            if events & selectors.EVENT_WRITE and self.to_client:
                del self.to_client[: self.client.send(self.to_client)]
            if events & selectors.EVENT_READ and len(self.to_machine) < CHUNK:
                data = self.client.recv(CHUNK)
                if not data:
                    self.drop_client()
                self.to_machine += data
                self.flush_machine()
        except BlockingIOError:
            pass
        except OSError:
            self.drop_client()
        self.interest()

    def flush_machine(self):
        try:
            del self.to_machine[: self.machine.send(self.to_machine)]
        except BlockingIOError:
            pass

    def from_machine(self, events):
        if events & selectors.EVENT_WRITE:
            self.flush_machine()
        if events & selectors.EVENT_READ:
            try:
                data = self.machine.recv(CHUNK)
                # Bochs sends byte by byte, and Linux holds the second back until the first is acknowledged, 40 ms
                # later: in each answer. The kernel forgets this option by itself.
                self.machine.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            except BlockingIOError:
                data = None
            if data == b"":
                raise EOFError
            if data:
                self.log.write(data)
                if self.client is not None and len(self.to_client) < CLIENT_BACKLOG:
                    self.to_client += data
                    self.from_client(selectors.EVENT_WRITE)
        self.interest()


class Supervisor:
    def __init__(self, settings):
        self.settings = settings
        self.emulator = None
        self.stopping = False

    def write_state(self, state, **more):
        text = json.dumps(dict(self.settings, state=state, pid=os.getpid(), **more), indent=1)
        with open("state.json.new", "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.rename("state.json.new", "state.json")

    def start_emulator(self, port):
        with open("emulator.log", "wb") as log:
            # pylint: disable-next=subprocess-popen-preexec-fn
            self.emulator = subprocess.Popen(
                machine.command(self.settings, port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    def wait_for_machine(self, listener):
        """The emulator's connection; None if it ended instead."""
        listener.settimeout(0.2)
        end = time.monotonic() + CONNECT_SECONDS
        while not self.stopping and self.emulator.poll() is None and time.monotonic() < end:
            try:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection
            except TimeoutError:
                pass
        return None

    def relay(self, connection, line):
        with open("serial.log", "wb", buffering=0) as log, selectors.DefaultSelector() as selector:
            relay = Relay(selector, connection, line, log)
            try:
                while not self.stopping:
                    for key, events in selector.select(0.5):
                        # An event of a socket that another event closed meanwhile is passed over.
                        if key.fileobj.fileno() >= 0:
                            key.data(events)
            except (EOFError, ConnectionError):
                pass

    def stop_emulator(self):
        if self.emulator is None:
            return None
        # One that closed its line is about to end by itself and to tell why.
        if self.stopping:
            self.emulator.terminate()
        try:
            return self.emulator.wait(5)
        except subprocess.TimeoutExpired:
            self.emulator.kill()
            return self.emulator.wait()

    def run(self):
        private = self.settings["platform"] == "bochs" and network.make_private()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.path.lexists("line"):
            os.unlink("line")
        line.bind("line")
        line.listen(4)
        line.setblocking(False)
        try:
            self.start_emulator(listener.getsockname()[1])
            self.write_state("starting", emulator=self.emulator.pid, private_network=private)
            connection = self.wait_for_machine(listener)
            listener.close()
            if connection is not None:
                self.write_state("running", emulator=self.emulator.pid, private_network=private)
                self.relay(connection, line)
        finally:
            code = self.stop_emulator()
            for name in ("line", "disk.img.lock"):
                if os.path.lexists(name):
                    os.unlink(name)
        self.write_state("stopped" if self.stopping else "ended", exit_code=code)


def main():
    lock = take_lock()
    if lock is None:
        sys.exit(errno.EBUSY)
    supervisor = Supervisor(json.loads(sys.argv[1]))

    def stop(_signal, _frame):
        supervisor.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        supervisor.run()
    except (machine.MachineError, OSError) as error:
        supervisor.write_state("failed", error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()

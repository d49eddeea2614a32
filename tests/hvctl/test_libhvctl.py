# SPDX-License-Identifier: BSD-2-Clause
"""libhvctl by its Python binding, on the real monitor with a made-up machine behind it."""

import importlib.util
import os
import subprocess

import pytest

from monitor_line import BUILD, SERVER

LIBRARY = os.path.join(BUILD, "libhvctl.so")


def load_binding():
    spec = importlib.util.spec_from_file_location("hvctl", "tools/libhvctl/hvctl.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hvctl = load_binding()


@pytest.fixture(name="line", params=[(), ("--lossy", "500")], ids=["clean", "lossy"])
def fixture_line(request, tmp_path):
    with subprocess.Popen([SERVER, *request.param,
                           f"unix:{tmp_path}/line"], stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.kill()


def test_tables(line):
    with hvctl.Hypervisor(line, timeout=60, library=LIBRARY) as hypervisor:
        assert hypervisor.table("list") == [{"name": "alpha", "state": "running", "vcpus": 1},
                                            {"name": "beta", "state": "off", "vcpus": 12}]
        assert [len(table) for table in hvctl.tables(hypervisor.execute("links"))] == [1, 2]
        assert hypervisor.consoles()[:2] == ["alpha", "beta"]


def test_errors(line):
    with hvctl.Hypervisor(line, timeout=60, library=LIBRARY) as hypervisor:
        with pytest.raises(hvctl.CommandFailed, match="beta is off"):
            hypervisor.execute("stats beta")
        with pytest.raises(hvctl.CommandFailed):
            hypervisor.execute("dance")
        with pytest.raises(hvctl.Error):
            hypervisor.console("gamma").type("x")
        assert hypervisor.table("list")
    with pytest.raises(hvctl.Error, match="closed"):
        hypervisor.execute("list")


def test_console(line):
    with hvctl.Hypervisor(line, timeout=60, library=LIBRARY) as hypervisor:
        console = hypervisor.console("alpha")
        console.type("".join(f"word{i} " for i in range(40)) + "\r", timeout=120)
        for i in range(40):
            console.expect(f"word{i} ", timeout=120)
        console.expect("alpha# ", timeout=120)
        assert console.lost == 0
        with pytest.raises(hvctl.Error, match="no 'never'"):
            console.expect("never", timeout=0.2)


def test_memory(line):
    with hvctl.Hypervisor(line, timeout=60, library=LIBRARY) as hypervisor:
        expected = bytes((at * 7 + (at >> 8)) & 0xff for at in range(60000, 65536))
        assert hypervisor.memory("alpha", 60000, 5536) == expected
        for vm, address, size in (("alpha", 60000, 5537), ("alpha", 1 << 63, 1), ("beta", 0, 1)):
            with pytest.raises(hvctl.Error, match=f"{vm} has no memory"):
                hypervisor.memory(vm, address, size)
        with pytest.raises(hvctl.Error):
            hypervisor.memory("gamma", 0, 1)


def test_line_that_is_not_there(tmp_path):
    with pytest.raises(hvctl.Error, match="/line"):
        hvctl.Hypervisor(f"unix:{tmp_path}/line", library=LIBRARY)

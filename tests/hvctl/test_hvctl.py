# SPDX-License-Identifier: BSD-2-Clause
"""hvctl on the real monitor with a made-up machine behind it (tests/hvctl/server.c), over a socket
and a pseudo-terminal, on clean and on damaging lines."""

import json
import os
import re
import shutil
import subprocess
import time

import pexpect
import pytest

from monitor_line import BUILD, HVCTL, Line, hvctl, end


@pytest.fixture(name="line", params=["socket", "pty"])
def fixture_line(request, tmp_path):
    line = Line(tmp_path, pty=request.param == "pty")
    yield line
    line.close()


def test_list(line):
    out, _ = line.run("list")
    assert out == "name\tstate\tvcpus\nalpha\trunning\t1\nbeta\toff\t12\n"


def test_list_on_a_narrow_terminal(line):
    """Each row in parts, none of them broken by the terminal."""
    output, code = pexpect.run(f"{HVCTL} --line {line.name} list", encoding="utf-8", withexitstatus=True,
                               dimensions=(24, 16), timeout=20)
    assert code == 0
    assert output.replace("\r", "") == ("name   state\nalpha  running\nbeta   off\n\n"
                                        "name   vcpus\nalpha      1\nbeta      12\n")


def test_failure_goes_to_stderr(line):
    out, err = line.run("stats", "beta", code=1)
    assert out == "" and "beta is off" in err


def test_unknown_names_are_told(line):
    _, err = line.run("stats", "gamma", code=1)
    assert "gamma" in err and "alpha" in err
    _, err = line.run("exec", "dance", code=1)
    assert "dance" in err


def test_long_output_is_cut_and_said(line):
    out, err = line.run("exec", "flood")
    assert out.startswith("line 0 of a thousand") and "no room" in err


def test_interactive_prompt(line):
    child = pexpect.spawn(HVCTL, ["--line", line.name], timeout=20, encoding="utf-8")
    child.expect("hvctl> ")
    child.sendline("list")
    child.expect("beta +off +12")
    child.sendline("nonsense")
    child.expect("nonsense")
    child.sendline("quit")
    child.expect(pexpect.EOF)


def test_destructive_verb_wants_consent(line):
    """Without a terminal by --yes, on one by an answer. What is not meant does not reach the machine."""
    for words in (["destroy", "beta"], ["destroy"], ["destroy", "--no", "beta"], ["destroy", "--yes"],
                  ["destroy", "--yes", "beta", "alpha"]):
        assert line.run(*words, code=2)[1], words
    for words, answer in ((["destroy", "beta"], "n"), (["destroy", "beta"], "")):
        child = pexpect.spawn(HVCTL, ["--line", line.name, *words], timeout=20, encoding="utf-8")
        child.expect("y/N")
        child.sendline(answer)
        end(child, 2)
    assert "destroy" not in line.run("log")[0]
    child = pexpect.spawn(HVCTL, ["--line", line.name, "destroy", "beta"], timeout=20, encoding="utf-8")
    child.expect("y/N")
    child.sendline("y")
    child.expect(pexpect.EOF)
    line.run("destroy", "--yes", "alpha")
    log = line.run("log")[0]
    assert "destroy beta --yes" in log and "destroy alpha --yes" in log
    assert "gamma" in line.run("destroy", "--yes", "gamma", code=1)[1]


def test_verbs_arguments(line):
    for words in (["dirty"], ["dirty", "alpha", "now"], ["dirty", "alpha", "start", "stop"], ["pause"],
                  ["info", "alpha", "beta"]):
        assert words[0] in line.run(*words, code=2)[1]
    for words in (["dirty", "gamma"], ["pause", "gamma"], ["info", "gamma"]):
        assert "gamma" in line.run(*words, code=1)[1]


def test_usage_errors_are_two():
    for words in (["--nothing"], ["dance"], ["stats"], ["list", "more"], ["-t", "soon", "list"]):
        done = subprocess.run([HVCTL, "--line", "unix:/nowhere", *words], check=False,
                              capture_output=True, text=True)
        assert done.returncode in (2, 3) and done.stderr, words
    assert subprocess.run([HVCTL, "--help"], check=False, capture_output=True).returncode == 0


def test_line_that_is_not_there():
    for name in ("unix:/nowhere/line", "tcp:localhost:1", "/dev/null"):
        done = subprocess.run([HVCTL, "--line", name, "-t", "0.5", "list"], check=False,
                              capture_output=True, text=True)
        assert done.returncode == 3 and done.stderr.startswith("hvctl: "), (name, done)


def test_silent_line(tmp_path):
    """A line where nobody answers: a bounded wait and a clear message."""
    line = Line(tmp_path)
    line.server.send_signal(19)  # SIGSTOP
    start = time.monotonic()
    try:
        _, err = line.run("-t", "1", "list", code=3)
        assert "does not answer" in err and time.monotonic() - start < 10
    finally:
        line.close()


def test_json(line):
    tables = json.loads(line.run("--json", "list")[0])
    assert tables == {"tables": [[{"name": "alpha", "state": "running", "vcpus": 1},
                                  {"name": "beta", "state": "off", "vcpus": 12}]], "text": []}
    out, err = line.run("-j", "stats", "beta", code=1)
    assert json.loads(out) == {"error": "beta is off"} and "beta is off" in err
    _, err = line.run("-j", "log", code=2)
    assert "log prints no tables" in err


def test_json_of_odd_output(line):
    """Whatever the hypervisor prints, it is JSON; what is no number is a string."""
    assert json.loads(line.run("-j", "exec", "odd")[0]) == {
        "tables": [[{"name": 'a"b\\', "value": "007"}, {"name": "\x01", "value": None}],
                   [{"second": -1.5, "table": "1."}], []],
        "text": ["a line", "18446744073709551615"]}


def test_top_in_batches(line):
    """Rates follow the hypervisor's clock: each command is a second of it and 100 doorbells here,
    and five commands are a round."""
    out, _ = line.run("top", "--batch", "2", "--interval", "0.2")
    rounds = out.split("Postern: ")[1:]
    assert len(rounds) == 2
    for text in rounds:
        assert "guests 512 MiB, hypervisor 1500 KiB" in text and "cpu0 75%  cpu1 100%" in text
        # beta's counter goes back: it has opened its rings anew.
        assert ["wire", "gated", "alpha", "beta", "2", "-", "100", "0"] in [row.split()
                                                                           for row in text.splitlines()]
        assert "alpha  running" in text
    for words in (["--batch"], ["--batch", "0"], ["--interval", "x"], ["--dance"], []):
        line.run("top", *words, code=2)


@pytest.mark.parametrize("columns", [80, 30])
def test_top_on_a_terminal(line, columns):
    child = pexpect.spawn(HVCTL, ["--line", line.name, "top", "--interval", "0.3"], timeout=20,
                          encoding="utf-8", dimensions=(24, columns), env={**os.environ,
                                                                           "TERM": "xterm"})
    child.expect("Postern: up")
    child.expect("alpha")
    child.expect("running")
    child.send("+")
    child.send("q")
    end(child)


def test_rates_of_links(line):
    """Two commands are two seconds and 200 doorbells."""
    out, _ = line.run("-j", "links", "--rates", "0.1")
    alpha, beta = json.loads(out)["tables"][0]
    assert alpha == {"link": "wire", "vm": "alpha", "mode": "open", "doorbells/s": 100, "interrupts/s": 0,
                     "violations/s": 0, "sent_kib/s": 2}
    assert (beta["mode"], beta["sent_kib/s"]) == ("gated", None)
    for words in (["--rates"], ["--rates", "0"], ["--rates", "x"], ["--dance"], ["--rates", "1", "2"]):
        line.run("links", *words, code=2)


def test_link(line):
    """Words that are in the wrong place do not reach the machine; --yes may stand on either side of the name."""
    for words in ([], ["add"], ["add", "new", "alpha"], ["add", "new", "alpha", "beta", "mode"], ["del"],
                  ["del", "--yes"], ["del", "--no", "wire"], ["del", "wire", "wire"], ["del", "--yes", "--yes"],
                  ["del", "wire", "--yes", "wire"], ["del", "wire"], ["mode", "wire"], ["dance", "wire", "open"]):
        assert line.run("link", *words, code=2)[1], words
    assert "link" not in line.run("log")[0]
    out, _ = line.run("-j", "link", "add", "new", "alpha", "beta", "mode", "gated", "window", "64K")
    assert json.loads(out)["tables"] == [[{"link": "new", "vm": "alpha", "mode": "open", "state": "off"}]]
    assert "already" in json.loads(line.run("-j", "link", "add", "wire", "alpha", "beta", code=1)[0])["error"]
    line.run("link", "del", "wire", "--yes")
    line.run("link", "del", "--yes", "wire")
    line.run("link", "del", "--yes", "nowhere", code=1)
    line.run("link", "mode", "wire", "open")
    child = pexpect.spawn(HVCTL, ["--line", line.name, "link", "del", "wire"], timeout=20, encoding="utf-8")
    child.expect("link del wire: .*y/N")
    child.sendline("y")
    child.expect(pexpect.EOF)
    log = line.run("log")[0]
    assert "link add new alpha beta mode gated window 64K" in log
    assert log.count("link del wire --yes") == 3


def test_rates_and_costs_of_exits(line):
    """Two commands are two seconds and 60 exits of one kind."""
    (rows,) = json.loads(line.run("-j", "stats", "--rates", "0.1", "alpha")[0])["tables"]
    assert rows == [{"vcpu": 0, "exit": "cpuid", "count/s": 0}, {"vcpu": 0, "exit": "hlt", "count/s": 0},
                    {"vcpu": 1, "exit": "vmcall", "count/s": 30}]
    (rows,) = json.loads(line.run("-j", "stats", "--costs", "0.1", "alpha")[0])["tables"]
    assert rows == [{"vcpu": 0, "exit": "cpuid", "count": 3, "mean_ticks": 150, "<256": 2, "more": 1}]
    # They are not counted any more.
    assert line.run("exec", "costs", "alpha")[0].count("\n") == 1
    for words in ([], ["--rates", "1"], ["--rates", "0", "alpha"], ["--costs", "x", "alpha"], ["alpha", "beta"],
                  ["--dance", "1", "alpha"]):
        line.run("stats", *words, code=2)
    assert "gamma" in line.run("stats", "--costs", "1", "gamma", code=1)[1]


def memory(address, size):
    return bytes((at * 7 + (at >> 8)) & 0xff for at in range(address, address + size))


def test_memory(line, tmp_path):
    out, _ = line.run("mem", "dump", "alpha", "0x1008", "20")
    assert out.splitlines()[1] == "00001018: " + f"{memory(0x1018, 4)[:2].hex()} {memory(0x1018, 4)[2:].hex()}" \
        + " " * 32 + "".join(chr(c) if 32 <= c < 127 else "." for c in memory(0x1018, 4))
    if shutil.which("xxd"):
        xxd = subprocess.run(["xxd", "-o", "0x7f0"], check=True, capture_output=True,
                             input=memory(0x7f0, 4001)).stdout.decode()
        assert line.run("mem", "dump", "alpha", "2032", "4001")[0] == xxd
    assert len(line.run("mem", "dump", "alpha", "0")[0].splitlines()) == 16
    path = tmp_path / "memory"
    line.run("mem", "read", "alpha", "1K", "63K", str(path))
    assert path.read_bytes() == memory(1024, 63 * 1024)
    assert line.run("mem", "read", "alpha", "65535", "1", "-")[0] == memory(65535, 1).decode("latin-1")


def test_memory_that_is_not_there(line):
    for address, size in (("65536", "1"), ("0", "65537"), ("0x10000000", "1M"),
                          ("0xfffffffffffffff0", "15")):
        assert "from 0 to 0x10000" in line.run("mem", "read", "alpha", address, size, "-", code=1)[1]
    assert "absent" in line.run("mem", "dump", "beta", "0", code=1)[1]
    assert "gamma" in line.run("mem", "dump", "gamma", "0", code=1)[1]
    assert "/no/such" in line.run("mem", "read", "alpha", "0", "1", "/no/such", code=1)[1]
    for words in ([], ["dump"], ["dump", "alpha"], ["dump", "alpha", "-1"], ["dump", "alpha", "x"],
                  ["dump", "alpha", "0", "0"], ["dump", "alpha", "0", "2M"], ["dump", "alpha", "0", "1T"],
                  ["dump", "alpha", "0", "1Kx"], ["dump", "alpha", "0x1ffffffffffffffff"],
                  ["dump", "alpha", "0", "17179869184G"], ["dump", "alpha", "16", "0xfffffffffffffff0"],
                  ["read", "alpha", "0", "1"], ["dance", "alpha", "0", "1", "-"]):
        line.run("mem", *words, code=2)


def test_vcpu_arguments(line):
    for words in (["regs"], ["pin", "alpha", "0"], ["dance"], ["list", "alpha", "beta"]):
        line.run("vcpu", *words, code=2)


def test_log_levels(line):
    assert "the fake core starts" in line.run("log", "--level", "info")[0]
    assert line.run("log", "--level", "warning")[0] == ""
    for words in (["--level"], ["--level", "loud"], ["--level", "info", "x"]):
        line.run("log", *words, code=2)


def complete(line, *words):
    """What bash offers for the last of the words."""
    script = (f"source <(hvctl completion bash); COMP_WORDS=(hvctl {' '.join(words)} '');"
              "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _hvctl; echo \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True,
                          timeout=60, env={"PATH": f"{BUILD}:{os.environ['PATH']}",
                                           "POSTERN_LINE": line.name})
    assert done.stderr == ""
    return done.stdout.split()


def test_completion(line):
    verbs = complete(line)
    assert {"list", "console", "config", "--json"} <= set(verbs)
    for verb in (word for word in verbs if word[0] != "-" and word != "help"):
        assert "--help" in complete(line, verb)
    assert {"alpha", "beta", "--quiet"} <= set(complete(line, "-t", "5", "console"))
    assert {"check", "show", "--volume"} <= set(complete(line, "config"))
    assert {"wire", "alpha", "add", "del", "--yes", "mode", "gated"} <= set(complete(line, "link"))
    assert {"alpha", "regs"} <= set(complete(line, "vcpu"))
    assert hvctl("completion", "zsh")[0].startswith("autoload")
    hvctl("completion", "fish", code=2)


@pytest.fixture(name="trace")
def fixture_trace(line, tmp_path):
    """A saved one, of which CPU 0 has written 5000 records and kept 4095."""
    path = str(tmp_path / "trace")
    out, _ = line.run("trace", "save", path)
    assert out == f"{path}: 4095 records, 905 older ones were overwritten\n"
    return path


def test_trace_as_text(trace):
    rows = [row.split("\t") for row in hvctl("decode", trace)[0].splitlines()]
    assert rows[0] == ["us", "cpu", "vcpu", "event", "detail", "took_us", "argument"]
    assert len(rows) == 1 + 4095
    assert rows[1] == ["0.000", "0", "beta/0", "view", "10", "0.300", "0x389"]
    assert rows[2] == ["1.000", "0", "alpha/0", "exit", "cpuid", "0.300", "0x38a"]
    assert rows[4][2:4] == ["-", "idle"]


def test_trace_for_chrome(trace):
    events = json.loads(hvctl("decode", "--chrome", trace)[0])["traceEvents"]
    exits = [event for event in events if event.get("cat") == "exit"]
    assert len(exits) == 683 and all(event["ph"] == "X" and event["dur"] == 0.3 and
                                     event["name"] == "cpuid" for event in exits)
    names = {(event["pid"], event["tid"]): event["args"]["name"] for event in events
             if event["name"] == "process_name"}
    assert names == {(0, 0): "alpha", (1, 0): "beta", (1000, 0): "CPUs"}
    turns = [event for event in events if event.get("cat") == "turn"]
    # One every six microseconds, each until the next.
    assert len(turns) == 683 and {event["dur"] for event in turns[:-1]} == {6.0}


def test_trace_as_ctf(trace, tmp_path):
    hvctl("decode", "--ctf", str(tmp_path / "ctf"), trace)
    if shutil.which("babeltrace2") is None:
        pytest.skip("babeltrace2 is not installed")
    done = subprocess.run(["babeltrace2", "--clock-cycles", str(tmp_path / "ctf")], check=True,
                          capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert len(lines) == 4095 and done.stderr == ""
    assert 'reason = ( "cpuid" : container = 10 ), rip = 0x38A' in lines[1]
    assert lines[1].startswith("[00000000001000906000] (+000000001000) exit:") and 'vm = ( "alpha"' in lines[1]


def test_damaged_traces(trace, tmp_path):
    with open(trace, "rb") as file:
        good = file.read()
    path = tmp_path / "damaged"
    for bad, message in ((good[:-30], "middle of a part"), (b"", "no trace of version 1"),
                         (b"x" + good, "no trace of version 1"),
                         (good + b"more\n", "begins no part"),
                         (good.replace(b"tsc_hz", b"tsc_xx"), "how fast its clock is"),
                         (good.replace(b"cpu 1", b"cpu 7"), "CPU 7 is not the next")):
        path.write_bytes(bad)
        assert message in hvctl("decode", str(path), code=1)[1], message
    assert "no-such-file" in hvctl("decode", "/no-such-file", code=1)[1]
    hvctl("decode", "--dance", trace, code=2)


@pytest.mark.parametrize("one_in", [200, 1000])
def test_lossy_line(tmp_path, one_in):
    """Bytes that are lost, flipped and doubled, both ways: slower, never wrong, never stuck."""
    line = Line(tmp_path, "--lossy", str(one_in))
    try:
        for _ in range(5):
            out, _ = line.run("-t", "60", "list", timeout=200)
            assert out == "name\tstate\tvcpus\nalpha\trunning\t1\nbeta\toff\t12\n"
        text = "".join(f"word{i} " for i in range(30))
        out, _ = line.run("-t", "60", "console", "--quiet", "1", "alpha", stdin=text + "\r",
                          timeout=200)
        assert text in out
    finally:
        line.close()


def test_chatter_does_not_disturb(tmp_path):
    """Neither does text that looks as if a frame began, of which nothing is lost either."""
    line = Line(tmp_path, "--chatter")
    try:
        for _ in range(5):
            assert line.run("list")[0].startswith("name\tstate")
        ticks = re.findall(r"0\.(\d+) tick (.*)", line.run("log")[0])
        assert [int(number) for number, _ in ticks] == list(range(len(ticks)))
        assert {rest for _, rest in ticks} == {"~\xff\x03 tock ~\xff~"}
    finally:
        line.close()


def test_server_that_restarts(tmp_path):
    """A new hypervisor on the same line knows nothing of the session before."""
    for _ in range(2):
        line = Line(tmp_path)
        try:
            assert "alpha" in line.run("list")[0]
        finally:
            line.close()
        if os.path.exists(tmp_path / "line"):
            os.unlink(tmp_path / "line")

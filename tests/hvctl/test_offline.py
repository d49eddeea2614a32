# SPDX-License-Identifier: BSD-2-Clause
"""What hvctl does without a line: configurations, the check of a CPU, the manual, images."""

import glob
import json
import os
import shutil
import subprocess

import pytest

from monitor_line import HVCTL, hvctl


CONFIGURATIONS = sorted(glob.glob(os.path.abspath("guests/examples/*.conf")))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=os.path.basename)
def test_config_of_each_example(path):
    assert f"{path}: good: " in hvctl("config", "check", path)[0]
    vms = json.loads(hvctl("-j", "config", "show", path)[0])["tables"][0]
    with open(path, encoding="utf-8") as file:
        assert [vm["vm"] for vm in vms] == [line.split()[1] for line in file
                                            if line.startswith("vm ")]


def test_config_of_lives(tmp_path):
    path = tmp_path / "lives.conf"
    path.write_text("vm a\n  kernel /k\n  pcpus 0\n  after c b\n  on_crash restart 3\n  on_reboot destroy\n"
                    "vm b\n  kernel /k\n  pcpus 1\n  autostart off\n  weight 7\n  exclusive on\n"
                    "vm c\n  kernel /k\n  pcpus 0\n")
    vms, lives = json.loads(hvctl("-j", "config", "show", str(path))[0])["tables"]
    assert [(vm["on_crash"], vm["on_reboot"]) for vm in vms] == [
        ("restart", "destroy"), ("keep", "restart"), ("keep", "restart")]
    assert lives == [
        {"vm": "a", "autostart": "on", "after": "b,c", "restarts": 3, "weight": 100, "exclusive": "off"},
        {"vm": "b", "autostart": "off", "after": None, "restarts": 0, "weight": 7, "exclusive": "on"},
        {"vm": "c", "autostart": "on", "after": None, "restarts": 0, "weight": 100, "exclusive": "off"}]
    path.write_text("vm a\n  kernel /k\n  pcpus 0\n  after b\nvm b\n  kernel /k\n  pcpus 0\n  after a\n")
    _, err = hvctl("config", "check", str(path), code=1)
    assert err.startswith(f"{path}:4: ") and "would start after itself" in err


def test_config_mistakes(tmp_path):
    path = tmp_path / "wrong.conf"
    path.write_text("vm a\n  kernel /k\n  memory 65M\n  pcpus 0\n")
    _, err = hvctl("config", "check", str(path), code=1)
    assert err.startswith(f"{path}:3: ") and "65M" in err and "a multiple of 2M" in err
    path.write_text("vm a\n  kernel /k\n  pcpus 0\n")
    _, err = hvctl("config", "check", "--volume", str(tmp_path), str(path), code=1)
    assert f"{path}:1: vm a: {tmp_path} has no file /k" in err
    (tmp_path / "k").write_bytes(b"")
    hvctl("config", "check", "--volume", str(tmp_path), str(path))
    assert "no-such-file" in hvctl("config", "check", "/no-such-file", code=1)[1]
    hvctl("config", "check", str(tmp_path), code=1)
    assert "no configuration is larger" in hvctl("config", "check", "-", code=1,
                                                 stdin="#" * ((1 << 20) + 1))[1]
    assert hvctl("config", "show", "-", stdin=path.read_text())[0].startswith("vm\tmemory_mib")
    for words in (["config"], ["config", "check"], ["config", "dance", str(path)]):
        hvctl(*words, code=2)


# A CPU that allows everything and demands nothing.
WHOLE = {"cpuid.1.ecx": 0xffffffff, "msr.3a": 5, "msr.480": 1 << 55, "msr.485": 5,
         **{f"msr.{number:x}": 0xffffffff00000000 for number in range(0x48d, 0x491)},
         "msr.48b": 0xffffffff00000000, "msr.48c": 0xffffffffffffffff, "msr.491": 1}


def test_hardware_from_a_file(tmp_path):
    def judge(values, code, *options):
        path = tmp_path / "cpu"
        path.write_text("".join(f"{name}\t{value:#x}\n" for name, value in values.items()))
        return hvctl(*options, "hardware", "--from", str(path), code=code)

    out, _ = judge(WHOLE, 0)
    assert out.endswith("Postern can run here.\n") and "\tmissing\t" not in out
    out, err = judge({**WHOLE, "msr.3a": 1}, 1)
    assert "VMX not locked off\trequired\tmissing\t" in out and "cannot run here" in err
    table = json.loads(judge({**WHOLE, "msr.48b": 0x00000082 << 32}, 0, "-j")[0])["tables"][0]
    assert {row["feature"]: row["state"] for row in table}["VM functions"] == "missing"
    out, _ = judge({"cpuid.1.ecx": 0}, 1)
    assert out.splitlines()[-1].startswith("VMX\trequired\tmissing")
    assert ":1: " in judge({"cpuid": 1}, 1)[1]
    assert "it has no cpuid.1.ecx" in judge({"msr.3a": 5}, 1)[1]
    assert ":65: " in judge({f"msr.{number:x}": 0 for number in range(65)}, 1)[1]
    hvctl("hardware", "--from", code=2)


def test_hardware_of_this_machine(tmp_path):
    """What it saves is judged as the machine is, as far as its CPU goes; or it says what hinders."""
    done = subprocess.run([HVCTL, "hardware", "--save"], check=False, capture_output=True,
                          text=True, timeout=60)
    if done.returncode != 0:
        assert "/dev/cpu/0/" in done.stderr
        return
    (tmp_path / "cpu").write_text(done.stdout)
    judged = subprocess.run([HVCTL, "hardware", "--from", str(tmp_path / "cpu")], check=False,
                            capture_output=True, text=True, timeout=60)
    here = subprocess.run([HVCTL, "hardware"], check=False, capture_output=True, text=True,
                          timeout=60)
    assert here.stdout.splitlines()[:2] == judged.stdout.splitlines()[:2]


def test_manual():
    """Each verb is in it, and it is good roff."""
    page = hvctl("manual")[0]
    for verb in ("list", "console", "config"):
        assert f"\\fB{verb}\\fR" in page
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tascii", "-ww"], check=True, input=page,
                          capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and "--no-scrollback" in done.stdout


def test_image_wants_all_that_is_named(tmp_path):
    """What is missing is told before anything is built; what is built has the files."""
    config, kernel, output = tmp_path / "one.conf", tmp_path / "k", tmp_path / "image"
    config.write_text("vm a\n  kernel /postern/k\n  memory 64M\n  pcpus 0\n")
    build = ["image", "build", "--output", str(output), "--boot", str(tmp_path),
             "--scripts", os.path.abspath("tools/image")]
    assert f"{config}:1: vm a: no file that is given becomes /postern/k" in hvctl(*build, str(config), code=1)[1]
    assert "No such file" in hvctl(*build, str(config), str(kernel), code=1)[1]
    for path in (kernel, tmp_path / "grub.efi", tmp_path / "postern.efi"):
        path.write_bytes(path.name.encode() * 100)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "k").write_bytes(b"")
    assert "have one name" in hvctl(*build, str(config), str(kernel), str(tmp_path / "other" / "k"), code=1)[1]
    assert "none of the files is a configuration" in hvctl(*build, str(kernel), code=1)[1]
    assert "no file" in hvctl(*build, str(config), str(tmp_path), code=1)[1]
    config.write_text("vm a\n  kernel k\n")
    assert f"{config}:2: " in hvctl(*build, str(config), str(kernel), code=1)[1]
    assert not output.exists()
    for words in ([], ["build"], ["dance"], ["build", "--output", "x"], ["build", "--dance", "x", "y"]):
        hvctl("image", *words, code=2)
    if shutil.which("mcopy") is None or shutil.which("sgdisk", path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip("mtools or gdisk is not installed")
    config.write_text("vm a\n  kernel /postern/k\n  memory 64M\n  pcpus 0\n")
    hvctl(*build, str(config), str(kernel))
    for name, text in (("k", b"k" * 100), ("grub.cfg", b"config=one")):
        done = subprocess.run(["mtype", "-i", f"{output}@@1048576", f"::/postern/{name}"], check=True,
                              capture_output=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
        assert text in done.stdout
    assert not (tmp_path / "image.menu").exists()

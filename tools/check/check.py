#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks the sources against the project's rules, each problem as FILE:LINE: what is wrong.

layers   includes go down the layers and name files from the repository's root
headers  each header compiles alone, with the project's warnings
licence  each source file has its SPDX line
format   clang-format has nothing to change
text     no leftovers, no trailing blanks, no characters that nobody sees

Run from the repository's root; `make check` does, and passes the compiler's flags."""

import argparse
import collections
import os
import re
import shlex
import subprocess
import sys
import unicodedata

CLANG_FORMAT = "clang-format-14"

# The layers: the first prefix that fits counts. A file includes its own rank or a lower one.
LAYERS = [
    ("arch/x86/defs/", 2),
    ("arch/x86/", 4),
    ("core/", 5),
    ("ept/", 3),
    ("vmfunc/", 3),
    ("virtio/", 3),
    ("net/", 3),
    ("machine/", 3),
    ("lib/", 1),
]
APART = 3  # folders of this rank do not include each other ...
MAY_USE = {("vmfunc/", "ept/")}  # ... but for these

FREESTANDING = {"stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h"}
FIRMWARE = {"efi.h", "efilib.h"}
ABI_SYSTEM = {"stdbool.h", "stddef.h", "stdint.h", "linux/types.h", "linux/compiler.h",
              "asm/barrier.h"}

LICENCE = re.compile(r"SPDX-License-Identifier: (\S.*?)\s*(\*/|-->)?$")
PLAIN_LICENCE = "BSD-2-Clause"
KERNEL_LICENCE = "GPL-2.0-only OR BSD-2-Clause"
NO_LICENCE_NAMES = {"LICENSE", ".gitignore", ".clang-format"}
NO_LICENCE_ENDS = (".md", ".txt")

# Written apart, so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
INCLUDE = re.compile(r'\s*#\s*include\s+(["<])([^">]+)[">]')

Problem = collections.namedtuple("Problem", "path line text")


def list_files():
    """The files of the repository, those not yet committed too."""
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True).stdout
    paths = [os.fsdecode(path) for path in out.split(b"\0") if path]
    return sorted({path for path in paths if os.path.isfile(path) and not os.path.islink(path)})


def read_lines(path):
    """The lines of a text file without their ends; None for a file that is no text."""
    with open(path, "rb") as file:
        data = file.read()
    if b"\0" in data:
        return None
    return data.decode("utf-8", errors="replace").split("\n")


def is_c(path):
    return path.endswith((".c", ".h"))


# Layers.

def layer_of(path):
    for prefix, rank in LAYERS:
        if path.startswith(prefix):
            return prefix, rank
    return None, None


# Pure logic of the hypervisor's that hvctl has to share, so that both judge alike.
SHARED_WITH_TOOLS = ("core/config.h", "core/monitor.h", "arch/x86/vmx_caps.h")


def outside_layers(path, target):
    """The rule for abi/, guests/, tools/ and tests/; None if `path` is in none of them."""
    if path.startswith("tests/"):
        return ""
    if path.startswith("abi/"):
        return "" if target.startswith("abi/") else "abi/ includes nothing but abi/"
    if path.startswith("guests/"):
        return "" if target.startswith(("abi/", "guests/")) else "guests/ include abi/ only"
    if path.startswith("tools/"):
        allowed = target.startswith(("abi/", "lib/", "tools/")) or target in SHARED_WITH_TOOLS
        return "" if allowed else "tools/ include abi/, lib/ and SHARED_WITH_TOOLS only"
    return None


def quoted_fault(path, target):
    """What is wrong with including `target`, a path from the root, in `path`; empty if nothing."""
    fault = outside_layers(path, target)
    if fault is not None:
        return fault
    prefix, rank = layer_of(path)
    other, other_rank = layer_of(target)
    if rank is None:
        return "this folder is in no layer: tools/check/check.py must name it"
    if target.startswith("abi/"):
        return ""
    if other_rank is None:
        return f"{prefix} may not include {target}: it is in no layer"
    if other_rank > rank:
        return f"{prefix} (layer {rank}) may not include {other} (layer {other_rank})"
    if rank == other_rank == APART and other != prefix and (prefix, other) not in MAY_USE:
        return f"{prefix} may not include {other}: folders of layer {APART} stand apart"
    return ""


def system_fault(path, name):
    if path.startswith("abi/"):
        return "" if name in ABI_SYSTEM else f"abi/ may not include <{name}>"
    if layer_of(path)[1] is None or name in FREESTANDING:
        return ""
    if path.startswith("arch/x86/uefi/") and name in FIRMWARE:
        return ""
    return f"<{name}> is no freestanding header"


def check_layers(files):
    for path in files:
        if not path.endswith((".c", ".h", ".S")):
            continue
        for number, line in enumerate(read_lines(path) or [], 1):
            match = INCLUDE.match(line)
            if match is None:
                continue
            quote, target = match.groups()
            beside = os.path.join(os.path.dirname(path), target)
            if quote == "<":
                fault = system_fault(path, target)
            elif path.startswith("guests/") and os.path.isfile(beside):
                fault = ""  # the kernel's build system has other roots
            elif not os.path.isfile(target):
                fault = f'"{target}" does not exist: write the path from the repository\'s root'
            else:
                fault = quoted_fault(path, target)
            if fault:
                yield Problem(path, number, fault)


# Headers.

def header_flags(path, flags, efi_flags):
    if path.startswith("tests/"):
        # What a test's header leaves to its test, a warning may tell of.
        return [flag for flag in flags if flag != "-Werror"] + ["-DPOSTERN_HOST", "-D_GNU_SOURCE"]
    if path.startswith("tools/"):
        return flags + ["-DPOSTERN_HOST"]
    if path.startswith("arch/x86/uefi/"):
        return flags + efi_flags + ["-ffreestanding"]
    return flags + ["-ffreestanding"]


def check_headers(files, compiler, flags, efi_flags):
    for path in files:
        # Headers of guests/ need the kernel's or lwIP's.
        if not path.endswith(".h") or path.startswith("guests/"):
            continue
        command = [compiler, *header_flags(path, flags, efi_flags), "-I.", "-fsyntax-only",
                   "-xc", "-"]
        # Twice: the guard must hold.
        text = f'#include "{path}"\n#include "{path}"\n'
        result = subprocess.run(command, input=text, text=True, capture_output=True, check=False,
                                env={**os.environ, "LC_ALL": "C"})
        if result.returncode == 0:
            continue
        errors = re.findall(r"^(\S+?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", result.stderr,
                            re.MULTILINE)
        if not errors:
            yield Problem(path, 1, "does not compile alone: " + result.stderr.strip())
        for where, number, message in errors[:3]:
            if where != path:
                message = f"{message} (in {where}:{number})"
                number = 1
            yield Problem(path, int(number), "does not compile alone: " + message)


# Licences.

def check_licence(files):
    for path in files:
        name = os.path.basename(path)
        if name in NO_LICENCE_NAMES or name.endswith(NO_LICENCE_ENDS):
            continue
        lines = read_lines(path)
        if lines is None:
            continue
        found = [LICENCE.search(line) for line in lines[:3]]
        licence = next((match.group(1) for match in found if match), None)
        if licence is None:
            yield Problem(path, 1, f"no SPDX-License-Identifier ({PLAIN_LICENCE}) at the top")
        elif licence != PLAIN_LICENCE and not (licence == KERNEL_LICENCE and
                                               path.startswith(("guests/linux/", "abi/"))):
            yield Problem(path, 1, f"the licence is {licence}, not {PLAIN_LICENCE}")


# Format.

def check_format(files):
    files = [path for path in files if is_c(path)]
    if not files:
        return
    try:
        result = subprocess.run([CLANG_FORMAT, "--dry-run", "-Werror", *files],
                                capture_output=True, text=True, check=False)
    except FileNotFoundError:
        yield Problem("tools/check/check.py", 1, f"{CLANG_FORMAT} is not installed")
        return
    seen = set()
    for path, number in re.findall(r"^(.+?):(\d+):\d+: error: ", result.stderr, re.MULTILINE):
        if (path, number) not in seen:
            seen.add((path, number))
            yield Problem(path, int(number), f"not as {CLANG_FORMAT} has it")
    if result.returncode != 0 and not seen:
        yield Problem("tools/check/check.py", 1, f"{CLANG_FORMAT}: {result.stderr.strip()}")


# Text.

def odd_character(path, line):
    """The first character of the line that does not belong there. Documents may use more than
    ASCII, though nothing that cannot be seen."""
    for c in line:
        hidden = unicodedata.category(c) in ("Cc", "Cf", "Co", "Zl", "Zp") and c != "\t"
        blank = unicodedata.category(c) == "Zs" and c != " "
        if hidden or blank or c == "\ufffd" or (ord(c) > 0x7e and not path.endswith(".md")):
            return c
    return None


def check_text(files):
    for path in files:
        lines = read_lines(path)
        if lines is None:
            continue
        if lines[-1] != "":
            yield Problem(path, len(lines), "no newline at the end of the file")
        elif len(lines) > 1 and lines[-2] == "":
            yield Problem(path, len(lines) - 1, "blank lines at the end of the file")
        for number, line in enumerate(lines, 1):
            if line != line.rstrip(" \t\r"):
                yield Problem(path, number, "blanks or a carriage return at the line's end")
            found = LEFTOVERS.search(line)
            if found:
                yield Problem(path, number, f"{found.group(1)}: do it, or open an issue")
            if path.endswith(".py") and re.match(r" *\t", line):
                yield Problem(path, number, "a TAB in the indentation")
            odd = odd_character(path, line.rstrip("\r"))
            if odd is not None:
                name = unicodedata.name(odd, "a control character")
                yield Problem(path, number, f"U+{ord(odd):04X} {name}")


CHECKS = ("layers", "headers", "licence", "format", "text")


def run(check, files, arguments):
    if check == "headers":
        return check_headers(files, arguments.cc, shlex.split(arguments.flags),
                             shlex.split(arguments.efi_flags))
    return {"layers": check_layers, "licence": check_licence, "format": check_format,
            "text": check_text}[check](files)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK",
                        help=f"which of {', '.join(CHECKS)}; all if none is named")
    parser.add_argument("--cc", default="gcc", help="the C compiler")
    parser.add_argument("--flags", default="-std=c11 -Wall -Wextra -Werror",
                        help="its flags for every header")
    parser.add_argument("--efi-flags", default="-isystem /usr/include/efi "
                        "-isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI -fshort-wchar",
                        help="flags besides, for arch/x86/uefi/")
    arguments = parser.parse_args()
    unknown = set(arguments.checks) - set(CHECKS)
    if unknown:
        parser.error(f"no such check: {', '.join(sorted(unknown))}")
    files = list_files()
    count = 0
    for check in arguments.checks or CHECKS:
        for problem in run(check, files, arguments):
            print(f"{problem.path}:{problem.line}: {problem.text}")
            count += 1
    if count > 0:
        print(f"{count} problem{'s' if count > 1 else ''}", file=sys.stderr)
    return 1 if count > 0 else 0


if __name__ == "__main__":
    sys.exit(main())

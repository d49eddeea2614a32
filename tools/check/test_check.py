#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tries check.py on small trees with one mistake each."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parent / "check.py"
FORMAT = CHECK.parents[2] / ".clang-format"
LICENCE = "/* SPDX-License-Identifier: BSD-2-Clause */\n"


class CheckTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        subprocess.run(["git", "init", "-q"], cwd=self.root, check=True)
        self.write(".clang-format", FORMAT.read_text())

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def problems(self, check, *options):
        result = subprocess.run([sys.executable, CHECK, check, *options], cwd=self.root, text=True,
                                capture_output=True, check=False,
                                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        lines = result.stdout.splitlines()
        self.assertEqual(result.returncode, 1 if lines else 0, result.stderr)
        return lines

    def include(self, path, target, quotes='""'):
        """The one problem, or none, of including `target` in `path`."""
        if quotes == '""':
            self.write(target, LICENCE)
        self.write(path, f"{LICENCE}#include {quotes[0]}{target}{quotes[1]}\n")
        found = self.problems("layers")
        self.assertLessEqual(len(found), 1)
        if found:
            self.assertTrue(found[0].startswith(f"{path}:2: "), found)
        (self.root / path).unlink()
        return found

    def test_layers_that_may(self):
        for path, target in [("core/a.c", "arch/x86/b.h"), ("core/a.c", "machine/b.h"),
                             ("arch/x86/a.c", "ept/b.h"), ("arch/x86/a.c", "arch/x86/defs/b.h"),
                             ("machine/a.c", "arch/x86/defs/b.h"), ("machine/a.c", "machine/b.h"),
                             ("vmfunc/a.c", "ept/b.h"), ("ept/a.c", "lib/b.h"),
                             ("lib/a.c", "abi/b.h"), ("abi/a.h", "abi/b.h"),
                             ("guests/linux/a.c", "abi/b.h"), ("tools/a.c", "lib/b.h"),
                             ("tests/unit/a.c", "core/b.h"), ("arch/x86/a.S", "lib/b.h")]:
            with self.subTest(path=path, target=target):
                self.assertEqual(self.include(path, target), [])

    def test_layers_that_may_not(self):
        for path, target in [("arch/x86/a.c", "core/b.h"), ("lib/a.c", "machine/b.h"),
                             ("machine/a.c", "arch/x86/b.h"), ("arch/x86/defs/a.h", "machine/b.h"),
                             ("ept/a.c", "vmfunc/b.h"), ("ept/a.c", "machine/b.h"),
                             ("net/a.c", "virtio/b.h"), ("lib/a.c", "arch/x86/defs/b.h"),
                             ("abi/a.h", "lib/b.h"), ("guests/linux/a.c", "lib/b.h"),
                             ("tools/a.c", "core/b.h"), ("core/a.c", "tests/b.h"),
                             ("core/a.c", "tools/b.h"), ("new/a.c", "lib/b.h"),
                             ("arch/x86/a.S", "core/b.h")]:
            with self.subTest(path=path, target=target):
                self.assertEqual(len(self.include(path, target)), 1)

    def test_paths_from_the_root(self):
        self.write("lib/b.h", LICENCE)
        self.write("lib/a.c", LICENCE + '#include "b.h"\n')
        self.assertIn("does not exist", self.problems("layers")[0])
        self.write("lib/a.c", LICENCE + "int a;\n")
        self.write("guests/linux/b.h", LICENCE)
        self.write("guests/linux/a.c", LICENCE + '#include "b.h"\n')
        self.assertEqual(self.problems("layers"), [])

    def test_system_headers(self):
        for path, target, count in [("lib/a.c", "stdint.h", 0), ("lib/a.c", "string.h", 1),
                                    ("core/a.c", "stdio.h", 1), ("arch/x86/uefi/a.c", "efi.h", 0),
                                    ("arch/x86/a.c", "efi.h", 1), ("tools/a.c", "stdio.h", 0),
                                    ("abi/a.h", "linux/types.h", 0), ("abi/a.h", "stdio.h", 1)]:
            with self.subTest(path=path, target=target):
                self.assertEqual(len(self.include(path, target, "<>")), count)

    def test_headers(self):
        guard = LICENCE + "#ifndef G\n#define G\n{}\n#endif\n"
        flags = ("--flags", "-std=c11 -Wall -Werror -Wstrict-prototypes")
        self.write("lib/good.h", guard.format("#include <stdint.h>\nstruct a { uint8_t b; };"))
        self.assertEqual(self.problems("headers", *flags), [])
        self.write("lib/lacks.h", guard.format("struct c { uint8_t d; };"))
        found = self.problems("headers", *flags)
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], r"^lib/lacks\.h:4: does not compile alone: .*uint8_t")
        self.write("lib/lacks.h", LICENCE + "struct e { int f; };\n")
        self.assertRegex(self.problems("headers", *flags)[0], "redefinition")
        self.write("lib/lacks.h", guard.format("int old();"))
        self.assertRegex(self.problems("headers", *flags)[0], "strict-prototypes")
        (self.root / "lib/lacks.h").rename(self.root / "lib/not_a_header.txt")
        self.write("guests/linux/kernel.h", guard.format("#include <linux/netdevice.h>"))
        self.assertEqual(self.problems("headers", *flags), [])

    def test_licence(self):
        self.write("lib/a.c", LICENCE)
        self.write("tools/a.py", "#!/usr/bin/env python3\n# SPDX-License-Identifier: BSD-2-Clause\n")
        self.write("docs/a.md", "# A document\n")
        self.write("guests/linux/a.c", "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n")
        self.write("guests/data", b"\0\1\2")
        self.assertEqual(self.problems("licence"), [])
        self.write("lib/b.c", "int b;\n")
        self.write("lib/c.c", "\n\n\n" + LICENCE)
        self.write("core/d.c", "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n")
        self.write("tools/run", "#!/bin/sh\n")
        found = self.problems("licence")
        self.assertEqual([line.split(":")[0] for line in found],
                         ["core/d.c", "lib/b.c", "lib/c.c", "tools/run"])

    def test_format(self):
        self.write("lib/a.c", "int a;\n")
        self.write("lib/notes.txt", "int  b ;\n")
        self.assertEqual(self.problems("format"), [])
        self.write("lib/a.c", "int a;\nint  b;\n")
        self.assertRegex(self.problems("format")[0], r"^lib/a\.c:2: not as clang-format")

    def test_text(self):
        self.write("lib/a.c", "int a;\n")
        self.write("docs/a.md", "Gr\u00fc\u00dfe \u2014 \u03bcs\n")
        self.write("lib/data", b"\0\xff")
        self.assertEqual(self.problems("text"), [])
        for text, number, words in [
                ("int a;\nint b; \n", 2, "blanks"), ("int a;\r\n", 1, "carriage return"),
                ("int a;", 1, "no newline"), ("int a;\n\n", 2, "blank lines"),
                ("/* TO" + "DO */\n", 1, "do it"), ("\n/* FIX" + "ME: a */\n", 2, "do it"),
                ("/* \u00e4 */\n", 1, "U+00E4"), ("/* \u00a0 */\n", 1, "NO-BREAK SPACE"),
                ("/* \u200b */\n", 1, "ZERO WIDTH SPACE"), ("/* \x01 */\n", 1, "U+0001")]:
            with self.subTest(text=text):
                self.write("lib/a.c", text)
                found = self.problems("text")
                self.assertEqual(len(found), 1)
                self.assertTrue(found[0].startswith(f"lib/a.c:{number}: "), found)
                self.assertIn(words, found[0])
        self.write("lib/a.c", b"/* \xff */\n")
        self.assertEqual(len(self.problems("text")), 1)
        self.write("lib/a.c", "int a;\n")
        self.write("docs/a.md", "zero\u200bwidth\n")
        self.assertEqual(len(self.problems("text")), 1)
        self.write("docs/a.md", "mktemp /tmp/XXXXXX\n")
        self.assertEqual(self.problems("text"), [])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pictures for the documentation: runs hvctl in tmux on a machine that runs, and draws what the terminal then
shows as SVG.

    screenshots.py LINE DIRECTORY        for example build/run/line docs/screenshots, on `make run CONFIG=chain`
"""

import html
import os
import re
import subprocess
import sys
import time

HVCTL = os.path.join(os.environ.get("BUILD", "build"), "hvctl")
PICTURES = {  # name -> columns, lines, the verb, seconds until it shows what it is to show
    "list": (84, 6, "list", 3),
    "stats": (84, 20, "stats middle", 3),
    "views": (84, 24, "views middle", 3),
    "top": (100, 18, "top", 12),
}
CELL, LINE, MARGIN = 8.4, 18, 12
BACKGROUND, FOREGROUND = "#1b1d22", "#d7dae0"
# Those of ECMA-48, as far as hvctl uses them.
COLOURS = {31: "#e06c75", 32: "#98c379", 33: "#e5c07b"}
SEQUENCE = re.compile(r"\x1b\[([0-9;]*)m")


def capture(line, columns, lines, verb, seconds):
    """The terminal's lines, with the sequences that colour them."""
    # One of its own for each: the last one's server may still be on its way out.
    name = f"screenshot-{os.getpid()}-{verb.split()[0]}"
    command = f"{HVCTL} -l {line} {verb}; sleep 1000"
    tmux = ["tmux", "-L", name, "-f", "/dev/null"]
    try:
        subprocess.run([*tmux, "new-session", "-d", "-x", str(columns), "-y", str(lines), command], check=True,
                       env={**os.environ, "TERM": "xterm-256color"})
        subprocess.run([*tmux, "set", "-g", "status", "off"], check=True)
        time.sleep(seconds)
        return subprocess.run([*tmux, "capture-pane", "-e", "-p"], check=True, capture_output=True,
                              text=True).stdout.rstrip("\n").split("\n")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def pieces(line, state):
    """[(text, state)], where a state is the set of numbers of the sequences in force."""
    at = 0
    for match in [*SEQUENCE.finditer(line), None]:
        text = line[at:match.start() if match else None]
        if text:
            yield text, frozenset(state)
        if match:
            at = match.end()
            for number in map(int, (match.group(1) or "0").split(";")):
                if number == 0:
                    state.clear()
                    continue
                if number == 39 or number in COLOURS:
                    state.difference_update(COLOURS)
                state.add(number)


def draw(command, lines, columns):
    shown = [[("$ ", frozenset({2})), (command, frozenset({1}))]]
    state = set()
    shown += [list(pieces(line, state)) for line in lines]
    width, height = columns * CELL + 2 * MARGIN, len(shown) * LINE + 2 * MARGIN
    out = ["<!-- SPDX-License-Identifier: BSD-2-Clause -->",
           f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
           f' font-family="DejaVu Sans Mono,Menlo,Consolas,monospace" font-size="14">',
           f'<rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>']
    for row, line in enumerate(shown):
        column = 0
        top = MARGIN + row * LINE
        for text, attributes in line:
            left = MARGIN + column * CELL
            colour = next((COLOURS[number] for number in attributes if number in COLOURS), FOREGROUND)
            if 7 in attributes:
                out.append(f'<rect x="{left:.1f}" y="{top}" width="{len(text) * CELL:.1f}" height="{LINE}"'
                           f' fill="{colour}"/>')
                colour = BACKGROUND
            if text.strip():
                weight = ' font-weight="bold"' if 1 in attributes else ' opacity="0.6"' if 2 in attributes else ""
                out.append(f'<text x="{left:.1f}" y="{top + LINE - 4}" fill="{colour}"{weight}'
                           f' textLength="{len(text) * CELL:.1f}" xml:space="preserve">{html.escape(text)}</text>')
            column += len(text)
    return "\n".join([*out, "</svg>", ""])


def main():
    line, directory = sys.argv[1:]
    for name, (columns, lines, verb, seconds) in PICTURES.items():
        shown = capture(line, columns, lines, verb, seconds)
        with open(os.path.join(directory, f"{name}.svg"), "w", encoding="utf-8") as file:
            file.write(draw(f"hvctl {verb}", shown, columns))


if __name__ == "__main__":
    main()

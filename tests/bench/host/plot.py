# SPDX-License-Identifier: BSD-2-Clause
"""The plot: packets per second over their size, both logarithmic, one panel per burst."""

import math

COLOURS = {"postern": "#c02020", "posted": "#e08020", "memif": "#2060c0", "vhost": "#208040", "vhost_packed": "#60a060",
           "rte_ring": "#906020", "bound": "#808080"}
PANEL, HEIGHT, LEFT, TOP, GAP = 300, 260, 60, 40, 50


def decades(low, high):
    first = math.floor(math.log10(low))
    last = max(math.ceil(math.log10(high)), first + 1)
    return [10 ** power for power in range(first, last + 1)]


def line(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def text(x, y, words, anchor="middle", colour="#000"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def panel(left, burst, medians, sizes, ticks):
    """`medians`: way, size, burst: packets per second."""
    def place_x(size):
        span = math.log(sizes[-1] / sizes[0]) or 1
        return left + PANEL * math.log(size / sizes[0]) / span

    def place_y(value):
        return TOP + HEIGHT * (1 - math.log(value / ticks[0]) / math.log(ticks[-1] / ticks[0]))

    yield text(left + PANEL / 2, TOP - 12, f"bursts of {burst}")
    for tick in ticks:
        yield line(left, place_y(tick), left + PANEL, place_y(tick), "#ddd")
    for size in sizes:
        yield line(place_x(size), TOP, place_x(size), TOP + HEIGHT, "#eee")
        yield text(place_x(size), TOP + HEIGHT + 16, size)
    for way, colour in COLOURS.items():
        points = [(place_x(size), place_y(medians[way, size, burst])) for size in sizes
                  if medians.get((way, size, burst))]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def svg(medians, sizes, bursts, note):
    """The whole picture."""
    values = [value for value in medians.values() if value]
    ticks = decades(min(values), max(values))
    width = LEFT + len(bursts) * (PANEL + GAP) + 80
    height = TOP + HEIGHT + 60
    parts = ["<!-- SPDX-License-Identifier: BSD-2-Clause -->",
             f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" '
             'fill="#fff"/>']
    for tick in ticks:
        y = TOP + HEIGHT * (1 - math.log(tick / ticks[0]) / math.log(ticks[-1] / ticks[0]))
        parts.append(text(LEFT - 6, y + 4, f"{tick / 1e6:g} M/s", "end"))
    for number, burst in enumerate(bursts):
        parts += panel(LEFT + number * (PANEL + GAP), burst, medians, sizes, ticks)
    ways = [way for way in COLOURS if any(key[0] == way for key in medians)]
    for number, way in enumerate(ways):
        parts.append(text(width - 80, TOP + 12 + 16 * number, way, "start", COLOURS[way]))
    parts.append(text(LEFT, height - 20, f"packets per second over bytes of a packet. {note}",
                      "start"))
    return "\n".join([*parts, "</svg>\n"])

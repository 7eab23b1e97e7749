"""Plots as SVG, without a library: bars for contenders, lines for series."""

from xml.sax.saxutils import escape

WIDTH, LINE, LABEL, MARGIN = 760, 26, 300, 16
STYLE = "font-family='sans-serif' font-size='13'"
COLOURS = ("#2563a8", "#c2571a", "#3a7d44", "#7a4b94", "#8c8c2a", "#555555")


def bars(title, values):
    """Horizontal bars of (name, value), the shortest first. The scale is linear and begins at zero."""
    values = sorted(values, key=lambda pair: pair[1])
    top = max(value for _, value in values) or 1
    height = MARGIN * 2 + LINE * (len(values) + 1)
    room = WIDTH - LABEL - MARGIN - 70
    drawn = [_head(height, title)]
    for number, (name, value) in enumerate(values):
        y = MARGIN + LINE * (number + 1)
        ours = "Scopecheck" in name or name.startswith(("Decider", "TokenVerifier"))
        length = max(1, room * value / top)
        drawn.append(f"<text x='{LABEL - 8}' y='{y + 15}' text-anchor='end'>{escape(name)}</text>"
                     f"<rect x='{LABEL}' y='{y + 3}' width='{length:.1f}' height='{LINE - 8}' "
                     f"fill='{COLOURS[0] if ours else '#a8b3bf'}'/>"
                     f"<text x='{LABEL + length + 6:.1f}' y='{y + 15}'>{value:,.2f}</text>")
    return "\n".join(drawn) + "\n</svg>\n"


def lines(title, series, across, up):
    """Lines of `series`, a dictionary of name to [(x, y)]; both axes begin at zero. `across` and `up` name the axes."""
    left, bottom, high = 70, 60, 300
    height = MARGIN + LINE + high + bottom
    x_top = max(x for points in series.values() for x, _ in points) or 1
    y_top = max(y for points in series.values() for _, y in points) or 1
    room = WIDTH - left - MARGIN

    def place(x, y):
        return left + room * x / x_top, MARGIN + LINE + high * (1 - y / y_top)

    drawn = [_head(height, title)]
    for step in range(5):
        _, y = place(0, y_top * step / 4)
        x, _ = place(x_top * step / 4, 0)
        drawn.append(f"<line x1='{left}' x2='{WIDTH - MARGIN}' y1='{y:.1f}' y2='{y:.1f}' stroke='#dddddd'/>"
                     f"<text x='{left - 6}' y='{y + 4:.1f}' text-anchor='end'>{y_top * step / 4:,.3g}</text>"
                     f"<text x='{x:.1f}' y='{height - bottom + 20}' text-anchor='middle'>{x_top * step / 4:,.3g}</text>")
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        drawn.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>"
                     f"<text x='{left + 10 + 180 * number}' y='{MARGIN + LINE - 8}' fill='{colour}'>{escape(name)}</text>")
    drawn.append(f"<text x='{left + room / 2}' y='{height - bottom + 44}' text-anchor='middle'>{escape(across)}</text>"
                 f"<text x='16' y='{MARGIN + LINE + high / 2}' text-anchor='middle' "
                 f"transform='rotate(-90 16 {MARGIN + LINE + high / 2})'>{escape(up)}</text>")
    return "\n".join(drawn) + "\n</svg>\n"


def _head(height, title):
    return (f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' {STYLE}>\n"
            f"<rect width='100%' height='100%' fill='white'/>\n"
            f"<text x='{MARGIN}' y='{MARGIN + 8}' font-weight='bold'>{escape(title)}</text>")

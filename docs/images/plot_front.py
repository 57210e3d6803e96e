#!/usr/bin/env python3
"""Draws a front as SVG: mico-cli front JOB --output csv | docs/images/plot_front.py TITLE > front.svg"""
import csv
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 420, 70, 50, 40, 20


def points(rows):
    """(latency as a share of uniform 8 bit, val accuracy in percent, name, on the front) of rows."""
    for row in rows:
        latency, accuracy = float(row["latency_vs_uniform8"]), 100 * float(row["val"])
        yield latency, accuracy, row["network"], row["front"] == "yes"


def main():
    title = sys.argv[1] if len(sys.argv) > 1 else ""
    everything = list(points(csv.DictReader(sys.stdin)))
    best = max(p[1] for p in everything)
    shown = [p for p in everything if p[1] >= best - 12]
    x_low, x_high = min(p[0] for p in shown) - 0.02, max(p[0] for p in shown) + 0.02
    y_low, y_high = min(p[1] for p in shown) - 0.5, best + 0.5

    def x(value):
        return LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - BOTTOM - TOP)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="16">{title}</text>']
    for step in range(6):
        value = y_low + (y_high - y_low) * step / 5
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.1f} %</text>')
        value = x_low + (x_high - x_low) * step / 5
        out.append(f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{value:.2f}x</text>')
    out.append(f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">latency, share of the uniform 8-bit network</text>')
    front = sorted(p for p in shown if p[3])
    path = " ".join(f"{x(p[0]):.1f},{y(p[1]):.1f}" for p in front)
    out.append(f'<polyline points="{path}" fill="none" stroke="#1565c0" stroke-width="1.5"/>')
    for a, b, name, on_front in shown:
        if name:
            label = name.replace("uniform ", "")
            out.append(f'<rect x="{x(a) - 4:.1f}" y="{y(b) - 4:.1f}" width="8" height="8" fill="#c62828"/>')
            out.append(f'<text x="{x(a) + 8:.1f}" y="{y(b) + 16:.1f}" fill="#c62828">{label}</text>')
        if on_front:
            out.append(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="4" fill="#1565c0"/>')
    out.append(f'<text x="{WIDTH - RIGHT}" y="24" text-anchor="end"><tspan fill="#1565c0">● found</tspan>'
               '  <tspan fill="#c62828">■ uniform</tspan></text></svg>')
    print("\n".join(out))


if __name__ == "__main__":
    main()

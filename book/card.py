"""Draws the picture that is shown where the front page is shared (`make card`)."""

from pathlib import Path

import matplotlib.pyplot as plt
import yaml
from matplotlib.patches import Rectangle

BOOK = Path(__file__).parent
CARD = BOOK / "assets" / "card.png"
STARS = {(0, 0): 5, (0, 3): 1, (1, 1): 4, (1, 2): 2, (2, 0): 4, (2, 5): 3, (4, 1): 3}
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"  # as in the logo


def draw_matrix(ax, left, top, rows, columns, marked, colors):
    """A grid of squares from its left upper corner on; `marked` ones stand out."""
    for row in range(rows):
        for column in range(columns):
            color, alpha = colors if marked(row, column) else (colors[0], 0.25)
            place = left + column, top - row - 1
            ax.add_patch(Rectangle(place, 1, 1, fc=color, alpha=alpha, ec="none"))
            ax.add_patch(Rectangle(place, 1, 1, fill=False, ec="white", lw=3))


def draw():
    title = yaml.safe_load((BOOK.parent / "_config.yml").read_text(encoding="utf-8"))[
        "title"
    ]
    words = title.split()
    fig = plt.figure(figsize=(12, 6.3), facecolor="white")
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, 24), ylim=(0, 12.6))
    ax.axis("off")
    lines = [" ".join(words[:2]), " ".join(words[2:])]
    ax.text(1.2, 10.2, "\n".join(lines), size=42, weight="bold", va="center")
    # R with its question mark, then P and the transposed Q, whose product it is
    draw_matrix(ax, 1.2, 7.2, 5, 6, lambda *at: at == (3, 3), (GREEN, 1))
    for (row, column), stars in STARS.items():
        ax.text(1.7 + column, 6.7 - row, stars, size=24, ha="center", va="center")
    ax.text(
        4.7, 3.6, "?", size=36, weight="bold", color="white", ha="center", va="center"
    )
    ax.text(8.6, 4.7, "≈", size=56, ha="center", va="center")
    draw_matrix(ax, 10, 7.2, 5, 2, lambda row, _: row == 3, (BLUE, 1))
    ax.text(13.4, 4.7, "\N{MULTIPLICATION SIGN}", size=56, ha="center", va="center")
    draw_matrix(ax, 14.8, 5.7, 2, 6, lambda _, column: column == 3, (ORANGE, 1))
    for x, name in ((4.2, "ratings"), (11, "users"), (17.8, "films")):
        ax.text(x, 1.2, name, size=24, ha="center", color="#444444")
    fig.savefig(CARD, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    draw()

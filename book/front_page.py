"""Writes the small widget of the front page: three films to rate, and five at once.

For each of the 6 x 6 x 6 answers (0 is a film that was not seen), the five films are
worked out from the numbers that the notebook of the page Try It has stored, by the rule
that the page begins with. `make front-page` writes the answers between two comments of
index.md.
"""

import itertools
import json
import re
from pathlib import Path

import numpy as np

BOOK = Path(__file__).parent
THREE = ("Star Wars (1977)", "Pulp Fiction (1994)", "Sense and Sensibility (1995)")
EXAMPLE = (5, 3, 1)  # what the page shows before a click
MARKERS = "<!-- front page widget -->\n", "<!-- end -->\n"
WITHOUT_SCRIPTS = (
    "Here you could give three films stars and see which five the model would have you "
    "watch. This needs scripts, which are switched off. The page "
    '<a href="try-it.html">Try It</a> shows how it is done.'
)


def stored_model():
    """The numbers that the page Try It hands to its script."""
    cells = json.loads((BOOK / "try-it.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    numbers = r'<div class="widget try-it">.*<script type="application/json">(.*)</scr'
    [found] = re.findall(numbers, "\n".join(pages))
    return json.loads(found)


def first_five(model, rated, stars, others):
    """The best films but for some, by their biases and taste terms."""
    b, Q = np.array(model["b"]), np.array(model["Q"])
    taste = np.zeros(len(b))
    if rated:
        X = np.column_stack([Q, np.ones(len(Q))])[rated]
        system = X.T @ X + model["weight"] * np.eye(X.shape[1])
        y = np.array(stars) - model["mean"] - b[rated]
        taste = Q @ np.linalg.solve(system, X.T @ y)[:-1]
    score = (1 - model["share"]) * b + model["share"] * taste
    order = np.argsort(-score[: model["listed"]], kind="stable")
    return [int(film) for film in order if film not in others][:5]


def answers(model):
    """What the script of the front page shows, and where each film is in the whole."""
    three = [model["titles"].index(title) for title in THREE]
    lists = []
    for stars in itertools.product(range(6), repeat=3):
        given = {film: n for film, n in zip(three, stars, strict=True) if n}
        lists.append(first_five(model, list(given), list(given.values()), three))
    shown = sorted({film for films in lists for film in films})
    return {
        "ids": [model["ids"][film] for film in three],
        "rated": THREE,
        "example": EXAMPLE,
        "titles": [model["titles"][film] for film in shown],
        "lists": [[shown.index(film) for film in films] for films in lists],
    }


def block(content):
    packed = json.dumps(content, separators=(",", ":")).replace("<", r"\u003c")
    return (
        f'<div class="widget front"><p>{WITHOUT_SCRIPTS}</p>'
        f'<script type="application/json">{packed}</script></div>\n'
    )


def written(text):
    """The front page with the widget's block as it should be."""
    start, end = MARKERS
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return before + start + block(answers(stored_model())) + end + after


if __name__ == "__main__":
    path = BOOK / "index.md"
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")

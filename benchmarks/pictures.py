"""The pictures of the front page and of Results, as SVG files: `make pictures`.

Two have a curve for each contender of `make bench`: quality against seconds. Three are
dot plots: what the tables of book/results.md say of ratings, and what `make ncf` stored
of rankings. Tests draw them again and compare.
"""

import io
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from contenders import ML1M, ML100K, TARGETS, target_of
from matplotlib.ticker import MultipleLocator

from d2lrec.sweeps import COLORS

ROOT = Path(__file__).parent.parent
ASSETS, STORED = ROOT / "book" / "assets", ROOT / "d2lrec" / "results"
BLUE, RED = COLORS[:2]
LOOKS = {
    "svg.hashsalt": "d2lrec",  # so that the same curves give the same bytes
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
IN_95_PERCENT = 1.96  # standard errors on either side of an estimate
USERS = "#b4b4b4"  # the interval over users


def svg_of(fig):
    """The bytes of a figure as SVG, the same each time; the figure is closed."""
    content = io.BytesIO()
    metadata = {"Date": None, "Creator": None}
    fig.savefig(content, format="svg", transparent=True, metadata=metadata)
    plt.close(fig)
    return content.getvalue()


def draw(curves):
    """Draw a picture for each data set: a dict from path to the bytes of an SVG.

    Contenders with a target of their own are left out.
    """
    curves = curves[curves.contender.map(target_of) == curves.data.map(TARGETS)]
    rankings = curves[curves.data == ML1M], "hit_rate", f"{ML1M}: HR@10", (0.45, 0.745)
    ratings = (
        curves[curves.data == ML100K],
        "test_rmse",
        f"{ML100K}: test RMSE",
        (0.89, 1),
    )
    return {
        ASSETS / "benchmark-rankings.svg": draw_one(*rankings),
        ASSETS / "benchmark-ratings.svg": draw_one(*ratings),
    }


def draw_one(curves, column, title, limits):
    """Draw a curve for each contender, with the mean over the seeds of one column."""
    target = TARGETS[curves.data.iloc[0]]
    with plt.rc_context(LOOKS):
        fig, ax = plt.subplots(figsize=(4.1, 4.4), layout="constrained")
        ax.axhline(target, ls="--", lw=1, color="grey")
        colors = ["black", "grey", *COLORS, "#999933"]
        styles = zip(colors, "osD^vP*Xh", strict=True)
        runs = curves.groupby("contender", sort=False)
        for (contender, run), (color, marker) in zip(runs, styles, strict=False):
            curve = run.groupby("epoch").agg({"seconds": "median", column: "mean"})
            looks = {"color": color, "marker": marker, "ms": 4, "lw": 1.2}
            looks["markevery"] = max(1, len(curve) // 6)
            ax.plot(curve.seconds, curve[column], label=contender, **looks)
        ax.set(xscale="log", ylim=limits, title=title, xlabel="seconds of training")
        ax.minorticks_off()
        ax.xaxis.set_major_formatter("{x:g}")
        at_the_right = {"ha": "right", "va": "bottom"}
        place = ax.get_yaxis_transform()
        ax.text(0.99, target, f"{target}", transform=place, **at_the_right)
        fig.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
        return svg_of(fig)


def tables_under(heading, text):
    """The tables under a heading of Markdown, each a DataFrame by its first column."""
    under = re.split(r"^#+ ", text.partition(f"# {heading}\n")[2], flags=re.M)[0]
    tables = []
    for lines in re.findall(r"(?:^\|.*\n)+", under, re.M):
        rows = [line.strip()[1:-1].split("|") for line in lines.splitlines()]
        head, _, *body = [[cell.strip() for cell in row] for row in rows]
        tables.append(pd.DataFrame(body, columns=head).set_index(head[0]))
    return tables


def dots_of(cells, errors=None):
    """Cells like "0.900 ± 0.004" as numbers: value, spread, and the users' error."""
    numbers = cells.str.extract(r"(?P<value>[\d.]+)(?: ± (?P<spread>[\d.]+))?")
    error = float("nan") if errors is None else errors.reindex(cells.index)
    return numbers.assign(error=error).astype(float)


def dots_of_ratings(text):
    """By the tables of Results: the dots of each split, and of the better models."""
    splits, errors = tables_under("Three Splits", text)
    dots = {split: dots_of(splits[split], errors[split]) for split in splits}
    [better] = tables_under("Better Training, Beside Another Library", text)
    [with_features] = tables_under("With Histories as Features", text)
    best = with_features.random.loc[["ids and both"]].set_axis(["Bayesian FM"])
    return dots, dots_of(pd.concat([better.random, best]))


def dots_of_rankings(rankings, ranking, metric):
    """By the stored runs: the dots of all models in one ranking, the best one first."""
    runs = rankings[rankings.ranking == ranking].groupby("model")
    columns = {"value": runs[metric].mean(), "spread": runs[metric].std()}
    dots = pd.DataFrame({**columns, "error": runs[f"{metric}_error"].mean()})
    return dots.sort_values("value", ascending=False)


def plot_dots(ax, dots, limits, others=("Surprise",)):
    """A row for each model: a dot, the spread of seeds, an interval over users.

    What lies outside the limits is an arrow at their edge, with its number. `others`
    are how the names of those models begin that get the other color and marker.
    """
    low, high = limits
    for y, (model, dot) in enumerate(dots.iterrows()):
        other = model.startswith(others)
        looks = {"color": RED if other else BLUE, "marker": "s" if other else "o"}
        if low <= dot.value <= high:
            half = IN_95_PERCENT * dot.error
            ax.plot([dot.value - half, dot.value + half], [y, y], color=USERS, lw=5)
            bar = {"ecolor": "black", "elinewidth": 1.2, "capsize": 3.5, "zorder": 3}
            ax.errorbar(dot.value, y, xerr=dot.spread, ms=4.5, ls="", **bar, **looks)
        else:
            left = dot.value < low
            edge, side, arrow = (low, 1, "<") if left else (high, -1, ">")
            ax.plot(edge, y, clip_on=False, **looks | {"marker": arrow, "ms": 6})
            place = {"xytext": (7 * side, 0), "textcoords": "offset points"}
            align = {"ha": "left" if left else "right", "va": "center"}
            ax.annotate(f"{dot.value:.3f}", (edge, y), **place, **align)
    ax.set(xlim=limits, ylim=(len(dots) - 0.5, -0.5))
    ax.set_yticks(range(len(dots)), dots.index)
    ax.tick_params("y", length=0)
    ax.grid(axis="y", lw=0.6, color="#d8d8d8")
    ax.set_axisbelow(True)


def key_of(fig, first, second):
    """Say under a figure what dots and bars are, in words of the figure."""
    looks = {"ls": "", "ms": 5}
    handles = [
        plt.Line2D([], [], color=BLUE, marker="o", label=first, **looks),
        plt.Line2D([], [], color=RED, marker="s", label=second, **looks),
        plt.Line2D([], [], color="black", lw=1.2, label="± spread of seeds"),
        plt.Line2D([], [], color=USERS, lw=5, label="95% interval over users"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)


def rows_of_dots(panels, height):
    """An empty figure with an axes for each panel, below each other, rows alike."""
    ratios = [len(dots) + 1 for dots in panels]  # and a row for the title
    size = {"figsize": (5.5, height), "layout": "constrained"}
    return plt.subplots(len(panels), height_ratios=ratios, **size)


def draw_ratings(text):
    """The RMSE of all models on the random split, and of three models on each split."""
    splits, better = dots_of_ratings(text)
    models = pd.concat([splits["random"], better]).sort_values("value")
    panels = {"all models: random split": models}
    for split, dots in splits.items():
        panels[f"three models: {split} split"] = dots[::-1]
    with plt.rc_context(LOOKS):
        fig, axes = rows_of_dots(panels.values(), 7.4)
        for ax, (title, dots) in zip(axes, panels.items(), strict=True):
            every = dots is models
            plot_dots(ax, dots, (0.86, 0.967) if every else (0.86, 1.31))
            ax.set_title(title, loc="left")
            ax.xaxis.set_major_locator(MultipleLocator(0.02 if every else 0.1))
        for ax in axes[1:-1]:
            ax.tick_params("x", labelbottom=False)
        axes[-1].set_xlabel("test RMSE in stars")
        key_of(fig, "model of this book", "library Surprise")
        return svg_of(fig)


# Of each metric: its name, and limits and ticks of the full and the sampled ranking.
METRICS = {
    "hit_rate": ("HR@10", [(0.07, 0.125, 0.02), (0.65, 0.76, 0.05)]),
    "ndcg": ("NDCG@10", [(0.034, 0.065, 0.01), (0.38, 0.475, 0.04)]),
}


def draw_rankings(rankings):
    """HR@10 and NDCG@10 of all models, full and sampled, in the order of full HR."""
    order = dots_of_rankings(rankings, "full", "hit_rate").index
    no_product = "chance", "popularity", "item kNN", "EASE"
    with plt.rc_context(LOOKS):
        size = {"figsize": (5.5, 6.6), "layout": "constrained"}
        fig, axes = plt.subplots(2, 2, sharey=True, **size)
        for row, (metric, (name, looks)) in zip(axes, METRICS.items(), strict=True):
            rankings_in = zip(row, ["full", "sampled"], looks, strict=True)
            for ax, ranking, (low, high, step) in rankings_in:
                dots = dots_of_rankings(rankings, ranking, metric).loc[order]
                plot_dots(ax, dots, (low, high), no_product)
                ax.set_title(f"{ranking} {name}")
                ax.xaxis.set_major_locator(MultipleLocator(step))
        key_of(fig, "product of factors", "other method")
        return svg_of(fig)


# The models of the front page, in words of a newcomer.
FRONT_RATINGS = {
    "global mean": "same guess for all",
    "bias-only": "user and film biases",
    "MF, k = 30": "matrix factorization",
    "Surprise: SVD, tuned": "library Surprise, tuned",
    "MF, mean of four": "mean of four models",
    "Bayesian MF": "Bayesian",
    "Bayesian FM": "and with features",
}
FRONT_RANKINGS = {
    "popularity": "most popular films",
    "item kNN": "similar films (kNN)",
    "MF": "matrix factorization",
    "GMF": "generalized (GMF)",
    "ALS": "better trained (ALS)",
    "side by side": "several models joined",
    "EASE": "linear model (EASE)",
}


def dots_of_front(text, rankings):
    """The dots of the front page: RMSE in stars, and hits among a hundred users."""
    splits, better = dots_of_ratings(text)
    ratings = pd.concat([splits["random"], better]).loc[list(FRONT_RATINGS)]
    hits = dots_of_rankings(rankings, "full", "hit_rate").loc[list(FRONT_RANKINGS)]
    return ratings, 100 * hits


def draw_front(text, rankings):
    """How good are the book's main models? For somebody who knows none of them."""
    ratings, hits = dots_of_front(text, rankings)
    with plt.rc_context(LOOKS):
        fig, axes = rows_of_dots([ratings, hits], 5.1)
        panels = [
            (axes[0], ratings, FRONT_RATINGS, (0.85, 1.18), "{:.3f}"),
            (axes[1], hits, FRONT_RANKINGS, (0, 13), "{:.1f}"),
        ]
        for ax, dots, names, limits, number in panels:
            plot_dots(ax, dots, limits)
            ax.set_yticks(range(len(dots)), [names[model] for model in dots.index])
            for y, dot in enumerate(dots.itertuples()):
                place = {"transform": ax.get_yaxis_transform(), "va": "center"}
                ax.text(1.02, y, number.format(dot.value), **place)
        titles = [
            "A predicted rating is off by … stars on average (RMSE)",
            "The next film is among the first ten for … of 100 users",
        ]
        for ax, title in zip(axes, titles, strict=True):
            ax.set_title(title, x=-0.48, ha="left")
        return svg_of(fig)


def draw_results(text, rankings):
    """Draw the dot plots: a dict from path to the bytes of an SVG."""
    return {
        ASSETS / "benchmark-front.svg": draw_front(text, rankings),
        ASSETS / "benchmark-all-ratings.svg": draw_ratings(text),
        ASSETS / "benchmark-all-rankings.svg": draw_rankings(rankings),
    }


def main():
    """Draw all pictures from their sources, and write those that have changed."""
    text = (ROOT / "book" / "results.md").read_text(encoding="utf-8")
    drawn = draw(pd.read_csv(STORED / "benchmark-curves.csv"))
    drawn |= draw_results(text, pd.read_csv(STORED / "rankings.csv"))
    for path, content in drawn.items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            print("drawn:", path.relative_to(ROOT))


if __name__ == "__main__":
    main()

"""The two pictures of the front page: quality against seconds of training."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
from contenders import ML1M, ML100K, TARGETS

from d2lrec.sweeps import COLORS

ASSETS = Path(__file__).parent.parent / "book" / "assets"
LOOKS = {
    "svg.hashsalt": "d2lrec",  # so that the same curves give the same bytes
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(curves):
    """Draw a picture for each data set: a dict from path to the bytes of an SVG."""
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
        content = io.BytesIO()
        metadata = {"Date": None, "Creator": None}
        fig.savefig(content, format="svg", transparent=True, metadata=metadata)
        plt.close(fig)
    return content.getvalue()

"""Time to quality, beside other libraries and the usual loop, all in one run (`make
bench`).

On MovieLens 1M (NCF's split; HR@10 and NDCG@10 of the held-out films among 99
negatives):

- the usual loop of public code, in two forms of benchmarks/fast.py, at NCF's settings.
  A tenth of an epoch is timed and scaled up to 11 epochs, after which a port that did
  just this printed 0.704 for MF. The quality is that of GMF with these settings and
  seeds in ncf.csv (`make ncf`); the memory, that of all examples of an epoch, which are
  drawn for this once, in round 0;
- the book's GMF by rows, with CatchUpAdam: the same settings, the same 11 epochs;
- ALS and the softmax model of the page gmf, the very functions in its cells, with the
  settings it chose on validation films (for ALS k = 256, beside which stands k = 64);
- ALS and BPR of `implicit` 0.7.3 with k = 64: ALS with alpha 5, regularization 30 and
  its own 15 iterations; BPR with its own settings, which on the validation films of the
  page gmf did better than learning rates of 0.05 and 0.1, with regularization 0.01 or
  0.03.

On MovieLens 100K (the random split; test RMSE), the book's MF with 30 epochs as on the
page mf, and with larger steps: batches of 2048, learning rate 0.01, 12 epochs. Of five
settings (batches of 1024 to 4096, learning rates of 0.003 to 0.02) tried on the
validation parts of the same splits, it came as low as the page's in half the epochs,
which were best after 10, 10 and 14. The page's once more with a Dataset that gives one
rating at a time, out of tensors or, which is quicker, out of lists; and SVD of Surprise
1.1.5 with its own settings and with tuned ones, those of benchmarks/witness.py.

Each contender has a process of its own, with one thread, in each of three rounds, whose
number is its seed (on MovieLens 100K that of the split, too). The clock starts when the
data are in the contender's own form, and stands still while the state after an epoch is
put aside; states are evaluated in the end, when the peak memory has been read. So
reading, converting and evaluating count for nobody. Compiling counts, and is also given
by itself. Surprise shows no state between epochs; its curves consist of separate fits
with fewer epochs.

*Time to target* is when a state first has HR 0.704, or RMSE 0.92, on the test set. The
target is fixed in advance; this measures speed, and is no rule for when to stop.

`make bench` installs Surprise and implicit; a C++ compiler is needed too. All takes a
quarter of an hour. Writes benchmarks.csv and benchmark-curves.csv into d2lrec/results,
and draws from these the two pictures of the front page (`python benchmarks/compare.py
draw` does only that).
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

# The memory of a process counts for those that it starts, too. So the one that starts
# all others imports nothing large, and each contender what it needs.
ROOT = Path(__file__).parent.parent
RESULTS, ASSETS = ROOT / "d2lrec" / "results", ROOT / "book" / "assets"
SUMMARY, CURVES = RESULTS / "benchmarks.csv", RESULTS / "benchmark-curves.csv"
ROUNDS, PORT_EPOCHS = 3, 11
ML1M, ML100K = "MovieLens 1M", "MovieLens 100K"
SIZES = {ML1M: (6040, 3706), ML100K: (943, 1682)}
EXAMPLES = {
    ML1M: 5 * 994_169,
    ML100K: 90_000,
}  # of an epoch, for those who go through examples
TARGETS = {ML1M: 0.704, ML100K: 0.92}


class Stopwatch:
    """Notes when an epoch ends, and puts the state away, for which it stands still."""

    def __init__(self, folder):
        self.folder, self.points, self.seconds_compiling = folder, [], 0.0
        self.start()

    def start(self):
        self.began = time.perf_counter()

    def lap(self, state, epoch=None):
        """End an epoch; `state` gives the arrays that `evaluate` wants."""
        import numpy as np

        now = time.perf_counter()
        epoch = len(self.points) + 1 if epoch is None else epoch
        self.points.append({"epoch": epoch, "seconds": now - self.began})
        np.savez(self.folder / f"{epoch}.npz", *state())
        self.began += time.perf_counter() - now

    def in_train(self, state_of):
        """The `evaluate` of d2lrec.train, which also calls it before the first epoch."""
        calls = []

        def evaluate(model):
            self.lap(lambda: state_of(model)) if calls else self.start()
            calls.append(model)
            return {}

        return evaluate


def usual_loop(data, seed, watch, form):
    import fast
    import numpy as np
    import pandas as pd
    import torch

    torch.manual_seed(seed)
    users, items, candidates = map(torch.from_numpy, data)
    ways = fast.ways_to_train(*SIZES[ML1M], users, items, candidates[:1])
    seconds = fast.seconds_of(ways[form]) / fast.SHARE
    table = pd.read_csv(RESULTS / "ncf.csv").query("model == 'GMF' and seed == @seed")
    for row in table[1 : PORT_EPOCHS + 1].itertuples():
        quality = {"hit_rate": row.hit_rate, "ndcg": row.ndcg}
        watch.points.append(
            {"epoch": row.epoch, "seconds": row.epoch * seconds, **quality}
        )
    if seed > 0:
        return
    pairs = list(zip(users.tolist(), items.tolist(), strict=True))
    container = torch.tensor if form == fast.USUAL else list
    draw = partial(
        np.random.RandomState(seed).randint, SIZES[ML1M][1]
    )  # the quicker one
    fast.UsualDataset(
        pairs, set(pairs), draw, container
    ).sample_negatives()  # for its memory


def gmf(data, seed, watch):
    import torch
    from torch import nn

    from d2lrec import GMF, CatchUpAdam, ImplicitIterator, train, train_epoch_by_rows

    users, items, _ = map(torch.from_numpy, data)
    torch.manual_seed(seed)
    model = GMF(32, *SIZES[ML1M])
    batches = ImplicitIterator(users, items, *SIZES[ML1M], 256, seed=seed, device="cpu")

    def factors(model):  # with h folded into P; the constant c changes no ranking
        return [
            (model.P.weight * model.h.weight).detach().numpy(),
            model.Q.weight.detach().numpy(),
        ]

    adam = CatchUpAdam(model, lr=0.001)
    take_step, compiled = adam.take_step, set()

    def step(*arguments):  # the first one with a new size of a batch is compiled
        began = time.perf_counter()
        value = take_step(*arguments)
        if len(arguments[-1]) not in compiled:
            compiled.add(len(arguments[-1]))
            watch.seconds_compiling += time.perf_counter() - began
        return value

    adam.take_step = step
    train(
        model, batches, nn.BCEWithLogitsLoss(), adam, PORT_EPOCHS,
        evaluate=watch.in_train(factors), train_epoch=train_epoch_by_rows, progress=False,
    )  # fmt: skip


def functions_of_the_page(**names):
    """Run the cells of the page gmf that define its matrix, ALS and softmax: a dict of names."""
    cells = json.loads((ROOT / "book" / "gmf.ipynb").read_text())["cells"]
    starts = (
        "def interaction",
        "def conjugate",
        "def half_step",
        "class Softmax",
        "def softmax_mf",
    )
    for source in (
        "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"
    ):
        if source.startswith(starts):
            exec(source.partition("\n\n\nR_train")[0], names)
    return names


def of_the_page(data, **names):
    """What the page defines, and the matrix of interactions."""
    import torch
    from torch import nn

    from d2lrec import MF

    users, items, _ = map(torch.from_numpy, data)
    sizes = dict(zip(["num_users", "num_items"], SIZES[ML1M], strict=True))
    page = functions_of_the_page(
        torch=torch, nn=nn, MF=MF, device="cpu", **sizes, **names
    )
    return page, page["interaction_matrix"](users, items)


def als(data, seed, watch, num_factors):
    page, R = of_the_page(data)

    def evaluate(model):
        watch.lap(
            lambda: [model.P.weight.detach().numpy(), model.Q.weight.detach().numpy()]
        )

    watch.start()
    page["als"](R, num_factors, penalty=0.01, seed=seed, evaluate=evaluate)


def softmax(data, seed, watch):
    import torch

    from d2lrec import train

    def factors(model):  # a film's bias is one more factor, which for all users is 1
        P = [model.P.weight.detach(), torch.ones(len(model.P.weight), 1)]
        Q = [model.Q.weight.detach(), model.item_bias.weight.detach()]
        return [torch.cat(part, dim=1).numpy() for part in (P, Q)]

    page, R = of_the_page(data, train=partial(train, evaluate=watch.in_train(factors)))
    page["softmax_mf"](R, weight_decay=1e-5, seed=seed)


def fit_implicit(model, data, watch, every=1):
    """Fit a model of the library implicit, with a lap after every so many iterations."""
    import numpy as np
    from scipy.sparse import csr_matrix

    users, items, _ = data
    R = csr_matrix((np.ones(len(users), np.float32), (users, items)), SIZES[ML1M])

    def lap(iteration, *_):
        if (iteration + 1) % every == 0:
            watch.lap(lambda: [model.user_factors, model.item_factors], iteration + 1)

    watch.start()
    model.fit(R, show_progress=False, callback=lap)


def implicit_als(data, seed, watch):
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        64, regularization=30, alpha=5, iterations=15, num_threads=1, random_state=seed
    )
    fit_implicit(model, data, watch)


def implicit_bpr(data, seed, watch):
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        64, learning_rate=0.01, regularization=0.01, iterations=100, num_threads=1,
        random_state=seed,
    )  # fmt: skip
    fit_implicit(model, data, watch, every=10)


def fit_mf(batches, data, seed, watch, fused=True, lr=0.003, num_epochs=30):
    import torch
    from torch import nn

    from d2lrec import MF, train

    users, items = map(torch.from_numpy, data[3:5])

    @torch.inference_mode()
    def predictions(model):
        return [model(users, items).numpy()]

    torch.manual_seed(seed)
    model = MF(30, *SIZES[ML100K], global_mean=data[2].mean())
    adam = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=3e-4, fused=fused)
    evaluate = watch.in_train(predictions)
    train(model, batches, nn.MSELoss(), adam, num_epochs, evaluate, progress=False)


def mf(data, seed, watch, batch_size=1024, **settings):
    from d2lrec import BatchIterator

    batches = BatchIterator(*data[:3], batch_size, seed=seed, device="cpu")
    fit_mf(batches, data, seed, watch, **settings)


def mf_one_at_a_time(data, seed, watch, lists):
    import torch
    from torch.utils.data import DataLoader, Dataset

    columns = [
        column.tolist() if lists else torch.from_numpy(column) for column in data[:3]
    ]

    class Ratings(Dataset):
        def __len__(self):
            return len(columns[0])

        def __getitem__(self, index):
            return [column[index] for column in columns]

    fit_mf(DataLoader(Ratings(), 1024, shuffle=True), data, seed, watch, fused=False)


def surprise_svd(data, seed, watch, epochs, **settings):
    import numpy as np
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    columns = dict(zip(["user", "item", "rating"], data[:3], strict=True))
    ratings = Dataset.load_from_df(pd.DataFrame(columns), Reader(rating_scale=(1, 5)))
    train_part = ratings.build_full_trainset()
    test_part = list(zip(*(column.tolist() for column in data[3:]), strict=True))
    for num_epochs in epochs:
        model = SVD(n_epochs=num_epochs, random_state=seed, **settings)
        watch.start()
        model.fit(train_part)
        tested = partial(model.test, test_part)
        watch.lap(
            lambda tested=tested: [np.array([each.est for each in tested()])],
            num_epochs,
        )


TUNED = {"n_factors": 100, "reg_all": 0.08}
CONTENDERS = {  # name: data, function, libraries
    "usual loop": (ML1M, partial(usual_loop, form="the usual loop"), ["d2lrec"]),
    "usual loop, quicker parts": (
        ML1M, partial(usual_loop, form="usual loop, quicker parts"), ["d2lrec"],
    ),
    "GMF, by rows": (ML1M, gmf, ["d2lrec"]),
    "ALS, k = 64": (ML1M, partial(als, num_factors=64), ["d2lrec"]),
    "ALS, k = 256": (ML1M, partial(als, num_factors=256), ["d2lrec"]),
    "softmax, k = 64": (ML1M, softmax, ["d2lrec"]),
    "implicit: ALS": (ML1M, implicit_als, ["implicit"]),
    "implicit: BPR": (ML1M, implicit_bpr, ["implicit"]),
    "MF, tensors one at a time": (ML100K, partial(mf_one_at_a_time, lists=False), ["d2lrec"]),
    "MF, lists one at a time": (ML100K, partial(mf_one_at_a_time, lists=True), ["d2lrec"]),
    "MF": (ML100K, mf, ["d2lrec"]),
    "MF, larger steps": (
        ML100K, partial(mf, batch_size=2048, lr=0.01, num_epochs=12), ["d2lrec"],
    ),
    "Surprise: SVD, defaults": (
        ML100K, partial(surprise_svd, epochs=[5, 10, 15, 20]), ["pandas", "surprise"],
    ),
    "Surprise: SVD, tuned": (
        ML100K, partial(surprise_svd, epochs=[10, 20, 30, 40, 50], **TUNED), ["pandas", "surprise"],
    ),
}  # fmt: skip
EXAMPLE_BY_EXAMPLE = [
    name for name in CONTENDERS if name.startswith(("usual", "GMF", "MF", "Sur"))
]


def read_data(folder):
    """Write both data sets as plain arrays, which every contender can read."""
    import numpy as np

    from d2lrec import (
        load_data_ml100k,
        read_data_ml1m,
        read_data_ml100k,
        split_data_ml100k,
    )

    *_, users, items, candidates = read_data_ml1m()
    ratings, *sizes = read_data_ml100k()
    for seed in range(ROUNDS):
        np.savez(folder / f"{ML1M} {seed}.npz", users, items, candidates)
        parts = split_data_ml100k(ratings, *sizes, "random", seed=seed)
        columns = [
            column for part in parts for column in load_data_ml100k(part, *sizes)[:3]
        ]
        np.savez(folder / f"{ML100K} {seed}.npz", *columns)


def peak_mib():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on a Mac bytes
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def arrays_in(path):
    import numpy as np

    with np.load(path) as arrays:
        return list(arrays.values())


def evaluate(data, state):
    """The quality of factors, or of predictions, on the test set: a dict."""
    import torch

    from d2lrec import MF, evaluate_ranking

    if len(state) == 1:
        return {"test_rmse": float(((state[0] - data[5]) ** 2).mean() ** 0.5)}
    model = MF(state[0].shape[1], len(state[0]), len(state[1]), biases=False)
    model.P.weight.data, model.Q.weight.data = map(torch.from_numpy, state)
    return evaluate_ranking(model, torch.from_numpy(data[2]))


def compete(name, seed, folder):
    """Let one contender train, and print its curve and its memory as a line of JSON."""
    data_name, run, libraries = CONTENDERS[name]
    for library in libraries:
        importlib.import_module(library)
    figures = {"libraries_mib": peak_mib()}
    data = arrays_in(folder / f"{data_name} {seed}.npz")
    with tempfile.TemporaryDirectory(dir=folder) as states:
        watch = Stopwatch(Path(states))
        run(data, seed, watch)
        figures |= {
            "peak_mib": peak_mib(),
            "seconds_compiling": watch.seconds_compiling,
        }
        for point in watch.points:
            if len(point) == 2:
                point |= evaluate(
                    data, arrays_in(watch.folder / f"{point['epoch']}.npz")
                )
    about = {"data": data_name, "contender": name, "seed": seed}
    print(json.dumps([{**about, **figures, **point} for point in watch.points]))


def run_all():
    """Let all compete, each in a process of its own: a list of dicts, one for each epoch."""
    points = []
    with tempfile.TemporaryDirectory() as folder:
        threads = ["OMP", "MKL", "OPENBLAS"]
        one = {f"{library}_NUM_THREADS": "1" for library in threads}
        one |= {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
        subprocess.run([sys.executable, __file__, "read", folder], check=True)
        for seed in range(ROUNDS):
            for name in CONTENDERS:
                cache = tempfile.mkdtemp(
                    dir=folder
                )  # so that nothing is compiled beforehand
                done = subprocess.run(
                    [sys.executable, __file__, "compete", folder, name, str(seed)],
                    check=True, stdout=subprocess.PIPE, text=True,
                    env={**os.environ, **one, "TORCHINDUCTOR_CACHE_DIR": cache},
                )  # fmt: skip
                points += json.loads(done.stdout.splitlines()[-1])
                print(
                    seed,
                    {k: v for k, v in points[-1].items() if k != "seed"},
                    flush=True,
                )
    return points


def seconds_to_target(curve):
    """When one contender's curve with one seed first has the target; infinite if never."""
    data_name = curve.data.iloc[0]
    if data_name == ML1M:
        there = curve.hit_rate >= TARGETS[ML1M]
    else:
        there = curve.test_rmse <= TARGETS[ML100K]
    return curve.seconds[there].min() if there.any() else float("inf")


def summarize(curves):
    """A row for each contender: the medians of its seconds, the mean and spread of its quality."""
    import pandas as pd

    rows = []
    for (data_name, name), runs in curves.groupby(["data", "contender"], sort=False):
        parts = [part for _, part in runs.groupby("seed")]
        last = runs.groupby("seed").last()
        quality = last[["hit_rate", "ndcg", "test_rmse"]]
        rows.append({
            "data": data_name, "contender": name, "epochs": last.epoch.max(),
            "seconds": last.seconds.median(),
            "seconds_to_target": pd.Series(map(seconds_to_target, parts)).median(),
            **quality.mean(), **quality.std().add_suffix("_spread"),
        })  # fmt: skip
    return pd.DataFrame(rows)


def rows_for_pages(summary):
    """The rows of the pages' table, in Markdown: a dict from contender to row."""

    def seconds(value):
        return (
            "never"
            if value == float("inf")
            else f"{value:.{0 if value >= 99.5 else 1}f}"
        )

    rows = {}
    for row in summary.itertuples():
        pair = (row.hit_rate, row.hit_rate_spread) if row.data == ML1M else (
            row.test_rmse, row.test_rmse_spread)  # fmt: skip
        figures = [
            "{:.3f} ± {:.3f}".format(*pair), seconds(row.seconds),
            seconds(row.seconds_to_target), f"{row.peak_mib:,.0f}",
        ]  # fmt: skip
        rows[row.contender] = f"| {' | '.join([row.contender, *figures])} |"
    return rows


def draw(curves):
    """Draw quality against seconds, a picture for each data set: a dict from path to bytes."""
    import io

    import matplotlib.pyplot as plt

    from d2lrec.sweeps import COLORS

    looks = {"svg.hashsalt": "d2lrec", "font.size": 10, "axes.spines.top": False,
             "axes.spines.right": False}  # fmt: skip
    words = {
        ML1M: ("rankings", "HR@10", (0.45, 0.745)), ML100K: ("ratings", "test RMSE", (0.89, 1.0)),
    }  # fmt: skip
    pictures = {}
    for data_name, (name, label, limits) in words.items():
        column = "hit_rate" if data_name == ML1M else "test_rmse"
        with plt.rc_context(looks):
            fig, ax = plt.subplots(figsize=(4.1, 4.4), layout="constrained")
            ax.axhline(TARGETS[data_name], ls="--", lw=1, color="grey")
            styles = zip(["black", "grey", *COLORS], "osD^vP*X", strict=True)
            runs = curves[curves.data == data_name].groupby("contender", sort=False)
            for (contender, run), (color, marker) in zip(runs, styles, strict=False):
                curve = run.groupby("epoch").agg({"seconds": "median", column: "mean"})
                ax.plot(curve.seconds, curve[column], color=color, marker=marker, ms=4, lw=1.2,
                        markevery=max(1, len(curve) // 6), label=contender)  # fmt: skip
            ax.set(xscale="log", ylim=limits, title=f"{data_name}: {label}",
                   xlabel="seconds of training")  # fmt: skip
            ax.minorticks_off()
            ax.xaxis.set_major_formatter("{x:g}")
            ax.text(0.99, TARGETS[data_name], f"{TARGETS[data_name]}", ha="right", va="bottom",
                    transform=ax.get_yaxis_transform())  # fmt: skip
            fig.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
            content = io.BytesIO()
            metadata = {"Date": None, "Creator": None}
            fig.savefig(content, format="svg", transparent=True, metadata=metadata)
            plt.close(fig)
        pictures[ASSETS / f"benchmark-{name}.svg"] = content.getvalue()
    return pictures


def main():
    """Run all, write both tables, draw, and print what is asked of them."""
    points = run_all()  # before anything large is imported
    import pandas as pd

    from d2lrec.files import write_atomically

    table = pd.DataFrame(points)
    by_name = table.groupby("contender")
    processes = by_name.agg(
        {"seconds_compiling": "median", "peak_mib": "max", "libraries_mib": "max"}
    )
    columns = [
        "data",
        "contender",
        "seed",
        "epoch",
        "seconds",
        "hit_rate",
        "ndcg",
        "test_rmse",
    ]
    write_atomically(
        CURVES, table[columns].to_csv(index=False, float_format="%.5g").encode()
    )
    summary = summarize(pd.read_csv(CURVES)).join(processes, on="contender")
    examples = summary.epochs * summary.data.map(EXAMPLES)
    per_second = examples / (summary.seconds - summary.seconds_compiling)
    summary["examples_per_second"] = per_second[
        summary.contender.isin(EXAMPLE_BY_EXAMPLE)
    ]
    write_atomically(SUMMARY, summary.to_csv(index=False, float_format="%.5g").encode())
    for path, content in draw(pd.read_csv(CURVES)).items():
        write_atomically(path, content)
    show(pd.read_csv(SUMMARY))


def show(summary):
    for data_name, rows in summary.groupby("data", sort=False):
        print(f"\n{data_name}, {ROUNDS} seeds, target {TARGETS[data_name]}")
        print(
            rows.drop(columns="data")
            .dropna(axis="columns", how="all")
            .to_string(index=False)
        )
    print("", *rows_for_pages(summary).values(), sep="\n")
    by_name = summary.set_index("contender")
    usual = by_name.loc["usual loop"].seconds
    there = by_name[(by_name.data == ML1M) & (by_name.seconds_to_target < float("inf"))]
    for name, to_target in there.seconds_to_target.items():
        print(
            f"{PORT_EPOCHS} epochs of the usual loop / {name} to target: {usual / to_target:.0f}"
        )


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["draw"]:
            import pandas as pd

            for path, content in draw(pd.read_csv(CURVES)).items():
                path.write_bytes(content)
        case ["read", folder]:
            read_data(Path(folder))
        case ["compete", folder, name, seed]:
            compete(name, int(seed), Path(folder))

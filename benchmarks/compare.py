"""Time to quality beside other libraries and the usual loop, in one run: `make bench`.

On MovieLens 1M (NCF's split; HR@10 and NDCG@10 of the held-out films among 99
negatives):

- the usual loop of public code, in two forms of fast_ways.py, at NCF's settings.
  A tenth of an epoch is timed and scaled up to 11 epochs, after which a port that did
  just this printed 0.704 for MF. The quality is that of GMF with these settings and
  seeds in ncf.csv (`make ncf`); the memory, that of all examples of an epoch, which are
  drawn for this once, in round 0;
- the book's GMF by rows, with CatchUpAdam: the same settings, the same 11 epochs;
- ALS and the softmax model of the page dot-product, with the settings it chose on
  validation films (for ALS k = 256, beside which stands k = 64);
- ALS and BPR of `implicit` 0.7.3 with k = 64: ALS with alpha 5, regularization 30 and
  its own 15 iterations; BPR with its own settings, which on the validation films of the
  page gmf did better than learning rates of 0.05 and 0.1, with regularization 0.01 or
  0.03. It takes the item of a random interaction as a negative, so popular films often,
  and has no other way;
- BPR with negatives drawn uniformly, as the metric draws them, in plain PyTorch, with
  k = 64, learning rate 0.05, penalty 0.005 and 50 epochs, none of them chosen by a
  search.

On MovieLens 100K (the random split; test RMSE), the book's MF with 30 epochs as on the
page mf, and with larger steps: batches of 2048, learning rate 0.03, falling along half
a cosine, 8 epochs. Of 105 settings (batches of 2048 to 8192, learning rates of 0.01 to
0.05, 6 to 12 epochs, with a schedule or without) tried on the validation parts of the
same splits, none ended lower, and of those that ended as low it was there first. The
page's once more with a Dataset that gives one rating at a time, out of tensors or,
which is quicker, out of lists; and SVD of Surprise 1.1.5 with its own settings and with
tuned ones, those of surprise_baselines.py.

There, too, with a target of their own: Bayesian MF, the sampler of the page mf-better,
and myFM 0.4.0, a factorization machine of users and films, whose sampler draws one
number at a time. Both have 10 factors and 150 rounds; the first 20 are left out, and
the state is the mean of what the others so far predict, noted after every fifth.

Each contender has a process of its own, with one thread, in each of three rounds, whose
number is its seed (on MovieLens 100K that of the split, too). The clock starts when the
data are in the contender's own form, and stands still while the state after an epoch is
stored; states are evaluated in the end, when the peak memory has been read. So reading,
converting and evaluating count for nobody. Compiling counts, and is also given by
itself. Surprise shows no state between epochs; its curves consist of separate fits with
fewer epochs.

*Time to target* is when a state first has HR 0.704, or RMSE 0.92 (0.89 for the two
samplers), on the test set. The target is fixed in advance; this measures speed, and is
no rule for when to stop.

Surprise, implicit and myFM are the extra `bench`; a C++ compiler is needed too. All
takes some 15 minutes. Writes benchmarks.csv and benchmark-curves.csv into
d2lrec/results, and draws from these the two pictures of the front page (`python
benchmarks/compare.py draw` does only that). `python benchmarks/compare.py only NAME
...` runs the contenders of these names alone and puts them in the place of their old
rows.

What a contender has done in a round is kept in _build, and a run that was broken off
goes on there; the tables are written when all is done. Seconds should be compared
within one sitting, and it is said if there was more than one.
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from contenders import CONTENDERS
from contest import compete, write_data
from kept import Kept
from processes import in_own_process

# What is large is imported when all contenders have finished (see processes.py).
RESULTS = Path(__file__).parent.parent / "d2lrec" / "results"
SUMMARY, CURVES = RESULTS / "benchmarks.csv", RESULTS / "benchmark-curves.csv"
COLUMNS = ["data", "contender", "seed", "epoch", "seconds"]
ROUNDS = 3


def run_all(kept, names=tuple(CONTENDERS), rounds=ROUNDS):
    """Let contenders compete, each in its own process: a list of a dict per epoch.

    What was kept of a run that was broken off is taken as it is.
    """
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    points = []
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        in_own_process(write_data, folder, rounds)
        for seed in range(rounds):
            for name in names:
                # A new cache, so that nothing is compiled beforehand.
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(dir=folder)
                measure = partial(in_own_process, compete, name, seed, folder)
                curve, was_kept = kept.get(f"{seed} {name}", measure)
                print("kept:" if was_kept else "new:", curve[-1], flush=True)
                points += curve
    return points


def write_tables(points, keep_others=False):
    """Write the curves and their summary, which is made of the curves as written."""
    import numpy as np
    import pandas as pd
    from summary import QUALITY, add_processes, summarize

    from d2lrec.files import write_atomically

    def write(path, table):
        if keep_others:
            others = pd.read_csv(path)
            others = others[~others.contender.isin(table.contender)]
            table = pd.concat([others, table])
            place = table.contender.map(list(CONTENDERS).index)
            round_ = table.get("seed", 0 * place)
            table = table.iloc[np.lexsort([place, round_])]
        content = table.to_csv(index=False, float_format="%.5g")
        write_atomically(path, content.encode())

    table = pd.DataFrame(points)
    write(CURVES, table.reindex(columns=COLUMNS + QUALITY))
    curves = pd.read_csv(CURVES)
    curves = curves[curves.contender.isin(table.contender)]
    write(SUMMARY, add_processes(summarize(curves), table))


def draw_pictures():
    """Draw the pictures of the front page from the curves in their file."""
    import pandas as pd
    from pictures import draw

    for path, content in draw(pd.read_csv(CURVES)).items():
        path.write_bytes(content)


def main(names=()):
    """Run all, or these alone, write both tables, draw, and print what is asked."""
    kept = Kept("bench")
    try:
        points = run_all(kept, names or tuple(CONTENDERS))
    except KeyboardInterrupt:
        sys.exit("\nBroken off. The same command goes on with what is not done yet.")
    write_tables(points, keep_others=bool(names))
    draw_pictures()
    import pandas as pd
    from summary import show

    show(pd.read_csv(SUMMARY))
    print_minutes(kept)
    kept.forget()


def print_minutes(kept):
    """Print what each contender took in all rounds, and if there was a long break."""
    minutes = {}
    for key, seconds in kept.seconds().items():
        name = key.partition(" ")[2]
        minutes[name] = minutes.get(name, 0) + seconds / 60
    print("\nminutes with imports, compilation and evaluation:")
    for name, of_one in {**minutes, "sum": sum(minutes.values())}.items():
        print(f"{of_one:6.1f} {name}")
    if kept.sittings() > 1:
        print(f"{kept.sittings()} sittings: compare seconds with care, or run again")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["draw"]:
            draw_pictures()
        case ["only", *names] if names and set(names) <= set(CONTENDERS):
            main(tuple(names))
        case _:
            sys.exit("start it as: python benchmarks/compare.py [draw | only NAME ...]")

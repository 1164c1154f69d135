"""MF and GMF at NCF's settings, for the page gmf (`make ncf`).

NCF is Neural Collaborative Filtering (He et al. 2017). Both have k = 32 and are
trained with binary cross-entropy on NCF's split of MovieLens 1M: four negatives per
interaction, batches of 256, Adam with learning rate 0.001, 20 epochs, three seeds (of
the first parameters, the negatives and the order). After each epoch they are evaluated
on the held-out films against NCF's 99 negatives. `CatchUpAdam` takes Adam's steps. This
takes about ten minutes on a CPU core; the figures go to d2lrec/results/ncf.csv, which
the page reads.
"""

from functools import partial
from pathlib import Path

import pandas as pd
import torch
from processes import peak_bytes
from torch import nn

import d2lrec
from d2lrec import (
    GMF,
    MF,
    CatchUpAdam,
    ImplicitIterator,
    evaluate_ranking,
    read_data_ml1m,
    train,
    train_epoch_by_rows,
    try_gpu,
)
from d2lrec.files import write_atomically

RESULTS = Path(d2lrec.__file__).parent / "results" / "ncf.csv"


def main():
    users, items, candidates, num_users, num_items = read_data_ml1m()
    candidates = candidates.to(try_gpu())
    histories = []
    for seed in range(3):
        for name, make in {"GMF": GMF, "MF": partial(MF, biases=False)}.items():
            torch.manual_seed(seed)
            model = make(32, num_users, num_items).to(try_gpu())
            batches = ImplicitIterator(
                users, items, num_users, num_items, 256, seed=seed
            )
            history = train(
                model,
                batches,
                nn.BCEWithLogitsLoss(),
                CatchUpAdam(model, lr=0.001),
                20,
                evaluate=lambda model: evaluate_ranking(model, candidates),
                train_epoch=train_epoch_by_rows,
            )
            histories.append(history.reset_index().assign(model=name, seed=seed))
            best = history.hit_rate.max()
            print(f"{name}, seed {seed}: best hit rate {best:.4f}", flush=True)
    columns = ["model", "seed", "epoch", "train_loss", "hit_rate", "ndcg"]
    content = pd.concat(histories)[columns].to_csv(index=False, float_format="%.5f")
    write_atomically(RESULTS, content.encode())
    peak = peak_bytes() / 2**20
    print(f"written to {RESULTS.name}; peak memory {peak:,.0f} MiB")


if __name__ == "__main__":
    main()

"""Test RMSE of MF on GroupLens's own split u1.base / u1.test of MovieLens 100K.

u1.test is the first fifth of u.data and u1.base the rest (GroupLens's script mku.sh
cuts them so and sorts them). As on the page mf, weight decay and epochs are chosen on a
tenth of u1.base, then the model is trained once more on all of it, and u1.test is used
once. The split is fixed; five seeds change the validation set, the initialization and
the order of the batches.
"""

import statistics

import torch
from torch import nn

from d2lrec import (
    MF,
    BatchIterator,
    load_data_ml100k,
    read_data_ml100k,
    rmse,
    split_data_ml100k,
    train,
    try_gpu,
)


def fit(train_iter, sizes, num_epochs, weight_decay, seed, **options):
    torch.manual_seed(seed)
    mean = train_iter.ratings.mean().item()
    model = MF(30, *sizes, global_mean=mean).to(try_gpu())
    adam = torch.optim.Adam(
        model.parameters(), lr=0.003, weight_decay=weight_decay, fused=True
    )
    options = {"progress": False, **options}
    return model, train(model, train_iter, nn.MSELoss(), adam, num_epochs, **options)


def main():
    data, *sizes = read_data_ml100k()
    u1_test, u1_base = data[:20_000], data[20_000:]

    def batches(part, shuffle=True, seed=0):
        return BatchIterator(*load_data_ml100k(part, *sizes)[:3], 1024, shuffle, seed)

    figures = []
    for seed in range(5):
        train_data, valid_data = split_data_ml100k(u1_base, *sizes, seed=seed)
        valid_iter = batches(valid_data, shuffle=False)
        curves = {}
        for weight_decay in (1e-4, 2e-4, 3e-4):
            train_iter = batches(train_data, seed=seed)
            _, history = fit(
                train_iter, sizes, 30, weight_decay, seed,
                evaluate=lambda model, data_iter=valid_iter: {"rmse": rmse(model, data_iter)},
            )  # fmt: skip
            curves[weight_decay] = history.rmse
        best = min(curves, key=lambda weight_decay: curves[weight_decay].min())
        num_epochs = curves[best].idxmin()
        model, _ = fit(batches(u1_base, seed=seed), sizes, num_epochs, best, seed)
        figures.append(rmse(model, batches(u1_test, shuffle=False)))
        print(
            f"seed {seed}: weight decay {best}, {num_epochs} epochs, test {figures[-1]:.3f}"
        )
    print(f"u1.test: {statistics.mean(figures):.3f} ± {statistics.stdev(figures):.4f}")


if __name__ == "__main__":
    main()

"""Test RMSE of MF on GroupLens's own split u1.base / u1.test of MovieLens 100K.

u1.test is the first fifth of u.data and u1.base the rest (GroupLens's script mku.sh
cuts them so and sorts them). As on the page mf, weight decay and epochs are chosen on a
tenth of u1.base, then the model is trained once more on all of it, and u1.test is used
once. The split is fixed; five seeds change the validation set, the initialization and
the order of the batches.
"""

import statistics

from d2lrec import load_batches, read_data_ml100k, rmse, split_data_ml100k, train_mf


def choose(u1_base, sizes, seed):
    """The weight decay and the number of epochs that are best on a validation set."""
    train_data, valid_data = split_data_ml100k(u1_base, *sizes, seed=seed)
    valid_iter = load_batches(valid_data, *sizes, batch_size=1024, shuffle=False)

    def evaluate(model):
        return {"rmse": rmse(model, valid_iter)}

    curves = {}
    for weight_decay in (1e-4, 2e-4, 3e-4):
        settings = {"weight_decay": weight_decay, "seed": seed, "progress": False}
        _, history = train_mf(train_data, *sizes, 30, evaluate=evaluate, **settings)
        curves[weight_decay] = history.rmse
    best = min(curves, key=lambda weight_decay: curves[weight_decay].min())
    return best, curves[best].idxmin()


def main():
    data, *sizes = read_data_ml100k()
    u1_test, u1_base = data[:20_000], data[20_000:]
    test_iter = load_batches(u1_test, *sizes, batch_size=1024, shuffle=False)
    figures = []
    for seed in range(5):
        weight_decay, num_epochs = choose(u1_base, sizes, seed)
        settings = {"weight_decay": weight_decay, "seed": seed, "progress": False}
        model, _ = train_mf(u1_base, *sizes, num_epochs, **settings)
        test_rmse = rmse(model, test_iter)
        figures.append(test_rmse)
        chosen = f"weight decay {weight_decay}, {num_epochs} epochs"
        print(f"seed {seed}: {chosen}, test {test_rmse:.3f}")
    print(f"u1.test: {statistics.mean(figures):.3f} ± {statistics.stdev(figures):.4f}")


if __name__ == "__main__":
    main()

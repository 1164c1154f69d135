"""All ranking models of the book on NCF's files, for gmf and dot-product (`make ncf`).

NCF is Neural Collaborative Filtering (He et al. 2017), whose authors published a split
of MovieLens 1M. GMF, MF, and MF with a constant c (GMF whose weights h stay 1) have k =
32 and are trained with the settings of NCF's code: binary cross-entropy, four negatives
per interaction, batches of 256, Adam with learning rate 0.001, 20 epochs. `CatchUpAdam`
takes Adam's steps. After each epoch they are evaluated on the held-out films against
NCF's 99 negatives: d2lrec/results/ncf.csv.

These and all other models of the page dot-product, with the settings that the page
chooses on validation films, are evaluated at the end of their training among all films
and among the 99 negatives (rankings.csv: the figures of each run, and their standard
errors over users). Figures of each user, averaged over the seeds, go through the paired
test, for each model against ALS and for the first three (rankings-paired.csv).

Three seeds of what is random. Takes 15 minutes on a CPU core.
"""

from pathlib import Path

import pandas as pd
import torch
from dot_products import best_weights, low_rank, side_by_side, train_autoencoder
from processes import peak_bytes
from softmax import train_softmax
from torch import nn

import d2lrec
from d2lrec import (
    GMF,
    MF,
    CatchUpAdam,
    ImplicitIterator,
    ease,
    evaluate_full_ranking,
    evaluate_ranking,
    interaction_matrix,
    item_knn,
    leave_one_out,
    paired_test,
    popularity,
    read_data_ml1m,
    train,
    train_als,
    train_epoch_by_rows,
    try_gpu,
)
from d2lrec.baselines import ScoreTable
from d2lrec.files import write_atomically

RESULTS = Path(d2lrec.__file__).parent / "results"
SEEDS = range(3)
EPOCHS = 20


def make_gmf(*sizes):
    return GMF(32, *sizes)


def make_mf(*sizes):
    return MF(32, *sizes, biases=False)


def make_mf_with_c(*sizes):
    """A GMF with h = 1, which is not trained: the dot product plus a constant."""
    model = GMF(32, *sizes)
    nn.init.ones_(model.h.weight).requires_grad_(False)
    return model


NCF = {"GMF": make_gmf, "MF with c": make_mf_with_c, "MF": make_mf}
TO_COMPARE = [("GMF", "MF"), ("GMF", "MF with c"), ("MF with c", "MF")]


def train_as_ncf(make, users, items, sizes, seed, **options):
    """A model trained with NCF's settings, and its history."""
    torch.manual_seed(seed)
    model = make(*sizes).to(try_gpu())
    batches = ImplicitIterator(users, items, *sizes, 256, seed=seed)
    adam = CatchUpAdam(model, lr=0.001)
    options = {"train_epoch": train_epoch_by_rows, **options}
    return model, train(model, batches, nn.BCEWithLogitsLoss(), adam, EPOCHS, **options)


def published_als(R, seed):
    """ALS with the settings of Rendle et al. 2022 for these files, in ours.

    They give observed pairs the weight 1 and target 1, and to all pairs the weight 0.3
    and target 0. Divided by 0.3 this is our loss with alpha = 1 / 0.3 and a target of
    alpha / (1 + alpha) = 1 / 1.3; for a target of 1 the penalty is multiplied by 1.3.
    """
    return train_als(R, 192, 0.007 * 1.3, alpha=1 / 0.3, num_iterations=12, seed=seed)


def mixed_parts(R, als, seed):
    """The models that stand side by side; `als` is the one that is trained already."""
    return [
        als,
        train_als(R, 128, 0.01, alpha=20, seed=seed),
        low_rank(ease(R).scores.weight, 256, seed),
        train_autoencoder(R, seed=seed),
    ]


def other_models(users, items, sizes):
    """Yield (name, seed, model) for all models that are not trained as NCF's."""
    R = interaction_matrix(users, items, *sizes).to(try_gpu())
    yield "chance", 0, MF(0, *sizes, init_std=0.0)
    yield "popularity", 0, popularity(items, *sizes)
    yield "item kNN", 0, item_knn(R)
    yield "EASE", 0, ease(R)
    times = torch.rand(len(users), generator=torch.Generator().manual_seed(1))
    splits = [leave_one_out(users, items, times, sizes[1], seed=s) for s in range(1, 6)]
    train_users, train_items, _ = splits[0]  # the same in all, but for the negatives
    R_train = interaction_matrix(train_users, train_items, *sizes).to(try_gpu())
    parts = mixed_parts(R_train, train_als(R_train, 256, 0.01), seed=0)
    weights = best_weights(parts, [draw.to(try_gpu()) for _, _, draw in splits])
    print("weights of the models side by side:", weights, flush=True)
    for seed in SEEDS:
        yield "softmax", seed, train_softmax(R, 1e-5, seed=seed)
        yield "ALS, k = 64", seed, train_als(R, 64, 0.01, seed=seed)
        yield "ALS, published settings", seed, published_als(R, seed)
        als = train_als(R, 256, 0.01, seed=seed)
        yield "ALS", seed, als
        mixture = side_by_side(mixed_parts(R, als, seed), weights)
        yield "side by side", seed, mixture


@torch.no_grad()
def table_of(model, sizes):
    """A model's scores as a table, which is quicker to rank than many factors."""
    users, items = torch.arange(sizes[0]), torch.arange(sizes[1])
    if isinstance(model, MF) and not model.biases:
        return ScoreTable(model.P.weight @ model.Q.weight.T)
    device = next(model.parameters()).device
    parts = users.to(device).unsqueeze(1).split(64)
    return ScoreTable(torch.cat([model(part, items.to(device)) for part in parts]))


def main():
    users, items, candidates, *sizes = read_data_ml1m()
    held_out = candidates[:, 0]
    histories, runs, each_user = [], [], {}

    def evaluate(name, seed, model):
        table = table_of(model, sizes)
        full = evaluate_full_ranking(
            table, held_out, users, items, sizes[1], per_user=True
        )
        sampled = evaluate_ranking(table, candidates, per_user=True)
        for ranking, figures in {"full": full, "sampled": sampled}.items():
            of_users = pd.DataFrame(figures)  # a row per user
            errors = of_users.sem().add_suffix("_error")
            runs.append(
                {"model": name, "seed": seed, "ranking": ranking}
                | of_users.mean().to_dict()
                | errors.to_dict()
            )
            each_user.setdefault((name, ranking), []).append(of_users)
        hits = pd.DataFrame(sampled).hit_rate.mean()
        print(f"{name}, seed {seed}: hit rate {hits:.4f}", flush=True)

    for run in other_models(users, items, sizes):
        evaluate(*run)
    for seed in SEEDS:
        for name, make in NCF.items():
            model, history = train_as_ncf(
                make,
                *(users, items, sizes, seed),
                evaluate=lambda model: evaluate_ranking(model, candidates),
            )
            histories.append(history.reset_index().assign(model=name, seed=seed))
            evaluate(name, seed, model)

    paired = []
    names = {name for name, _ in each_user}
    pairs = TO_COMPARE + [(name, "ALS") for name in sorted(names - {"ALS"})]
    for first, second in pairs:
        for ranking in ("full", "sampled"):
            one, other = (
                sum(each_user[name, ranking]) / len(each_user[name, ranking])
                for name in (first, second)
            )
            for metric in one:
                found = paired_test(one[metric], other[metric])
                paired.append(
                    {"first": first, "second": second, "ranking": ranking}
                    | {"metric": metric, **found}
                )

    columns = ["model", "seed", "epoch", "train_loss", "hit_rate", "ndcg"]
    store(pd.concat(histories)[columns], "ncf.csv", "%.5f")
    store(pd.DataFrame(runs), "rankings.csv", "%.5f")
    store(pd.DataFrame(paired), "rankings-paired.csv", "%.5g")
    print(f"peak memory {peak_bytes() / 2**20:,.0f} MiB")


def store(table, name, float_format):
    content = table.to_csv(index=False, float_format=float_format)
    write_atomically(RESULTS / name, content.encode())


if __name__ == "__main__":
    main()

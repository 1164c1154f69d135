"""D2L's recommender sections with their own protocols, and repaired one step at a time.

For the page d2l. Sections 21.3 and 21.4 predict ratings, 21.6 and 21.7 rank films. The
settings are those of D2L's pages, the models are this book's where they are the same,
and the code is our own. What differs from D2L's runs: PyTorch in place of MXNet, and
the examples that are left after the last whole batch form a small batch, where D2L
carries them over to the next epoch.

`make d2l` takes about twelve minutes on one core and writes d2lrec/results/d2l.csv: a
row for each section, step and seed. The seed draws the split that is random, too.
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from autorec import complete, train_autorec
from neumf import NeuMF
from torch import nn

import d2lrec
from d2lrec import (
    MF,
    leave_one_out,
    load_histories,
    popularity,
    read_data_ml100k,
    train,
)
from d2lrec.data.batches import BatchIterator
from d2lrec.data.negatives import UnseenItems, draw_below
from d2lrec.files import write_atomically
from d2lrec.losses import BPRLoss, HingeLossbRec
from d2lrec.models import in_mode

RESULTS = Path(d2lrec.__file__).parent / "results"
SEEDS = range(3)
STEPS = "as in D2L", "leak", "epoch chosen"


def ranked_like_d2l(scores, seen, held_out, num_ranked, ties="by id", k=50):
    """Hit@k and AUC of each user's held-out film, as D2L's functions count them.

    Films with ids below `num_ranked` that the user has not seen are ranked by score;
    a held-out film that is not among them is no hit and has an AUC of 0. The AUC is the
    share of the other ranked films that stand behind the held-out one.

    Args:
        scores: float32 (num_users, num_items).
        seen: bool (num_users, num_items), the films of the training set.
        held_out: int64 (num_users,).
        ties: "by id", as D2L's stable sort leaves equal scores, or "at random": the
            mean over all orders of what is equal.
    Returns two tensors (num_users,), float64.
    """
    ids = torch.arange(scores.shape[1])
    column = held_out.unsqueeze(1)  # (num_users, 1)
    own = scores.gather(1, column)  # (num_users, 1)
    others = ~seen & (ids < num_ranked) & (ids != column)  # (num_users, num_items)
    better = (others & (scores > own)).sum(dim=1).double()  # (num_users,)
    tied = others & (scores == own)  # (num_users, num_items)
    if ties == "by id":
        better, tied = better + (tied & (ids < column)).sum(dim=1), 0.0
    else:
        tied = tied.sum(dim=1).double()  # (num_users,)
    hits = ((k - better) / (tied + 1)).clamp(0, 1)
    behind = 1 - (better + tied / 2) / others.sum(dim=1)
    ranked = held_out < num_ranked
    return hits.where(ranked, 0.0), behind.where(ranked, 0.0)


def averaged_like_d2l(errors, batch_size=512):
    """The RMSE of D2L's section 21.3: a mean over test batches of a running mean.

    After each batch its metric gives the mean of the RMSEs of all batches so far, and
    the evaluator averages what the metric gave. Takes errors, (n,).
    """
    of_batches = [part.square().mean().sqrt() for part in errors.split(batch_size)]
    of_batches = torch.stack(of_batches)
    counts = torch.arange(1, len(of_batches) + 1)
    return float((of_batches.cumsum(0) / counts).mean())


def split_like_d2l(num_ratings, seed, test_ratio=0.1):
    """Mark the ratings to test on: each with this probability, so about a tenth."""
    return np.random.RandomState(seed).uniform(size=num_ratings) >= 1 - test_ratio


class PairwiseCaser(nn.Module):
    """Caser (Tang and Wang 2018) with the sizes of D2L's section 21.7."""

    def __init__(self, num_factors, num_users, num_items, length=5, across=16, down=4):
        super().__init__()
        self.P = nn.Embedding(num_users, num_factors)
        self.V = nn.Embedding(num_items, num_factors)  # what was watched
        self.Q = nn.Embedding(num_items, 2 * num_factors)  # what is scored
        self.item_bias = nn.Embedding(num_items, 1)
        self.vertical = nn.Conv2d(1, down, (length, 1))
        self.horizontal = nn.ModuleList(
            nn.Conv2d(1, across, (height, num_factors))
            for height in range(1, length + 1)
        )
        found = down * num_factors + across * length
        self.dense = nn.Linear(found, num_factors)
        self.dropout = nn.Dropout(0.05)

    def query(self, user, before):
        """The vector of the one who asks, (batch, 2 num_factors)."""
        image = self.V(before).unsqueeze(1)  # (batch, 1, length, num_factors)
        found = [self.vertical(image).flatten(start_dim=1)]
        for filters in self.horizontal:
            found.append(filters(image).squeeze(3).relu().amax(dim=2))
        z = self.dense(self.dropout(torch.cat(found, dim=1))).relu()
        return torch.cat([z, self.P(user)], dim=1)

    def pairs(self, user, before, *films):
        """Scores of several films for the same users and histories: (batch,) each."""
        query = self.query(user, before)
        return [(query * self.Q(x)).sum(1) + self.item_bias(x)[:, 0] for x in films]

    def table(self, latest):
        """Scores of all films for all users, (num_users, num_items)."""
        query = self.query(torch.arange(len(latest)), latest)
        return query @ self.Q.weight.T + self.item_bias.weight[:, 0]


class Pairs(nn.Module):
    """A model of pairs of ids, `score`, as `train_pairwise` takes it.

    `last` is applied to the score: `torch.sigmoid` in D2L's NeuMF.
    """

    def __init__(self, score, last=None):
        super().__init__()
        self.score, self.last = score, last or nn.Identity()

    def pairs(self, user, before, *films):
        return [self.last(self.score(user, film)) for film in films]

    def table(self, latest):
        films = torch.arange(self.score.Q.num_embeddings)
        users = torch.arange(len(latest)).split(64)
        return torch.cat([self.last(self.score(u.unsqueeze(1), films)) for u in users])


def start_like_d2l(model, dense_std=0.01):
    """Draw all weights from N(0, 0.01^2), biases 0; None leaves dense layers alone."""
    for part in model.modules():
        if isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.01)
        elif hasattr(part, "weight"):
            if dense_std is None:
                nn.init.xavier_uniform_(part.weight)
            else:
                nn.init.normal_(part.weight, std=dense_std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return model


def new_neumf(sizes, last=torch.sigmoid, dense_std=0.01):
    """NeuMF of section 21.6: k = 10, three layers of 10, no constant at the end."""
    score = start_like_d2l(NeuMF(10, *sizes, [10, 10, 10]), dense_std)
    score.h.bias.requires_grad_(False)  # it stays 0
    return Pairs(score, last)


def table_of(model, latest):
    with in_mode(model, training=False), torch.inference_mode():
        return model.table(latest)


def train_pairwise(model, part, sizes, num_epochs, *, lr, batch_size, seed,
                   weight_decay=1e-5, loss=None, never=None,
                   evaluate=lambda model: {}):  # fmt: skip
    """Train on pairs of a film and a negative, drawn uniformly from what is unseen.

    `part` is a `Histories`, of which rows with padding in front are left out. `never`
    is a film of each user, (num_users,), that is never a negative. Returns the history.
    """
    loss = BPRLoss() if loss is None else loss
    generator = torch.Generator().manual_seed(seed)
    users, items, before, _ = part
    whole = (before < sizes[1]).all(dim=1)  # (n,)
    known = users, items
    if never is not None:
        everyone = torch.arange(sizes[0])
        known = torch.cat([users, everyone]), torch.cat([items, never])
    unseen = UnseenItems(*known, *sizes)
    examples = torch.nonzero(whole)[:, 0]
    adam = torch.optim.Adam(
        [x for x in model.parameters() if x.requires_grad],
        lr,
        weight_decay=weight_decay,
    )

    def epoch(model, batches, loss, optimizer):
        total = 0.0
        order = torch.randperm(len(examples), generator=generator)
        with in_mode(model, training=True):
            for rows in examples[order].split(batch_size):
                u = users[rows]
                negatives = unseen.look_up(u, draw_below(unseen.counts[u], generator))
                positive, negative = model.pairs(
                    u, before[rows], items[rows], negatives
                )
                value = loss(positive, negative)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                total += float(value.detach()) * len(rows)
        return total / len(examples)

    return train(model, [], loss, adam, num_epochs, evaluate=evaluate,
                 progress=False, train_epoch=epoch)  # fmt: skip


class Data:
    """MovieLens 100K, and of the rankings what is held out for test and validation."""

    def __init__(self):
        table, *self.sizes = read_data_ml100k()
        self.users = torch.tensor(table.user_id.to_numpy()) - 1
        self.items = torch.tensor(table.item_id.to_numpy()) - 1
        self.ratings = torch.tensor(table.rating.to_numpy(), dtype=torch.float32)
        times = torch.tensor(table.timestamp.to_numpy())
        rest, self.tested = self.hold_out(self.users, self.items, times)
        part, self.validated = self.hold_out(*rest)
        self.rest, self.part = self.histories(rest), self.histories(part)

    def hold_out(self, users, items, times):
        """Return what is left without each user's latest film, and these films."""
        candidates = leave_one_out(users, items, times, self.sizes[1], 0)[-1]
        kept = items != candidates[users, 0]
        return (users[kept], items[kept], times[kept]), candidates[:, 0]

    def histories(self, part):
        """Histories of 5; of equal times the last in the file is the latest."""
        return load_histories(*[column.flip(0) for column in part], *self.sizes, 5)

    def seen(self, part):
        table = torch.zeros(self.sizes, dtype=torch.bool)
        table[part.users, part.items] = True
        return table


def row(section, step, seed, started, **results):
    """A row of the stored run: means, and over users their standard errors."""
    told = {"section": section, "step": step, "seed": seed}
    for name, values in results.items():
        if isinstance(values, torch.Tensor):
            told[name] = float(values.mean())
            told[f"{name}_error"] = float(values.std() / len(values) ** 0.5)
        else:
            told[name] = values
    print(told, flush=True)
    return told | {"seconds": time.perf_counter() - started}


def run_ratings(data, seed):
    """Sections 21.3 and 21.4, each on the split of both."""
    columns = data.users, data.items, data.ratings
    in_test = torch.tensor(split_like_d2l(len(data.users), seed))
    in_valid = torch.tensor(split_like_d2l(len(data.users), 100 + seed)) & ~in_test
    latest = data.items == data.tested[data.users]
    before = data.items == data.validated[data.users]
    for split, marked in {
        "seq-aware": (latest, before),
        "random": (in_test, in_valid),
    }.items():
        tested, valid = marked
        parts = [
            [column[rows] for column in columns]
            for rows in (tested, valid, ~tested, ~tested & ~valid)
        ]
        for told in run_mf(data.sizes, *parts, seed):
            yield told | {"split": split}
        for told in run_autorec(data.sizes, *parts, seed):
            yield told | {"split": split}


def fit_mf(sizes, rows, num_epochs, seed, watched=None, weight_decay=None):
    """Train MF of section 21.3 on rows; `watched` are rows to evaluate after epochs.

    With a weight decay the model has the mean of the ratings as its global mean;
    without one it has none, and D2L's weight decay of 1e-5.
    """
    torch.manual_seed(seed)
    mean = 0.0 if weight_decay is None else float(rows[2].mean())
    model = MF(30, *sizes, global_mean=mean)
    weight_decay = 1e-5 if weight_decay is None else weight_decay
    adam = torch.optim.Adam(model.parameters(), 0.002, weight_decay=weight_decay)

    def half_square(prediction, rating):
        return (prediction - rating).square().mean() / 2

    def evaluate(model):
        return {} if watched is None else {"rmse": pooled(errors_of(model, watched))}

    batches = BatchIterator(*rows, 512, seed=seed)
    history = train(model, batches, half_square, adam, num_epochs,
                    evaluate=evaluate, progress=False)  # fmt: skip
    return model, history


@torch.inference_mode()
def errors_of(model, rows):
    users, items, ratings = rows
    return model(users, items) - ratings


def pooled(errors):
    return float(errors.square().mean().sqrt())


def run_mf(sizes, test, valid, rest, part, seed):
    """Section 21.3: D2L's settings and average, one RMSE, and what validation chose."""
    started = time.perf_counter()
    model, _ = fit_mf(sizes, rest, 20, seed)
    errors = errors_of(model, test)
    yield row(
        "mf", "as in D2L", seed, started, rmse=averaged_like_d2l(errors), epochs=20
    )
    yield row("mf", "one RMSE", seed, started, rmse=pooled(errors), epochs=20)
    best = {}
    for weight_decay in (None, 1e-4, 3e-4):
        _, history = fit_mf(sizes, part, 30, seed, valid, weight_decay)
        best[weight_decay] = history.rmse.min(), int(history.rmse.idxmin())
    for step, choices in {
        "epoch chosen": [None],
        "mean, weight decay": [1e-4, 3e-4],
    }.items():
        chosen = min(choices, key=best.get)
        epochs = best[chosen][1]
        model, _ = fit_mf(sizes, rest, epochs, seed, weight_decay=chosen)
        value = pooled(errors_of(model, test))
        told = {"rmse": value, "epochs": epochs, "weight_decay": chosen or 1e-5}
        yield row("mf", step, seed, started, **told)


def run_autorec(sizes, test, valid, rest, part, seed):
    """Section 21.4: D2L's settings, and the epoch that validation chose."""
    started = time.perf_counter()

    def dense(rows):
        users, items, ratings = rows
        table = torch.zeros(sizes[1], sizes[0])  # a row per film
        table[items, users] = ratings
        return table

    def rmse_of(table, rows):
        users, items, ratings = rows
        return lambda model: {
            "rmse": pooled(complete(model, table)[items, users] - ratings)
        }

    table = dense(rest)
    model, _ = train_autorec(table, seed=seed)
    value = rmse_of(table, test)(model)["rmse"]
    yield row("autorec", "as in D2L", seed, started, rmse=value, epochs=25)
    small = dense(part)
    _, history = train_autorec(
        small, num_epochs=50, seed=seed, evaluate=rmse_of(small, valid)
    )
    epochs = int(history.rmse.idxmin())
    model, _ = train_autorec(table, num_epochs=epochs, seed=seed)
    value = rmse_of(table, test)(model)["rmse"]
    yield row("autorec", "epoch chosen", seed, started, rmse=value, epochs=epochs)


def evaluations(section, training, seed, started, scores, data, told):
    """Rows of one trained model by D2L's evaluation, and with each of its repairs."""
    seen = data.seen(data.rest)
    for films, ties in (("943", "by id"), ("all", "by id"), ("all", "at random")):
        num_ranked = data.sizes[films == "all"]
        hits, auc = ranked_like_d2l(scores, seen, data.tested, num_ranked, ties)
        told = told | {"films": films, "ties": ties, "hit_rate": hits, "auc": auc}
        yield row(section, training, seed, started, **told)


def run_ranking(section, make, data, seed, num_epochs, steps, **options):
    """Section 21.6 or 21.7: `make()` gives an untrained model.

    The steps are of "as in D2L", "leak", where the held-out film is never a negative,
    and "epoch chosen" on validation films. `options` are for `train_pairwise`.
    """

    def fit(part, epochs, evaluate=lambda model: {}, **more):
        torch.manual_seed(seed)
        model = make()
        history = train_pairwise(model, part, data.sizes, epochs, seed=seed,
                                 evaluate=evaluate, **options, **more)  # fmt: skip
        return model, history

    def validate(model):
        scores, seen = table_of(model, data.part.latest), data.seen(data.part)
        hits, _ = ranked_like_d2l(
            scores, seen, data.validated, data.sizes[1], "at random"
        )
        return {"hit_rate": float(hits.mean())}

    for step in steps:
        started, epochs, more = time.perf_counter(), num_epochs, {}
        if step == "epoch chosen":
            epochs = int(fit(data.part, 2 * num_epochs, validate)[1].hit_rate.idxmax())
        if step == "leak":
            more = {"never": data.tested}
        model, history = fit(data.rest, epochs, **more)
        told = {"epochs": epochs, "train_loss": float(history.train_loss.iloc[-1])}
        if isinstance(getattr(model, "score", None), NeuMF):
            told["largest_in_mlp"] = model.score.layers[0].weight.abs().max().item()
        scores = table_of(model, data.rest.latest)
        yield from evaluations(section, step, seed, started, scores, data, told)


def run_rankings(data, seed):
    """Sections 21.6 and 21.7, and models to compare with, of one seed."""
    sizes, like_neumf = data.sizes, {"lr": 0.01, "batch_size": 1024}
    for section, make, steps, options in (
        ("neumf", lambda: new_neumf(sizes), STEPS[:1], like_neumf),
        ("neumf, no weight decay", lambda: new_neumf(sizes), STEPS[:1],
         like_neumf | {"weight_decay": 0.0}),
        ("neumf, Xavier", lambda: new_neumf(sizes, dense_std=None),
         STEPS[:1], like_neumf),
        ("neumf, no sigmoid", lambda: new_neumf(sizes, nn.Identity()),
         STEPS, like_neumf),
        ("mf, BPR", lambda: Pairs(MF(10, *sizes)), STEPS[::2], like_neumf),
        ("mf, hinge", lambda: Pairs(MF(10, *sizes)), STEPS[::2],
         like_neumf | {"loss": HingeLossbRec()}),
    ):  # fmt: skip
        yield from run_ranking(section, make, data, seed, 10, steps, **options)
    yield from run_ranking(
        "caser", lambda: start_like_d2l(PairwiseCaser(10, *sizes)), data, seed, 8,
        STEPS, lr=0.04, batch_size=4096,
    )  # fmt: skip


def run_baselines(data):
    """What ranks without training: all scores equal, and popularity."""
    started = time.perf_counter()
    counts = popularity(data.rest.items, *data.sizes).item_bias.weight.data[:, 0]
    for name, scores in {
        "all equal": torch.zeros(data.sizes),
        "popularity": counts.expand(data.sizes).clone(),
    }.items():
        yield from evaluations(name, "untrained", 0, started, scores, data, {})


def main():
    data, rows = Data(), []
    rows.extend(run_baselines(data))
    for seed in SEEDS:
        rows.extend(run_ratings(data, seed))
        rows.extend(run_rankings(data, seed))
    table = pd.DataFrame(rows).to_csv(index=False, float_format="%.5f")
    write_atomically(RESULTS / "d2l.csv", table.encode())


if __name__ == "__main__":
    main()

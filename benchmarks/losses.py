"""One model and one budget, seven losses, for the page ranking-losses (`make losses`).

The files are NCF's, of MovieLens 1M. The model is an MF with k = 64. An example is an
interaction with four negatives, drawn anew in each epoch from the films that the user
has not interacted with; the full softmax has all films instead. All losses see the same
batches, 64 users with all that these watched. For each loss the penalty, the learning
rate and the number of epochs are chosen on a random interaction of each user, by
NDCG@10 among all unseen films (losses-chosen.csv has what was tried). The models are
then trained on all but the held-out films with three seeds: losses.csv, with the
standard errors over users and the seconds of training. The results of each user,
averaged over the seeds, go through the paired test, each loss against BPR and against
the full softmax, and the logQ correction against none (losses-paired.csv).

Takes 20 minutes on a CPU core.
"""

import itertools
import math
import time
from pathlib import Path

import pandas as pd
import torch
from ncf import store
from processes import peak_bytes
from softmax import SoftmaxMF
from torch import nn

import d2lrec
from d2lrec import (
    BPRLoss,
    HingeLossbRec,
    SampledSoftmaxLoss,
    evaluate_full_ranking,
    evaluate_ranking,
    leave_one_out,
    paired_test,
    read_data_ml1m,
    train,
)
from d2lrec.baselines import ScoreTable

RESULTS = Path(d2lrec.__file__).parent / "results"
SEEDS = range(3)
PENALTIES = 1e-6, 3e-6, 1e-5, 3e-5  # with the first learning rate
RATES = 0.01, 0.005  # the second one with the best penalty
EPOCHS = 24  # at most, a multiple of EVERY
EVERY = 4


class PointwiseLoss(nn.Module):
    """Binary cross-entropy: a positive's label is 1, a negative's 0.

    `forward(positive, negative)` takes scores (batch, 1) and (batch, n).
    """

    def forward(self, positive, negative):
        scores = torch.cat([positive, negative], dim=1)  # (batch, 1 + n)
        labels = torch.zeros_like(scores)
        labels[:, 0] = 1
        return nn.functional.binary_cross_entropy_with_logits(scores, labels)


class RankingBatches:
    """Batches (users, None, picks): all interactions of some users, with negatives.

    A row of `picks`, int64 (m, 3 + n), is an interaction: the place of its user in the
    batch, the user, the item, and n items that the user has not interacted with, drawn
    uniformly, or with `popular` by how often each item occurs. None stands for all
    items. Each pass has a new order and new negatives, from the global generator.

    Takes interactions, int64 (n,) each, and (num_users, num_items). Keeps a table of
    users x items, one byte each. Users who have interacted with all items are not
    foreseen.
    """

    def __init__(self, users, items, sizes, num_negatives=4, popular=False):
        self.items, self.num_negatives, self.popular = items, num_negatives, popular
        self.seen = torch.zeros(*sizes, dtype=torch.bool)
        self.seen[users, items] = True

    def draw(self, n):
        if self.popular:  # the film of an interaction drawn at random
            return self.items[torch.randint(len(self.items), (n,))]
        return torch.randint(self.seen.shape[1], (n,))

    def negatives_of(self, place, seen):
        place = place.repeat_interleave(self.num_negatives)
        drawn = self.draw(len(place))
        wrong = seen[place, drawn].nonzero()[:, 0]
        while len(wrong):  # draw again what was seen
            drawn[wrong] = self.draw(len(wrong))
            wrong = wrong[seen[place[wrong], drawn[wrong]]]
        return drawn.reshape(-1, self.num_negatives)

    def __iter__(self):
        for users in torch.randperm(len(self.seen)).split(64):
            seen = self.seen[users]  # (64, num_items)
            place, item = seen.nonzero(as_tuple=True)  # (m,) each
            columns = torch.stack([place, users[place], item], dim=1)  # (m, 3)
            yield users, None, torch.cat([columns, self.negatives_of(place, seen)], 1)


def pick_scores(table, picks):
    """Take a batch's scores from the table (batch, num_items): (m, 1) and (m, n)."""
    place, items = picks[:, :1], picks[:, 2:]
    scores = table.flatten()[place * table.shape[1] + items]  # (m, 1 + n)
    return scores[:, :1], scores[:, 1:]


class OnPicks:
    """A loss(positive, negative) as one that `train` calls, loss(table, picks)."""

    def __init__(self, loss):
        self.loss = loss

    def __call__(self, table, picks):
        return self.loss(*pick_scores(table, picks))


class CorrectedSoftmax:
    """The sampled softmax with logQ, for negatives drawn as `RankingBatches` does."""

    def __init__(self, batches):
        ones = torch.ones(len(batches.items))
        self.weight = torch.zeros(batches.seen.shape[1])  # (num_items,)
        self.weight.index_add_(0, batches.items, ones)  # how often an item occurs
        if not batches.popular:
            self.weight = torch.ones_like(self.weight)
        self.unseen = self.weight.sum() - batches.seen.float() @ self.weight

    def __call__(self, table, picks):
        positive, negative = pick_scores(table, picks)
        share = self.weight[picks[:, 3:]] / self.unseen[picks[:, 1:2]]  # (m, n)
        log_q = (negative.shape[1] * share).log()
        return SampledSoftmaxLoss()(positive, negative, log_q)


def full_softmax(table, picks):
    """Mean of -log softmax over all items, of a batch's interactions."""
    return -table.log_softmax(dim=1)[picks[:, 0], picks[:, 2]].mean()


def training_of(name, users, items, sizes):
    """The batches and the loss of that name, a key of LOSSES."""
    batches = RankingBatches(users, items, sizes, popular=name.startswith("popular"))
    if name == "full softmax":
        batches.num_negatives = 1  # which it does not look at
        return batches, full_softmax
    if name == "popular, logQ":
        return batches, CorrectedSoftmax(batches)
    return batches, OnPicks(LOSSES[name])


LOSSES = {
    "BCE": PointwiseLoss(),
    "hinge": HingeLossbRec(),
    "BPR": BPRLoss(),
    "sampled softmax": SampledSoftmaxLoss(),
    "popular negatives": SampledSoftmaxLoss(),
    "full softmax": None,
    "popular, logQ": None,
}


def train_by(batches, loss, sizes, num_epochs, lr, penalty, seed=0, **options):
    """Train an MF with k = 64: the model, and the history that `train` returns."""
    torch.manual_seed(seed)
    model = SoftmaxMF(64, *sizes)
    params = model.parameters()
    adam = torch.optim.Adam(params, lr, weight_decay=penalty, fused=True)
    return model, train(
        model, batches, loss, adam, num_epochs, progress=False, **options)  # fmt: skip


@torch.inference_mode()
def all_scores(model):
    """All scores of a model, (num_users, num_items)."""
    return model.P.weight @ model.Q.weight.T + model.item_bias.weight.T


def results_of(model, candidates, batches):
    """Results for each user of a full and a sampled ranking: two tables."""
    table = ScoreTable(all_scores(model))
    users, items = batches.seen.nonzero(as_tuple=True)
    full = evaluate_full_ranking(
        table, candidates[:, 0], users, items, batches.seen.shape[1], per_user=True
    )
    sampled = evaluate_ranking(table, candidates, per_user=True)
    return {"full": pd.DataFrame(full), "sampled": pd.DataFrame(sampled)}


@torch.inference_mode()
def ndcg_of(model, held_out, seen):
    """NDCG@10 among all unseen films, in a quicker way than `results_of`."""
    table = all_scores(model)
    own = table.gather(1, held_out.unsqueeze(1))  # (num_users, 1)
    better = (table > own).logical_and(~seen).sum(dim=1)  # (num_users,)
    return ((better < 10) / (better + 2.0).log2()).mean().item()


def choose(name, users, items, candidates, sizes):
    """Try the grid for a loss: a row for each (penalty, learning rate, epochs)."""
    rows = []

    def try_out(lr, penalty):
        batches, loss = training_of(name, users, items, sizes)
        epoch = itertools.count()

        def evaluate(model):
            if next(epoch) % EVERY:
                return {"ndcg": math.nan}
            return {"ndcg": ndcg_of(model, candidates[:, 0], batches.seen)}

        _, history = train_by(
            batches, loss, sizes, EPOCHS, lr, penalty, evaluate=evaluate
        )
        for epochs, ndcg in history.ndcg.iloc[EVERY::EVERY].items():
            rows.append(
                {"loss": name, "lr": lr, "penalty": penalty}
                | {"epochs": epochs, "ndcg": ndcg}
            )

    for penalty in PENALTIES:
        try_out(RATES[0], penalty)
    best = max(rows, key=lambda row: row["ndcg"])
    for lr in RATES[1:]:
        try_out(lr, best["penalty"])
    return pd.DataFrame(rows)


def trained(name, best, users, items, candidates, sizes):
    """Train with the settings of `best`, a row of `choose`, and each of SEEDS.

    Returns a row for each seed and ranking, and a dict from (name, ranking) to a list
    of the results of users, a table for each seed.
    """
    runs, each_user = [], {}
    for seed in SEEDS:
        batches, loss = training_of(name, users, items, sizes)
        started = time.process_time()
        model, _ = train_by(
            batches, loss, sizes, int(best.epochs), best.lr, best.penalty, seed
        )
        seconds = time.process_time() - started
        for ranking, of_users in results_of(model, candidates, batches).items():
            runs.append(
                {"loss": name, "seed": seed, "ranking": ranking}
                | {key: best[key] for key in ("lr", "penalty", "epochs")}
                | {"valid_ndcg": best.ndcg}
                | of_users.mean().to_dict()
                | of_users.sem().add_suffix("_error").to_dict()
                | {"seconds": seconds}
            )
            each_user.setdefault((name, ranking), []).append(of_users)
        print(name, seed, f"{seconds:.0f} s", flush=True)
    return runs, each_user


def read_parts():
    """Return (users, items, candidates, sizes) for validation and for the test."""
    users, items, candidates, *sizes = read_data_ml1m()
    times = torch.rand(len(users), generator=torch.Generator().manual_seed(1))
    part = leave_one_out(users, items, times, sizes[1], seed=1)
    return (*part, sizes), (users, items, candidates, sizes)


def paired_tests(each_user):
    """A row for each pair of losses, ranking and metric."""
    names = list(dict.fromkeys(name for name, _ in each_user))
    pairs = [(name, "BPR") for name in names if name != "BPR"]
    pairs += [(name, "full softmax") for name in names if name != "full softmax"]
    pairs += [("popular, logQ", "popular negatives")]
    rows = []
    for first, second in pairs:
        for ranking in ("full", "sampled"):
            one, other = (
                sum(each_user[name, ranking]) / len(SEEDS) for name in (first, second)
            )
            for metric in one:
                rows.append(
                    {"first": first, "second": second, "ranking": ranking}
                    | {"metric": metric, **paired_test(one[metric], other[metric])}
                )
    return rows


def main():
    part, whole = read_parts()
    tried, runs, each_user = [], [], {}
    for name in LOSSES:
        tried.append(choose(name, *part))
        best = tried[-1].loc[tried[-1].ndcg.idxmax()]
        rows, of_users = trained(name, best, *whole)
        runs, each_user = runs + rows, each_user | of_users
        store(pd.concat(tried), "losses-chosen.csv", "%.5g")
        store(pd.DataFrame(runs), "losses.csv", "%.5g")
    store(pd.DataFrame(paired_tests(each_user)), "losses-paired.csv", "%.5g")
    print(f"{time.process_time() / 60:.0f} minutes, {peak_bytes() / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main()

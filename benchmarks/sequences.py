"""Models of the next film, for the page sequences, and their stored runs.

On MovieLens 100K the latest film of each user is held out, and the one before it serves
to choose settings, by NDCG@10 among all unseen films: of each model the dropout, the
length of the histories and the epochs. It is then trained on all but the held-out films
with three seeds: d2lrec/results/sequences.csv, with the standard errors over users. The
results of each user, averaged over the seeds, go through the paired test against the
last few films with weights (sequences-paired.csv). The controls train that model on
histories that are shuffled or cut (sequences-controls.csv).

`make sequences` takes about twenty minutes with two processes of one thread each.
"""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import torch
from torch import nn

import d2lrec
from d2lrec import (
    ease,
    hit_rate,
    interaction_matrix,
    item_knn,
    leave_one_out,
    load_histories,
    ndcg,
    paired_test,
    popularity,
    rank_held_out,
    read_data_ml100k,
    train,
    train_als,
    try_gpu,
)
from d2lrec.als import half_step
from d2lrec.files import write_atomically
from d2lrec.models import device_of, in_mode

RESULTS = Path(d2lrec.__file__).parent / "results"
SEEDS = range(3)


class NextFilm(nn.Module):
    """Scores all films for the one who asks: float32 (batch, num_items).

    `query` says who asks, (batch, k): here the user alone, as in MF. Takes users,
    (batch,), and histories, (batch, length), int64; `num_items` in a history is
    padding, or a film that the model does not know, and its vector stays 0. IndexError
    for ids beyond these.
    """

    def __init__(self, num_factors, num_users, num_items, dropout=0.0):
        super().__init__()
        self.P = nn.Embedding(num_users, num_factors)
        self.Q = nn.Embedding(num_items, num_factors)
        self.item_bias = nn.Embedding(num_items, 1)
        self.V = nn.Embedding(num_items + 1, num_factors, padding_idx=num_items)
        for table in (self.P, self.Q, self.V, self.item_bias):
            nn.init.normal_(table.weight, std=0.05)
        self.V.weight.data[num_items] = 0  # no film: padding
        self.dropout = nn.Dropout(dropout)

    def query(self, user, before):
        return self.P(user)  # (batch, k)

    def forward(self, user, before):
        query = self.dropout(self.query(user, before))  # (batch, k)
        return query @ self.Q.weight.T + self.item_bias.weight[:, 0]


class LastFilm(NextFilm):
    """The user and the last film: a factorized Markov chain (Rendle et al. 2010)."""

    def query(self, user, before):
        return self.P(user) + self.V(before[:, -1])  # (batch, k)


class LastFew(NextFilm):
    """The user and the mean of the last few films."""

    fading = 1.0  # the weight of a film beside that of the next one

    def query(self, user, before):
        age = torch.arange(before.shape[1], device=before.device).flip(0)  # (length,)
        known = before != self.V.padding_idx  # (batch, length)
        weight = known * self.fading**age  # (batch, length)
        weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1e-9)
        recent = (weight.unsqueeze(2) * self.V(before)).sum(dim=1)  # (batch, k)
        return self.P(user) + recent


class FadingFew(LastFew):
    """As `LastFew`, but each film counts 0.6 times as much as the one after it."""

    fading = 0.6


class GRU(NextFilm):
    """The user and what a recurrent network keeps of the films (Hidasi et al. 2016)."""

    def __init__(self, num_factors, *sizes, **options):
        super().__init__(num_factors, *sizes, **options)
        self.gru = nn.GRU(num_factors, num_factors, batch_first=True)

    def query(self, user, before):
        _, state = self.gru(self.dropout(self.V(before)))  # (1, batch, k)
        return self.P(user) + state[0]


class Caser(NextFilm):
    """The user beside convolutions over five films (Tang and Wang 2018)."""

    def __init__(self, num_factors, *sizes, across=16, down=4, **options):
        super().__init__(num_factors, *sizes, **options)
        self.Q = nn.Embedding(sizes[1], 2 * num_factors)
        nn.init.normal_(self.Q.weight, std=0.05)
        self.horizontal = nn.ModuleList(
            nn.Conv2d(1, across, (height, num_factors)) for height in range(1, 6)
        )
        self.vertical = nn.Conv2d(1, down, (5, 1))
        self.dense = nn.Linear(across * 5 + down * num_factors, num_factors)

    def query(self, user, before):
        image = self.V(before).unsqueeze(1)  # (batch, 1, 5, k)
        found = [self.vertical(image).flatten(start_dim=1)]  # (batch, down * k)
        for conv in self.horizontal:
            places = conv(image).squeeze(3).relu()  # (batch, across, 6 - height)
            found.append(places.amax(dim=2))  # (batch, across)
        found = self.dropout(torch.cat(found, dim=1))
        return torch.cat([self.dense(found).relu(), self.P(user)], dim=1)


class SelfAttention(NextFilm):
    """The user and one layer of self-attention (as in Kang and McAuley 2018)."""

    def __init__(self, num_factors, *sizes, **options):
        super().__init__(num_factors, *sizes, **options)
        self.place = nn.Parameter(0.05 * torch.randn(10, num_factors))  # of at most 10
        self.asks, self.offers, self.gives = (
            nn.Linear(num_factors, num_factors, bias=False) for _ in range(3)
        )

    def query(self, user, before):
        films = self.V(before) + self.place[-before.shape[1] :]  # (batch, length, k)
        films = self.dropout(films)
        last = films[:, -1]  # (batch, k)
        fit = self.offers(films) @ self.asks(last).unsqueeze(2)  # (batch, length, 1)
        fit = fit.squeeze(2) / films.shape[2] ** 0.5
        fit = fit.masked_fill(before == self.V.padding_idx, -1e9)  # (batch, length)
        weight = fit.softmax(dim=1).unsqueeze(1)  # (batch, 1, length)
        return self.P(user) + last + (weight @ self.gives(films)).squeeze(1)


class HistoryBatches:
    """Batches (users, histories, next films), in a new random order on each pass.

    Takes the named tuple of `load_histories`; int64 (batch,), (batch, length) and
    (batch,).
    """

    def __init__(self, histories, batch_size=1024):
        self.histories, self.batch_size = histories, batch_size

    def __iter__(self):
        users, items, before, _ = self.histories
        for rows in torch.randperm(len(users)).split(self.batch_size):
            yield users[rows], before[rows], items[rows]


def train_next(make, sizes, histories, num_epochs, seed=0, evaluate=lambda m: {},
               **options):  # fmt: skip
    """Train a model of the next film by a softmax over all films.

    Takes a subclass of `NextFilm`, (num_users, num_items), and what `load_histories`
    gave; `options` are for the subclass, `evaluate` is for `train`. Returns the model
    and its history.
    """
    torch.manual_seed(seed)
    model = make(64, *sizes, **options).to(try_gpu())
    adam = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=1e-5, fused=True)
    loss = nn.CrossEntropyLoss()
    return model, train(
        model, HistoryBatches(histories), loss, adam, num_epochs,
        evaluate=evaluate, progress=False)  # fmt: skip


@torch.inference_mode()
def scores_of(model, latest):
    """Score all films for all users after their latest: (num_users, num_items)."""
    users = torch.arange(len(latest))
    with in_mode(model, training=False):
        return model(users.to(device_of(model)), latest.to(device_of(model))).cpu()


@torch.inference_mode()
def ranks_of(scores, histories, held_out):
    """The `Ranks` of held-out films, (num_users,), among all that are not in histories.

    Takes scores, float32 (num_users, num_items), and what `load_histories` gave.
    """
    scores = scores.clone()
    scores[histories.users, histories.items] = -torch.inf
    films = torch.arange(scores.shape[1]).expand(len(scores), -1)
    held_out = held_out.unsqueeze(1)  # (num_users, 1)
    return rank_held_out(
        torch.cat([scores.gather(1, held_out), scores], dim=1),
        torch.cat([held_out, films], dim=1),
    )


def hold_out_latest(users, items, times, num_items):
    """Return (users, items, times) without each user's latest, and the candidates.

    These are as `leave_one_out` gives them, (num_users, 100), the held-out film first.
    """
    rest_users, rest_items, candidates = leave_one_out(users, items, times, num_items)
    kept = items != candidates[users, 0]  # (n,)
    return (rest_users, rest_items, times[kept]), candidates


def follows(histories, sizes):
    """Score films by how often they came right after the user's last film."""
    items, before, latest = histories[1:]
    known = before[:, -1] < sizes[1]  # (n,), False for a user's first film
    after = torch.zeros(sizes[1] + 1, sizes[1])  # (num_items + 1, num_items)
    pairs = before[known, -1], items[known]
    after.index_put_(pairs, torch.ones(int(known.sum())), accumulate=True)
    views = torch.bincount(items, minlength=sizes[1])  # decides between equal counts
    return after[latest[:, -1]] + 1e-4 * views


def fading_interactions(histories, sizes, scale):
    """Return a table, (num_users, num_items), of exp(-position / scale), else 0.

    The position of a user's latest film is 0, that of the one before it 1.
    """
    users, items, _, _ = histories
    ends = torch.bincount(users, minlength=sizes[0]).cumsum(0)  # (num_users,)
    position = ends[users] - 1 - torch.arange(len(users))  # (n,)
    W = torch.zeros(sizes)
    W[users, items] = torch.exp(-position / scale)
    return W.to_sparse_csr()  # what is not 0, row after row


def solved_again(P, Q, W, penalty):
    """Return the best P, (num_users, k), beside Q for interactions that count W.

    W, float32 (num_users, num_items), sparse, 0 to 1: what share of an interaction each
    pair is; the rest of it is none. Alpha is 5. Takes the steps of `train_als`, from P.
    """
    for _ in range(5):  # of three steps of conjugate gradient each
        P = half_step(P, Q, W, 5, penalty)
    return P


def shuffled(part, seed=0, equal_times_only=False):
    """Put each user's interactions in a random order, or those of equal times only.

    Takes and returns (users, items, times).
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(part[0]), generator=generator)  # (n,)
    users, items, times = (column[order] for column in part)
    return users, items, times if equal_times_only else torch.zeros(len(users))


def shuffled_within(before, padding, seed=0):
    """Shuffle each row of histories, (n, length), the padding left in front."""
    generator = torch.Generator().manual_seed(seed)
    keys = torch.rand(before.shape, generator=generator)
    keys[before == padding] = -1.0
    return before.gather(1, keys.argsort(dim=1, stable=True))


def control(name, part, sizes, length):
    """Return the histories of (users, items, times) for one of CONTROLS."""
    if name == "last film left out":
        found = load_histories(*part, *sizes, length + 1)
        return found._replace(before=found.before[:, :-1], latest=found.latest[:, :-1])
    if name in ("equal times shuffled", "all shuffled"):
        part = shuffled(part, equal_times_only=name == "equal times shuffled")
    found = load_histories(*part, *sizes, length)
    if name == "shuffled among the few":
        before, latest = found.before, found.latest
        before, latest = (shuffled_within(x, sizes[1]) for x in (before, latest))
        return found._replace(before=before, latest=latest)
    return found


MODELS = {  # and the lengths of histories to choose from
    "MF": (NextFilm, [1]),
    "last film": (LastFilm, [1]),
    "mean of five": (LastFew, [5]),
    "fading mean": (FadingFew, [5, 10]),
    "GRU4Rec": (GRU, [5, 10]),
    "Caser": (Caser, [5]),
    "self-attention": (SelfAttention, [5, 10]),
}
DROPOUTS = 0.3, 0.5
MOST_EPOCHS = 16
CONTROLS = [
    "as it is",
    "equal times shuffled",
    "shuffled among the few",
    "last film left out",
    "all shuffled",
]


def read_parts():
    """Return (num_users, num_items), and for validation and test what is held out.

    Of each, (users, items, times) to learn from, and candidates.
    """
    data, *sizes = read_data_ml100k()
    users = torch.tensor(data.user_id.to_numpy()) - 1
    items = torch.tensor(data.item_id.to_numpy()) - 1
    times = torch.tensor(data.timestamp.to_numpy())
    rest, tested = hold_out_latest(users, items, times, sizes[1])
    part, validated = hold_out_latest(*rest, sizes[1])
    return sizes, (part, validated), (rest, tested)


def results_of(scores, histories, candidates):
    """Results for each user: a table with a row per user."""
    full = ranks_of(scores, histories, candidates[:, 0])
    sampled = rank_held_out(scores.gather(1, candidates), candidates)
    return pd.DataFrame(
        {
            "hit_rate": hit_rate(full, per_user=True),
            "hit_rate_50": hit_rate(full, 50, per_user=True),
            "ndcg": ndcg(full, per_user=True),
            "sampled_hit_rate": hit_rate(sampled, per_user=True),
            "sampled_ndcg": ndcg(sampled, per_user=True),
        }
    )


def baselines(part, sizes, seed):
    """Yield (name, setting, scores) for all that needs no gradient, by its settings."""
    histories = load_histories(*part, *sizes, 1)
    users, items = histories.users, histories.items
    R = interaction_matrix(users, items, *sizes)
    counts = popularity(items, *sizes).item_bias.weight.data[:, 0]
    yield "popularity", None, counts.expand(sizes[0], -1)
    for num_neighbors in (10, 30, 100):
        yield "item kNN", num_neighbors, item_knn(R, num_neighbors).scores.weight
    for penalty in (50, 100, 200):
        yield "EASE", penalty, ease(R, penalty).scores.weight
    yield "what follows", None, follows(histories, sizes)
    for penalty in (0.003, 0.01, 0.03):
        als = train_als(R, 64, penalty, seed=seed)
        P, Q = als.P.weight.data, als.Q.weight.data
        yield "ALS", penalty, P @ Q.T
        if penalty == 0.01:  # chosen for ALS: what is tested is the fading alone
            for scale in (5, 10):
                W = fading_interactions(histories, sizes, scale)
                yield "ALS, fading", scale, solved_again(P, Q, W, penalty) @ Q.T


def run_baselines(valid, test, sizes):
    """Choose the settings of the baselines, and test them: rows, results of users."""
    part, candidates = valid
    histories, chosen = load_histories(*part, *sizes, 1), {}
    for name, setting, scores in baselines(part, sizes, seed=0):
        value = results_of(scores, histories, candidates).ndcg.mean()
        if name not in chosen or value > chosen[name][0]:
            chosen[name] = value, setting
    part, candidates = test
    histories, rows, each_user = load_histories(*part, *sizes, 1), [], []
    for seed in SEEDS:
        for name, setting, scores in baselines(part, sizes, seed):
            if setting == chosen[name][1] and (seed == 0 or name.startswith("ALS")):
                of_users = results_of(scores, histories, candidates)
                told = {"setting": setting, "valid_ndcg": chosen[name][0]}
                rows.append(row_of(name, seed, of_users, **told))
                each_user.append((name, of_users))
    return rows, each_user


def row_of(name, seed, of_users, **told):
    """A row of the stored run: means over users, and their standard errors."""
    errors = of_users.sem().add_suffix("_error")
    return {"model": name, "seed": seed, **told, **of_users.mean(), **errors}


def run_model(name, valid, test, sizes):
    """Choose the settings of a model, and test it: rows, results of users."""
    (make, lengths), best = MODELS[name], {"valid_ndcg": -1.0}
    part, candidates = valid
    for length in lengths:
        histories = load_histories(*part, *sizes, length)

        def evaluate(model, histories=histories):
            scores = scores_of(model, histories.latest)
            return {"ndcg": ndcg(ranks_of(scores, histories, candidates[:, 0]))}

        for dropout in DROPOUTS:
            _, history = train_next(
                make, sizes, histories, MOST_EPOCHS, evaluate=evaluate, dropout=dropout
            )
            if history.ndcg.max() > best["valid_ndcg"]:
                best = {"length": length, "dropout": dropout}
                best |= {"epochs": int(history.ndcg.idxmax())}
                best |= {"valid_ndcg": history.ndcg.max()}
    print(name, best, flush=True)
    return run_test(name, make, best, test, sizes)


def run_test(name, make, best, test, sizes, histories=None):
    """Train a model with chosen settings and three seeds: rows, results of users."""
    part, candidates = test
    if histories is None:
        histories = load_histories(*part, *sizes, best["length"])
    rows, each_user = [], []
    for seed in SEEDS:
        epochs, dropout = best["epochs"], best["dropout"]
        model, _ = train_next(
            make, sizes, histories, epochs, seed=seed, dropout=dropout
        )
        scores = scores_of(model, histories.latest)
        of_users = results_of(scores, histories, candidates)
        rows.append(row_of(name, seed, of_users, **best))
        each_user.append((name, of_users))
    return rows, each_user


def run_control(name, best, test, sizes):
    """Train the fading mean with its settings on other histories."""
    histories = control(name, test[0], sizes, best["length"])
    return run_test(name, FadingFew, best, test, sizes, histories)


def compare(each_user, reference):
    """Paired tests of all against one, by the means over the seeds of each user."""
    names = dict.fromkeys(name for name, _ in each_user)
    tables = {name: [x for n, x in each_user if n == name] for name in names}
    means = {name: sum(found) / len(found) for name, found in tables.items()}
    return pd.DataFrame(
        {"model": name, "metric": metric, **paired_test(table[metric], other)}
        for name, table in means.items()
        if name != reference
        for metric, other in means[reference].items()
    )


def main():
    sizes, valid, test = read_parts()
    told = valid, test, sizes
    with ProcessPoolExecutor(2) as pool:
        slow_first = ["GRU4Rec", "Caser", "self-attention"]
        names = slow_first + [name for name in MODELS if name not in slow_first]
        runs = {name: pool.submit(run_model, name, *told) for name in names}
        others = pool.submit(run_baselines, *told)
        done = [others.result(), *(runs[name].result() for name in MODELS)]
        rows = pd.DataFrame([row for found, _ in done for row in found])
        store(rows, "sequences.csv", "%.5f")
        each_user = [pair for _, found in done for pair in found]
        store(compare(each_user, "fading mean"), "sequences-paired.csv", "%.5g")
        best = rows[rows.model == "fading mean"].iloc[0]
        best = best[["length", "dropout", "epochs", "valid_ndcg"]].to_dict()
        best |= {name: int(best[name]) for name in ("length", "epochs")}
        told = best, test, sizes
        done = [pool.submit(run_control, name, *told) for name in CONTROLS]
        done = [run.result() for run in done]
    controls = pd.DataFrame([row for found, _ in done for row in found])
    store(controls, "sequences-controls.csv", "%.5f")
    each_user = [pair for _, found in done for pair in found]
    paired = compare(each_user, CONTROLS[0])
    store(paired, "sequences-controls-paired.csv", "%.5g")


def store(table, name, float_format):
    content = table.to_csv(index=False, float_format=float_format)
    write_atomically(RESULTS / name, content.encode())


if __name__ == "__main__":
    main()

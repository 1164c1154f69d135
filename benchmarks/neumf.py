"""NeuMF, and an MLP alone, beside GMF on NCF's files, for the page neumf (`make ncf`).

NCF is Neural Collaborative Filtering (He et al. 2017). GMF, an MLP (its tower 128 -> 64
-> 32) and NeuMF, which has both, with 32 predictive factors each and the settings of
`ncf.py`, see the same batches. `TowerAdam` takes the steps of torch.optim.Adam. For
the pretrained NeuMF, the trained GMF and MLP are put together, the weights of each
halved, and go on by plain SGD for 4 epochs, with the learning rate that is best on
validation films (neumf-rates.csv).

After each epoch the models are evaluated against NCF's 99 negatives (neumf.csv), at the
end among all films too (neumf-rankings.csv, with the seconds of training on one core).
Figures of each user, averaged over the seeds, go through the paired test against GMF
and against the ALS of the page dot-product (neumf-paired.csv).

Three seeds of what is random, each in a process of its own, one after the other; with
an argument, as many at once. Takes 55 minutes of a CPU core, measured while others used
it too, and up to 4 GB of memory.
"""

import itertools
import math
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pandas as pd
import torch
from ncf import EPOCHS, SEEDS, store, table_of
from processes import peak_bytes
from torch import nn
from torch.nn.functional import embedding, linear, relu

from d2lrec import (
    GMF,
    MF,
    CatchUpAdam,
    ImplicitIterator,
    evaluate_full_ranking,
    evaluate_ranking,
    leave_one_out,
    paired_test,
    read_data_ml1m,
    sparse_interaction_matrix,
)
from d2lrec.als import half_step
from d2lrec.catch_up_adam import params_of
from d2lrec.data.interactions import transposed
from d2lrec.missed_steps import (
    BETA1,
    BETA2,
    EPS,
    LAST_TABLED,
    RowState,
    tables_of_steps,
)
from d2lrec.models import device_of

BATCH, RATE = 256, 0.001  # of Adam, as in ncf.py
RATES = [0.01, 0.1, 1.0]  # of SGD, to choose from
OF_USERS, OF_ITEMS = ("P", "U"), ("Q", "V")


class MLP(nn.Module):
    """A multilayer perceptron on a user's and an item's vector (He et al. 2017, 3.3).

    The vectors U_u and V_i stand side by side and go through dense layers with ReLU.
    (The first layer's weights are cut in two, one part for each: the sum is the same.)
    The last one's outputs are weighted by h, as GMF's products are; plus a constant
    this is a logit.

    Args:
        num_factors: the size of U_u and of V_i.
        nums_hiddens: how many outputs each dense layer has, in order.
    """

    def __init__(self, num_factors, num_users, num_items, nums_hiddens):
        super().__init__()
        self.U = nn.Embedding(num_users, num_factors)
        self.V = nn.Embedding(num_items, num_factors)
        sizes = itertools.pairwise([2 * num_factors, *nums_hiddens])
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in sizes)
        self.h = nn.Linear(nums_hiddens[-1], 1)
        initialize(self)

    def forward(self, user_id, item_id):
        """Score pairs, float32 (batch,), from ids that are (batch,) or broadcast."""
        return self.score(self.U(user_id), self.V(item_id))

    def score(self, U_u, V_i):
        """Score vectors, each (batch, num_factors): (batch,)."""
        return self.h(self.hidden(U_u, V_i))[..., 0]

    def hidden(self, U_u, V_i):
        """What the last layer gives, (batch, nums_hiddens[-1])."""
        first, *others = self.layers
        W_user, W_item = first.weight.chunk(2, dim=1)  # (hidden, num_factors) each
        x = relu(linear(U_u, W_user, first.bias) + linear(V_i, W_item))
        for layer in others:
            x = relu(layer(x))
        return x


class NeuMF(MLP):
    """GMF and an MLP side by side, each with its tables (He et al. 2017, section 3.4).

    Args:
        num_factors: the size of P_u and Q_i, the tables of GMF.
        nums_hiddens: how many outputs each dense layer of the MLP has.
        mlp_factors: the size of U_u and V_i; num_factors if none is given.
    """

    def __init__(
        self, num_factors, num_users, num_items, nums_hiddens, mlp_factors=None
    ):
        super().__init__(mlp_factors or num_factors, num_users, num_items, nums_hiddens)
        self.P = nn.Embedding(num_users, num_factors)
        self.Q = nn.Embedding(num_items, num_factors)
        self.h = nn.Linear(num_factors + nums_hiddens[-1], 1)
        initialize(self)

    def forward(self, user_id, item_id):
        """Score pairs, float32 (batch,), from ids that are (batch,) or broadcast."""
        of_user = self.P(user_id), self.U(user_id)
        of_item = self.Q(item_id), self.V(item_id)
        return self.score(*of_user, *of_item)

    def score(self, P_u, U_u, Q_i, V_i):
        """Score vectors of users and items: (batch,)."""
        sizes = P_u.shape[-1], self.layers[-1].out_features
        h_gmf, h_mlp = self.h.weight.split(sizes, dim=1)  # (1, size) each
        of_mlp = linear(self.hidden(U_u, V_i), h_mlp, self.h.bias)
        return (linear(P_u * Q_i, h_gmf) + of_mlp)[..., 0]


class GMFOfVectors(GMF):
    """A `GMF` that takes the vectors, too, as MLP and NeuMF do."""

    def score(self, P_u, Q_i):
        """Score vectors of users and items: (batch,)."""
        return self.h(P_u * Q_i)[..., 0]


def initialize(model):
    """Tables and layers as NCF's code initializes them, h as our GMF."""
    for part in model.modules():
        if isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.01)
        elif isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
    nn.init.kaiming_uniform_(model.h.weight, a=1, nonlinearity="sigmoid")


class Scoring(nn.Module):
    """A model that takes the vectors themselves, in the place of ids."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *vectors):
        return self.model.score(*vectors)


class TowerAdam(CatchUpAdam):
    """`CatchUpAdam` for a model of this file: rows of tables, and all of each layer."""

    def __init__(self, model, lr=0.001, compiled=True):
        device, self.params = device_of(model), params_of(model)
        self.scoring = Scoring(model)
        self.states, self.layers = states_of(model, RowState, LayerState)
        self.lr, self.tables = lr, tables_of_steps(device)
        self.step = torch.zeros(1, dtype=torch.int64, device=device)  # steps taken
        step = self.step_on_batch
        self.take_step = torch.compile(step, dynamic=False) if compiled else step

    @torch.no_grad()
    def step_on_batch(self, model, loss, user_id, item_id, rating):
        """Take a step on a batch, each (batch,), and return its loss, ()."""
        ids = dict.fromkeys(OF_USERS, user_id) | dict.fromkeys(OF_ITEMS, item_id)
        read = {n: state.read(ids[n], self) for n, state in self.states.items()}
        rows = {n: param for n, (param, _, _) in read.items()}
        layers = {n: state.param for n, state in self.layers.items()}
        grads, value = gradients(self.scoring, rows, layers, loss, rating)
        self.step += 1
        for n, state in self.states.items():
            state.update(ids[n], self, grads[0][n], *read[n])
        for n, state in self.layers.items():
            state.update(self, grads[1][n])
        return value

    def move(self, mean, square):
        """By how much a parameter moves in this step, from m and v."""
        _, _, of_mean, of_root = self.tables[1][self.step.clamp(max=LAST_TABLED)][0]
        return self.lr * of_mean * mean / (of_root * square.sqrt() + EPS)


class TowerSGD(CatchUpAdam):
    """Plain SGD, the batch's loss the mean over it, for the same models."""

    def __init__(self, model, lr, compiled=True):
        self.params, self.lr = params_of(model), lr
        self.scoring = Scoring(model)
        self.states, self.layers = states_of(model, torch.detach, torch.detach)
        step = self.step_on_batch
        self.take_step = torch.compile(step, dynamic=False) if compiled else step

    @torch.no_grad()
    def step_on_batch(self, model, loss, user_id, item_id, rating):
        """Take a step on a batch, each (batch,), and return its loss, ()."""
        ids = dict.fromkeys(OF_USERS, user_id) | dict.fromkeys(OF_ITEMS, item_id)
        rows = {n: embedding(ids[n], table) for n, table in self.states.items()}
        grads, value = gradients(self.scoring, rows, self.layers, loss, rating)
        for n, table in self.states.items():
            table.index_add_(0, ids[n], -self.lr * grads[0][n])
        for n, layer in self.layers.items():
            layer.sub_(self.lr * grads[1][n])
        return value

    def catch_up(self):
        """Nothing: a row without a gradient stays."""


def states_of(model, of_table, of_layer):
    """What an optimizer holds of each table, and of each parameter of the layers."""
    tables = [name for name in OF_USERS + OF_ITEMS if hasattr(model, name)]
    states = {name: of_table(getattr(model, name).weight) for name in tables}
    layers = {
        name: of_layer(param)
        for name, param in Scoring(model).named_parameters()
        if name.split(".")[1] not in tables
    }
    return states, layers


def gradients(scoring, rows, layers, loss, rating):
    """The gradients of a batch's loss by its rows and by the layers; and the loss."""

    def batch_loss(rows, layers):
        scores = torch.func.functional_call(scoring, layers, tuple(rows.values()))
        return loss(scores, rating)

    return torch.func.grad_and_value(batch_loss, argnums=(0, 1))(rows, layers)


class LayerState:
    """A parameter of a dense layer, which every batch moves, and its m and v."""

    def __init__(self, param):
        self.param = param.detach()
        self.mean, self.square = (torch.zeros_like(self.param) for _ in range(2))

    def update(self, adam, grad):
        """Take Adam's step."""
        self.mean.mul_(BETA1).add_((1 - BETA1) * grad)
        self.square.mul_(BETA2).add_((1 - BETA2) * grad.square())
        self.param.sub_(adam.move(self.mean, self.square))


def put_together(gmf, mlp, sizes):
    """A NeuMF of a trained GMF and MLP, alpha = 0.5 (He et al. 2017, section 3.4.1)."""
    model = make_neumf(*sizes)
    weights = mlp.state_dict() | gmf.state_dict()
    parts = gmf.h.weight, mlp.h.weight
    weights["h.weight"] = 0.5 * torch.cat(parts, dim=1)
    weights["h.bias"] = 0.5 * (gmf.h.bias + mlp.h.bias)
    model.load_state_dict(weights)
    return model


def make_gmf(*sizes):
    return GMFOfVectors(32, *sizes)


def make_mlp(*sizes):
    return MLP(64, *sizes, [64, 32])


def make_neumf(*sizes):
    return NeuMF(32, *sizes, [64, 32], mlp_factors=64)


def seeded(make, sizes, seed):
    torch.manual_seed(seed)
    return make(*sizes)


class SmallBatches(ImplicitIterator):
    """An `ImplicitIterator` that draws 16 batches at once, in less time."""

    def __iter__(self):
        for batch in super().__iter__():
            yield from zip(*(column.split(BATCH) for column in batch), strict=True)


def train_side_by_side(optimizers, models, batches, num_epochs, candidates):
    """Train models on the same batches; a history and the seconds of each model.

    The last, smaller batch is not compiled for.
    """
    loss = nn.BCEWithLogitsLoss()
    seconds, histories = dict.fromkeys(models, 0.0), []
    for epoch in range(num_epochs + 1):
        losses = dict.fromkeys(models, math.nan if epoch == 0 else 0.0)
        for batch in batches if epoch else []:
            share = len(batch[0]) / (len(batches.users) * (1 + batches.num_negatives))
            for name, optimizer in optimizers.items():
                start = time.process_time()
                small = len(batch[0]) < BATCH
                take_step = optimizer.step_on_batch if small else optimizer.take_step
                losses[name] += share * take_step(models[name], loss, *batch)
                seconds[name] += time.process_time() - start
        for name, optimizer in optimizers.items():
            optimizer.catch_up()
            figures = evaluate_ranking(models[name], candidates)
            histories.append(
                {"model": name, "epoch": epoch, "train_loss": float(losses[name])}
                | figures
            )
            print(*histories[-1].values(), round(seconds[name]), flush=True)
    return histories, seconds


def pretrain(users, items, candidates, sizes, seed, num_epochs, with_neumf=True):
    """GMF, the MLP and NeuMF, trained on the same batches by Adam."""
    makes = {"GMF": make_gmf, "MLP": make_mlp, "NeuMF": make_neumf}
    makes = makes if with_neumf else {n: makes[n] for n in ("GMF", "MLP")}
    models = {name: seeded(make, sizes, seed) for name, make in makes.items()}
    adams = {name: TowerAdam(model, RATE) for name, model in models.items()}
    batches = SmallBatches(users, items, *sizes, 16 * BATCH, seed=seed, device="cpu")
    found = train_side_by_side(adams, models, batches, num_epochs, candidates)
    return models, *found


def go_on(model, rate, users, items, candidates, sizes, seed):
    """Train a pretrained NeuMF by SGD, with other negatives than before."""
    name = "NeuMF, pretrained"
    batches = SmallBatches(
        users, items, *sizes, 16 * BATCH, seed=10 + seed, device="cpu"
    )
    sgd = {name: TowerSGD(model, rate)}
    return train_side_by_side(sgd, {name: model}, batches, 4, candidates)


def als_from_random_numbers(users, items, sizes, seed):
    """ALS with k = 256 in ten iterations, not begun at the SVD as in `train_als`.

    The stored run was made so, before `train_als` began there; both end alike.
    """
    torch.manual_seed(seed)
    model = MF(256, *sizes, init_std=0.1, biases=False)
    P, Q = model.P.weight.data, model.Q.weight.data
    R = sparse_interaction_matrix(users, items, *sizes)
    R_T = transposed(R)
    for _ in range(10):
        P.copy_(half_step(P, Q, R, 5, 0.01))
        Q.copy_(half_step(Q, P, R_T, 5, 0.01))
    return model


def choose_rate():
    """The learning rate of SGD that is best on validation films, and all figures.

    The films are drawn as in ncf.py. GMF and the MLP are trained for 10 epochs only.
    """
    users, items, _, *sizes = read_data_ml1m()
    times = torch.rand(len(users), generator=torch.Generator().manual_seed(1))
    *train, films = leave_one_out(users, items, times, sizes[1], seed=1)
    models, _, _ = pretrain(*train, films, sizes, 0, 10, with_neumf=False)
    tried = []
    for rate in RATES:
        model = put_together(models["GMF"], models["MLP"], sizes)
        history, _ = go_on(model, rate, *train, films, sizes, 0)
        tried += [{"rate": rate, **row} for row in history]
    tried = pd.DataFrame(tried)
    last = tried[tried.epoch == tried.epoch.max()]
    return last.rate[last.ndcg.idxmax()], tried


def run_seed(seed, rate):
    """All models of a seed: histories, figures, and figures of each user."""
    start = time.process_time()
    users, items, candidates, *sizes = read_data_ml1m()
    models, histories, seconds = pretrain(users, items, candidates, sizes, seed, EPOCHS)
    pretrained = put_together(models["GMF"], models["MLP"], sizes)
    of_sgd = go_on(pretrained, rate, users, items, candidates, sizes, seed)
    histories, seconds = histories + of_sgd[0], seconds | of_sgd[1]
    models["NeuMF, pretrained"] = pretrained
    als_start = time.process_time()
    models["ALS"] = als_from_random_numbers(users, items, sizes, seed)
    seconds["ALS"] = time.process_time() - als_start
    runs, each_user = [], {}
    for name, model in models.items():
        table = table_of(model, sizes)
        full = evaluate_full_ranking(
            table, candidates[:, 0], users, items, sizes[1], per_user=True
        )
        sampled = evaluate_ranking(table, candidates, per_user=True)
        for ranking, figures in {"full": full, "sampled": sampled}.items():
            of_users = pd.DataFrame(figures)  # a row per user
            row = {"model": name, "seed": seed, "ranking": ranking}
            errors = of_users.sem().add_suffix("_error").to_dict()
            row |= of_users.mean().to_dict() | errors | {"seconds": seconds[name]}
            runs.append(row)
            each_user[name, ranking] = of_users
    minutes = (time.process_time() - start) / 60
    memory = peak_bytes() / 2**20
    print(f"seed {seed}: {minutes:.1f} minutes, {memory:,.0f} MiB", flush=True)
    histories = [{"seed": seed, **row} for row in histories]
    return histories, runs, each_user


def store_all(seeds, tried):
    """Store what `run_seed` gave for each seed, and what `choose_rate` tried."""
    averages = {
        key: sum(each_user[key] for _, _, each_user in seeds) / len(seeds)
        for key in seeds[0][2]
    }
    names = list(dict.fromkeys(name for name, _ in averages))
    pairs = [("NeuMF, pretrained", "NeuMF")]
    pairs += [(one, other) for other in ("GMF", "ALS") for one in names if one != other]
    paired = []
    for (first, second), ranking in itertools.product(pairs, ("full", "sampled")):
        one, other = averages[first, ranking], averages[second, ranking]
        paired += [
            {"first": first, "second": second, "ranking": ranking, "metric": metric}
            | paired_test(one[metric], other[metric])
            for metric in one
        ]
    histories, runs, _ = (list(itertools.chain(*x)) for x in zip(*seeds, strict=True))
    columns = ["model", "seed", "epoch", "train_loss", "hit_rate", "ndcg"]
    store(pd.DataFrame(histories)[columns], "neumf.csv", "%.5f")
    store(pd.DataFrame(runs), "neumf-rankings.csv", "%.5f")
    store(pd.DataFrame(paired), "neumf-paired.csv", "%.5g")
    store(tried[["rate", *columns[2:]]], "neumf-rates.csv", "%.5f")


def main():
    start = time.process_time()
    rate, tried = choose_rate()
    minutes = (time.process_time() - start) / 60
    print(f"learning rate {rate}: {minutes:.1f} minutes of a core", flush=True)
    options = {"mp_context": multiprocessing.get_context("spawn")}
    options |= {"max_workers": int((sys.argv[1:] or ["1"])[0])}
    options["max_tasks_per_child"] = 1
    with ProcessPoolExecutor(**options) as pool:
        seeds = list(pool.map(run_seed, SEEDS, [rate] * len(SEEDS)))
    store_all(seeds, tried)


if __name__ == "__main__":
    main()

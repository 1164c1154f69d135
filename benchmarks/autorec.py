"""AutoRec (Sedhain et al. 2015) and the stored run of the page autorec: `make autorec`.

A row of the rating matrix goes in, 0 where there is no rating, and a whole row comes
out. Item-based, as in section 21.4 of D2L, a row is a film with the ratings of all
users; user-based, it is a user with the ratings of all films.

D2L's model multiplies its output by the sign of the input while it trains. Here the
loss does that, so the model gives the same in training and after it but for dropout.

The splits are the five random ones of the page mf-better. Of each model's grid (two
weight decays and two dropouts) the settings with the lowest RMSE on the validation set
of the first split are taken, after training on its training set; then the model is
trained once on each split's training and validation set together and tested once. The
number of epochs, the learning rate and the size of the batches had been chosen on that
validation set before. D2L's settings are not chosen. MF is the one of the page
mf-better, trained once per split, for the paired tests over users: all test ratings
of a user, of the five splits or of the first alone, whose test ratings no choice has
seen.

d2lrec/results/autorec.csv has the RMSE of each run, autorec-paired.csv the tests.
"""

import itertools
from pathlib import Path

import pandas as pd
import torch
from torch import nn

import d2lrec
from d2lrec import (
    PenalizedMF,
    load_batches,
    load_data_ml100k,
    paired_test,
    read_data_ml100k,
    split_data_ml100k,
    train,
)
from d2lrec.files import write_atomically
from d2lrec.models import in_mode

RESULTS = Path(d2lrec.__file__).parent / "results"


class AutoRec(nn.Module):
    """A row of ratings in, a row of predictions out: W g(V r + mu) + b.

    `num_users` is the length of a row: the number of users in item-based AutoRec, and
    that of films in user-based. V and W begin as draws from N(0, 0.01^2), the biases
    at 0, as in D2L. `activation` is g; `reads` is what the encoder sees of a row.
    """

    def __init__(self, num_hidden, num_users, dropout=0.05, activation=torch.sigmoid):
        super().__init__()
        self.encoder = nn.Linear(num_users, num_hidden)
        self.decoder = nn.Linear(num_hidden, num_users)
        self.dropout = nn.Dropout(dropout)
        self.activation = activation
        for layer in (self.encoder, self.decoder):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def reads(self, rows):
        return rows  # (batch, num_users)

    def forward(self, rows, item_id=None):
        """Predict rows, float32 (batch, num_users), from rows as large; no item."""
        hidden = self.activation(self.encoder(self.reads(rows)))  # (batch, num_hidden)
        return self.decoder(self.dropout(hidden))


class WhoRated(AutoRec):
    """AutoRec that sees who has rated, and no stars: each rating is read as 3.5."""

    def reads(self, rows):
        return 3.5 * rows.sign()


class Stars(AutoRec):
    """AutoRec that sees stars from 3.5 on, so that "not rated" lies in their middle."""

    def reads(self, rows):
        return rows.sign() * (rows - 3.5)


class FromMean(WhoRated):
    """`WhoRated` that predicts the difference from the row's own mean rating."""

    def forward(self, rows, item_id=None):
        count = rows.sign().sum(dim=1, keepdim=True)  # (batch, 1)
        mean = (rows.sum(dim=1, keepdim=True) + 5 * 3.5) / (count + 5)
        return mean + super().forward(rows)


class Linear(FromMean):
    """`FromMean` without the sigmoid, for rows of length 10: a factorization."""

    def __init__(self, num_hidden, num_users, dropout=0.05):
        super().__init__(num_hidden, num_users, dropout, activation=nn.Identity())

    def reads(self, rows):
        known = rows.sign()  # (batch, num_users)
        return 10 * known / known.sum(dim=1, keepdim=True).clamp(min=1).sqrt()


def masked_loss(prediction, rows):
    """Half the mean squared error over all entries, those without a rating counted 0.

    The mean is over all entries of the batch, known or not, as in D2L, so each rating
    weighs the same in every batch; the weight decay is to be read with that.
    """
    return (rows.sign() * (prediction - rows)).square().mean() / 2


class RowBatches:
    """Batches (rows, None, rows) of a table, in each epoch in a new random order.

    As `train` takes them: the rows are what the model reads, and what it is to predict.
    """

    def __init__(self, table, batch_size=256):
        self.table, self.batch_size = table, batch_size

    def __len__(self):
        return -(-len(self.table) // self.batch_size)

    def __iter__(self):
        order = torch.randperm(len(self.table), device=self.table.device)
        for chosen in order.split(self.batch_size):
            yield self.table[chosen], None, self.table[chosen]


def train_autorec(table, num_epochs=25, lr=0.002, weight_decay=1e-5, batch_size=256,
                  num_hidden=500, make=AutoRec, schedule=False, seed=0,
                  loss=masked_loss, evaluate=lambda model: {}, **options):  # fmt: skip
    """Train AutoRec on the rows of a dense table; the defaults are D2L's settings.

    With `schedule` the learning rate falls to 0 along half a cosine, step by step.
    Returns the model and its history, as `d2lrec.train` gives it.
    """
    torch.manual_seed(seed)
    model = make(num_hidden, table.shape[1], **options).to(table.device)
    adam = torch.optim.Adam(
        model.parameters(), lr=lr, weight_decay=weight_decay, fused=True
    )
    batches = RowBatches(table, batch_size)
    if schedule:
        num_steps = num_epochs * len(batches)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, num_steps)
        adam.register_step_post_hook(lambda *_: cosine.step())
    return model, train(model, batches, loss, adam, num_epochs,
                        evaluate=evaluate, progress=False)  # fmt: skip


@torch.inference_mode()
def complete(model, table):
    """The predictions for all rows of a table, as large as it, without dropout."""
    with in_mode(model, training=False):
        return model(table)


def rmse_of_table(predicted, asked):
    """The RMSE of a table of predictions where `asked` has ratings."""
    known = asked > 0
    return (predicted - asked)[known].square().mean().sqrt().item()


LONGER = {"num_epochs": 50, "lr": 0.005, "schedule": True}
WEAK, STRONG = (1e-5, 3e-5), (3e-5, 1e-4)  # weight decays to choose from
MODELS = {  # the settings, the weight decays, and whether a row is a user
    "D2L's settings": ({}, (), False),
    "AutoRec": (LONGER, WEAK, False),
    "who rated": ({**LONGER, "make": WhoRated}, WEAK, False),
    "stars alone": ({**LONGER, "make": Stars}, WEAK, False),
    "who rated, from the mean": ({**LONGER, "make": FromMean}, STRONG, False),
    "user-based": ({**LONGER, "batch_size": 128}, WEAK, True),
    "linear": ({**LONGER, "make": Linear}, STRONG, False),
}


def tables(data, num_users, num_items, seed, by_user=False):
    """Dense tables of a split's training, validation, both, and test ratings."""
    rest, test = split_data_ml100k(data, num_users, num_items, seed=seed)
    parts = *split_data_ml100k(rest, num_users, num_items, seed=seed), rest, test
    rows = [
        load_data_ml100k(part, num_users, num_items)[3].to_dense() for part in parts
    ]
    return [table.T.contiguous() for table in rows] if by_user else rows


def choose(settings, weight_decays, train_table, valid_table):
    """The runs of a grid on the validation set, a dict each; the best is first."""
    runs = []
    for weight_decay, dropout in itertools.product(weight_decays, (0.05, 0.5)):
        point = {"weight_decay": weight_decay, "dropout": dropout}
        model, _ = train_autorec(train_table, **settings, **point)
        error = rmse_of_table(complete(model, train_table), valid_table)
        runs.append({**point, "valid_rmse": error})
    return sorted(runs, key=lambda run: run["valid_rmse"])


def train_mf(data, num_users, num_items):
    """The MF of the page mf-better."""
    torch.manual_seed(0)
    model = PenalizedMF(30, num_users, num_items, 0.01, data.rating.mean())
    batches = load_batches(data, num_users, num_items, 1024, seed=0, device="cpu")
    adam = torch.optim.Adam(model.parameters(), lr=0.003, fused=True)
    steps = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 30 * len(batches))
    adam.register_step_post_hook(lambda *_: steps.step())

    def loss(prediction, rating):
        return nn.functional.mse_loss(prediction, rating) + 0.1 * model.penalty

    train(model, batches, loss, adam, 30, progress=False)
    return model


def test_mf(data, num_users, num_items, seed):
    """The predictions of MF for all pairs, (num_items, num_users)."""
    rest, _ = split_data_ml100k(data, num_users, num_items, seed=seed)
    mf = train_mf(rest, num_users, num_items)
    biases = mf.item_bias.weight + mf.user_bias.weight.T + mf.global_mean
    return (mf.Q.weight @ mf.P.weight.T + biases).detach()


def errors_of(model, split, predicted, asked):
    """The squared errors of a run, with the user of each: a DataFrame."""
    items, users = asked.nonzero(as_tuple=True)  # (n,) each
    squared = (predicted - asked)[items, users].square().double()
    table = {"user_id": users.tolist(), "squared": squared.tolist()}
    return pd.DataFrame(table).assign(model=model, split=split)


def compared(errors, second):
    """The paired tests over users of each model against another."""
    tests = []
    for splits, part in {"all": errors, "0": errors[errors.split == 0]}.items():
        per_user = part.groupby(["model", "user_id"]).squared.mean()
        for first in errors.model.unique():
            if first != second:
                test = paired_test(per_user[first], per_user[second])
                tests.append({"splits": splits, "first": first, "second": second})
                tests[-1].update(test)
    return pd.DataFrame(tests)


def main():
    data, *sizes = read_data_ml100k()
    rows, errors = [], []
    for split in range(5):
        _, _, _, asked = tables(data, *sizes, split)
        predicted = test_mf(data, *sizes, split)
        errors.append(errors_of("MF", split, predicted, asked))
        test = rmse_of_table(predicted, asked)
        rows.append({"model": "MF", "split": split, "test_rmse": test})
    for name, (settings, weight_decays, by_user) in MODELS.items():
        chosen = {}
        if weight_decays:
            grid = choose(
                settings, weight_decays, *tables(data, *sizes, 0, by_user)[:2]
            )
            rows += [{"model": name, "split": 0, **run} for run in grid]
            chosen = {key: grid[0][key] for key in ("weight_decay", "dropout")}
        for split in range(5):
            _, _, rest, asked = tables(data, *sizes, split, by_user)
            model, _ = train_autorec(rest, seed=split, **settings, **chosen)
            predicted = complete(model, rest)
            if by_user:
                predicted, asked = predicted.T, asked.T
            errors.append(errors_of(name, split, predicted, asked))
            test = rmse_of_table(predicted, asked)
            rows.append({"model": name, "split": split, **chosen, "test_rmse": test})
            print(rows[-1], flush=True)
        save(pd.DataFrame(rows), "autorec.csv")
        together = pd.concat(errors)
        if name == "AutoRec" or len(together.model.unique()) > 3:
            tests = [compared(together, second) for second in ("MF", "AutoRec")]
            save(pd.concat(tests), "autorec-paired.csv")


def save(table, name):
    write_atomically(RESULTS / name, table.round(6).to_csv(index=False).encode())


if __name__ == "__main__":
    main()

"""AutoRec (Sedhain et al. 2015), for the page autorec.

A row of the rating matrix goes in, 0 where there is no rating, and a whole row comes
out. Item-based, as in section 21.4 of D2L, a row is a film with the ratings of all
users; user-based, it is a user with the ratings of all films.

D2L's model multiplies its output by the sign of the input while it trains. Here the
loss does that, so the model gives the same in training and after it but for dropout.
"""

import torch
from torch import nn

from d2lrec import train
from d2lrec.models import device_of, in_mode


class AutoRec(nn.Module):
    """A row of ratings in, a row of predictions out: W g(V r + mu) + b.

    `num_users` is the length of a row: the number of users in item-based AutoRec, and
    that of films in user-based. V and W begin as draws from N(0, 0.01^2), the biases
    at 0, as in D2L. `activation` is g.
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

    def forward(self, rows):
        """Predict rows, float32 (batch, num_users), from rows as large."""
        hidden = self.activation(self.encoder(rows))  # (batch, num_hidden)
        return self.decoder(self.dropout(hidden))


def masked_loss(prediction, rows):
    """Half the mean squared error over all entries, those without a rating counted 0.

    The mean is over all entries of the batch, known or not, as in D2L, so each rating
    weighs the same in every batch; the weight decay is to be read with that.
    """
    return (rows.sign() * (prediction - rows)).square().mean() / 2


def train_epoch_of_rows(model, batches, loss, optimizer):
    """The epoch for `train`, as `d2lrec.train_epoch`, whose batches are rows alone."""
    total, count = 0.0, 0
    with in_mode(model, training=True):
        for rows in batches:
            rows = rows.to(device_of(model))  # (batch, num_users)
            batch_loss = loss(model(rows), rows)  # ()
            optimizer.zero_grad()
            batch_loss.backward()
            optimizer.step()
            total += batch_loss.item() * len(rows)
            count += len(rows)
    return total / count


class RowBatches:
    """The rows of a table in random order, in batches, in each epoch anew."""

    def __init__(self, table, batch_size=256):
        self.table, self.batch_size = table, batch_size

    def __iter__(self):
        order = torch.randperm(len(self.table), device=self.table.device)
        for chosen in order.split(self.batch_size):
            yield self.table[chosen]


def train_autorec(
    table, num_hidden=500, num_epochs=25, lr=0.002, weight_decay=1e-5, seed=0,
    evaluate=lambda model: {}, loss=masked_loss, **options,
):  # fmt: skip
    """Train AutoRec on the rows of a dense table; the defaults are D2L's settings.

    Returns the model and its history, as `d2lrec.train` gives it.
    """
    torch.manual_seed(seed)
    model = AutoRec(num_hidden, table.shape[1], **options).to(table.device)
    adam = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    history = train(
        model, RowBatches(table), loss, adam, num_epochs, evaluate=evaluate,
        progress=False, train_epoch=train_epoch_of_rows,
    )  # fmt: skip
    return model, history


@torch.inference_mode()
def complete(model, table):
    """The predictions for all rows of a table, as large as it, without dropout."""
    with in_mode(model, training=False):
        return model(table)

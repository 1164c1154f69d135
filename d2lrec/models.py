"""Models that score pairs of a user and an item."""

import math
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from .arguments import as_integer

BEYOND_A_TABLE = "out of range in self", "out of bounds: 0 <=", "out of DATA bounds"


def device_of(model):
    """The device of a model's first parameter or buffer; the CPU if it has none."""
    return next(chain(model.parameters(), model.buffers(), [torch.empty(0)])).device


def to_device_of(model, batch):
    """Move the tensors of a batch to a model's device; what is no tensor stays."""
    device = device_of(model)
    return [x.to(device) if isinstance(x, torch.Tensor) else x for x in batch]


@contextmanager
def in_mode(model, training):
    """Have a model in training mode or not while it is called, and then as it was.

    Every module gets its own mode back, also after an error. Where PyTorch complains of
    an id beyond a table, a ValueError says how many rows there are.
    """
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    except (IndexError, RuntimeError) as error:
        of_torch = type(error) in (IndexError, RuntimeError)  # no failed compilation
        if not of_torch or not any(text in str(error) for text in BEYOND_A_TABLE):
            raise
        tables = [x for x in model.named_modules() if isinstance(x[1], nn.Embedding)]
        shapes = {name: tuple(table.weight.shape) for name, table in tables}
        raise ValueError(f"an id is beyond the tables, {shapes}") from error
    finally:
        for module, mode in modes.items():
            module.training = mode


class Embedding(nn.Embedding):
    """`nn.Embedding` with the same numbers and gradients, to the bit, in less time.

    On a CPU, adding up the gradients of the rows of a batch, ids int64 (batch,), takes
    `index_select` a fifth to a half of the time. All else is done by `nn.Embedding`.
    """

    def forward(self, ids):
        options = self.padding_idx, self.max_norm, self.sparse, self.scale_grad_by_freq
        quick = isinstance(ids, torch.LongTensor) and ids.dim() == 1
        quick = quick and options == (None, None, False, False)
        return self.weight.index_select(0, ids) if quick else super().forward(ids)


class MF(nn.Module):
    """Matrix factorization with biases (Koren et al. 2009; D2L, section 21.3).

    The rating of item i by user u is predicted as mu + b_u + b_i + P_u . Q_i. Without
    factors (`num_factors=0`) it is bias-only, without `biases` a plain dot product.

    Args:
        num_factors, num_users, num_items: P is (num_users, num_factors), and Q alike.
        init_std: all parameters begin as draws from N(0, init_std^2).
        global_mean: mu, in stars; a constant, not learned. Give it the mean of the
            training set: without it, a strong weight decay pulls predictions towards 0.
    Raises ValueError for a size that is no integer, and where a start is not finite.
    """

    def __init__(self, num_factors, num_users, num_items,
                 init_std=0.01, global_mean=0.0, biases=True):  # fmt: skip
        super().__init__()
        if not (0 <= init_std < math.inf and math.isfinite(global_mean)):
            raise ValueError(f"{init_std=} must be 0 or more, {global_mean=} finite")
        num_factors = as_integer("num_factors", num_factors, least=0)
        num_users = as_integer("num_users", num_users, least=1)
        num_items = as_integer("num_items", num_items, least=1)
        self.P = Embedding(num_users, num_factors)
        self.Q = Embedding(num_items, num_factors)
        self.biases = biases
        if biases:
            self.user_bias = Embedding(num_users, 1)
            self.item_bias = Embedding(num_items, 1)
        self.register_buffer("global_mean", torch.tensor(float(global_mean)))
        for table in self.parameters():
            nn.init.normal_(table, std=init_std)

    def forward(self, user_id, item_id):
        """Predict ratings, float32 (batch,), from ids from 0, both int64 (batch,).

        Ids of two shapes that broadcast are fine too, as (m, 1) and (1, n) for a table.
        """
        P_u, Q_i = self.P(user_id), self.Q(item_id)  # (batch, k) each
        score = self.global_mean + (P_u * Q_i).sum(dim=-1)  # (batch,)
        if not self.biases:
            return score
        return score + (self.user_bias(user_id) + self.item_bias(item_id))[..., 0]


class PenalizedMF(MF):
    """`MF` that notes a penalty for each batch: the squares of the parameters it used.

    After a call, `penalty` is the mean over the batch of |P_u|^2 + |Q_i|^2 + b_u^2 +
    b_i^2, a scalar tensor to be added to the loss.
    """

    def forward(self, user_id, item_id):
        """Predict ratings, float32 (batch,), from ids, both int64 (batch,)."""
        P_u, b_u = self.P(user_id), self.user_bias(user_id)  # (batch, k), (batch, 1)
        Q_i, b_i = self.Q(item_id), self.item_bias(item_id)  # (batch, k), (batch, 1)
        squares = [rows.square().sum() for rows in (P_u, Q_i, b_u, b_i)]
        self.penalty = sum(squares) / len(user_id)  # ()
        return self.global_mean + (P_u * Q_i).sum(dim=-1) + (b_u + b_i)[..., 0]


class GMF(nn.Module):
    """Generalized matrix factorization (He et al. 2017, section 3.2, eq. 8, 9).

    The score of item i for user u is h . (P_u * Q_i) + c: a dot product in which each
    factor has a weight. It is a logit: the sigmoid a_out is part of the loss,
    `nn.BCEWithLogitsLoss`. With h = 1 and c = 0 this is `MF` without biases. P and Q
    begin as draws from N(0, 0.01^2). ValueError for a size that is no integer from 1.
    """

    def __init__(self, num_factors, num_users, num_items):
        super().__init__()
        num_factors = as_integer("num_factors", num_factors, least=1)
        num_users = as_integer("num_users", num_users, least=1)
        num_items = as_integer("num_items", num_items, least=1)
        self.P = Embedding(num_users, num_factors)
        self.Q = Embedding(num_items, num_factors)
        self.h = nn.Linear(num_factors, 1)
        nn.init.normal_(self.P.weight, std=0.01)
        nn.init.normal_(self.Q.weight, std=0.01)
        nn.init.kaiming_uniform_(self.h.weight, a=1, nonlinearity="sigmoid")
        nn.init.zeros_(self.h.bias)

    def forward(self, user_id, item_id):
        """Score pairs, float32 (batch,), from ids as `MF.forward` takes them."""
        P_u, Q_i = self.P(user_id), self.Q(item_id)  # (batch, k) each
        return self.h(P_u * Q_i)[..., 0]  # (batch,)

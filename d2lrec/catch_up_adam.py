"""Adam for the rows of a batch alone, compiled: the same training, several times
faster.

In every step Adam (Kingma and Ba 2015, algorithm 1) moves every row of an embedding
table: one without a gradient goes on with its momentum, which fades. But nothing looks
at that row until it is in a batch again, and then the missed steps can be made up for
at once. For a row with the averages m and v after step s, the steps s + 1 ... t without
a gradient add up to

    lr * m * sum of a_j / (sqrt(v) + eps * e_j) over j = s + 1 ... t, where
    a_j = (beta1 / sqrt(beta2))^(j - s) * sqrt(1 - beta2^j) / (1 - beta1^j),
    e_j = sqrt(1 - beta2^j) / sqrt(beta2)^(j - s).

With A the sum of a_j and E that of a_j * e_j, this is lr * m * A / (sqrt(v) + eps * E /
A), but for terms of second order in eps / sqrt(v). A and E depend on s and t alone: a
sum from s to infinity, which is looked up in a table, less what comes after t.
"""

import math

import torch
from torch import nn

from .models import GMF, MF, in_mode, to_device_of

USER_TABLES, ITEM_TABLES = (
    ("P.weight", "user_bias.weight"),
    ("Q.weight", "item_bias.weight"),
)
KNOWN = {
    *USER_TABLES,
    *ITEM_TABLES,
    "h.weight",
    "h.bias",
}  # the parameters of MF and of GMF
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # as in torch.optim.Adam
RATIOS = BETA1 / BETA2**0.5, BETA1 / BETA2  # of a term of A, of E, to the one before
LAST_TABLED = 20_000  # beyond this step beta2^j is too small to change the sums
NUM_TERMS = 400  # of a sum to infinity; the next one is below 1e-17


def sums_to_infinity(device):
    """A and E from each s = 0 ... LAST_TABLED to infinity: two float32 tensors."""
    steps = torch.arange(1, LAST_TABLED + NUM_TERMS + 1, dtype=torch.float64)  # j
    powers = torch.arange(1, NUM_TERMS + 1, dtype=torch.float64)  # j - s
    squared = 1 - BETA2**steps
    terms = squared.sqrt() / (1 - BETA1**steps), squared / (1 - BETA1**steps)
    pairs = zip(terms, RATIOS, strict=True)
    sums = [term.unfold(0, NUM_TERMS, 1) @ ratio**powers for term, ratio in pairs]
    return [each.float().to(device) for each in sums]


class RowState:
    """A parameter, Adam's averages m and v of its gradient, and how far each row has come."""

    def __init__(self, param):
        self.param = param.detach()  # (n, ...)
        self.mean, self.square, self.grad = (
            torch.zeros_like(self.param) for _ in range(3)
        )
        self.done = torch.zeros(
            len(param), dtype=torch.int64, device=param.device
        )  # steps

    def every_row(self):
        """The numbers of all rows: int64 (n,)."""
        return torch.arange(len(self.param), device=self.param.device)

    def read(self, rows, step, lr, sums):
        """Rows of the parameter, of m and of v, as they are after a step: each (batch, ...)."""
        rows = (
            rows.long() & torch.iinfo(torch.int64).max
        )  # -1 is the last row, but for its sign
        mean, square, done = self.mean[rows], self.square[rows], self.done[rows]
        missed = (step - done).float()  # (batch,)
        A, E = (
            full[done.clamp(max=LAST_TABLED)]
            - ratio**missed * full[step.clamp(max=LAST_TABLED)]
            for full, ratio in zip(sums, RATIOS, strict=True)
        )  # (batch,)
        missed, A, E = (x.view(-1, *[1] * (mean.dim() - 1)) for x in (missed, A, E))
        denominator = A * square.sqrt() + EPS * E + torch.finfo(A.dtype).tiny
        param = self.param[rows] - lr * mean * A.square() / denominator
        return param, mean * BETA1**missed, square * BETA2**missed

    def write(self, rows, step, param, mean, square):
        """Put new values into rows; those that occur twice have the same values twice."""
        self.param[rows], self.mean[rows], self.square[rows] = param, mean, square
        self.done[rows] = step.expand(len(rows))

    def update(self, rows, step, lr, grad, param, mean, square):
        """Take Adam's step on rows as `read` gives them; grad (batch, ...) is their gradient."""
        self.grad.index_add_(
            0, rows, grad
        )  # a row that occurs twice gets the sum of both
        grad = self.grad[rows]  # (batch, ...)
        mean = BETA1 * mean + (1 - BETA1) * grad
        square = BETA2 * square + (1 - BETA2) * grad.square()
        # 1 - beta^step, which float32 gives to four digits only if it subtracts.
        mean_hat = mean / -torch.expm1(step * math.log(BETA1))
        square_hat = square / -torch.expm1(step * math.log(BETA2))
        self.write(
            rows, step, param - lr * mean_hat / (square_hat.sqrt() + EPS), mean, square
        )
        self.grad[rows] = 0.0  # for the next step


class CatchUpAdam:
    """`torch.optim.Adam` without weight decay, for `MF` and `GMF`: by rows, and
    compiled.

    To be given to `train` with `train_epoch=train_epoch_by_rows`. Prediction, loss,
    gradient and update become one function, which `torch.compile` makes anew for each
    size of a batch; that takes a C++ compiler and some seconds. Rows not in use lag
    behind until `catch_up`.

    Args:
        model: an `MF` or a `GMF`, whose tables are moved by rows, and h whole. What has
            `requires_grad=False` stays as it is.
        lr: the learning rate, above 0; between two epochs it may be set anew.
        compiled: False runs the same operations one by one, slowly, for a look inside.
    Raises:
        ValueError: the model is another, or changed so that Adam would train it
            otherwise.
    """

    def __init__(self, model, lr=0.001, compiled=True):
        check_model(model)
        if not 0 < lr < float("inf"):
            raise ValueError(f"lr must be a number above 0, got {lr}")
        self.params = params_of(model)
        self.states = {
            name: RowState(param) for name, param in model.named_parameters()
        }
        device = next(model.parameters()).device
        self.lr, self.sums = lr, sums_to_infinity(device)
        self.step = torch.zeros(1, dtype=torch.int64, device=device)  # steps taken
        self.total_loss = torch.zeros((), device=device)  # of the examples of an epoch
        self.take_step = self.step_on_batch
        if compiled:
            self.take_step = torch.compile(self.step_on_batch, dynamic=False)

    def rows_in_use(self, user_id, item_id):
        """The rows of each parameter that a batch needs: dict from name to int64 ids."""
        rows = dict.fromkeys(USER_TABLES, user_id) | dict.fromkeys(ITEM_TABLES, item_id)
        return {
            name: rows.get(name, state.every_row())
            for name, state in self.states.items()
        }

    @torch.no_grad()
    def step_on_batch(self, model, loss, user_id, item_id, rating):
        """Take a step on a batch, each (batch,), and return its loss, ()."""
        rows = self.rows_in_use(user_id, item_id)
        read = {
            n: s.read(rows[n], self.step, self.lr, self.sums)
            for n, s in self.states.items()
        }
        place = torch.arange(len(user_id), device=user_id.device)  # (batch,)
        params = {name: param for name, (param, _, _) in read.items()}
        learning = {name: params[name] for name in params if self.params[name][0]}

        def batch_loss(learning):  # its tables have a row for each place in the batch
            score = torch.func.functional_call(model, params | learning, (place, place))
            return loss(score, rating)

        grads, value = torch.func.grad_and_value(batch_loss)(learning)
        self.step += 1
        for name, grad in grads.items():
            self.states[name].update(rows[name], self.step, self.lr, grad, *read[name])
        self.total_loss += value * len(rating)
        return value

    @torch.no_grad()
    def catch_up(self):
        """Bring every row to where Adam would have it now."""
        for state in self.states.values():
            rows = state.every_row()
            state.write(
                rows, self.step, *state.read(rows, self.step, self.lr, self.sums)
            )


def check_model(model):
    """Raise ValueError, naming what is other, for all but `MF` and `GMF` as they are made."""
    wanted = "CatchUpAdam trains MF and GMF of d2lrec, as they are made, in float32"
    if type(model) not in (MF, GMF):
        raise ValueError(f"{wanted}: {type(model).__name__} needs torch.optim.Adam")
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    if len(names) > len([*model.parameters()]):
        raise ValueError(f"{wanted}: of {', '.join(names)}, two are one and the same")
    if not any(param.requires_grad for param in model.parameters()):
        raise ValueError(f"{wanted}: no parameter is to be trained")
    for name, param in model.named_parameters():
        if name not in KNOWN or param.dtype != torch.float32:
            raise ValueError(f"{wanted}: {name}, {param.dtype}, needs torch.optim.Adam")
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and "=" in module.extra_repr():
            raise ValueError(f"{wanted}: {name} has an option, {module.extra_repr()}")


def params_of(model):
    """Whether each parameter learns, and where it lies in memory: dict from name to both."""
    return {
        n: (param.requires_grad, param.data_ptr())
        for n, param in model.named_parameters()
    }


def train_epoch_by_rows(model, train_iter, loss, optimizer):
    """`train_epoch` for a `CatchUpAdam`; returns the loss averaged over the examples.

    Raises ValueError for another optimizer, for a model other than it was made for or
    no longer as it was then, for a loss that is felt without a prediction, as a
    penalty, and for no examples, columns of other shapes than (batch,) or ids that the
    model does not have.
    """
    if not isinstance(optimizer, CatchUpAdam):
        kind = type(optimizer).__name__
        raise ValueError(
            f"{kind} goes with train_epoch, train_epoch_by_rows with CatchUpAdam"
        )
    if optimizer.params != params_of(model):
        raise ValueError(
            "parameters were added, moved, frozen or freed after CatchUpAdam was made, or it is "
            "that of another model: make it anew"
        )
    optimizer.total_loss.zero_()
    count = 0
    try:
        with in_mode(model, training=True):
            for batch in train_iter:
                user_id, item_id, rating = to_device_of(model, batch)
                if (
                    not user_id.shape
                    == item_id.shape
                    == rating.shape
                    == (rating.numel(),)
                ):
                    raise ValueError(
                        f"all must be (batch,), and a rating is {rating.shape}"
                    )
                if not {user_id.dtype, item_id.dtype} <= {torch.int64, torch.int32}:
                    raise ValueError(
                        f"ids must be int64, got {user_id.dtype}, {item_id.dtype}"
                    )
                if count == 0 and loss(rating.float(), rating).requires_grad:
                    raise ValueError(
                        "the loss must need no parameters, such as for a penalty"
                    )
                count += len(rating)
                try:
                    optimizer.take_step(model, loss, user_id, item_id, rating)
                except (IndexError, RuntimeError) as error:
                    if all_in(user_id, model.P) and all_in(item_id, model.Q):
                        raise
                    rows = {"P": model.P.num_embeddings, "Q": model.Q.num_embeddings}
                    raise ValueError(
                        f"an id is beyond the model's rows, {rows}"
                    ) from error
    finally:
        optimizer.catch_up()
    if count == 0:
        raise ValueError("train_iter gave no examples")
    return float(optimizer.total_loss) / count


def all_in(ids, table):
    """Whether all ids are rows of a table."""
    return bool(ids.min() >= 0 and ids.max() < table.num_embeddings)

"""Adam for the rows of a batch alone, compiled: the same training, several times faster."""

import math

import torch

from .catch_up import RowState, sums_to_infinity
from .models import in_mode
from .tables import check_batch, check_tables, rows_in_use


class CatchUpAdam:
    """`torch.optim.Adam` without weight decay, for `MF`, `GMF` and their like: by rows, compiled.

    To be given to `train` with `train_epoch=train_epoch_by_rows`. Prediction, loss, gradient
    and update become one function, which `torch.compile` makes anew for each size of a batch;
    that takes a C++ compiler and some seconds. Rows not in use lag behind until `catch_up`.

    Args:
        model: its embeddings are P and user_bias for users, Q and item_bias for items, or some
            of these; whatever other parameters it has are moved whole in each step. Those with
            `requires_grad=False` stay as they are.
        lr: the learning rate; it may be set anew on the way, as `optimizer.lr = 0.0005`.
        compiled: False runs the same operations one by one, slowly, for a look inside.
    Raises:
        ValueError: the model has other tables, and would need another optimizer.
    """

    def __init__(self, model, lr=0.001, compiled=True):
        check_tables(model)
        self.params = params_of(model)
        self.states = {name: RowState(param) for name, param in model.named_parameters()}
        device = next(model.parameters()).device
        self.sums = sums_to_infinity(device)
        self.step = torch.zeros(1, dtype=torch.int64, device=device)  # steps taken
        self.total_loss = torch.zeros((), device=device)  # of the examples of an epoch
        self.rate = torch.zeros((), device=device)  # lr, where a new one compiles nothing anew
        self.lr = lr
        self.take_step = self.step_on_batch
        if compiled:
            self.take_step = torch.compile(self.step_on_batch, dynamic=False)

    @property
    def lr(self):
        """The learning rate, of the steps from now on."""
        return self._lr

    @lr.setter
    def lr(self, lr):
        if not 0 <= lr < math.inf:
            raise ValueError(f"lr must be a number from 0 on, got {lr}")
        self.catch_up()  # the steps that were missed had the old one
        self._lr = lr
        self.rate.fill_(lr)

    def has_rows(self, user_id, item_id):
        """Whether all ids, of a batch or more, are among the rows of the tables."""
        ids_of = rows_in_use(user_id, item_id)
        tables = [(ids_of[n], len(self.states[n].param)) for n in ids_of if n in self.states]
        return all(ids.min() >= 0 and ids.max() < num_rows for ids, num_rows in tables)

    @torch.no_grad()
    def step_on_batch(self, model, loss, user_id, item_id, rating):
        """Take a step on a batch, each (batch,), and return its loss, ()."""
        tables = rows_in_use(user_id, item_id)
        rows = {n: tables.get(n, state.every_row()) for n, state in self.states.items()}
        read = {n: s.read(rows[n], self.step, self.rate, self.sums) for n, s in self.states.items()}
        place = torch.arange(len(user_id), device=user_id.device)  # (batch,)
        params = {name: param for name, (param, _, _) in read.items()}
        learning = {name: params[name] for name in params if self.params[name][0]}

        def batch_loss(learning):  # its tables have a row for each place in the batch
            score = torch.func.functional_call(model, params | learning, (place, place))
            return loss(score, rating)

        grads, value = torch.func.grad_and_value(batch_loss)(learning)
        self.step += 1
        for name, grad in grads.items():
            self.states[name].update(rows[name], self.step, self.rate, grad, *read[name])
        self.total_loss += value * len(rating)
        return value

    @torch.no_grad()
    def catch_up(self):
        """Bring every row to where Adam would have it now."""
        for state in self.states.values():
            rows = state.every_row()
            state.write(rows, self.step, *state.read(rows, self.step, self.rate, self.sums))


def params_of(model):
    """Whether each parameter learns, and where it lies in memory: dict from name to both."""
    return {n: (param.requires_grad, param.data_ptr()) for n, param in model.named_parameters()}


def train_epoch_by_rows(model, train_iter, loss, optimizer):
    """`train_epoch` for a `CatchUpAdam`; returns the loss averaged over the examples.

    Raises ValueError for another optimizer, for a model other than it was made for or no longer
    as it was then, for a loss that is felt without a prediction, as a penalty, and for no
    batches, or batches of other shapes than (batch,) or with ids that the model does not have.
    """
    if not isinstance(optimizer, CatchUpAdam):
        kind = type(optimizer).__name__
        raise ValueError(f"{kind} goes with train_epoch, train_epoch_by_rows with CatchUpAdam")
    if optimizer.params != params_of(model):
        raise ValueError(
            "parameters were added, moved, frozen or freed after CatchUpAdam was made, or it is "
            "that of another model: make it anew"
        )
    optimizer.total_loss.zero_()
    count = 0
    try:
        with in_mode(model, training=True):
            for user_id, item_id, rating in train_iter:
                check_batch(user_id, item_id, rating)
                if count == 0 and loss(rating.float(), rating).requires_grad:
                    raise ValueError("the loss must need no parameters, such as for a penalty")
                count += len(rating)
                try:
                    optimizer.take_step(model, loss, user_id, item_id, rating)
                except RuntimeError as error:  # the compiled step has no IndexError
                    if not optimizer.has_rows(user_id, item_id):
                        raise IndexError from error
                    raise
    finally:
        optimizer.catch_up()
    if count == 0:
        raise ValueError("there are no batches: a generator, for one, gives its own only once")
    return float(optimizer.total_loss) / count

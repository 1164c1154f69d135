"""Adam for the rows of a batch alone, compiled: the same training in less time.

A row that is not in a batch waits. When a batch needs it, it first makes up for the
steps that it has missed (`missed_steps.py`), then it takes its own.
"""

import torch

from .missed_steps import RowState, tables_of_steps
from .models import GMF, MF, device_of, in_mode, to_device_of

USER_TABLES = "P.weight", "user_bias.weight"
ITEM_TABLES = "Q.weight", "item_bias.weight"
SINGLE_ROWS = "h.weight", "h.bias"


def to_check(guards):
    """What `torch.compile` is to check before each call: nothing that is PyTorch's own.

    Its functions, and those of this package, are what they were. To see that takes as
    long as half of the step.
    """
    fixed = "G['__import_torch", "G['__import_d2lrec"
    return [not guard.name.startswith(fixed) for guard in guards]


class CatchUpAdam:
    """`torch.optim.Adam` without weight decay for `MF` and `GMF`, by rows and compiled.

    Goes with `train_epoch_by_rows`. Prediction, loss, gradient and update are one
    function, which `torch.compile` makes anew for each size of a batch; that takes a
    C++ compiler and some seconds.

    Args:
        model: what has `requires_grad=False` stays as it is.
        lr: the learning rate, above 0; between two epochs it may be set anew.
        compiled: False runs the same operations one by one, slowly, for a look inside.
    Raises:
        ValueError: the model is another, or changed so that Adam would train it
            otherwise; `lr` is no such number.
    """

    def __init__(self, model, lr=0.001, compiled=True):
        check_model(model)
        if not 0 < lr < float("inf"):
            raise ValueError(f"lr must be a number above 0, got {lr}")
        device, self.params = device_of(model), params_of(model)
        self.states = {n: RowState(param) for n, param in model.named_parameters()}
        self.lr, self.tables = lr, tables_of_steps(device)
        self.step = torch.zeros(1, dtype=torch.int64, device=device)  # steps taken
        build = torch.compile(dynamic=False, options={"guard_filter_fn": to_check})
        self.take_step = build(self.step_on_batch) if compiled else self.step_on_batch

    @torch.no_grad()
    def step_on_batch(self, model, loss, user_id, item_id, rating):
        """Take a step on a batch, each (batch,), and return its loss, ()."""
        rows = dict.fromkeys(USER_TABLES, user_id) | dict.fromkeys(ITEM_TABLES, item_id)
        rows |= dict.fromkeys(SINGLE_ROWS, user_id.new_zeros(1))
        read = {n: state.read(rows[n], self) for n, state in self.states.items()}
        used = {name: param for name, (param, _, _) in read.items()}
        grads, value = torch.func.grad_and_value(batch_loss)(used, model, loss, rating)
        self.step += 1
        for name, state in self.states.items():
            if state.learns:
                state.update(rows[name], self, grads[name], *read[name])
        return value

    @torch.no_grad()
    def catch_up(self):
        """Bring every row to where Adam would have it now."""
        for state in self.states.values():
            rows = torch.arange(len(state.param), device=self.step.device)
            state.write(rows, self, *state.read(rows, self))


def batch_loss(rows, model, loss, rating):
    """The loss of a batch, (), from the rows that it needs of each parameter.

    Written out, as calling the model with other parameters would cost more than this.
    """
    score = (rows["P.weight"] * rows["Q.weight"] * rows.get("h.weight", 1.0)).sum(dim=1)
    biases = [row[:, 0] for name, row in rows.items() if "bias" in name]
    return loss(sum(biases, score) + getattr(model, "global_mean", 0.0), rating)


def params_of(model):
    """Whether each parameter learns, where it lies in memory, and its dtype."""
    return [(p.requires_grad, p.data_ptr(), p.dtype) for p in model.parameters()]


def check_model(model):
    """Raise ValueError, with what is other, for all but `MF` and `GMF` as made."""
    known = {*USER_TABLES, *ITEM_TABLES, *SINGLE_ROWS}
    params = dict(model.named_parameters(remove_duplicate=False))
    other = [n for n, p in params.items() if n not in known or p.dtype != torch.float32]
    tables = [part for part in model.children() if isinstance(part, torch.nn.Embedding)]
    other += [str(table) for table in tables if "=" in str(table)]  # with an option
    other += ["one table under two names"] * (len(params) > len([*model.parameters()]))
    if type(model) not in (MF, GMF) or other:
        kind, other = type(model).__name__, ", ".join(other)
        wanted = "an MF or GMF as made, in float32; torch.optim.Adam trains any model"
        raise ValueError(f"CatchUpAdam needs {wanted}; got {kind}: {other}")


def train_epoch_by_rows(model, train_iter, loss, optimizer):
    """`train_epoch` for a `CatchUpAdam`; returns the loss averaged over the examples.

    Batches are moved to the model's device. Raises ValueError unless the optimizer was
    made for the model as it is now, and for no examples, columns that are not (batch,),
    ids that the model does not have, and a loss that adds a penalty on parameters.
    """
    if not isinstance(optimizer, CatchUpAdam) or optimizer.params != params_of(model):
        raise ValueError("give a CatchUpAdam made for this model as it is now")
    total, count = 0.0, 0
    try:
        with in_mode(model, training=True):
            for batch in train_iter:
                *ids, rating = to_device_of(model, batch)
                shapes = [tuple(column.shape) for column in (*ids, rating)]
                if set(shapes) != {(rating.numel(),)}:
                    raise ValueError(f"a batch must be 3 times (batch,), got {shapes}")
                if count == 0 and loss(rating.float(), rating).requires_grad:
                    raise ValueError("a loss with a penalty needs torch.optim.Adam")
                total += optimizer.take_step(model, loss, *ids, rating) * len(rating)
                count += len(rating)
    finally:
        optimizer.catch_up()
    if count == 0:
        raise ValueError("train_iter gave no examples")
    return float(total) / count

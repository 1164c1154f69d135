"""One training loop for every model and loss of the book."""

import math

import pandas as pd
from tqdm import tqdm

from .arguments import as_integer
from .checkpoints import save_checkpoint
from .models import in_mode, to_device_of


def train_epoch(model, train_iter, loss, optimizer):
    """Take one optimizer step per batch; returns the loss averaged over the examples.

    Raises ValueError if there is no batch, for an optimizer of another kind than those
    of `torch.optim`, and for an id beyond the model's tables.
    """
    if not hasattr(optimizer, "zero_grad"):
        raise ValueError(f"{optimizer} is none of torch.optim: give its train_epoch")
    total, count = 0.0, 0
    with in_mode(model, True):
        for batch in train_iter:
            user_id, item_id, rating = to_device_of(model, batch)  # (batch,) each
            batch_loss = loss(model(user_id, item_id), rating)  # ()
            optimizer.zero_grad()
            batch_loss.backward()
            optimizer.step()
            total += batch_loss.detach() * len(rating)  # the device need not wait
            count += len(rating)
    if count == 0:
        raise ValueError("train_iter gave no examples")
    return float(total) / count


def train(model, train_iter, loss, optimizer, num_epochs, *,
          evaluate=lambda model: {}, monitor=None, maximize=False,
          checkpoint=None, progress=True, train_epoch=train_epoch):  # fmt: skip
    """Train a model, evaluate it before the first epoch and after each, keep the best.

    Args:
        model: called as `model(user_id, item_id)` with int64 tensors (batch,); it ends
            with the state of the last epoch, in the mode (training or not) it had
            before.
        train_iter: gives batches (user_id, item_id, rating), in each epoch anew: a
            loader or a list, not a generator. They are moved to the model's device
            where they are not.
        loss: called as `loss(prediction, rating)`; a mean over the batch.
        optimizer: a `torch.optim` optimizer of the model's parameters.
        num_epochs: passes over `train_iter`.
        evaluate: called as `evaluate(model)`, with the model not in training mode;
            returns a dict from name to number.
        monitor: the one of these names that says which state is best: the one with the
            lowest value, or with `maximize=True` the highest; of equal ones the first.
        checkpoint: the path that keeps the best state, for `load_checkpoint`. What was
            there before is replaced by the untrained model's.
        progress: whether to show a bar.
        train_epoch: what an epoch is; `train_epoch_by_rows` for a `CatchUpAdam`.
    Returns:
        DataFrame with a row per epoch, from 0, the untrained model: `train_loss` (NaN
        for epoch 0) and what `evaluate` gave, as floats; with `monitor` also `kept`,
        True in the row of the epoch whose state is in the checkpoint.
    Raises:
        ValueError: only one of `monitor` and `checkpoint` is given, `evaluate` does not
            give `monitor` or gives no numbers, `train_iter` has nothing to give in an
            epoch, `num_epochs` is no integer, the optimizer needs another
            `train_epoch`, or an id is beyond the model's tables.
        FloatingPointError: the training loss or the value of `monitor` is NaN or
            infinite.
    """
    num_epochs = as_integer("num_epochs", num_epochs, 0)
    if hasattr(train_iter, "__next__"):
        raise ValueError("train_iter gives its batches once: give a loader or a list")
    if (monitor is None) != (checkpoint is None):
        raise ValueError("monitor names the best state, checkpoint keeps it: give both")
    rows, train_loss, kept, lowest = [], math.nan, None, math.inf
    with tqdm(total=num_epochs, unit="epoch", disable=not progress) as bar:
        for epoch in range(num_epochs + 1):
            if epoch > 0:
                train_loss = train_epoch(model, train_iter, loss, optimizer)
                if not math.isfinite(train_loss):
                    raise FloatingPointError(f"loss is {train_loss} in epoch {epoch}")
            with in_mode(model, False):
                figures = numbers_in(evaluate(model), "evaluate")
            rows.append(dict(train_loss=train_loss, **figures))
            if monitor is not None:
                value = monitored(figures, monitor, maximize, epoch)
                if value < lowest:
                    save_checkpoint(model, checkpoint)
                    kept, lowest = epoch, value
            bar.set_postfix(rows[-1] if monitor is None else {**rows[-1], "kept": kept})
            bar.update(epoch > 0)
    history = pd.DataFrame(rows).rename_axis("epoch")
    return history if monitor is None else history.assign(kept=history.index == kept)


def monitored(figures, monitor, maximize, epoch):
    """The figure that says which state is best, its sign such that lower is better."""
    if monitor not in figures or "kept" in figures:
        names = list(figures)
        raise ValueError(f"evaluate must give {monitor!r} and no 'kept', got {names}")
    if not math.isfinite(figures[monitor]):
        raise FloatingPointError(f"{monitor} is {figures[monitor]} in epoch {epoch}")
    return -figures[monitor] if maximize else figures[monitor]


def numbers_in(figures, source):
    """The numbers of a dict as floats; ValueError for what is no dict of numbers."""
    try:  # unlike float, fsum does not take texts
        return {str(name): math.fsum([value]) for name, value in figures.items()}
    except Exception as error:  # each kind of a wrong figure has its own
        wrong = f"{source} must return a dict from name to number, got {figures!r:.100}"
        raise ValueError(wrong) from error

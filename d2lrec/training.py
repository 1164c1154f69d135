"""One training loop for every model and loss of the book."""

import io
import math
import pickle

import pandas as pd
import torch
from tqdm import tqdm

from .files import write_whole


def train_epoch(model, train_iter, loss, optimizer):
    """Take one optimizer step per batch; returns the loss averaged over the examples."""
    was_training = model.training
    model.train()
    total, count = 0.0, 0
    for user_id, item_id, rating in train_iter:
        batch_loss = loss(model(user_id, item_id), rating)  # ()
        optimizer.zero_grad()
        batch_loss.backward()
        optimizer.step()
        total += batch_loss.detach() * len(rating)  # on the device, which need not wait
        count += len(rating)
    model.train(was_training)
    return float(total) / count


def train(
    model,
    train_iter,
    loss,
    optimizer,
    num_epochs,
    evaluate=lambda model: {},
    monitor=None,
    maximize=False,
    checkpoint=None,
    progress=True,
    train_epoch=train_epoch,
):
    """Train a model, evaluate it before the first epoch and after each, keep the best state.

    Args:
        model: called as `model(user_id, item_id)` with int64 tensors (batch,); it ends with
            the state of the last epoch, in the mode (training or not) it had before.
        train_iter: gives batches (user_id, item_id, rating) on the model's device.
        loss: called as `loss(prediction, rating)`; a mean over the batch.
        optimizer: a `torch.optim` optimizer of the model's parameters.
        num_epochs: passes over `train_iter`.
        evaluate: called as `evaluate(model)`; returns a dict from name to number.
        monitor: the one of these names that says which state is best: the one with the
            lowest value, or with `maximize=True` the highest.
        checkpoint: the path that keeps the best state, for `load_checkpoint`.
        progress: whether to show a bar.
        train_epoch: what an epoch is; `train_epoch_by_rows` for a `CatchUpAdam`.
    Returns:
        DataFrame with a row per epoch, from 0, the untrained model: `train_loss` (NaN for
        epoch 0) and what `evaluate` gave.
    Raises:
        ValueError: only one of `monitor` and `checkpoint` is given, or `evaluate` does not
            give `monitor`.
        FloatingPointError: the training loss became NaN or infinite.
    """
    if (monitor is None) != (checkpoint is None):
        raise ValueError("monitor says which state is best, checkpoint keeps it: give both")
    rows, best = [], math.inf
    with tqdm(total=num_epochs, unit="epoch", disable=not progress) as bar:
        for epoch in range(num_epochs + 1):
            train_loss = train_epoch(model, train_iter, loss, optimizer) if epoch else math.nan
            if epoch and not math.isfinite(train_loss):
                raise FloatingPointError(f"the training loss is {train_loss} in epoch {epoch}")
            rows.append({"train_loss": train_loss, **evaluate(model)})
            bar.set_postfix(rows[-1])
            bar.update(epoch > 0)
            if monitor is None:
                continue
            if monitor not in rows[-1]:
                raise ValueError(f"monitor={monitor!r} is not among {list(rows[-1])}")
            score = -rows[-1][monitor] if maximize else rows[-1][monitor]
            if score < best:
                best = score
                save_checkpoint(model, checkpoint)
    return pd.DataFrame(rows).rename_axis("epoch")


def save_checkpoint(model, path):
    """Write the model's state to `path`, in one step: a killed run leaves no damaged file."""
    content = io.BytesIO()
    torch.save(model.state_dict(), content)
    write_whole(path, content.getvalue())


def load_checkpoint(model, path):
    """Give the model the state kept at `path`, on the device the model is on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint, or its parameters have other names or shapes
            than the model's; the model is left as it was.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = {name: tuple(value.shape) for name, value in state.items()}
    except (RuntimeError, EOFError, AttributeError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is not a checkpoint of a model: {error}") from error
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if found != expected:
        raise ValueError(f"{path} does not fit the model: it has {found}, not {expected}")
    model.load_state_dict(state)

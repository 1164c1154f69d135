"""One training loop for every model and loss of the book."""

import math

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from .arguments import as_integer
from .checkpoints import save_checkpoint
from .data.batches import ImplicitIterator, try_gpu
from .data.movielens import load_batches
from .models import MF, in_mode, to_device_of


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


def train(model, train_iter, loss, optimizer, num_epochs, *, evaluate=lambda model: {},
          monitor=None, maximize=False, checkpoint=None, progress=True, train_epoch=train_epoch):  # fmt: skip
    """Train a model, evaluate it before the first epoch and after each, keep the best
    state.

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
            lowest value, or with `maximize=True` the highest.
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
        raise ValueError(
            "monitor says which state is best, checkpoint keeps it: give both"
        )
    rows, kept, lowest = (
        [],
        None,
        math.inf,
    )  # the epoch in the checkpoint, and its value
    with tqdm(total=num_epochs, unit="epoch", disable=not progress) as bar:
        for epoch in range(num_epochs + 1):
            train_loss = (
                train_epoch(model, train_iter, loss, optimizer) if epoch else math.nan
            )
            if epoch and not math.isfinite(train_loss):
                raise FloatingPointError(
                    f"the training loss is {train_loss} in epoch {epoch}"
                )
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


def train_mf(
    data,
    num_users,
    num_items,
    num_epochs,
    *,
    num_factors=30,
    lr=0.003,
    weight_decay=3e-4,
    batch_size=1024,
    seed=0,
    **options,
):
    """Train an `MF` on a table of ratings, with Adam and the squared error.

    Args:
        data, num_users, num_items: as `load_data_ml100k` takes them.
        seed: of the initialization and of the order of the batches.
        options: for `train`.
    Returns:
        model, history: the model on `try_gpu()` after the last epoch, and what `train`
            gives.
    """
    torch.manual_seed(seed)
    train_iter = load_batches(data, num_users, num_items, batch_size, seed=seed)
    mean = train_iter.ratings.double().mean().item()
    model = MF(num_factors, num_users, num_items, global_mean=mean).to(try_gpu())
    adam = torch.optim.Adam(
        model.parameters(), lr=lr, weight_decay=weight_decay, fused=True
    )
    return model, train(model, train_iter, nn.MSELoss(), adam, num_epochs, **options)


def train_implicit(
    model,
    users,
    items,
    num_epochs,
    *,
    num_negatives=4,
    lr=0.001,
    weight_decay=0.0,
    batch_size=256,
    seed=0,
    **options,
):
    """Train a model on interactions and sampled negatives, with Adam and cross-entropy.

    Args:
        model: with tables P and Q; parameters with `requires_grad=False` stay as they
            are.
        users, items, num_negatives, batch_size, seed: as `ImplicitIterator` takes them.
        options: for `train`.
    Returns the history that `train` gives.
    """
    sizes = model.P.num_embeddings, model.Q.num_embeddings
    train_iter = ImplicitIterator(users, items, *sizes, batch_size, num_negatives, seed)
    learned = [table for table in model.parameters() if table.requires_grad]
    adam = torch.optim.Adam(learned, lr=lr, weight_decay=weight_decay, fused=True)
    return train(model, train_iter, nn.BCEWithLogitsLoss(), adam, num_epochs, **options)


def monitored(figures, monitor, maximize, epoch):
    """The figure that says how good a state is, the lower the better; it must be a number."""
    if monitor not in figures:
        raise ValueError(f"monitor={monitor!r} is not among {list(figures)}")
    if not math.isfinite(figures[monitor]):
        raise FloatingPointError(f"{monitor} is {figures[monitor]} in epoch {epoch}")
    return -figures[monitor] if maximize else figures[monitor]


def numbers_in(figures, source):
    """Take a dict from name to number: its numbers as floats. ValueError for anything else."""
    try:  # unlike float, fsum does not take texts
        return {str(name): math.fsum([value]) for name, value in figures.items()}
    except Exception as error:  # each kind of a wrong figure has its own
        wanted = "a dict from name to number"
        raise ValueError(
            f"{source} must return {wanted}, got {figures!r:.100}"
        ) from error

"""What can be trained by rows: a model whose predictions need the rows of a batch alone."""

import torch
from torch import nn
from torch.func import functional_call

from .models import in_mode

USER_TABLES, ITEM_TABLES = ("P.weight", "user_bias.weight"), ("Q.weight", "item_bias.weight")
WANTED = (
    "CatchUpAdam needs tables P and user_bias for users, Q and item_bias for items, which are "
    "plain nn.Embedding and looked up by these ids alone"
)
NUM_PAIRS = 32  # of made-up ids


def rows_in_use(user_id, item_id):
    """The rows of each table that a batch needs: dict from name to ids, each (batch,)."""
    return dict.fromkeys(USER_TABLES, user_id) | dict.fromkeys(ITEM_TABLES, item_id)


def check_tables(model):
    """Refuse a model that `CatchUpAdam` would train in another way than `torch.optim.Adam`.

    Raises:
        ValueError: nothing is to be trained; a parameter is no float32, or a single number; an
            embedding has another name than the four above, or an option that changes its
            gradient; a prediction needs more of a table than the rows of its pair; or a batch
            changes buffers, as in nn.BatchNorm1d.
    """
    if not any(param.requires_grad for param in model.parameters()):
        raise ValueError("the model has no parameter to train")
    for name, param in model.named_parameters():
        if param.dtype != torch.float32 or param.dim() == 0:
            kind = f"{param.dtype} of shape {tuple(param.shape)}"
            raise ValueError(f"CatchUpAdam needs float32, and no single number; {name} is {kind}")
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            options = module.padding_idx, module.max_norm, module.scale_grad_by_freq, module.sparse
            known = f"{name}.weight" in rows_in_use(0, 0)
            if not known or options != (None, None, False, False):
                raise ValueError(f"{WANTED}; got {name}: {module}")
        if getattr(module, "running_mean", None) is not None:
            raise ValueError(f"CatchUpAdam keeps buffers as they are; {name} would change its own")
    if not needs_rows_alone(model):
        names = ", ".join(name for name, _ in named_tensors(model))
        raise ValueError(f"{WANTED}; this model needs more of one of {names}")


def named_tensors(model):
    """The parameters and buffers of a model, with their names."""
    return [*model.named_parameters(), *model.named_buffers()]


@torch.no_grad()
def needs_rows_alone(model):
    """Whether a model predicts the same from the rows of a batch as from its whole tables.

    It is tried with made-up numbers in place of all parameters and buffers, which are left alone.
    """
    generator, values = torch.Generator().manual_seed(0), {}
    place = torch.arange(NUM_PAIRS, device=next(model.parameters()).device)
    user_id, item_id = place.flip(0) // 2, place.roll(1) // 2
    rows = rows_in_use(user_id, item_id)
    for name, value in named_tensors(model):
        shape = (NUM_PAIRS, *value.shape[1:]) if name in rows else value.shape
        numbers = torch.rand(shape, generator=generator)
        values[name] = (numbers if value.is_floating_point() else numbers.round()).to(value)
    in_batch = {name: value[rows[name]] for name, value in values.items() if name in rows}
    with in_mode(model, training=False):
        try:
            whole = functional_call(model, values, (user_id, item_id))  # (NUM_PAIRS,)
            alone = functional_call(model, values | in_batch, (place, place))  # (NUM_PAIRS,)
        except (IndexError, RuntimeError):  # a table by another name is too short, for one
            return False
        return torch.allclose(whole, alone)


def check_batch(user_id, item_id, rating):
    """Raise ValueError for what is no batch of whole ids and ratings, each (batch,)."""
    shapes = [tuple(column.shape) for column in (user_id, item_id, rating)]
    if shapes != 3 * [(rating.numel(),)]:
        raise ValueError(f"users, items and ratings must have the shape (batch,), got {shapes}")
    if not {user_id.dtype, item_id.dtype} <= {torch.int64, torch.int32}:
        raise ValueError(f"ids must be int64, got {user_id.dtype} and {item_id.dtype}")

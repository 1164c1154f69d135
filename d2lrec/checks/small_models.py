"""Small models with known parameters, on which a reader's function is tried."""

import torch

from ..data.batches import try_gpu
from ..models import MF
from .verdict import NotYetError, as_doubles, differs, tried


def small_model(num_factors=2, num_users=6, num_items=7):
    """An MF on the reader's device whose parameters all differ."""
    model = MF(num_factors, num_users, num_items, global_mean=3.2)
    with torch.no_grad():
        for part, table in enumerate(model.parameters()):
            numbers = torch.arange(1, table.numel() + 1) * (1.7 + part)
            table.copy_(numbers.sin().view_as(table))
    return model.to(try_gpu())


def tried_on(function, model, *arguments, on):
    """As `tried`, with a model as the first argument, which must stay as it is."""
    on = f"{on}, the model being on {try_gpu()},"
    before, devices = state_of(model)
    found = tried(function, model, *arguments, on=on)
    after, devices_now = state_of(model)
    if devices_now != devices or differs(after, before):
        raise NotYetError(
            f"{on} it changes the model: leave it as it is, and where it is."
        )
    return found


def state_of(model):
    """All parameters of a model, in one tensor, and the devices they are on."""
    tables = list(model.state_dict().values())
    numbers = torch.cat([as_doubles(table).flatten() for table in tables])
    return numbers, {table.device for table in tables}

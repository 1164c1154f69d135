"""The error of predicted ratings: RMSE, and RMSELoss to train on."""

import torch
from torch import nn

from .models import in_mode, to_device_of


class RMSELoss(nn.Module):
    """sqrt(MSE + eps); eps keeps the gradient finite if each prediction is exact."""

    def __init__(self, eps=1e-6):
        super().__init__()
        self.eps = eps

    def forward(self, prediction, rating):
        """Compare two tensors (batch,), else ValueError; returns a scalar tensor."""
        check_shapes(prediction, rating)
        return torch.sqrt(nn.functional.mse_loss(prediction, rating) + self.eps)


@torch.inference_mode()
def rmse(model, data_iter):
    """RMSE of a data set: the root of (sum of squared errors / number of ratings).

    Takes batches (users, items, ratings), on any device; returns stars, a float (D2L,
    section 21.3.3). Raises ValueError for no ratings, other shapes, unknown ids.
    """
    squared_errors = []  # their mean is pooled: it is no mean over batches
    with in_mode(model, training=False):
        for batch in data_iter:
            user_id, item_id, rating = to_device_of(model, batch)  # (batch,) each
            prediction = model(user_id, item_id)  # (batch,)
            check_shapes(prediction, rating)
            squared_errors.append((prediction - rating).square())  # (batch,)
    if not sum(map(len, squared_errors)):
        raise ValueError("there are no ratings to compare with")
    return torch.cat(squared_errors).cpu().double().mean().sqrt().item()


def check_shapes(prediction, rating):
    """Raise ValueError for two shapes, which might broadcast to a table."""
    if prediction.shape != rating.shape:
        got = f"{tuple(prediction.shape)} and {tuple(rating.shape)}"
        raise ValueError(f"predictions and ratings must have one shape, got {got}")

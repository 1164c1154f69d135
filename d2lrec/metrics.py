"""How far predicted ratings are from the true ones."""

import math

import torch
from torch import nn

from .models import in_mode


class RMSELoss(nn.Module):
    """Root of the mean squared error, as a loss: sqrt(MSE + eps).

    `eps` keeps the gradient finite where every prediction is exact. The mean of this loss over
    batches is not the RMSE of the whole set: that is `rmse`.
    """

    def __init__(self, eps=1e-6):
        super().__init__()
        self.eps = eps

    def forward(self, prediction, rating):
        """Compare two float32 tensors (batch,): a scalar tensor; ValueError for two shapes."""
        check_shapes(prediction, rating)
        return torch.sqrt(nn.functional.mse_loss(prediction, rating) + self.eps)


@torch.inference_mode()
def rmse(model, data_iter):
    """RMSE over a whole set: the root of (sum of squared errors / number of ratings).

    Takes a model (its training mode is left as it was) and an iterator over batches (users,
    items, ratings) on its device; returns a float, in stars (D2L, section 21.3.3).
    Raises ValueError if there is no rating, if predictions and ratings differ in shape, or if
    an id is beyond the model's.
    """
    squared_errors = []
    with in_mode(model, training=False):
        for user_id, item_id, rating in data_iter:
            prediction = model(user_id, item_id)  # (batch,)
            check_shapes(prediction, rating)
            squared_errors.append((prediction - rating).square())  # (batch,)
    if not sum(map(len, squared_errors)):
        raise ValueError("there are no ratings to compare with")
    return math.sqrt(torch.cat(squared_errors).cpu().double().mean())


def check_shapes(prediction, rating):
    """Raise ValueError for two shapes, which might broadcast to a table of differences."""
    if prediction.shape != rating.shape:
        shapes = f"{tuple(prediction.shape)} and {tuple(rating.shape)}"
        raise ValueError(f"predictions and ratings must have one shape, (batch,); got {shapes}")

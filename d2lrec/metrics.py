"""How far predicted ratings are from the true ones."""

import math

import torch
from torch import nn


class RMSELoss(nn.Module):
    """Root of the mean squared error, as a loss: sqrt(MSE + eps).

    `eps` keeps the gradient finite where every prediction is exact. The mean of this loss over
    batches is not the RMSE of the whole set: that is `rmse`.
    """

    def __init__(self, eps=1e-6):
        super().__init__()
        self.eps = eps

    def forward(self, prediction, rating):
        """Compare two float32 tensors (batch,): a scalar tensor."""
        return torch.sqrt(nn.functional.mse_loss(prediction, rating) + self.eps)


@torch.inference_mode()
def rmse(model, data_iter):
    """RMSE over a whole set: the root of (sum of squared errors / number of ratings).

    Takes a model (its training mode is left as it was) and an iterator over batches (users,
    items, ratings) on its device; returns a float, in stars (D2L, section 21.3.3).
    Raises ValueError if there is no rating.
    """
    was_training = model.training
    model.eval()
    squared_errors = [(model(u, i) - r).square() for u, i, r in data_iter]  # each (batch,)
    model.train(was_training)
    if not squared_errors:
        raise ValueError("there are no ratings to compare with")
    return math.sqrt(torch.cat(squared_errors).cpu().double().mean())

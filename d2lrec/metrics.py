"""How far predicted ratings are from the true ones."""

import math

import torch
from torch import nn


class RMSELoss(nn.Module):
    """Root of the mean squared error, as a loss: sqrt(MSE + eps).

    `eps` keeps the gradient finite where every prediction is exact. The mean of this loss
    over batches is not the RMSE of the whole set: that is `rmse`.
    """

    def __init__(self, eps=1e-6):
        super().__init__()
        self.eps = eps

    def forward(self, prediction, rating):
        """Compare float tensors (batch,); returns a scalar tensor."""
        return torch.sqrt(nn.functional.mse_loss(prediction, rating) + self.eps)


@torch.inference_mode()
def rmse(model, data_iter):
    """RMSE over a whole set: the root of (sum of squared errors / number of ratings).

    Args:
        model: called as `model(users, items)`; its training mode is left as it was.
        data_iter: gives batches (users, items, ratings) on the model's device.

    Returns:
        float, in the unit of the ratings (D2L, section 21.3.3).

    Raises:
        ValueError: `data_iter` gives no rating.
    """
    was_training = model.training
    model.eval()
    squared_errors = [(model(u, i) - r).square() for u, i, r in data_iter]  # each (batch,)
    model.train(was_training)
    if not squared_errors:
        raise ValueError("there are no ratings to compare with")
    return math.sqrt(torch.cat(squared_errors).cpu().double().mean())

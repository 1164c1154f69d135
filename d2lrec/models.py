"""Models that score pairs of a user and an item."""

import torch
from torch import nn


class MF(nn.Module):
    """Matrix factorization with biases (Koren, Bell and Volinsky 2009; D2L, section 21.3).

    The rating of item i by user u is predicted as mu + b_u + b_i + P_u . Q_i. Without factors
    (`num_factors=0`) the model is bias-only.

    Args:
        num_factors: k, the length of the vectors P_u and Q_i.
        num_users, num_items: rows of P and of Q.
        init_std: all parameters begin as draws from N(0, init_std^2).
        global_mean: mu, in stars; a constant, not learned. Give it the mean of the training
            ratings: without it, a strong weight decay pulls predictions towards 0.
    """

    def __init__(self, num_factors, num_users, num_items, init_std=0.01, global_mean=0.0):
        super().__init__()
        self.P = nn.Embedding(num_users, num_factors)
        self.Q = nn.Embedding(num_items, num_factors)
        self.user_bias = nn.Embedding(num_users, 1)
        self.item_bias = nn.Embedding(num_items, 1)
        self.register_buffer("global_mean", torch.tensor(float(global_mean)))
        for table in self.parameters():
            nn.init.normal_(table, std=init_std)

    def forward(self, user_id, item_id):
        """Predict ratings, float32 (batch,), from ids counted from 0, both int64 (batch,)."""
        P_u = self.P(user_id)  # (batch, k)
        Q_i = self.Q(item_id)  # (batch, k)
        b_u = self.user_bias(user_id)  # (batch, 1)
        b_i = self.item_bias(item_id)  # (batch, 1)
        return self.global_mean + (b_u + b_i).flatten() + (P_u * Q_i).sum(dim=1)

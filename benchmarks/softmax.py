"""MF trained by a softmax over all items, for the page dot-product and the benchmarks.

The model is d2lrec's `MF`; an example is a user with all of their interactions, and the
loss the negative log-likelihood of these under a softmax over all items.
"""

import torch

from d2lrec import MF, train


class SoftmaxMF(MF):
    """MF that scores all items for each user where no items are given.

    User bias and global mean move all scores of a user alike, which a softmax does not
    see, so they are left out where all items are scored.
    """

    def forward(self, user_id, item_id=None):
        """Score pairs as `MF` does, or all items: float32 (batch, num_items)."""
        if item_id is not None:
            return super().forward(user_id, item_id)  # (batch,)
        dots = self.P(user_id) @ self.Q.weight.T  # (batch, num_items)
        return dots + self.item_bias.weight.T


class UserBatches:
    """Batches (users, None, interactions) of a table of interactions, in random order.

    Takes R, float32 (num_users, num_items) of 0 and 1. In a batch, the users are int64
    (batch,) and the interactions are their rows of R; None stands for all items. Each
    pass draws a new order from the global generator.
    """

    def __init__(self, R, batch_size=256):
        self.R, self.batch_size = R, batch_size

    def __iter__(self):
        order = torch.randperm(len(self.R)).to(self.R.device)  # (num_users,)
        for users in order.split(self.batch_size):
            yield users, None, self.R[users]


def softmax_loss(scores, R_u):
    """Return the mean over all interactions of -log softmax, a scalar tensor.

    Takes scores and interactions, both float32 (batch, num_items).
    """
    return -(R_u * scores.log_softmax(dim=1)).sum() / R_u.sum()


def train_softmax(R, weight_decay, num_epochs=20, num_factors=64, seed=0, **options):
    """Train a `SoftmaxMF` on a table of interactions with Adam.

    Args:
        R: float32 (num_users, num_items) of 0 and 1, as `interaction_matrix` gives it.
        seed: of the initialization and of the order of the users.
        options: for `train`, which shows no bar.
    Returns:
        The model, on the device of R, after the last epoch.
    """
    torch.manual_seed(seed)
    model = SoftmaxMF(num_factors, *R.shape).to(R.device)
    adam = torch.optim.Adam(
        model.parameters(), lr=0.01, weight_decay=weight_decay, fused=True
    )
    batches = UserBatches(R)
    train(model, batches, softmax_loss, adam, num_epochs, progress=False, **options)
    return model

"""Dot products side by side, for the page dot-product and `make ncf`.

The sum of two dot products is one: put the factors of both models next to each other.
So several models can be one `MF`. Beside ALS and softmax there are two more kinds, a
table of scores that is brought to few factors, and a linear autoencoder.
"""

import itertools

import torch
from softmax import UserBatches, softmax_loss
from torch import nn

from d2lrec import MF, ndcg, rank_held_out, train


class LinearAutoencoder(nn.Module):
    """MF whose user factors are computed: the sum of the vectors of the user's items.

    Of the interactions R, float32 (num_users, num_items), each row is brought to length
    1. In training, every interaction is left out with a probability of 1/2, so that an
    item has to be predicted from others (Liang et al. 2018, without hidden layers).
    """

    def __init__(self, num_factors, R):
        super().__init__()
        self.X = nn.functional.normalize(R)  # (num_users, num_items)
        self.W = nn.Parameter(0.05 * torch.randn(R.shape[1], num_factors))
        self.Q = nn.Parameter(0.05 * torch.randn(R.shape[1], num_factors))
        self.b = nn.Parameter(torch.zeros(R.shape[1]))

    def forward(self, user_id, item_id=None):
        """Score all items for users, int64 (batch,): float32 (batch, num_items)."""
        kept = nn.functional.dropout(self.X[user_id], 0.5, self.training)
        return kept @ self.W @ self.Q.T + self.b


def train_autoencoder(R, num_factors=256, num_epochs=20, seed=0, **options):
    """Train a `LinearAutoencoder` with the softmax loss, and return it as an `MF`.

    Args:
        R: float32 (num_users, num_items) of 0 and 1, as `interaction_matrix` gives it.
        seed: of the initialization, the order of the users, and what is left out.
        options: for `train`, which shows no bar.
    """
    torch.manual_seed(seed)
    autoencoder = LinearAutoencoder(num_factors, R).to(R.device)
    adam = torch.optim.Adam(
        autoencoder.parameters(), lr=0.003, weight_decay=1e-5, fused=True
    )
    batches = UserBatches(R)
    train(
        autoencoder, batches, softmax_loss, adam, num_epochs, progress=False, **options
    )
    with torch.inference_mode():
        P = autoencoder.X @ autoencoder.W  # (num_users, k)
        return as_mf(P, autoencoder.Q, autoencoder.b)


@torch.no_grad()
def as_mf(P, Q, item_bias=None):
    """An `MF` without biases that scores by P . Q_i, plus the bias of the item.

    P is (num_users, k), Q (num_items, k). A bias (num_items,) becomes a factor, beside
    which each user has a 1.
    """
    if item_bias is not None:
        P = torch.cat([P, torch.ones_like(P[:, :1])], dim=1)  # (num_users, k + 1)
        Q = torch.cat([Q, item_bias.reshape(-1, 1)], dim=1)  # (num_items, k + 1)
    model = MF(P.shape[1], len(P), len(Q), biases=False).to(P.device)
    model.P.weight.copy_(P)
    model.Q.weight.copy_(Q)
    return model


def low_rank(scores, num_factors, seed=0):
    """The `MF` with k factors that is closest to scores (num_users, num_items)."""
    torch.manual_seed(seed)  # svd_lowrank begins with random directions
    U, S, V = torch.svd_lowrank(scores, num_factors + 50, niter=4)
    return as_mf(U[:, :num_factors] * S[:num_factors], V[:, :num_factors])


@torch.no_grad()
def side_by_side(models, weights):
    """One `MF` whose score is the weighted sum of those of models without biases.

    Scores differ in scale from model to model, so each is first divided by the standard
    deviation of its scores.
    """
    P = [
        weight / spread_of(model) * model.P.weight
        for model, weight in zip(models, weights, strict=True)
    ]
    return as_mf(torch.cat(P, dim=1), torch.cat([m.Q.weight for m in models], dim=1))


@torch.no_grad()
def spread_of(model):
    """The standard deviation of all scores of an `MF` without biases, a scalar."""
    return (model.P.weight @ model.Q.weight.T).std()


def weights_in_tenths(num_models):
    """All lists of weights 0, 0.1 ... 1 that sum to 1."""
    tenths = itertools.product(range(11), repeat=num_models)
    return [[x / 10 for x in weights] for weights in tenths if sum(weights) == 10]


def best_weights(models, draws):
    """The weights of `weights_in_tenths` that rank held-out items with the best NDCG.

    Takes models without biases, and candidates (num_users, n) as `evaluate_ranking`
    does, a list of several draws of the negatives: the mean NDCG over them counts, so
    that the choice does not hang on one. Returns a list of weights for `side_by_side`.
    """
    with torch.no_grad():
        tables = [model.P.weight @ model.Q.weight.T for model in models]
        tables = [table / table.std() for table in tables]  # (num_users, num_items)
        scores = [torch.stack([table.gather(1, c) for table in tables]) for c in draws]

    def quality(weights):
        mixed = [torch.tensordot(s.new_tensor(weights), s, dims=1) for s in scores]
        pairs = zip(mixed, draws, strict=True)
        return sum(ndcg(rank_held_out(*pair)) for pair in pairs)

    return max(weights_in_tenths(len(models)), key=quality)

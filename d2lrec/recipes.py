"""Training in one call: batches, a loss and Adam, as most pages put them together."""

import torch
from torch import nn

from .data.batches import ImplicitIterator, try_gpu
from .data.movielens import load_batches
from .models import MF
from .training import train


def train_mf(data, num_users, num_items, num_epochs, *, num_factors=30, lr=0.003,
             weight_decay=3e-4, batch_size=1024, seed=0, **options):  # fmt: skip
    """Train an `MF` on a table of ratings, with Adam and the mean squared error.

    The model's global mean is that of the ratings.

    Args:
        data, num_users, num_items: as `load_data_ml100k` takes them.
        num_factors: k, the length of the vectors P_u and Q_i.
        lr, weight_decay: of Adam.
        seed: of the parameters at the start, and of the order of the batches.
        options: for `train`, such as `evaluate` and `progress`.
    Returns:
        model: on `try_gpu()`, with the state of the last epoch.
        history: what `train` returns.
    Raises:
        ValueError: as `load_data_ml100k`, `MF` and `train` do.
        FloatingPointError: as `train` does.
    """
    train_iter = load_batches(data, num_users, num_items, batch_size, seed=seed)
    mean = train_iter.ratings.cpu().double().mean().item()  # of (n,)
    torch.manual_seed(seed)
    model = MF(num_factors, num_users, num_items, global_mean=mean).to(try_gpu())
    params = model.parameters()
    adam = torch.optim.Adam(params, lr, weight_decay=weight_decay, fused=True)
    return model, train(model, train_iter, nn.MSELoss(), adam, num_epochs, **options)


def train_implicit(model, users, items, num_epochs, *, num_negatives=4, lr=0.001,
                   weight_decay=0.0, batch_size=256, seed=0, **options):  # fmt: skip
    """Train a model on interactions and sampled negatives, with Adam and cross-entropy.

    The defaults are NCF's settings (He et al. 2017, section 4.1).

    Args:
        model: with tables P and Q, as `MF` and `GMF`; its scores are logits. It is
            moved to `try_gpu()`. Parameters with `requires_grad=False` stay as they
            are.
        users, items: the interactions, int64 (n,) each, counted from 0.
        num_negatives: negatives drawn for each interaction, anew in each epoch.
        lr, weight_decay: of Adam.
        seed: of the negatives and of the order of the batches.
        options: for `train`, such as `evaluate` and `progress`.
    Returns the history, as `train` does, and raises what `ImplicitIterator` and `train`
    raise.
    """
    model.to(try_gpu())
    sizes = model.P.num_embeddings, model.Q.num_embeddings
    train_iter = ImplicitIterator(
        users, items, *sizes, batch_size, num_negatives=num_negatives, seed=seed
    )
    learned = [table for table in model.parameters() if table.requires_grad]
    adam = torch.optim.Adam(learned, lr, weight_decay=weight_decay, fused=True)
    return train(model, train_iter, nn.BCEWithLogitsLoss(), adam, num_epochs, **options)

"""Using a trained model: one predicted rating, and a user's best films."""

from collections.abc import Set

import numpy as np
import torch

from .arguments import as_ids, as_integer
from .data.tables import check_columns, plain_ids
from .models import in_mode


@torch.inference_mode()
def score_items(model, user_id):
    """Predict the ratings of all items by a user (from 0): float32 (num_items,), on the CPU."""
    user = as_ids("user_id", user_id, model.P.num_embeddings, dim=0).item()
    items = torch.arange(
        model.Q.num_embeddings, device=model.Q.weight.device
    )  # (num_items,)
    with in_mode(model, training=False):
        scores = model(torch.full_like(items, user), items).cpu()  # (num_items,)
    if scores.isnan().any():
        raise ValueError(
            f"the model predicts NaN for user {user}: has its training diverged?"
        )
    return scores


def predict(model, user_id, item_id):
    """Predict the rating of an item by a user, both counted from 0: a float.

    Raises ValueError for a user or an item that the model does not have, or if it
    predicts NaN.
    """
    scores = score_items(model, user_id)  # (num_items,)
    return scores[as_ids("item_id", item_id, len(scores), dim=0)].item()


def recommend(model, user_id, films, seen, num_films=10):
    """List the films with the highest predicted ratings that a user has not seen.

    Args:
        user_id: counted from 0.
        films: DataFrame with a row for each item of the model, in any order; its
            item_id is one more than the model's number for it, as in what
            `read_films_ml100k` gives.
        seen: the items to leave out, counted from 0.
    Returns:
        DataFrame of at most `num_films` rows of `films`, best first, with their
        `prediction`.
    Raises:
        ValueError: a user or an item that the model does not have, a table without each
            of its items once, a model that predicts NaN, or `num_films` below 1.
    """
    scores = score_items(model, user_id)  # (num_items,)
    seen = as_ids("seen", list(seen) if isinstance(seen, Set) else seen, len(scores))
    check_columns("films", films, ["item_id"])
    items = plain_ids(films.item_id, len(scores)) - 1  # (len(films),)
    if not len(films) == len(np.unique(items)) == len(scores):
        raise ValueError(
            f"films must have each item_id from 1 to {len(scores)}, the model's items, once; it "
            f"has {len(films)} rows with {len(np.unique(items))} of them"
        )
    table = films.assign(prediction=scores.numpy()[items])
    unseen = table[~np.isin(items, seen.cpu().numpy())]
    return unseen.nlargest(as_integer("num_films", num_films, 1), "prediction")

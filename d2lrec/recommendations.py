"""Using a trained model: one predicted rating, and a user's best films."""

from collections.abc import Set

import numpy as np
import torch

from .arguments import as_ids, as_integer
from .data.tables import check_columns, plain_ids
from .models import device_of, in_mode


@torch.inference_mode()
def score_items(model, user_id):
    """Predict a user's ratings of all items: float32 (num_items,), on the CPU."""
    user = as_ids("user_id", user_id, model.P.num_embeddings, dim=0).item()
    num_items, device = model.Q.num_embeddings, device_of(model)
    items = torch.arange(num_items, device=device)  # (num_items,)
    with in_mode(model, training=False):
        predictions = model(torch.full_like(items, user), items).cpu()  # (num_items,)
    if predictions.isnan().any():
        raise ValueError(f"the model predicts NaN for user {user}: has it diverged?")
    return predictions


def predict(model, user_id, item_id):
    """Predict the rating of an item by a user, both counted from 0: a float.

    Raises ValueError for a user or an item that the model does not have, or if it
    predicts NaN.
    """
    predictions = score_items(model, user_id)  # (num_items,)
    item = as_ids("item_id", item_id, len(predictions), dim=0).item()
    return predictions[item].item()


def recommend(model, user_id, films, seen, num_films=10):
    """List the films with the highest predicted ratings that a user has not seen.

    Args:
        model: with tables P and Q, on any device.
        user_id: counted from 0.
        films: DataFrame with a row for each item of the model, in any order; its
            item_id is one more than the model's number for it, as in what
            `read_films_ml100k` gives.
        seen: the items to leave out, counted from 0: a sequence, set, array, Series or
            tensor on any device.
    Returns:
        DataFrame of at most `num_films` rows of `films`, best first, with their
        `prediction`.
    Raises:
        ValueError: a user or an item that the model does not have, a table without each
            of its items once, a model that predicts NaN, or `num_films` below 1.
    """
    predictions = score_items(model, user_id)  # (num_items,)
    n = len(predictions)
    seen = as_ids("seen", list(seen) if isinstance(seen, Set) else seen, n).cpu()
    check_columns("films", films, ["item_id"])
    items = plain_ids(films.item_id, n) - 1  # (len(films),)
    if not len(films) == len(np.unique(items)) == n:
        rows = f"{len(films)} rows with {len(np.unique(items))} of them"
        raise ValueError(f"films must have each item_id from 1 to {n} once, got {rows}")
    table = films.assign(prediction=predictions.numpy()[items])
    unseen = table[~np.isin(items, seen.numpy())]
    return unseen.nlargest(as_integer("num_films", num_films, 1), "prediction")

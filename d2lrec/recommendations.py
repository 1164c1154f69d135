"""Using a trained model: one predicted rating, and a user's best films."""

import torch


@torch.inference_mode()
def score_items(model, user_id):
    """Predict the ratings of all items by a user (from 0): float32 (num_items,), on the CPU."""
    num_users, num_items = model.P.num_embeddings, model.Q.num_embeddings
    if not 0 <= user_id < num_users:
        raise ValueError(f"user_id must be from 0 to {num_users - 1}, got {user_id}")
    items = torch.arange(num_items, device=model.Q.weight.device)  # (num_items,)
    users = torch.full_like(items, user_id)  # (num_items,)
    return model(users, items).cpu()


def predict(model, user_id, item_id):
    """Predict the rating of an item by a user, both counted from 0: a float.

    Raises ValueError for a user or an item that the model does not have.
    """
    scores = score_items(model, user_id)  # (num_items,)
    if not 0 <= item_id < len(scores):
        raise ValueError(f"item_id must be from 0 to {len(scores) - 1}, got {item_id}")
    return scores[item_id].item()


def recommend(model, user_id, films, seen, num_films=10):
    """List the films with the highest predicted ratings that a user has not seen.

    Args:
        user_id: counted from 0.
        films: DataFrame with a row for each item of the model, as `read_films_ml100k` gives.
        seen: the items to leave out, counted from 0.
    Returns:
        DataFrame of at most `num_films` rows of `films`, best first, with their `prediction`.
    Raises:
        ValueError: an unknown user, or a model with more or fewer items than `films`.
    """
    scores = score_items(model, user_id)  # (num_items,)
    if len(films) != len(scores):
        raise ValueError(f"the model has {len(scores)} items, films has {len(films)} rows")
    table = films.assign(prediction=scores.numpy())
    unseen = table.drop(index=films.index[list(set(seen))])
    return unseen.nlargest(num_films, "prediction")

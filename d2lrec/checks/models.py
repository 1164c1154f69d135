"""Checks of what a trained model predicts, tried on models with known parameters."""

import pandas as pd
import torch

from ..data.batches import try_gpu
from .small_models import small_model, tried_on
from .verdict import as_doubles, differs, hint_for, kind_of, says_what_is_wrong


@says_what_is_wrong
def check_predict_film(predict_film):
    """Check `predict_film(model, item_id)`: predictions for all users, (num_users,)."""
    # Film 2, first, has others on both sides: on a GPU an id beyond a table ends the
    # session.
    cases = [(small_model(), item_id) for item_id in (2, 0, 6)]
    cases += [(small_model(3, 1, 4), 1), (small_model(1, 300, 5), 3)]
    for model, item_id in cases:
        on = f"for film {item_id} and {model.P.num_embeddings} users"
        found = tried_on(predict_film, model, item_id, on=on)
        if hint := wrong_in_film(found, model, item_id):
            return f"{on} {hint}"


def wrong_in_film(found, model, item_id):
    """Give the first hint that applies to what should be the predictions for a film."""
    num_users, num_items = model.P.num_embeddings, model.Q.num_embeddings
    if not isinstance(found, torch.Tensor) or found.shape != (num_users,):
        return f"return a tensor (num_users,), a number for each, not {kind_of(found)}."
    users = torch.arange(num_users, device=model.P.weight.device)  # (num_users,)
    films = {i: model(users, torch.full_like(users, i)) for i in range(num_items)}
    right = films[item_id]  # (num_users,)
    if not differs(found, right):
        return None
    mean, b_u = model.global_mean, model.user_bias.weight[:, 0]  # (), (num_users,)
    b_i = model.item_bias.weight[item_id]  # (1,)
    mistakes = [
        ("this is the dot product alone.", right - mean - b_u - b_i),
        ("the global mean is missing.", right - mean),
        ("the users' biases are missing.", right - b_u),
        ("the film's bias is missing.", right - b_i),
        ("this is the film before it: count from 0.", films.get(item_id - 1)),
        ("this is the film after it: count from 0.", films.get(item_id + 1)),
    ]
    return hint_for(found, mistakes) or "these are not the model's predictions."


# How far the ratings of a film are from the predictions, by user, in the table's order.
ERRORS = [
    {1: 2.0, 3: -3.0},
    {3: 2.0, 1: -1.5, 4: 3.0},
    {4: -1.0, 2: 2.5, 1: 0.5, 3: -0.2},
    {1: 0.3, 4: 0.25, 3: -0.2},  # user 4 gives more stars than user 1
    {2: -0.7},
    {user: (user * 37 % 101 - 50) / 20 for user in range(1, 90)},
]


@says_what_is_wrong
def check_furthest_off(furthest_off):
    """Check `furthest_off(model, ratings, item_id)`: the user predicted worst."""
    found = []
    for errors in ERRORS:
        on = f"for {described(errors)}"
        answer = tried_on(furthest_off, *table_with(errors), 2, on=on)
        number = as_doubles(answer)
        if number.numel() != 1:
            return (
                f"return the number of one user, nothing else, not {kind_of(answer)}."
            )
        found.append(number.item())
    furthest = [max(errors, key=lambda user: abs(errors[user])) for errors in ERRORS]
    return wrong_in_users(found, furthest) if differs(found, furthest) else None


def wrong_in_users(found, furthest):
    """Give the first hint that applies to wrong users, one for each of ERRORS."""
    pairs = zip(ERRORS, furthest, strict=True)
    sign = "the error may have either sign: 3 too high is further off than 2 too low."
    mistakes = [
        ("user_id counts from 1, the model from 0.", [user + 1 for user in furthest]),
        ("this is a place in the table.", [[*errors].index(u) for errors, u in pairs]),
        (sign, [min(errors, key=errors.get) for errors in ERRORS]),
        (sign, [max(errors, key=errors.get) for errors in ERRORS]),
    ]
    if hint := hint_for(found, mistakes):
        return hint
    for answer, errors, user in zip(found, ERRORS, furthest, strict=True):
        if answer != user:
            about = "rated it, too" if answer in errors else "has not rated the film"
            return f"for {described(errors)} it returns {answer:g}, who {about}."


def described(errors):
    if len(errors) > 4:
        return f"a film with {len(errors)} ratings"
    stars = ", ".join(f"{error:+g} for user {user}" for user, error in errors.items())
    return f"a film rated off its predictions by {stars}"


def table_with(errors):
    """A model, and ratings of several films, those of item 2 off by `errors`.

    The first and the last user and item stay free: counted wrongly, an id is still in
    the model.
    """
    model = small_model(num_users=max(errors) + 3)
    users = torch.arange(model.P.num_embeddings, device=try_gpu())  # (num_users,)
    predictions = model(users, torch.full_like(users, 2)).tolist()
    rows = [(user + 1, 3, predictions[user] + error) for user, error in errors.items()]
    rows.insert(1, (2, 2, 100.0))  # of other films
    rows += [(3, 4, -200.0), (2, 5, 90.0)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rating"])
    labels = [(7 * place + 3) % 1009 for place in range(len(rows))]  # as if shuffled
    return model, table.assign(timestamp=880000000).set_axis(labels)

"""Checks of what is predicted by a trained model, tried on some with known parameters."""

import pandas as pd
import torch

from ..data.batches import try_gpu
from ..models import MF
from .verdict import (
    NotYetError,
    as_doubles,
    differs,
    kind_of,
    says_what_is_wrong,
    tried,
)


def small_model(num_factors=2, num_users=6, num_items=7):
    """An MF on the reader's device whose parameters all differ."""
    model = MF(num_factors, num_users, num_items, global_mean=3.2)
    with torch.no_grad():
        for part, table in enumerate(model.parameters()):
            numbers = torch.arange(1, table.numel() + 1) * (1.7 + part)
            table.copy_(numbers.sin().view_as(table))
    return model.to(try_gpu())


def tried_on(function, model, *arguments, on):
    """As `tried`, with a model as the first argument; one that is changed ends the check, too."""
    on = f"{on}, the model being on {try_gpu()},"
    before, devices = state_of(model)
    found = tried(function, model, *arguments, on=on)
    after, devices_now = state_of(model)
    if devices_now != devices or differs(after, before):
        raise NotYetError(
            f"{on} it changes the model, which shall stay as it is, and where it is."
        )
    return found


def state_of(model):
    state = [table.detach() for table in model.state_dict().values()]
    return torch.cat([as_doubles(table).flatten() for table in state]), {
        t.device for t in state
    }


@says_what_is_wrong
def check_predict_film(predict_film):
    """Check `predict_film(model, item_id)`: the predictions for all users, (num_users,)."""
    # The first film has others on both sides: on a GPU an id beyond a table ends the
    # session.
    cases = [(small_model(), 2), (small_model(), 0), (small_model(), 6)]
    cases += [(small_model(3, 1, 4), 1), (small_model(1, 300, 5), 3)]
    for model, item_id in cases:
        num_users = model.P.num_embeddings
        on = f"for film {item_id} and {num_users} users"
        found = tried_on(predict_film, model, item_id, on=on)
        if hint := wrong_in_film(found, model, item_id):
            return f"{on} {hint}"


def wrong_in_film(found, model, item_id):
    """Give the first hint that applies to what should be the predictions for one film."""
    num_users = model.P.num_embeddings
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != (num_users,):
        return f"return a tensor (num_users,), one number for each; this is {kind_of(found)}."
    device = model.P.weight.device
    users = torch.arange(num_users, device=device)  # (num_users,)
    right = model(users, torch.full_like(users, item_id))  # (num_users,)
    if not differs(found, right):
        return None
    terms = {
        "the global mean": model.global_mean,
        "the users' biases": model.user_bias.weight[:, 0],
        "the film's bias": model.item_bias.weight[item_id],
    }
    if not differs(found, right - sum(terms.values())):
        return "this is the dot product alone; the prediction has the mean and the biases too."
    for name, term in terms.items():
        if not differs(found, right - term):
            return f"the prediction lacks {name}."
    for other, where in ((item_id - 1, "before"), (item_id + 1, "after")):
        inside = 0 <= other < model.Q.num_embeddings
        if inside and not differs(found, model(users, torch.full_like(users, other))):
            return f"these are the predictions for the film {where} it: the model counts from 0."
    return "these are not the model's predictions for all users and this one film."


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
    """Check `furthest_off(model, ratings, item_id)`: the user whose prediction is worst."""
    found = []
    for errors in ERRORS:
        answer = tried_on(
            furthest_off, *table_with(errors), 2, on=f"for {described(errors)}"
        )
        number = as_doubles(answer)
        if number.numel() != 1:
            return f"return the number of one user, and nothing else; this is {kind_of(answer)}."
        found.append(number.item())
    furthest = [max(errors, key=lambda user: abs(errors[user])) for errors in ERRORS]
    if not differs(found, furthest):
        return None
    if not differs(found, [user + 1 for user in furthest]):
        return "user_id in the table counts from 1, the model from 0: return the model's number."
    if not differs(
        found, [[*e].index(user) for e, user in zip(ERRORS, furthest, strict=True)]
    ):
        return "this is a place among the ratings of the film; return the user who is there."
    ends = [[end(errors, key=errors.get) for errors in ERRORS] for end in (min, max)]
    if not differs(found, ends[0]) or not differs(found, ends[1]):
        return "the error may have either sign: 3 stars too high is further off than 2 too low."
    for answer, errors, user in zip(found, ERRORS, furthest, strict=True):
        if answer != user and answer in errors:
            return f"for {described(errors)} it returns user {answer:g}."
        if answer != user:
            return f"for {described(errors)} it returns {answer:g}, who has not rated the film."


def described(errors):
    if len(errors) > 4:
        return f"a film with {len(errors)} ratings"
    stars = ", ".join(f"{error:+g} for user {user}" for user, error in errors.items())
    return f"a film rated off its predictions by {stars}"


def table_with(errors):
    """A model, and ratings of several films in which those of item 2 differ by
    `errors`.

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
    labels = [
        (7 * place + 3) % 1009 for place in range(len(table))
    ]  # as a shuffled part has them
    return model, table.assign(timestamp=880000000).set_axis(labels)

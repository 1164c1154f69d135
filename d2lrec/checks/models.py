"""Checks of what is done with a trained model, tried on one with known parameters."""

import pandas as pd
import torch
from torch import nn

from ..models import MF
from .verdict import as_doubles, differs, says_what_is_wrong


def small_model():
    """An MF with 3 users and 4 items whose parameters all differ."""
    model = MF(2, 3, 4, global_mean=3.0)
    with torch.no_grad():
        for part, table in enumerate(model.parameters()):
            table.copy_(torch.linspace(-1, 1, table.numel()).sin().view_as(table) * (part + 1))
    return model


@says_what_is_wrong
def check_predict_film(predict_film):
    """Check `predict_film(model, item_id)`: the predictions for all users, (num_users,)."""
    model, users = small_model(), torch.arange(3)
    found = predict_film(model, 1)
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != (3,):
        return "the small model has 3 users: return a tensor (num_users,), one number for each."
    if not differs(found, model.P.weight @ model.Q.weight[1]):
        return "this is the dot product alone; the prediction has the mean and the biases too."
    if not differs(found, model(users, torch.full_like(users, 0))):
        return "this is the film before it: the model counts items from 0."
    if differs(found, model(users, torch.full_like(users, 1))):
        return "these are not the model's predictions for all users and this one film."


@says_what_is_wrong
def check_furthest_off(furthest_off):
    """Check `furthest_off(model, ratings, item_id)`: the user whose prediction is worst."""
    found = [try_errors(furthest_off, errors) for errors in ({0: 2.0, 2: -3.0}, {0: 3.0, 2: -2.0})]
    if not differs(found, [2, 0]):
        return None
    if not differs(found, [3, 1]):
        return "user_id in the table counts from 1, the model from 0: return the model's number."
    if not differs(found, [1, 0]):
        return "this is a place among the ratings of the film; return the user who is there."
    if not differs(found, [0, 0]) or not differs(found, [2, 2]):
        return "the error may have either sign: 3 stars too high is further off than 2 too low."
    return (
        f"of three users, where user 2 is furthest off, it returns {found[0]}, and where user 0 "
        f"is, {found[1]}; only users who have rated this very film have an error."
    )


def try_errors(furthest_off, errors):
    """Ask for the user furthest off, of those whose ratings differ by `errors` from item 2's."""
    model, users = small_model(), torch.arange(3)
    predictions = model(users, torch.full_like(users, 2)).tolist()
    rows = [(1, 1, 100.0), (2, 1, -200.0)]  # of another film
    rows += [(user + 1, 3, predictions[user] + error) for user, error in errors.items()]
    return furthest_off(model, pd.DataFrame(rows, columns=["user_id", "item_id", "rating"]), 2)


@says_what_is_wrong
def check_fold_in(fold_in):
    """Check `fold_in(model, items, ratings, weight)`: the new user's P_u (k,) and b_u ()."""
    model = small_model()
    items, ratings, weight = torch.tensor([0, 2, 3]), torch.tensor([5.0, 1.0, 4.0]), 0.5
    found = fold_in(model, items, ratings, weight)
    parts = [as_doubles(x) for x in found] if isinstance(found, tuple | list) else []
    if [tuple(part.shape) for part in parts] != [(2,), ()]:
        return "return two tensors: P_u (k,) and b_u ()."
    found = torch.cat([parts[0], parts[1][None]])  # (k + 1,)
    design = torch.cat([model.Q.weight[items], torch.ones(3, 1)], dim=1).detach()  # (3, k + 1)
    b_i = model.item_bias.weight.detach()[items, 0]  # (3,)

    def solution(target, weights):
        return torch.linalg.solve(design.T @ design + torch.diag(weights), design.T @ target)

    same, all_but_bias = torch.full((3,), weight), torch.tensor([weight, weight, 0.0])
    if not differs(found, solution(ratings - 3 - b_i, same)):
        return None
    if not differs(found, solution(ratings - 3, same)):
        return "the film's bias explains a part of the rating: take it off first."
    if not differs(found, solution(ratings - b_i, same)):
        return "the global mean explains a part of the rating: take it off first."
    if not differs(found, solution(ratings, same)):
        return "the mean and the films' biases explain a part of the ratings: take them off first."
    if not differs(found, solution(ratings - 3 - b_i, all_but_bias)):
        return "the penalty is on b_u too."
    return "the sum of squared errors plus weight times (|P_u|^2 + b_u^2) can be made smaller."


@says_what_is_wrong
def check_fixed_h(model):
    """Check a GMF, trained, whose h has been fixed at 1 and whose c at 0."""
    if not isinstance(getattr(model, "h", None), nn.Linear) or not hasattr(model, "P"):
        return "give the trained GMF, which has the layer h."
    if differs(model.h.weight, torch.ones_like(model.h.weight, device="cpu")):
        return "h is not 1: is it set before training, and kept from the optimizer's steps?"
    if model.h.bias is not None and differs(model.h.bias, torch.zeros(1)):
        return "the constant c, the bias of h, has been learned: fix it too."
    if model.P.weight.std() < 0.02:
        return "the factors are as small as on the first day: train them."

"""The check of a GMF with fixed weights, which it trains itself."""

import torch
from torch import nn

from ..data.batches import try_gpu
from .verdict import as_doubles, differs, kind_of, says_what_is_wrong, tried


@says_what_is_wrong
def check_fixed_h(with_fixed_h):
    """Check `with_fixed_h(num_factors)`: a new GMF whose h stays 1 and c 0."""
    if isinstance(with_fixed_h, nn.Module):
        return "give the function that makes the model: the check trains one itself."
    for num_factors in (8, 3):
        on = f"for {num_factors} factors"
        model = tried(with_fixed_h, num_factors, on=on)
        if hint := not_a_new_gmf(model, num_factors):
            return f"{on} {hint}"
        if hint := wrong_after_training(model.to(try_gpu())):
            return hint


def not_a_new_gmf(model, num_factors):
    """Say why this is no model that can be trained from the start."""
    tables = [getattr(model, name, None) for name in ("P", "Q")]
    if not all(isinstance(table, nn.Embedding) for table in tables):
        return f"it returns {kind_of(model)}: return a GMF, with the tables P and Q."
    sizes = [table.embedding_dim for table in tables]
    if sizes != [num_factors, num_factors]:
        return f"the model's P and Q have {sizes} columns."
    if max(table.weight.abs().max() for table in tables) > 0.1:  # 10 times GMF's std
        return "the model has been trained before: return a new one."


def wrong_after_training(model):
    """Take a few steps as the exercise does, and give the first hint that applies."""
    learned = [table for table in model.parameters() if table.requires_grad]
    if not learned:
        return "nothing is left to learn: h and c are to be held, P and Q not."
    P, Q, h, c = parameters_of(model)
    tried(take_steps, model, learned, on="when the model is trained,")
    P_now, Q_now, h_now, c_now = parameters_of(model)
    if not differs(P, P_now) or not differs(Q, Q_now):
        return "P and Q are to be learned: only h and c are held."
    users, items, _ = batch_for(model)
    dot = (model.P(users) * model.Q(items)).sum(dim=1)  # (batch,)
    if not differs(model(users, items), dot):
        return None  # h is 1 and c is 0, wherever they are kept
    if differs(h_now, h):
        return "h is changed by training: keep it from the optimizer's steps."
    if differs(c_now, c):
        return "the constant c, the bias of h, is changed by training: hold it too."
    if differs(h, torch.ones_like(h)):
        return "h is held, but it is not 1."
    if differs(c, torch.zeros_like(c)):
        return "the constant c, the bias of h, is held, but it is not 0."
    return "the scores are not those of h = 1 and c = 0, the dot products P_u . Q_i."


def take_steps(model, learned):
    users, items, label = batch_for(model)
    optimizer = torch.optim.Adam(learned, lr=0.1)
    for _ in range(5):
        batch_loss = nn.BCEWithLogitsLoss()(model(users, items), label)  # ()
        optimizer.zero_grad()
        batch_loss.backward()
        optimizer.step()
    return True  # `tried` takes None for a forgotten return


def batch_for(model):
    """Users, items and labels, each (60,), on the reader's device."""
    n = torch.arange(60, device=try_gpu())  # (60,)
    return n % model.P.num_embeddings, n * 7 % model.Q.num_embeddings, n % 2 * 1.0


def parameters_of(model):
    """Copies of P, Q, h and c as they are now; h and c empty where there are none."""
    h = getattr(model, "h", None)
    tables = [model.P.weight, model.Q.weight]
    tables += [getattr(h, name, None) for name in ("weight", "bias")]
    return [as_doubles(table).clone() for table in tables]

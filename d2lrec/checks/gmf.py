"""The check of a GMF with fixed weights, which it trains itself."""

import torch
from torch import nn

from ..data.batches import try_gpu
from .verdict import as_doubles, differs, kind_of, says_what_is_wrong, tried


@says_what_is_wrong
def check_fixed_h(with_fixed_h):
    """Check `with_fixed_h(num_factors)`: a new GMF whose h is 1 and c 0, also after training."""
    if isinstance(with_fixed_h, nn.Module):
        return "give the function that makes the model, not a model: the check trains it itself."
    for num_factors in (8, 3):
        on = f"for {num_factors} factors"
        model = tried(with_fixed_h, num_factors, on=on)
        if hint := not_a_new_gmf(model, num_factors):
            return f"{on} {hint}"
        model.to(try_gpu())
        if hint := wrong_after_training(model):
            return hint


def not_a_new_gmf(model, num_factors):
    """Say why this is no model that can be trained from the start."""
    tables = [getattr(model, name, None) for name in ("P", "Q")]
    if not isinstance(model, nn.Module) or not all(
        isinstance(t, nn.Embedding) for t in tables
    ):
        return (
            f"it returns {kind_of(model)}: return a GMF, which has the tables P and Q."
        )
    if {table.embedding_dim for table in tables} != {num_factors}:
        return f"the model's P and Q have {[table.embedding_dim for table in tables]} columns."
    if (
        max(table.weight.detach().abs().max() for table in tables) > 0.1
    ):  # 10 times GMF's std
        return "the model has been trained before: return a new one, and let `fit` train it."


def wrong_after_training(model):
    """Take a few steps as the page's `fit` does, and give the first hint that applies."""
    learned = [table for table in model.parameters() if table.requires_grad]
    if not learned:
        return "nothing is left to learn: h and c are to be held, P and Q not."
    (P, Q), (h, c) = tables_of(model), weights_of(model)
    optimizer = torch.optim.Adam(learned, lr=0.1)
    tried(take_steps, model, optimizer, on="when the model is trained,")
    if not differs(P, tables_of(model)[0]) or not differs(Q, tables_of(model)[1]):
        return "P and Q are to be learned: only h and c are held."
    users, items, _ = batch_for(model)
    dot = (model.P(users) * model.Q(items)).sum(dim=1)  # (batch,)
    if not differs(model(users, items), dot):
        return None  # h is 1 and c is 0, wherever they are kept
    h_now, c_now = weights_of(model)
    if differs(h_now, h):
        return "h is changed by training: keep it from the optimizer's steps."
    if differs(c_now, c):
        return "the constant c, the bias of h, is changed by training: hold it too."
    if differs(h, torch.ones_like(h)):
        return "h is held, but it is not 1."
    if differs(c, torch.zeros_like(c)):
        return "the constant c, the bias of h, is held, but it is not 0."
    return (
        "the scores are not those of h = 1 and c = 0, the dot products of P_u and Q_i."
    )


def take_steps(model, optimizer):
    users, items, label = batch_for(model)
    for _ in range(5):
        batch_loss = nn.BCEWithLogitsLoss()(model(users, items), label)  # ()
        optimizer.zero_grad()
        batch_loss.backward()
        optimizer.step()
    return True


def batch_for(model):
    """Users, items and labels, each (60,), on the reader's device."""
    n = torch.arange(60, device=try_gpu())  # (60,)
    return n % model.P.num_embeddings, n * 7 % model.Q.num_embeddings, n % 2 * 1.0


def tables_of(model):
    return as_doubles(model.P.weight).clone(), as_doubles(model.Q.weight).clone()


def weights_of(model):
    """h and c as they are now, where the model has them."""
    h = getattr(model, "h", None)
    return [as_doubles(getattr(h, name, None)).clone() for name in ("weight", "bias")]

"""The book's models: GMF by rows, ALS and the softmax model on pairs, MF on ratings."""

import time

import torch
from softmax import train_softmax
from torch import nn

from d2lrec import (
    GMF,
    MF,
    BatchIterator,
    CatchUpAdam,
    ImplicitIterator,
    interaction_matrix,
    sparse_interaction_matrix,
    train,
    train_als,
    train_epoch_by_rows,
)

PORT_EPOCHS = 11  # after which a port of NCF's code printed 0.704 for MF


def pairs_of(data):
    """The interactions to train on: users, items, num_users, num_items."""
    users, items = torch.from_numpy(data["users"]), torch.from_numpy(data["items"])
    return users, items, data["num_users"], data["num_items"]


def gmf(data, seed, watch):
    """GMF at NCF's settings, with `CatchUpAdam`."""
    users, items, *sizes = pairs_of(data)
    torch.manual_seed(seed)
    model = GMF(32, *sizes)
    batches = ImplicitIterator(users, items, *sizes, 256, seed=seed, device="cpu")
    adam = CatchUpAdam(model, lr=0.001)
    note_compiling(adam, watch)

    def factors(model):  # with h folded into P; the constant c changes no ranking
        P, Q = model.P.weight * model.h.weight, model.Q.weight
        return {"P": P.detach().numpy(), "Q": Q.detach().numpy()}

    train(
        model,
        batches,
        nn.BCEWithLogitsLoss(),
        adam,
        PORT_EPOCHS,
        evaluate=watch.in_train(factors),
        train_epoch=train_epoch_by_rows,
        progress=False,
    )


def note_compiling(adam, watch):
    """Note the seconds of the first step with each size of a batch: it is compiled."""
    take_step, sizes = adam.take_step, set()

    def timed_step(model, loss, user_id, item_id, label):
        began = time.perf_counter()
        value = take_step(model, loss, user_id, item_id, label)
        if len(label) not in sizes:
            sizes.add(len(label))
            watch.seconds_compiling += time.perf_counter() - began
        return value

    adam.take_step = timed_step


def als(data, seed, watch, num_factors):
    """ALS with the penalty that the page dot-product chose."""
    R = sparse_interaction_matrix(*pairs_of(data))

    def evaluate(model):
        P, Q = model.P.weight.detach(), model.Q.weight.detach()
        watch.lap(lambda: {"P": P.numpy(), "Q": Q.numpy()})

    watch.start()
    train_als(R, num_factors, penalty=0.01, seed=seed, evaluate=evaluate)


def softmax_mf(data, seed, watch):
    """The softmax model with the weight decay that the page gmf chose."""

    def factors(model):  # a film's bias is one more factor, which for all users is 1
        P, Q = model.P.weight.detach(), model.Q.weight.detach()
        ones, bias = torch.ones(len(P), 1), model.item_bias.weight.detach()
        P, Q = torch.cat([P, ones], dim=1), torch.cat([Q, bias], dim=1)
        return {"P": P.numpy(), "Q": Q.numpy()}

    R = interaction_matrix(*pairs_of(data))
    train_softmax(R, weight_decay=1e-5, seed=seed, evaluate=watch.in_train(factors))


def mf(data, seed, watch, batch_size=1024, **settings):
    """MF with batches cut from tensors."""
    columns = [data[f"train_{name}"] for name in ("users", "items", "ratings")]
    batches = BatchIterator(*columns, batch_size, seed=seed, device="cpu")
    fit_mf(batches, data, seed, watch, **settings)


def fit_mf(
    batches, data, seed, watch, fused=True, lr=0.003, num_epochs=30, schedule=False
):
    """Train MF on any batches, as on the page mf unless told otherwise.

    With `schedule` the learning rate falls to 0 along half a cosine, as on mf-better.
    """
    users, items = (torch.from_numpy(data[f"test_{x}"]) for x in ("users", "items"))

    @torch.inference_mode()
    def predictions(model):
        return {"predictions": model(users, items).numpy()}

    torch.manual_seed(seed)
    mean = data["train_ratings"].mean()
    model = MF(30, data["num_users"], data["num_items"], global_mean=mean)
    adam = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=3e-4, fused=fused)
    if schedule:
        num_steps = num_epochs * len(batches)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, num_steps)
        adam.register_step_post_hook(lambda *_: cosine.step())
    evaluate = watch.in_train(predictions)
    train(
        model,
        batches,
        nn.MSELoss(),
        adam,
        num_epochs,
        evaluate=evaluate,
        progress=False,
    )

"""The models of the next film, and the stored runs of the page sequences."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import d2lrec
from d2lrec import MF, evaluate_full_ranking, hit_rate, load_histories, ndcg
from d2lrec.als import half_step

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import sequences

RESULTS = Path(d2lrec.__file__).parent / "results"
NUM_USERS, NUM_ITEMS = SIZES = [6, 20]
CLASSES = [make for make, _ in sequences.MODELS.values()]
each_model = pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)


def new_model(make, seed=0):
    torch.manual_seed(seed)
    return make(8, *SIZES, dropout=0.5).eval()


def some_histories(seed=0, length=5):
    """Users with 1, 1, 4, 7, 12 and no interactions, at times that are often equal."""
    generator = torch.Generator().manual_seed(seed)
    counts = [1, 1, 4, 7, 12]
    users = torch.arange(5).repeat_interleave(torch.tensor(counts))
    films = [torch.randperm(NUM_ITEMS, generator=generator)[:n] for n in counts]
    items, times = torch.cat(films), torch.randint(0, 4, (25,), generator=generator)
    return (users, items, times), load_histories(users, items, times, *SIZES, length)


@each_model
@pytest.mark.parametrize("batch", [1, 3])
def test_a_model_gives_one_finite_score_for_each_film(make, batch):
    _, histories = some_histories()
    scores = new_model(make)(histories.users[:batch], histories.before[:batch])
    assert scores.shape == (batch, NUM_ITEMS)
    assert scores.isfinite().all()


@each_model
def test_a_batch_scores_as_its_rows_do(make):
    _, (users, _, before, _) = some_histories()
    model = new_model(make)
    one_by_one = [model(u[None], b[None]) for u, b in zip(users, before, strict=True)]
    # The sums of a batch may be added in another order: some 1e-7 of scores below 1.
    torch.testing.assert_close(
        model(users, before), torch.cat(one_by_one), rtol=1e-4, atol=1e-5
    )


@each_model
def test_no_film_before_is_scored_and_padding_is_never_learned(make):
    model = new_model(make)
    user, before = torch.tensor([5]), torch.full((1, 5), NUM_ITEMS)
    scores = model.train()(user, before)
    nn_loss = torch.nn.functional.cross_entropy(scores, torch.tensor([3]))
    nn_loss.backward()
    assert scores.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.V.weight[NUM_ITEMS].eq(0).all()
    if model.V.weight.grad is not None:
        assert model.V.weight.grad[NUM_ITEMS].eq(0).all()


@each_model
def test_ids_beyond_the_tables_are_refused(make):
    model, before = new_model(make), torch.zeros(1, 5, dtype=torch.int64)
    with pytest.raises(IndexError):
        model(torch.tensor([NUM_USERS]), before)
    if make is not sequences.NextFilm:  # which reads no history
        with pytest.raises(IndexError):
            model(torch.tensor([0]), before + NUM_ITEMS + 1)


def test_without_a_history_the_means_ask_as_mf_does():
    none = torch.full((NUM_USERS, 5), NUM_ITEMS)
    everyone = torch.arange(NUM_USERS)
    for make in (sequences.LastFilm, sequences.LastFew, sequences.FadingFew):
        model = new_model(make)
        assert torch.equal(model.query(everyone, none), model.P(everyone))


def test_the_means_are_those_of_the_films_that_are_there():
    model, user = new_model(sequences.LastFew), torch.tensor([2])
    before = torch.tensor([[NUM_ITEMS, NUM_ITEMS, 4, 7, 1]])
    V = model.V.weight
    torch.testing.assert_close(
        model.query(user, before)[0], model.P.weight[2] + V[[4, 7, 1]].mean(dim=0)
    )
    model = new_model(sequences.FadingFew)
    V = model.V.weight
    mean = (0.36 * V[4] + 0.6 * V[7] + V[1]) / 1.96
    torch.testing.assert_close(model.query(user, before)[0], model.P.weight[2] + mean)


def test_attention_gives_nothing_to_padding():
    model, user = new_model(sequences.SelfAttention), torch.tensor([0])
    short = torch.tensor([[NUM_ITEMS, NUM_ITEMS, NUM_ITEMS, 4, 7]])
    before = model.query(user, short)
    with torch.no_grad():
        model.place[-5:-2] += 1.0  # where the padding stands
    assert torch.equal(model.query(user, short), before)


def test_ranks_are_those_of_the_full_ranking():
    (users, items, _), histories = some_histories()
    torch.manual_seed(0)
    model = MF(4, *SIZES)
    held_out = torch.tensor(  # of each user, a film that is not in the history
        [min({*range(NUM_ITEMS)} - {*items[users == u].tolist()}) for u in range(6)]
    )
    everyone = torch.arange(NUM_USERS).unsqueeze(1)
    with torch.no_grad():
        scores = model(everyone, torch.arange(NUM_ITEMS))
    ranks = sequences.ranks_of(scores, histories, held_out)
    expected = evaluate_full_ranking(model, held_out, users, items, NUM_ITEMS)
    assert hit_rate(ranks) == expected["hit_rate"]
    assert ndcg(ranks) == expected["ndcg"]
    equal = sequences.ranks_of(torch.zeros(*SIZES), histories, held_out)
    unseen = NUM_ITEMS - torch.bincount(users, minlength=NUM_USERS)
    assert equal.better.eq(0).all()
    assert torch.equal(equal.tied, unseen - 1)


def test_the_latest_is_held_out_and_users_with_one_film_are_refused():
    users, items = torch.tensor([0, 0, 1, 1]), torch.tensor([3, 4, 4, 5])
    items_of_all = torch.arange(150)
    times = torch.tensor([7.0, 7.0, 1.0, 2.0])
    num_items = len(items_of_all)
    rest, candidates = sequences.hold_out_latest(users, items, times, num_items)
    assert candidates[:, 0].tolist() == [3, 5]  # of equal times the first in the file
    assert [column.tolist() for column in rest] == [[0, 1], [4, 4], [7.0, 1.0]]
    last = load_histories(users, items, times, 2, num_items, 1).latest[:, 0]
    assert torch.equal(last, candidates[:, 0])
    rest, _ = sequences.hold_out_latest(*rest, num_items)
    assert len(rest[0]) == 0  # a user with one film has nothing left
    with pytest.raises(ValueError, match="need interactions with a time each"):
        sequences.hold_out_latest(*rest, num_items)
    with pytest.raises(ValueError, match="no NaN"):
        sequences.hold_out_latest(users, items, times * torch.nan, num_items)


def test_what_follows_is_counted():
    users = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    items = torch.tensor([1, 2, 3, 1, 2, 1, 3, 1])
    histories = load_histories(users, items, torch.arange(8), 5, 4, 1)
    scores = sequences.follows(histories, [5, 4])
    assert scores[3].argsort(descending=True)[:2].tolist() == [2, 3]  # twice, once
    assert scores[4].argmax() == 1  # of no film known: the most popular
    assert scores[4].max() < 1


def test_shuffling_keeps_what_it_should():
    part, histories = some_histories()
    of_each_user = [sorted(histories.items[histories.users == u]) for u in range(5)]
    for equal_times_only in (False, True):
        changed = False
        for seed in range(5):
            mixed = sequences.shuffled(part, seed, equal_times_only)
            again = load_histories(*mixed, *SIZES, 5)
            assert torch.equal(again.users, histories.users)
            same = [sorted(again.items[again.users == u]) for u in range(5)]
            assert same == of_each_user
            changed |= not torch.equal(again.items, histories.items)
            if equal_times_only:
                time_of = {
                    (u, i): t
                    for u, i, t in zip(*(x.tolist() for x in part), strict=True)
                }
                rows = zip(again.users.tolist(), again.items.tolist(), strict=True)
                times = torch.tensor([time_of[pair] for pair in rows])
                steps = times.diff()[again.users.diff() == 0]
                assert (steps >= 0).all()
        assert changed


def test_shuffling_within_keeps_the_films_and_the_padding_in_front():
    _, histories = some_histories()
    mixed = sequences.shuffled_within(histories.before, NUM_ITEMS)
    assert torch.equal(mixed.sort(dim=1).values, histories.before.sort(dim=1).values)
    none = histories.before == NUM_ITEMS
    assert torch.equal(mixed == NUM_ITEMS, none)
    assert not torch.equal(mixed, histories.before)


def test_controls_change_the_histories_and_not_what_comes_next():
    part, histories = some_histories()
    for name in sequences.CONTROLS:
        found = sequences.control(name, part, SIZES, 5)
        assert found.before.shape == histories.before.shape
        assert found.latest.shape == histories.latest.shape
        if name != "all shuffled" and name != "equal times shuffled":
            assert torch.equal(found.items, histories.items)
    assert torch.equal(
        sequences.control("as it is", part, SIZES, 5).before, histories.before
    )
    cut = sequences.control("last film left out", part, SIZES, 5)
    assert torch.equal(cut.before[:, 1:], histories.before[:, :-1])


def test_the_latest_film_counts_most_and_steps_find_the_solution():
    _, histories = some_histories()
    sparse = sequences.fading_interactions(histories, SIZES, 5)
    W = sparse.to_dense()
    assert W[5].eq(0).all()  # a user without films
    assert W[4].count_nonzero() == 12
    assert W[4].argmax() == histories.latest[4, -1]
    torch.manual_seed(0)
    P, Q = torch.randn(NUM_USERS, 3), torch.randn(NUM_ITEMS, 3)
    found = sequences.solved_again(P, Q, sparse, 0.01)
    for user in range(NUM_USERS):
        c = 1 + 5 * W[user]
        A = Q.T @ (c[:, None] * Q) + 0.01 * c.sum() * torch.eye(3)
        solution = torch.linalg.solve(A, 6 * W[user] @ Q)
        # Fifteen steps for three unknowns: what is left is rounding, below 1e-6.
        torch.testing.assert_close(found[user], solution, rtol=1e-3, atol=1e-4)
    assert not torch.equal(half_step(P, Q, sparse, 5, 0.01), P)


@each_model
def test_training_lowers_the_loss(make):
    _, histories = some_histories()
    _, history = sequences.train_next(make, SIZES, histories, 30, dropout=0.0)
    # It begins at log(20) = 3.0; 30 steps of Adam bring all models below 2.9.
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[1] - 0.1


def test_batches_have_each_example_once_in_a_new_order():
    _, histories = some_histories()
    batches = sequences.HistoryBatches(histories, batch_size=10)
    torch.manual_seed(0)
    passes = [[torch.cat(column) for column in zip(*batches, strict=True)] * 1
              for _ in range(2)]  # fmt: skip
    for users, before, items in passes:
        rows = {(u, i, *b) for u, i, b in zip(
            users.tolist(), items.tolist(), before.tolist(), strict=True)}  # fmt: skip
        expected = zip(
            histories.users.tolist(),
            histories.items.tolist(),
            histories.before.tolist(),
            strict=True,
        )
        assert rows == {(u, i, *b) for u, i, b in expected}
    assert not torch.equal(passes[0][0], passes[1][0])


def test_the_stored_runs_are_complete_and_reach_what_was_asked():
    runs = pd.read_csv(RESULTS / "sequences.csv")
    trained = runs[runs.epochs.notna()]
    assert list(trained.model.unique()) == list(sequences.MODELS)
    assert (trained.groupby("model").seed.apply(list).map(len) == 3).all()
    means = runs.groupby("model")[["hit_rate", "hit_rate_50", "ndcg"]].mean()
    assert means.hit_rate["fading mean"] >= 0.20
    assert means.hit_rate_50["fading mean"] >= 0.49
    networks = means.loc[["GRU4Rec", "Caser"]]
    assert (means.loc["fading mean"] > networks.max()).all()
    controls = pd.read_csv(RESULTS / "sequences-controls.csv")
    assert list(controls.model.unique()) == sequences.CONTROLS
    as_it_is = controls[controls.model == "as it is"].reset_index(drop=True)
    fading = runs[runs.model == "fading mean"].reset_index(drop=True)
    pd.testing.assert_series_equal(as_it_is.ndcg, fading.ndcg)

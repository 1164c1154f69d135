"""MF and GMF, the loss and the metric, against plain NumPy and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lrec import (
    GMF,
    MF,
    BatchIterator,
    ImplicitIterator,
    PenalizedMF,
    RMSELoss,
    evaluate_full_ranking,
    rmse,
    split_and_load_ml100k,
    train,
    try_gpu,
)
from d2lrec.models import Embedding, in_mode


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_mf_is_the_formula(batch):
    torch.manual_seed(0)
    model = MF(4, 6, 7, init_std=1.0, global_mean=3.5)
    user_id, item_id = torch.arange(batch), torch.arange(batch) + 2
    prediction = model(user_id, item_id)
    assert prediction.shape == (batch,)
    assert prediction.dtype == torch.float32
    P, Q = model.P.weight.detach().numpy(), model.Q.weight.detach().numpy()
    b_u, b_i = (
        table.weight.detach().numpy() for table in (model.user_bias, model.item_bias)
    )
    for row, (u, i) in enumerate(zip(user_id.tolist(), item_id.tolist(), strict=True)):
        expected = 3.5 + b_u[u, 0] + b_i[i, 0] + P[u] @ Q[i]
        assert prediction[row].item() == pytest.approx(expected, rel=1e-5)


def test_mf_without_factors_is_bias_only():
    model = MF(0, 2, 3, init_std=1.0, global_mean=1.0)
    expected = 1 + model.user_bias.weight[1, 0] + model.item_bias.weight[2, 0]
    assert model(torch.tensor([1]), torch.tensor([2])).item() == pytest.approx(
        expected.item()
    )


@pytest.mark.parametrize("init_std", [0.01, 1.0])
def test_all_tables_begin_at_the_given_scale(init_std):
    torch.manual_seed(0)
    model = MF(
        5, 50_000, 60_000, init_std=init_std
    )  # a mean is within 0.0045 of init_std
    for table in model.parameters():
        assert table.std().item() == pytest.approx(init_std, rel=0.1)
        assert table.mean().item() == pytest.approx(0, abs=0.1 * init_std)


@pytest.mark.parametrize("biases", [True, False])
def test_the_tables_are_drawn_one_after_the_other(biases):
    """In a fixed order, so that a seed gives the same model as ever."""
    torch.manual_seed(0)
    model = MF(3, 4, 5, init_std=0.1, biases=biases)
    torch.manual_seed(0)
    tables = [model.P, model.Q, *([model.user_bias, model.item_bias] if biases else ())]
    for table in tables:
        torch.empty_like(table.weight).normal_()  # PyTorch's own start
    for table in tables:
        assert table.weight.equal(torch.empty_like(table.weight).normal_(std=0.1))


def test_the_penalty_is_of_the_parameters_in_use():
    """Its gradient is that of the explicit sum over the ratings, in float64."""
    torch.manual_seed(0)
    model = PenalizedMF(3, 4, 5, init_std=1.0, global_mean=3.0).double()
    plain = MF(3, 4, 5, global_mean=3.0).double()
    plain.load_state_dict(model.state_dict())
    user_id, item_id = torch.tensor([0, 1, 1, 3]), torch.tensor([2, 2, 4, 0])
    stars, strength = torch.tensor([1.0, 5.0, 3.0, 4.0]).double(), 0.1
    prediction = model(user_id, item_id)
    torch.testing.assert_close(prediction, plain(user_id, item_id))
    mse = torch.nn.functional.mse_loss
    (mse(prediction, stars) + strength * model.penalty).backward()
    total = 0
    for u, i, rating in zip(user_id, item_id, stars, strict=True):
        tables_of_u, tables_of_i = (
            (plain.P, plain.user_bias),
            (plain.Q, plain.item_bias),
        )
        penalty = sum(table.weight[u].square().sum() for table in tables_of_u)
        penalty += sum(table.weight[i].square().sum() for table in tables_of_i)
        error = plain(u[None], i[None]) - rating
        total = total + error.square().sum() + strength * penalty
    (total / 4).backward()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_the_penalized_model_can_score_a_table():
    """As the full ranking has it."""
    model, plain = PenalizedMF(2, 3, 4), MF(2, 3, 4)
    plain.load_state_dict(model.state_dict())
    table = torch.arange(3).unsqueeze(1), torch.arange(4)
    torch.testing.assert_close(model(*table), plain(*table))
    figures = [evaluate_full_ranking(m, [0, 1, 2], [], [], 4) for m in (model, plain)]
    assert figures[0] == figures[1]


def test_the_global_mean_is_kept_but_not_learned():
    model = MF(1, 1, 1, global_mean=3.5)
    assert "global_mean" in model.state_dict()
    assert "global_mean" not in dict(model.named_parameters())


def test_rmse_loss_by_hand():
    loss = RMSELoss(eps=0.0)
    assert loss(
        torch.tensor([1.0, 5.0]), torch.tensor([4.0, 5.0])
    ).item() == pytest.approx(math.sqrt(9 / 2))


def test_rmse_loss_has_a_finite_gradient_where_all_is_right():
    prediction = torch.tensor([3.0, 4.0], requires_grad=True)
    RMSELoss()(prediction, torch.tensor([3.0, 4.0])).backward()
    assert prediction.grad.tolist() == [0.0, 0.0]


class Stored(torch.nn.Module):
    """A model that has its prediction for each user in a table."""

    def __init__(self, predictions):
        super().__init__()
        self.predictions = torch.as_tensor(predictions, dtype=torch.float32)

    def forward(self, user_id, item_id):
        return self.predictions[user_id]


ratings = st.floats(-10, 10, width=32)


@given(
    pairs=st.lists(st.tuples(ratings, ratings), min_size=1, max_size=50), data=st.data()
)
def test_rmse_is_pooled_whatever_the_batches(pairs, data):
    predictions, truth = np.array(pairs, dtype=np.float64).T
    expected = np.sqrt(np.mean((predictions - truth) ** 2))
    batch_size = data.draw(st.integers(1, 60))
    numbers = np.arange(len(truth))
    batches = BatchIterator(numbers, numbers, truth, batch_size, device="cpu")
    assert rmse(Stored(predictions), batches) == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )


def test_rmse_is_not_the_mean_over_batches():
    batches = BatchIterator(
        [0, 1, 2], [0, 0, 0], [0.0, 0.0, 6.0], 2, shuffle=False, device="cpu"
    )
    assert rmse(Stored([0.0, 0.0, 0.0]), batches) == pytest.approx(
        math.sqrt(12)
    )  # not 3


@pytest.mark.parametrize("training", [True, False])
def test_rmse_leaves_the_model_as_it_was(training):
    model = MF(2, 3, 3).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rmse(model, BatchIterator([0], [0], [3.0], 1, device="cpu"))
    assert model.training == training
    assert all(
        torch.equal(before[name], value) for name, value in model.state_dict().items()
    )


@pytest.mark.parametrize(
    "batches", [[], iter([]), [[torch.zeros(0).long()] * 2 + [torch.zeros(0)]]]
)
def test_rmse_of_nothing_is_refused(batches):
    with pytest.raises(ValueError, match="no ratings"):
        rmse(MF(1, 1, 1), batches)


@pytest.mark.parametrize(
    ("prediction", "rating"),
    [((4,), (4, 1)), ((4, 1), (4,)), ((4,), (1,)), ((1,), ()), ((4,), (3,))],
)
def test_shapes_that_differ_are_refused(prediction, rating):
    """Of (4,) and (4, 1) PyTorch would make 16 differences."""
    prediction, rating = torch.zeros(prediction), torch.ones(rating)
    with pytest.raises(ValueError, match=r"must have one shape, got \("):
        RMSELoss()(prediction, rating)
    with pytest.raises(ValueError, match=r"must have one shape, got \("):
        rmse(lambda_model(lambda user_id, item_id: prediction), [(0, 0, rating)])


def lambda_model(forward):
    model = torch.nn.Module()
    model.forward = forward
    return model


@pytest.mark.parametrize(("users", "items"), [([0, 5], [0, 0]), ([0, 0], [0, 7])])
def test_ids_beyond_the_model_are_refused(users, items):
    model = MF(2, 5, 7).train()
    with pytest.raises(
        ValueError, match=r"an id is beyond the tables, .*'P': \(5, 2\), 'Q': \(7, 2\)"
    ):
        rmse(model, BatchIterator(users, items, [1, 2], 2, device="cpu"))
    assert model.training


def test_ids_beyond_a_table_without_columns_are_refused():
    """For which PyTorch has another error."""
    with pytest.raises(ValueError, match=r"an id is beyond the tables, .*'P': \(5,"):
        rmse(MF(0, 5, 7), BatchIterator([0, 5], [0, 0], [1, 2], 2, device="cpu"))


def test_another_error_that_has_the_words_stays_as_it_is():
    """As that of a failed compilation, whose message has code with checks of bounds."""

    class CompilationError(RuntimeError):
        pass

    with pytest.raises(CompilationError), in_mode(MF(2, 5, 7), training=True):
        raise CompilationError("index out of bounds: 0 <= tmp0")


def test_another_error_of_an_index_stays_what_it_is():
    """A mistake in a reader's own model is not blamed on the ids."""
    model = lambda_model(lambda user_id, item_id: [][0]).train()
    with pytest.raises(IndexError, match="list index out of range"):
        rmse(model, BatchIterator([0], [0], [1], 1, device="cpu"))
    assert model.training


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_mf_recovers_planted_factors(seed):
    """On ratings made by a small MF, a new MF comes near to them: it can learn."""
    torch.manual_seed(seed)
    planted = MF(2, 30, 40, init_std=1.0, global_mean=3.0)
    users, items = torch.cartesian_prod(torch.arange(30), torch.arange(40)).T
    truth = planted(users, items).detach()
    batches = BatchIterator(users, items, truth, 100, device="cpu")
    model = MF(2, 30, 40, init_std=0.1, global_mean=3.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    spread = truth.std().item()
    history = train(
        model, batches, torch.nn.MSELoss(), optimizer, 30,
        evaluate=lambda m: {"rmse": rmse(m, batches)}, progress=False,
    )  # fmt: skip
    assert history.rmse[0] > 0.8 * spread
    assert history.rmse[30] < 0.02 * spread


def test_a_published_port_runs_unchanged():
    """A plain loop as PyTorch ports of the chapter have it, with D2L's names."""
    device = try_gpu()
    num_users, num_items, train_iter, test_iter = split_and_load_ml100k(
        test_ratio=0.1, batch_size=512
    )
    net = MF(30, num_users, num_items).to(device)
    loss = RMSELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.002, weight_decay=1e-5)
    means = []
    for _ in range(3):
        net.train()
        total = 0.0
        for _i, values in enumerate(train_iter):
            users = values[0].long().to(device)
            items = values[1].long().to(device)
            ratings = values[2].float().to(device)
            optimizer.zero_grad()
            l = loss(net(users, items), ratings)  # noqa: E741
            l.backward()
            optimizer.step()
            total += l.item()
        means.append(total / len(train_iter))
    assert means[2] < means[1] < means[0]
    assert rmse(net, test_iter) < 1.0


def test_mf_without_biases_is_the_dot_product():
    torch.manual_seed(0)
    model = MF(3, 4, 5, init_std=1.0, biases=False)
    assert {name for name, _ in model.named_parameters()} == {"P.weight", "Q.weight"}
    expected = model.P.weight[1] @ model.Q.weight[2]
    assert model(torch.tensor([1]), torch.tensor([2])).item() == pytest.approx(
        expected.item()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("k", "batch"), [(30, 1), (30, 999), (1, 999), (0, 9)])
def test_a_table_has_pytorchs_numbers_and_gradients_to_the_bit(k, batch, dtype):
    """Also of rows that a batch has many times, whose gradients are added up."""
    torch.manual_seed(0)
    table = Embedding(50, k, dtype=dtype)
    plain = torch.nn.Embedding.from_pretrained(table.weight.detach(), freeze=False)
    ids = (50 * torch.rand(batch) ** 3).long()
    weights = torch.randn(batch, k, dtype=dtype)
    assert table(ids).equal(plain(ids))
    assert str(table) == str(plain)
    for one in (table, plain):
        (one(ids) * weights).sum().backward()
    assert table.weight.grad.equal(plain.weight.grad)


def test_a_table_leaves_other_ids_and_sparse_gradients_to_pytorch():
    table = Embedding(5, 2)
    assert table(torch.tensor(3)).shape == (2,)
    assert table(torch.zeros(2, 3, dtype=torch.int64)).shape == (2, 3, 2)
    assert table(torch.tensor([1, 2], dtype=torch.int32)).shape == (2, 2)
    table.sparse = True
    table(torch.tensor([4])).sum().backward()
    assert table.weight.grad.is_sparse


@pytest.mark.parametrize(
    "option", [{"max_norm": 0.5}, {"padding_idx": 1}, {"scale_grad_by_freq": True}]
)
def test_a_table_keeps_pytorchs_options(option):
    weight, ids = torch.ones(3, 2), torch.tensor([1, 1, 2])
    results = []
    for kind in (Embedding, torch.nn.Embedding):
        table = kind.from_pretrained(weight.clone(), freeze=False, **option)
        rows = table(ids)
        rows.sum().backward()
        results.append((rows.tolist(), table.weight.grad.tolist()))
    assert results[0] == results[1]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_gmf_is_the_formula(batch):
    torch.manual_seed(0)
    model = GMF(4, 6, 7)
    torch.nn.init.normal_(model.h.bias)
    user_id, item_id = torch.arange(batch), torch.arange(batch) + 2
    score = model(user_id, item_id)
    assert score.shape == (batch,)
    assert score.dtype == torch.float32
    P, Q = model.P.weight.detach().numpy(), model.Q.weight.detach().numpy()
    h, bias = model.h.weight.detach().numpy()[0], model.h.bias.item()
    for row, (u, i) in enumerate(zip(user_id.tolist(), item_id.tolist(), strict=True)):
        assert score[row].item() == pytest.approx(h @ (P[u] * Q[i]) + bias, rel=1e-4)


def test_gmf_with_h_one_and_no_bias_is_mf():
    torch.manual_seed(0)
    gmf, mf = GMF(8, 20, 30), MF(8, 20, 30, biases=False)
    torch.nn.init.ones_(gmf.h.weight)
    mf.load_state_dict(
        {"P.weight": gmf.P.weight, "Q.weight": gmf.Q.weight}, strict=False
    )
    user_id, item_id = torch.randint(20, (100,)), torch.randint(30, (100,))
    torch.testing.assert_close(gmf(user_id, item_id), mf(user_id, item_id))


def test_gmf_begins_as_in_its_source():
    torch.manual_seed(0)
    model = GMF(32, 2000, 3000)
    assert model.P.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert model.Q.weight.std().item() == pytest.approx(0.01, rel=0.1)
    bound = math.sqrt(3 / 32)  # Kaiming uniform with gain 1 and 32 inputs
    assert 0.8 * bound < model.h.weight.abs().max().item() <= bound
    assert model.h.bias.item() == 0


@pytest.mark.parametrize("make", [GMF, lambda *sizes: MF(*sizes, biases=False)])
def test_a_ranking_model_learns_with_the_same_loop(make):
    """Users like the items of their own half, which a few epochs have to find."""
    torch.manual_seed(0)
    users, items = (torch.arange(40).repeat_interleave(20), torch.arange(20).repeat(40))
    mine = (users < 20) == (items < 10)
    keep = mine & (torch.rand(800) < 0.8)
    model = make(4, 40, 20)
    batches = ImplicitIterator(users[keep], items[keep], 40, 20, 64, device="cpu")
    adam = torch.optim.Adam(model.parameters(), lr=0.02)
    train(model, batches, torch.nn.BCEWithLogitsLoss(), adam, 30, progress=False)
    unseen = ~keep
    scores = model(users[unseen], items[unseen])
    assert scores[mine[unseen]].mean() > scores[~mine[unseen]].mean() + 1


@pytest.mark.parametrize("model", [MF(3, 4, 5, init_std=1.0), GMF(3, 4, 5)])
def test_ids_that_broadcast_give_a_table(model):
    table = model(torch.arange(4).unsqueeze(1), torch.arange(5).unsqueeze(0))
    assert table.shape == (4, 5)
    pairs = torch.cartesian_prod(torch.arange(4), torch.arange(5))
    torch.testing.assert_close(table.flatten(), model(pairs[:, 0], pairs[:, 1]))


@pytest.mark.parametrize("make", [MF, GMF])
@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ((-1, 4, 5), "num_factors .* got -1"),
        ((2.0, 4, 5), r"num_factors .* got 2\.0"),
        ((2, 0, 5), "num_users .* got 0"), ((2, 4.0, 5), r"num_users .* got 4\.0"),
        ((2, True, 5), "num_users .* got True"), ((2, 4, "5"), "num_items .* got '5'"),
        ((2, 4, -3), "num_items .* got -3"),
    ],
)  # fmt: skip
def test_sizes_that_are_none_are_refused(make, sizes, says):
    with pytest.raises(ValueError, match=says):
        make(*sizes)


def test_numpys_sizes_are_fine():
    assert MF(*np.array([2, 4, 5])).user_bias.weight.shape == (4, 1)


@pytest.mark.parametrize(
    "start",
    [
        {"init_std": -0.1}, {"init_std": math.nan}, {"init_std": math.inf},
        {"global_mean": math.nan}, {"global_mean": -math.inf},
    ],
)  # fmt: skip
def test_a_start_that_is_not_finite_is_refused(start):
    [(name, value)] = start.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        MF(2, 4, 5, **start)


@pytest.mark.parametrize("model", [MF(2, 4, 5), GMF(2, 4, 5)])
def test_ids_that_are_none_are_refused_by_pytorch(model):
    with pytest.raises(RuntimeError, match=r"Long, Int; but got torch\.FloatTensor"):
        model(torch.zeros(3), torch.zeros(3))
    with pytest.raises(RuntimeError, match="size of tensor"):
        model(torch.zeros(3, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(IndexError, match="out of range"):
        model(torch.tensor([-1]), torch.tensor([0]))

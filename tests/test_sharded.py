"""The script that trains MF on tables split over processes, under torchrun.

TorchRec is in an environment of its own, which runs the script. Options and
checkpoints need torch alone, and are tested here.
"""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

from d2lrec import load_data_ml100k, split_data_ml100k

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import sharded_checkpoints
import sharded_options

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / "_build" / "env-scale" / "bin" / "python"
SCRIPT = ROOT / "benchmarks" / "sharded.py"
SIZES = {"user": 943, "item": 1682}
NUM_FACTORS, ROW_LENGTH = 30, 32  # a row has factors, bias and a zero
NUM_EPOCHS = 3

needs_torchrec = pytest.mark.skipif(
    not PYTHON.exists(), reason="there is no TorchRec: make _build/env-scale/ready"
)

# Reading a checkpoint in one process is what these tests mean to do.
pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


def command(num_processes, *options):
    torchrun = [PYTHON, "-m", "torch.distributed.run", "--standalone"]
    return [*torchrun, f"--nproc-per-node={num_processes}", SCRIPT, *map(str, options)]


def run(num_processes, folder, *options):
    """Run the script to its end: its output."""
    options = "--epochs", NUM_EPOCHS, "--checkpoints", folder, *options
    script = command(num_processes, *options)
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_and_kill_one(folder):
    """Start two processes, and kill the second when there is a first checkpoint."""
    options = "--epochs", NUM_EPOCHS, "--checkpoints", folder
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command(2, *options), **pipes) as started:
        second = (x for x in started.stdout if x.startswith("process 1 of 2"))
        line = next(second)
        while not (folder / "epoch-0001").exists():
            assert started.poll() is None
            time.sleep(0.01)
        os.kill(int(re.search(r"pid (\d+)", line)[1]), signal.SIGKILL)
        started.communicate(timeout=60)
    assert started.returncode != 0


def tables_in(folder, epoch=NUM_EPOCHS):
    """All tables of a checkpoint, then the optimizer's sums, read by one process."""
    tables = {name: torch.zeros(size, ROW_LENGTH) for name, size in SIZES.items()}
    sums = {name: torch.zeros(size) for name, size in SIZES.items()}
    keys = {name: f"tables.embeddings.{name}.weight" for name in SIZES}
    moments = {keys[name]: {f"{name}.momentum1": sums[name]} for name in SIZES}
    state = {
        "tables": {keys[name]: tables[name] for name in SIZES},
        "optimizer": {"state": moments},
    }
    dcp.load(state, checkpoint_id=folder / f"epoch-{epoch:04}")  # into these tensors
    return [*tables.values(), *sums.values()]


def assert_same(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory, ml100k):
    """(folder of checkpoints, output) of two processes that nothing happened to."""
    folder = tmp_path_factory.mktemp("by_two")
    return folder, run(2, folder)


@pytest.fixture(scope="module")
def killed(tmp_path_factory, ml100k):
    """The folder of a run, one of whose processes was killed in the second epoch."""
    folder = tmp_path_factory.mktemp("killed")
    start_and_kill_one(folder)
    return folder


@needs_torchrec
@pytest.mark.slow
def test_each_process_owns_half_of_the_rows_of_each_table(by_two):
    folder, output = by_two
    line = r"process (\d) of 2, .* rows (\d+) to (\d+) of (\w+), (\d+) bytes"
    owned = {
        (table, int(process)): (int(first), int(last), int(size))
        for process, first, last, table, size in re.findall(line, output)
    }
    expected, halves = {}, []
    for table, size in SIZES.items():
        half = -(-size // 2)  # rounded up
        row = ROW_LENGTH * 4  # bytes
        expected[table, 0] = 0, half - 1, half * row
        expected[table, 1] = half, size - 1, (size - half) * row
        halves += [[(half,), (size - half,)]]  # the optimizer's sums
        halves += [[(half, ROW_LENGTH), (size - half, ROW_LENGTH)]]
    assert owned == expected
    checkpoint = dcp.FileSystemReader(folder / f"epoch-{NUM_EPOCHS:04}")
    metadata = checkpoint.read_metadata().state_dict_metadata
    chunks = [
        [tuple(chunk.sizes) for chunk in entry.chunks]
        for key, entry in metadata.items()
        if key.startswith(("tables", "optimizer"))
    ]
    assert sorted(chunks) == sorted(halves)


@needs_torchrec
@pytest.mark.slow
def test_one_process_does_what_two_do_and_what_plain_torch_does(
    by_two, tmp_path, ml100k
):
    assert run(1, tmp_path).splitlines()[-1] == by_two[1].splitlines()[-1]  # test RMSE
    by_one = tables_in(tmp_path)
    assert_same(tables_in(by_two[0]), by_one, rtol=1e-3, atol=1e-5)
    assert_same(by_plain_torch(*ml100k), by_one, rtol=1e-3, atol=1e-5)


def by_plain_torch(data, num_users, num_items, batch_size=1024, lr=0.07, penalty=0.07):
    """The script's training on one machine, with row-wise Adagrad written out."""
    rest, _ = split_data_ml100k(data, num_users, num_items)
    users, items, ratings = load_data_ml100k(rest, num_users, num_items)[:3]
    k = NUM_FACTORS
    drawn = torch.Generator().manual_seed(0)
    tables = [torch.zeros(size, ROW_LENGTH) for size in SIZES.values()]
    for table in tables:
        table[:, : k + 1].normal_(std=0.01, generator=drawn)
        table.requires_grad_()
    sums = [torch.zeros(size) for size in SIZES.values()]
    shuffled = torch.Generator().manual_seed(0)
    for _ in range(NUM_EPOCHS):
        for batch in torch.randperm(len(ratings), generator=shuffled).split(batch_size):
            u, i = tables[0][users[batch]], tables[1][items[batch]]
            dots = (u[:, :k] * i[:, :k]).sum(1)  # (batch,)
            prediction = ratings.mean() + dots + u[:, k] + i[:, k]  # (batch,)
            squares = u.square().sum(1) + i.square().sum(1)
            loss = ((prediction - ratings[batch]).square() + penalty * squares).mean()
            grads = torch.autograd.grad(loss, tables)
            for table, total, grad in zip(tables, sums, grads, strict=True):
                total += grad.square().mean(1)
                table.data -= lr * grad / (total.sqrt() + 1e-8)[:, None]
    return [*(table.detach() for table in tables), *sums]


@needs_torchrec
@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(by_two, killed, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(killed, folder)
    (folder / "epoch-0009.part").mkdir()  # half-written: no checkpoint
    (folder / "epoch-0009.part" / "__0_0.distcp").write_bytes(b"half")
    assert not (folder / f"epoch-{NUM_EPOCHS:04}").exists()
    output = run(2, folder)
    assert "epoch 1:" not in output  # what was done is not done again
    assert output.splitlines()[-1] == by_two[1].splitlines()[-1]
    assert_same(tables_in(folder), tables_in(by_two[0]), rtol=0, atol=0)


@needs_torchrec
@pytest.mark.slow
def test_one_process_goes_on_where_two_were(by_two, killed, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(killed, folder)
    assert "epoch 1:" not in run(1, folder)
    assert_same(tables_in(folder), tables_in(by_two[0]), rtol=1e-3, atol=1e-5)


@pytest.fixture
def alone():
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    settings = {"lr": 0.07, "seed": 0}
    sharded_checkpoints.save(tmp_path, {"epoch": 3}, settings)
    changed, other = {"epoch": 0}, settings | {"lr": 1}
    another_run = r"epoch-0003 is of another run, which had lr 0.07, not 1"
    with pytest.raises(SystemExit, match=another_run):
        sharded_checkpoints.resume(tmp_path, 5, changed, other)
    with pytest.raises(SystemExit, match=r"epoch-0003 is beyond --epochs 2"):
        sharded_checkpoints.resume(tmp_path, 2, {"epoch": 0}, settings)


@pytest.mark.usefixtures("alone")
def test_only_the_newest_complete_checkpoint_is_read_and_kept(tmp_path):
    for epoch in (1, 2):
        sharded_checkpoints.save(tmp_path, {"epoch": epoch}, {})
    (tmp_path / "epoch-0003.part").mkdir()
    state = {"epoch": 0}
    sharded_checkpoints.resume(tmp_path, 5, state, {})
    assert state == {"epoch": 2}
    sharded_checkpoints.save(tmp_path, {"epoch": 3}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0003"]


@pytest.mark.parametrize(
    ("num_processes", "message"),
    [("2", "--batch-size 1023 is not a multiple of 2"), ("0", "start it as: torchrun")],
)
def test_a_mistake_is_named(monkeypatch, capsys, num_processes, message):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--batch-size", "1023"])
    monkeypatch.setenv("WORLD_SIZE", num_processes)
    with pytest.raises(SystemExit):
        sharded_options.parse()
    assert message in capsys.readouterr().err


def test_without_torchrec_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchrec", None)
    monkeypatch.delitem(sys.modules, "sharded_mf", raising=False)
    with pytest.raises(SystemExit, match=r"requirements-scale\.txt"):
        importlib.import_module("sharded_mf")

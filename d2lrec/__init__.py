"""Matrix-factorization recommenders in PyTorch: the code that the book's chapters share."""

from .checkpoints import load_checkpoint, save_checkpoint
from .data import load_data_ml100k, read_data_ml100k, read_films_ml100k, split_and_load_ml100k
from .fast import CatchUpAdam, train_epoch_by_rows
from .ids import IdMap, load_ids
from .interactions import UnseenItems, leave_one_out
from .iterators import BatchIterator, ImplicitIterator, try_gpu
from .metrics import RMSELoss, rmse
from .ml1m import read_data_ml1m
from .models import GMF, MF
from .ranking import evaluate_full_ranking, evaluate_ranking, hit_rate, ndcg, rank_held_out
from .recommendations import predict, recommend
from .splits import split_data_ml100k
from .sweeps import mean_and_spread, plot_sweep, sweep
from .training import train

__all__ = [
    "GMF",
    "MF",
    "BatchIterator",
    "CatchUpAdam",
    "IdMap",
    "ImplicitIterator",
    "RMSELoss",
    "UnseenItems",
    "evaluate_full_ranking",
    "evaluate_ranking",
    "hit_rate",
    "leave_one_out",
    "load_checkpoint",
    "load_data_ml100k",
    "load_ids",
    "mean_and_spread",
    "ndcg",
    "plot_sweep",
    "predict",
    "rank_held_out",
    "read_data_ml1m",
    "read_data_ml100k",
    "read_films_ml100k",
    "recommend",
    "rmse",
    "save_checkpoint",
    "split_and_load_ml100k",
    "split_data_ml100k",
    "sweep",
    "train",
    "train_epoch_by_rows",
    "try_gpu",
]

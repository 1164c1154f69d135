"""Matrix-factorization recommenders in PyTorch: the code that the chapters share."""

from .als import train_als
from .baselines import ease, item_knn, popularity
from .catch_up_adam import CatchUpAdam, train_epoch_by_rows
from .checkpoints import load_checkpoint, save_checkpoint
from .comparisons import paired_test
from .data.batches import BatchIterator, ImplicitIterator, try_gpu
from .data.features import one_hot, read_genres_ml100k, read_users_ml100k
from .data.histories import load_histories
from .data.ids import IdMap, load_ids
from .data.interactions import interaction_matrix, sparse_interaction_matrix
from .data.movielens import (
    load_batches,
    load_data_ml100k,
    read_data_ml100k,
    read_films_ml100k,
    split_and_load_ml100k,
)
from .data.ncf import read_data_ml1m
from .data.negatives import UnseenItems
from .data.splits import leave_one_out, split_data_ml100k
from .figures import use_svg_display
from .losses import BPRLoss, HingeLossbRec, SampledSoftmaxLoss
from .metrics import RMSELoss, rmse
from .models import GMF, MF, PenalizedMF
from .rankings import (
    evaluate_full_ranking,
    evaluate_ranking,
    hit_rate,
    ndcg,
    rank_held_out,
)
from .recipes import train_implicit, train_mf
from .recommendations import predict, recommend
from .sweeps import mean_and_spread, plot_sweep, sweep
from .training import train

__version__ = "0.2.0"

__all__ = [
    # from files to batches
    "read_data_ml100k", "read_films_ml100k", "read_data_ml1m", "IdMap", "load_ids",
    "split_data_ml100k", "leave_one_out", "load_data_ml100k", "load_batches",
    "split_and_load_ml100k", "read_users_ml100k", "read_genres_ml100k", "one_hot",
    "load_histories", "BatchIterator", "ImplicitIterator", "UnseenItems",
    "interaction_matrix", "sparse_interaction_matrix", "try_gpu",
    # models, training, evaluation
    "MF", "GMF", "PenalizedMF", "popularity", "item_knn", "ease", "train", "train_mf",
    "train_implicit", "CatchUpAdam", "train_epoch_by_rows", "train_als", "RMSELoss",
    "BPRLoss", "HingeLossbRec", "SampledSoftmaxLoss", "rmse", "rank_held_out",
    "hit_rate", "ndcg", "evaluate_ranking", "evaluate_full_ranking",
    # a model in use, its file, many of them compared, figures
    "predict", "recommend", "save_checkpoint", "load_checkpoint", "paired_test",
    "sweep", "mean_and_spread", "plot_sweep", "use_svg_display",
]  # fmt: skip

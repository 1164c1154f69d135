"""Matrix-factorization recommenders in PyTorch: the code that the book's chapters share."""

from .data import load_data_ml100k, read_data_ml100k, read_films_ml100k, split_and_load_ml100k
from .iterators import BatchIterator, try_gpu
from .metrics import RMSELoss, rmse
from .models import MF
from .recommendations import predict, recommend
from .splits import split_data_ml100k
from .training import load_checkpoint, save_checkpoint, train

__all__ = [
    "MF",
    "BatchIterator",
    "RMSELoss",
    "load_checkpoint",
    "load_data_ml100k",
    "predict",
    "read_data_ml100k",
    "read_films_ml100k",
    "recommend",
    "rmse",
    "save_checkpoint",
    "split_and_load_ml100k",
    "split_data_ml100k",
    "train",
    "try_gpu",
]

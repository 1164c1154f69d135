"""What tells a reader whether an exercise is done: each check prints "Right." or a
hint.

Reading the code before doing the exercises gives some of them away.
"""

from .evaluations import check_evaluation
from .fair_splits import check_split_by_count
from .features import check_fm_gradient
from .filters import check_horizontal_filters
from .fold_in import check_fold_in
from .gmf import check_fixed_h
from .histories import check_histories
from .losses import check_ranking_losses
from .masked import check_masked_error
from .metrics import check_rmse
from .models import check_furthest_off, check_predict_film
from .products import check_learned_weights
from .ranking import check_hit_rate, check_ndcg
from .ranks import check_ranks
from .runs import check_figures
from .sgd import check_sgd_step
from .sweeps import check_latent_size, check_negatives, check_optimizers

__all__ = [
    "check_evaluation",
    "check_figures",
    "check_fixed_h",
    "check_fm_gradient",
    "check_fold_in",
    "check_furthest_off",
    "check_histories",
    "check_hit_rate",
    "check_horizontal_filters",
    "check_latent_size",
    "check_learned_weights",
    "check_ndcg",
    "check_masked_error",
    "check_negatives",
    "check_optimizers",
    "check_predict_film",
    "check_ranking_losses",
    "check_ranks",
    "check_rmse",
    "check_sgd_step",
    "check_split_by_count",
]

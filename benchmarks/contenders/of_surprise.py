"""SVD of the library Surprise."""

from functools import partial

import numpy as np
import pandas as pd
from surprise import SVD, Dataset, Reader


def svd(data, seed, watch, epochs, **settings):
    """A fit for each number of epochs, as the library shows no state between epochs."""
    table = pd.DataFrame({x: data[f"train_{x}"] for x in ("users", "items", "ratings")})
    ratings = Dataset.load_from_df(table, Reader(rating_scale=(1, 5)))
    train_part = ratings.build_full_trainset()
    test_columns = (data[f"test_{x}"].tolist() for x in ("users", "items", "ratings"))
    test_part = list(zip(*test_columns, strict=True))

    def predictions(model):
        tested = model.test(test_part)
        return {"predictions": np.array([prediction.est for prediction in tested])}

    for num_epochs in epochs:
        model = SVD(n_epochs=num_epochs, random_state=seed, **settings)
        watch.start()
        model.fit(train_part)
        watch.lap(partial(predictions, model), num_epochs)

"""NeuMF, and an MLP alone, beside GMF on NCF's files, for the page neumf (`make ncf`)."""

import torch
from torch import nn
from torch.nn.functional import relu


class MLP(nn.Module):
    """A multilayer perceptron on a user's and an item's vector (He et al. 2017, 3.3).

    The vectors U_u and V_i stand side by side and go through dense layers with ReLU.
    The last one's outputs are weighted by h, as GMF's products are; plus a constant c
    this is a logit.

    Args:
        num_factors: the size of U_u and of V_i.
        nums_hiddens: how many outputs each dense layer has, in order.
    """

    def __init__(self, num_factors, num_users, num_items, nums_hiddens):
        super().__init__()
        self.U = nn.Embedding(num_users, num_factors)
        self.V = nn.Embedding(num_items, num_factors)
        sizes = [2 * num_factors, *nums_hiddens]
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairs)
        self.h = nn.Linear(sizes[-1], 1)
        initialize(self)

    def forward(self, user_id, item_id):
        """Score pairs, float32 (batch,), from ids that are (batch,) or broadcast."""
        return self.h(self.hidden(user_id, item_id))[..., 0]

    def hidden(self, user_id, item_id):
        """What the last layer gives, (batch, nums_hiddens[-1])."""
        user_id, item_id = torch.broadcast_tensors(user_id, item_id)
        x = torch.cat([self.U(user_id), self.V(item_id)], dim=-1)  # (batch, 2 factors)
        for layer in self.layers:
            x = relu(layer(x))
        return x


class NeuMF(MLP):
    """GMF and an MLP side by side, each with its tables (He et al. 2017, section 3.4).

    Args:
        num_factors: the size of P_u and Q_i, the tables of GMF.
        nums_hiddens: how many outputs each dense layer of the MLP has.
        mlp_factors: the size of U_u and V_i, the tables of the MLP; num_factors if
            none is given.
    """

    def __init__(
        self, num_factors, num_users, num_items, nums_hiddens, mlp_factors=None
    ):
        super().__init__(mlp_factors or num_factors, num_users, num_items, nums_hiddens)
        self.P = nn.Embedding(num_users, num_factors)
        self.Q = nn.Embedding(num_items, num_factors)
        self.h = nn.Linear(num_factors + self.h.in_features, 1)
        initialize(self)

    def forward(self, user_id, item_id):
        """Score pairs, float32 (batch,), from ids that are (batch,) or broadcast."""
        products = self.P(user_id) * self.Q(item_id)  # (batch, num_factors)
        both = torch.cat([products, self.hidden(user_id, item_id)], dim=-1)
        return self.h(both)[..., 0]


def initialize(model):
    """Initialize as NCF's code does."""
    for part in model.modules():
        if isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.01)
        elif isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
    # the last layer, as GMF's
    nn.init.kaiming_uniform_(model.h.weight, a=1, nonlinearity="sigmoid")

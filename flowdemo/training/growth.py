"""A network for more classes than it knew: its label table grows, its other weights stay."""

import torch
from torch import Tensor, nn

from flowdemo.config import ModelConfig
from flowdemo.model import Model
from flowdemo.nets import build_net

LABELS = "conditioning.label.weight"


def grown(origin: Model, config: ModelConfig) -> nn.Module:
    """The origin's network with a row for each new class before that of the empty label.

    A new row starts as the empty one: the new class as any.
    """
    weights, known = dict(origin.net.state_dict()), origin.empty
    table = weights[LABELS]
    added = table[-1:].expand(len(config.classes) - known, -1)
    weights[LABELS] = torch.cat([table[:known], added, table[known:]])
    net = build_net(config.net, config.shape, len(config.classes))
    net.load_state_dict(weights)
    return net


def keep_rows(net: nn.Module, trained: Tensor) -> None:
    """Lets no gradient at the rows of the label table that have no new picture."""
    table = dict(net.named_parameters())[LABELS]
    kept = torch.zeros(len(table), 1)
    kept[trained.unique()] = 1
    table.register_hook(lambda gradient: gradient * kept.to(gradient))

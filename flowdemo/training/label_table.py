"""New classes for a trained network: its label table gets new rows, all other weights stay."""

import torch
from torch import Tensor, nn

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.model import Model
from flowdemo.nets import build_net

LABELS = "conditioning.label.weight"


def with_new_classes(origin: Model, config: ModelConfig) -> nn.Module:
    """The origin's network with a row for each new class, before the row of the empty label.

    A new row starts as a copy of that of the empty label.
    """
    weights, known = dict(origin.net.state_dict()), origin.empty
    table = weights[LABELS]
    added = table[-1:].expand(len(config.classes) - known, -1)
    weights[LABELS] = torch.cat([table[:known], added, table[known:]])
    net = build_net(config.net, config.shape, len(config.classes))
    net.load_state_dict(weights)
    return net


def train_rows_only(net: nn.Module, trained: Tensor) -> None:
    """Sets the gradient of the label table to 0 in all rows but those of `trained` labels."""
    table = dict(net.named_parameters())[LABELS]
    kept = torch.zeros(len(table), 1)
    kept[trained.unique()] = 1
    table.register_hook(lambda gradient: gradient * kept.to(gradient))

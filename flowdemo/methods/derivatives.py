"""du/dt along a path, for the MeanFlow identity, in three ways.

Each takes u(x, t, s) and a point (x, t, s) with the velocity v there, and returns
d/dt u(x_t, t, s) = (v . grad_x) u + d_t u, of the shape of x, without gradient.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from flowdemo.core.paths import expand_like

AverageVelocity = Callable[[Tensor, Tensor, Tensor], Tensor]  # u(x, t, s)
EPSILON = 0.005  # of the finite difference; its error is O(EPSILON^2) (arXiv:2509.04394)


def eager(net: nn.Module) -> nn.Module:
    """The network itself, if `net` is its compiled version."""
    return getattr(net, "_orig_mod", net)


@torch.no_grad()
def forward_mode(u: AverageVelocity, x: Tensor, t: Tensor, s: Tensor, v: Tensor) -> Tensor:
    """The Jacobian-vector product along (v, 1, 0), by forward-mode differentiation."""
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no forward-mode derivative
        tangents = (v, torch.ones_like(t), torch.zeros_like(s))
        return torch.func.jvp(u, (x, t, s), tangents)[1]


def double_backward(u: AverageVelocity, x: Tensor, t: Tensor, s: Tensor, v: Tensor) -> Tensor:
    """The same product by reverse mode twice: the derivative of y^T J (v, 1) by y.

    For networks without forward-mode derivatives that can be differentiated twice.
    """
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # nor a second derivative
        x, t = x.detach().requires_grad_(), t.detach().requires_grad_()
        value = u(x, t, s)
        y = torch.zeros_like(value, requires_grad=True)
        pulled = torch.autograd.grad(value, (x, t), y, create_graph=True, allow_unused=True)
        ahead = zip(pulled, (v, torch.ones_like(t)), strict=True)
        total = sum((p * q.to(p)).sum() for p, q in ahead if p is not None)
        return torch.autograd.grad(total, y)[0].detach()


@torch.no_grad()
def finite_difference(u: AverageVelocity, x: Tensor, t: Tensor, s: Tensor, v: Tensor) -> Tensor:
    """(u(x + e v, t + e, s) - u(x - e v, t - e, s)) / 2e: two evaluations, no differentiation.

    t may leave [0, s] by e, where the network is smooth.
    """
    e = EPSILON
    with torch.autocast(x.device.type, enabled=False):  # bfloat16 is coarser than the difference
        ahead = u(x + e * v, t + e, s)
        return (ahead - u(x - e * v, t - e, s)) / (2 * e)


@torch.no_grad()
def split_average(u: AverageVelocity, x: Tensor, t: Tensor, r: Tensor, s: Tensor) -> Tensor:
    """u(x_t, t, s) from two shorter steps (SplitMeanFlow, arXiv:2507.16884):

    (s - t) u(x_t, t, s) = (r - t) u(x_t, t, r) + (s - r) u(x_r, r, s)
    x_r = x_t + (r - t) u(x_t, t, r)
    """
    first = expand_like(r - t, x) * u(x, t, r)
    second = expand_like(s - r, x) * u(x + first, r, s)
    return (first + second) / expand_like(s - t, x).clamp_min(1e-6)


DERIVATIVES: dict[str, Callable[..., Tensor]] = {
    "jvp": forward_mode,
    "double-backward": double_backward,
    "finite-difference": finite_difference,
}

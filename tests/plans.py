"""The recipes of three methods on the moons, small and quick to learn."""

from flowdemo.config.recipe import Recipe
from flowdemo.nets.sizes import MLPConfig


def recipe(method="flow-matching", **changes) -> Recipe:
    """Reflow and MeanFlow build on the flow-matching checkpoint of the same data."""
    net = MLPConfig(
        width=64, depth=2, end_time=method == "meanflow", guidance=method != "flow-matching"
    )
    base = {
        "name": f"moons-{method}", "method": method, "data": "moons", "net": net, "steps": 1500,
        "batch_size": 256, "learning_rate": 2e-3, "ema": 0.99, "guidance": (1.0, 3.0),
    }  # fmt: skip
    if method == "reflow":
        base |= {"pairs": {"count": 4000, "solver": "rk4", "steps": 10}, "share_start": 0.25}
    if method == "meanflow":
        base["meanflow"] = {
            "share_interval": 0.75,
            "share_start": 0.25,
            "share_end": 0.25,
            "power": 0,
        }
    if method != "flow-matching":
        base |= {"teacher": "moons-flow-matching", "start_from": "moons-flow-matching"}
        base["share_unguided"] = 0.5
    return Recipe(**(base | changes))

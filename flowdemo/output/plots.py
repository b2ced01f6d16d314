"""Arrays in, plotly figures out. Knows neither torch modules nor Gradio."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from flowdemo.methods import colour_of

GREY = "rgba(128,128,128,0.35)"
TEXT = "#808080"  # readable on white and on near-black


def trajectories(
    paths: np.ndarray,
    times: np.ndarray,
    names: list[str],
    colour: str,
    real: np.ndarray,
    anchors: dict[str, np.ndarray],
) -> go.Figure:
    """Paths (k, n, 2) at times (k,) over real points (m, 2); `anchors` puts class names in place."""
    k, n, _ = paths.shape
    gap = np.full((1, n, 2), np.nan)
    lines = np.concatenate([paths, gap]).transpose(1, 0, 2).reshape(-1, 2).round(3)
    figure = go.Figure()
    figure.add_scatter(
        x=real[:, 0], y=real[:, 1], mode="markers", name="real data", hoverinfo="skip",
        marker={"size": 3, "color": GREY},
    )  # fmt: skip
    figure.add_scatter(
        x=lines[:, 0], y=lines[:, 1], mode="lines+markers" if k <= 25 else "lines",
        name="trajectory", line={"color": colour, "width": 1.2}, hoverinfo="skip",
        marker={"size": 3, "color": colour}, opacity=0.75,
    )  # fmt: skip
    for state, label, symbol in ((0, "noise", "circle-open"), (-1, "sample", "circle")):
        figure.add_scatter(
            x=paths[state, :, 0].round(3), y=paths[state, :, 1].round(3), mode="markers",
            name=f"{label}, t = {times[state]:g}", text=names, hovertemplate="%{text}<extra></extra>",
            marker={"size": 8, "color": colour, "symbol": symbol, "line": {"width": 1}},
        )  # fmt: skip
    for name, place in anchors.items():
        figure.add_annotation(
            x=place[0], y=place[1], text=f"<b>{name}</b>", showarrow=False, font={"size": 19}
        )
    figure.update_yaxes(scaleanchor="x", scaleratio=1)
    return styled(figure, 400)


def speed_and_turning(states: np.ndarray, times: np.ndarray, colour: str) -> go.Figure:
    """Speed over t and turning of the direction over t: mean over the samples of states (k, n, d)."""
    middles, speed, inner, turning = rates(states, times)
    titles = ("speed (per unit of t)", "turning (degrees per unit of t)")
    if not len(inner):
        titles = ("speed; one step is a straight line",)
    figure = make_subplots(rows=len(titles), cols=1, subplot_titles=titles, vertical_spacing=0.22)
    mode = "lines+markers" if len(middles) <= 25 else "lines"
    curves = ((middles, speed), (inner, turning))
    for row, (x, y) in enumerate(curves[: len(titles)], start=1):
        figure.add_scatter(
            x=x, y=y, row=row, col=1, mode=mode, line={"color": colour}, showlegend=False
        )
    figure.update_xaxes(range=[0, 1])
    figure.update_xaxes(title_text="t", row=len(titles), col=1)
    figure.update_yaxes(rangemode="tozero")
    return styled(figure, 400)


def rates(
    states: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Middles of the steps and the speed there; the inner times and the turning there, in degrees.

    The speed is |x_s - x_t| / (s - t) over the root of the dimension; the turning is the angle
    between the chords before and after a state, over the time between their middles.
    """
    flat = states.reshape(len(states), states.shape[1], -1).astype(np.float64)
    chords, dt = np.diff(flat, axis=0), np.diff(times)
    length = np.linalg.norm(chords, axis=2)
    speed = (length / dt[:, None] / np.sqrt(flat.shape[2])).mean(1)
    middles = (times[1:] + times[:-1]) / 2
    cosine = (chords[1:] * chords[:-1]).sum(2) / np.maximum(length[1:] * length[:-1], 1e-12)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean(1)
    return middles, speed, times[1:-1], angle / np.diff(middles)


def styled(figure: go.Figure, height: int) -> go.Figure:
    """Transparent, with greys that read on light and on dark."""
    grid = {"gridcolor": "rgba(128,128,128,0.18)", "zerolinecolor": "rgba(128,128,128,0.35)"}
    figure.update_layout(
        height=height,
        margin={"l": 45, "r": 10, "t": 30, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": TEXT, "size": 12},
        legend={"orientation": "h", "y": -0.12, "x": 0},
    )
    figure.update_xaxes(**grid)
    figure.update_yaxes(**grid)
    figure.update_annotations(font_color=TEXT)
    return figure


# Key of a measured row -> title of its panel and type of its axis.
MEASURES = {
    "frechet_distance": ("FD to the test set (lower is better)", "log"),
    "class_accuracy": ("class accuracy (higher is better)", "linear"),
    "wasserstein_2": ("W2 to fresh points (lower is better)", "log"),
}
DASHES = ("solid", "dot", "dash", "dashdot")  # one a CFG weight
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")  # one a model of a method


@dataclass(frozen=True)
class Curve:
    """Measured rows of a checkpoint (dictionaries of `evaluate`), and the distance of real data."""

    model: str
    method: str
    rows: list[dict[str, Any]]
    floors: dict[str, float]


@dataclass(frozen=True)
class Timing:
    """Evaluations and milliseconds of one run on this machine."""

    label: str
    method: str
    nfe: float
    milliseconds: float


def quality(curves: list[Curve], keys: tuple[str, ...]) -> go.Figure | None:
    """The first of these measures that some card has, over evaluations; None if none has it."""
    key = next((key for key in keys if any(key in row for c in curves for row in c.rows)), None)
    if key is None:
        return None
    figure, symbols = go.Figure(), defaultdict(lambda: cycle(SYMBOLS))
    for curve in curves:
        add_curve(figure, curve, key, next(symbols[curve.method]))
    for floor in {curve.floors[key] for curve in curves if key in curve.floors}:
        figure.add_hline(y=floor, line={"color": GREY, "dash": "dash"})
    title, scale = MEASURES[key]
    figure.update_yaxes(type=scale)
    return over_nfe(figure, title)


def timing(timings: list[Timing]) -> go.Figure:
    """Milliseconds of runs over their evaluations."""
    figure = go.Figure()
    for run in timings:
        figure.add_scatter(
            x=[run.nfe], y=[run.milliseconds], mode="markers", showlegend=False,
            marker={"size": 10, "color": colour_of(run.method)},
            hovertemplate=f"{run.label}<br>NFE %{{x}}, %{{y:.0f}} ms<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(type="log", dtick=1)
    return over_nfe(figure, "milliseconds of these rows, here")


def over_nfe(figure: go.Figure, title: str) -> go.Figure:
    """The figure with evaluations along its axis."""
    nfe = [1, 2, 4, 8, 16, 50]
    figure.update_xaxes(type="log", title_text="NFE", tickvals=nfe, ticktext=[str(x) for x in nfe])
    figure.update_layout(title={"text": title, "font": {"size": 14, "color": TEXT}, "x": 0.5})
    return styled(figure, 400).update_layout(legend_y=-0.22, margin_t=40)


def add_curve(figure: go.Figure, curve: Curve, key: str, symbol: str) -> None:
    """One line a CFG weight through the measured points, whose numbers show on hover."""
    for w, dash in zip(sorted({row["guidance"] for row in curve.rows}), DASHES, strict=False):
        rows = [row for row in curve.rows if row["guidance"] == w and key in row]
        colour = colour_of(curve.method)
        figure.add_scatter(
            x=[row["nfe"] for row in rows], y=[row[key] for row in rows],
            mode="lines+markers", name=f"{curve.model}, w = {w:g}",
            line={"color": colour, "dash": dash}, marker={"size": 7, "symbol": symbol},
            customdata=[[row["n"], row["solver"]] for row in rows],
            hovertemplate=f"{curve.model}, w = {w:g}<br>%{{customdata[1]}}, NFE %{{x}}: %{{y:.4g}}"
            "<br>%{customdata[0]} samples<extra></extra>",
        )  # fmt: skip


def heat_map(
    values: np.ndarray, extent: float, point: tuple[float, float], title: str
) -> go.Figure:
    """Logarithms of a density (side, side) over [-extent, extent]^2, down to ten below the largest."""
    middles = extent * ((np.arange(len(values)) + 0.5) * 2 / len(values) - 1)
    top = float(np.nanmax(values))
    figure = go.Figure()
    figure.add_heatmap(
        x=middles.round(3), y=middles.round(3), z=values.round(3), zmin=top - 10, zmax=top,
        colorscale="Viridis", colorbar={"title": title, "thickness": 12},
        hovertemplate="(%{x:.2f}, %{y:.2f}): %{z:.2f} nats<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[point[0]], y=[point[1]], mode="markers", hoverinfo="skip", showlegend=False,
        marker={"size": 11, "color": "#D55E00", "symbol": "x", "line": {"width": 1, "color": "white"}},
    )  # fmt: skip
    figure.update_xaxes(range=[-extent, extent], constrain="domain")
    figure.update_yaxes(range=[-extent, extent], scaleanchor="x", scaleratio=1, constrain="domain")
    return styled(figure, 460)

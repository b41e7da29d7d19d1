"""Plots of cloud deployments: cost per million predictions, pods and lost requests in an update, traffic shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from course_lib import plots
from course_lib.cloud.decide import costs
from course_lib.cloud.errors import CloudError
from course_lib.cloud.kubernetes.rolling import Rollout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["cost_figure", "timeline_figure", "traffic_figure"]


def cost_figure(options: Mapping[str, costs.Option], predictions: Sequence[float]) -> Figure:
    """Draw the price of a million predictions against predictions a month, one line an option, both axes logarithmic.

    Parameters
    ----------
    options
        Options by legend label, in one currency.
    predictions
        Predictions a month, all above 0, ascending.
    """
    costs.cheapest(options, 1)  # one currency, and at least one option
    if any(count <= 0 for count in predictions):
        raise CloudError("A month without predictions has no price per prediction.", expected="numbers above 0")
    with plots.subplots() as (drawn, axes):
        for name, option in options.items():
            axes.plot(predictions, [option.per_million(count) for count in predictions], label=name)
        currency = next(iter(options.values())).currency
        axes.set(xscale="log", yscale="log", xlabel="predictions a month")
        axes.set_ylabel(f"{currency} per million predictions")
        axes.set_title("Paid by use or by the hour: what a million predictions cost")
        axes.legend()
    return drawn


def timeline_figure(rollouts: Mapping[str, Rollout]) -> Figure:
    """Draw ready pods by version, and lost requests, one panel a rollout; the panels share their axes."""
    height = 2.4 * len(rollouts) + 0.6
    with plots.subplots(len(rollouts), 1, height=height, squeeze=False, sharex=True, sharey=True) as (figure, rows):
        for axes, (title, rollout) in zip(rows[:, 0], rollouts.items(), strict=True):
            at = [second.at for second in rollout.timeline]
            axes.step(at, [second.old_ready for second in rollout.timeline], where="post", label="ready, old version")
            axes.step(at, [second.new_ready for second in rollout.timeline], where="post", label="ready, new version")
            lost = [second.dropped for second in rollout.timeline]
            axes.fill_between(
                at, lost, step="post", color="#D55E00", alpha=0.6, label="lost requests a second", hatch="//"
            )
            axes.set_ylabel("pods; requests a second")
            axes.set_title(f"{title}: {rollout.outcome}, {rollout.dropped:,} of {rollout.requests:,} requests lost")
            axes.legend(loc="upper center", ncols=3)
        rows[0, 0].set_ylim(0, rows[0, 0].get_ylim()[1] * 1.35)  # room for the legend; all panels share it
        rows[0, 0].yaxis.get_major_locator().set_params(integer=True)
        rows[-1, 0].set_xlabel("time since the update began (s)")
    return figure


def traffic_figure(steps: Mapping[str, tuple[Mapping[str, float], Mapping[str, int]]]) -> Figure:
    """Draw which share of the calls each variant of an endpoint answered, against the share it was given.

    Parameters
    ----------
    steps
        By label: the weights that were set, and the calls that were counted, each by variant.
    """
    variants = list(dict.fromkeys(name for weights, _ in steps.values() for name in weights))
    width = 0.8 / len(variants)
    with plots.subplots(height=3.2) as (figure, axes):
        for place, variant in enumerate(variants):
            at = [row + (place - (len(variants) - 1) / 2) * width for row in range(len(steps))]
            counted = [100 * calls.get(variant, 0) / max(sum(calls.values()), 1) for _, calls in steps.values()]
            given = [100 * weights.get(variant, 0) / sum(weights.values()) for weights, _ in steps.values()]
            axes.bar(at, counted, width * 0.9, color=plots.COLOURS[place], label=f"{variant}: answered")
            axes.plot(at, given, "D", color="white", markeredgecolor="black", label="given" if place == 0 else None)
        axes.set_xticks(range(len(steps)), list(steps))
        axes.set(ylabel="share of calls (%)", ylim=(0, 110), title="Traffic follows the weights of the variants")
        axes.legend(ncols=len(variants) + 1, loc="upper center")
    return figure

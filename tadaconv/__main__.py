"""Tables of the networks and of the weights that are known for them.

python -m tadaconv                      all networks: cost, the papers'
                                        figures, input, known weights
python -m tadaconv tada2d_r50 r2d_r50   these only
python -m tadaconv hf:FOLDER            a network of others
python -m tadaconv --weights            released weights, where to get them
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

from tadaconv.costs import PAPER_FIGURES, count_costs
from tadaconv.heads import NumClasses
from tadaconv.inputs import NetworkInput
from tadaconv.known_weights import KNOWN_WEIGHTS
from tadaconv.registry import list_models, spec_of
from tadaconv.specs import HUB


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m tadaconv",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NETWORK", help="networks; default: all")
    parser.add_argument("--weights", action="store_true", help="list released weights instead")
    options = parser.parse_args(arguments)
    try:
        for name in options.names:
            spec_of(name, hub_weights=False)
    except ValueError as error:
        parser.error(str(error))
    if options.weights:
        print_weights()
    else:
        print_costs(options.names or list_models())


def print_costs(names: Sequence[str]) -> None:
    """Two lines a network: its cost, and what it takes."""
    print(f"{'network':<24}{'clip':<13}{'params M':>9}{'GMAC':>9}{'paper: M':>10}{'GMAC':>8}  source")
    for name in names:
        takes, paper = spec_of(name, hub_weights=False).input, PAPER_FIGURES.get(name)
        clip = takes.clip
        costs = count_costs(name, clip)
        line = f"{name:<24}{_size(clip):<13}{costs.params_m:>9.2f}{costs.gmacs:>9.2f}"
        if paper:
            params = "-" if paper.params_m is None else f"{paper.params_m:.1f}"
            line += f"{params:>10}{paper.gmacs:>8.2f}  {paper.source}"
        print(f"{line}\n    {_takes(takes)}; {_weights_of(name)}", flush=True)
    others = ", ".join(f"{kind}:NAME" for kind in HUB)
    print(f"{others}: networks of others, from a folder or the hub's cache (docs/backbones.md)")
    print("params with 400 classes; GMAC = 10^9 multiply-accumulates a clip, what the papers call GFLOPs")


def _takes(facts: NetworkInput) -> str:
    """The facts of a network's input, but for the usual clip."""
    step = "over the whole video" if facts.frame_step is None else f"every {facts.frame_step} frames"
    fixed = [
        part for part, is_fixed in (("size", facts.fixed_size), ("length", facts.fixed_frames)) if is_fixed
    ]
    size = f"built for one {' and '.join(fixed)}" if fixed else "any size and length"
    return f"{step}; {facts.statistics}; {size}"


def _weights_of(name: str) -> str:
    """Released weights by their short names, and their licences."""
    known = [weights for weights in KNOWN_WEIGHTS if weights.model == name]
    if not known:
        return "no weights known"
    licences = " / ".join(dict.fromkeys(weights.licence for weights in known))
    return f"weights: {', '.join(weights.name for weights in known)}\n    licence: {licences}"


def print_weights() -> None:
    """Name, what it was trained on and the place of each file of weights, under its licence."""
    for licence, group in itertools.groupby(KNOWN_WEIGHTS, key=lambda known: known.licence):
        print(f"licence: {licence}")
        for known in group:
            accuracy = "" if known.top1 is None else f", top-1 {known.top1} %"
            step = "" if known.frame_step is None else f" every {known.frame_step} frames"
            print(
                f"  {known.name:<31}{known.model}\n"
                f"    {_classes(known.num_classes)}, {_size(known.clip)}{step}{accuracy}\n    {known.url}"
            )


def _classes(counts: NumClasses) -> str:
    if isinstance(counts, int):
        return f"{counts} classes"
    return " and ".join(f"{count} {task}s" for task, count in counts.items())


def _size(clip: tuple[int, int, int]) -> str:
    return "x".join(map(str, clip))


if __name__ == "__main__":
    main()

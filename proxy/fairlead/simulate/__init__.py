"""`fairlead simulate`: the policies of the data plane against a described workload, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fairlead import balance
from fairlead.errors import ConfigError
from fairlead.simulate.reading import load, names
from fairlead.simulate.run import simulate

__all__ = ["compare", "load", "names", "simulate"]


def compare(
    spec: str,
    policies: Sequence[str],
    *,
    seed: int,
    slow_start_s: float | None = None,
    eject: bool = False,
    plot_to: Path | None = None,
) -> int:
    """Run the scenario with each of the policies and print what came of it. Raises ConfigError for what is wrong."""
    from rich.console import Console  # here and not above, as what needs it

    from fairlead.simulate.show import plot, print_table

    scenario = load(spec)
    if slow_start_s is not None:
        scenario = replace(scenario, slow_start_s=slow_start_s)
    if eject:
        scenario = replace(scenario, ejection=True)
    for policy in policies:
        try:
            balance.load(policy, Path.cwd())
        except ValueError as error:
            raise ConfigError([f"--policy: {error}"]) from error
    found = [simulate(scenario, policy, seed) for policy in policies]
    print_table(scenario, found, Console())
    if plot_to is not None:
        plot(scenario, found, plot_to)
    return 0

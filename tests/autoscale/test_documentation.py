"""What docs/autoscaling.md says of the metrics is what there is."""

from __future__ import annotations

import re
from pathlib import Path

from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.settings import MetricsApi

PAGE = (Path(__file__).parents[2] / "docs" / "autoscaling.md").read_text()
ROWS = dict(re.findall(r"^\| `(fairlead_\w+)` \| (.*) \|$", PAGE.partition("## Several replicas")[0], re.MULTILINE))


def test_every_metric_has_its_row_in_order() -> None:
    assert list(ROWS) == list(METRICS)


def test_the_rows_say_which_pods_have_and_what_stands() -> None:
    for name, row in ROWS.items():
        _, of_pods, without = row.split(" | ")
        assert (of_pods == "yes") is METRICS[name].of_pods
        assert without.startswith("stands") is METRICS[name].needs_traffic


def test_the_times_are_the_defaults() -> None:
    assert f"a sliding window of {MetricsApi().window_s:.0f} s" in PAGE
    assert f"for `hold` ({MetricsApi().hold_s / 60:.0f} min" in PAGE

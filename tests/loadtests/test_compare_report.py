"""The table, its Markdown, and that a person's text around it stays."""

import io

from rich.console import Console

from loadtests.compare import report
from loadtests.compare.figures import Sample
from loadtests.compare.rounds import Results
from loadtests.compare.workloads import WORKLOADS

_SMALL = [workload for workload in WORKLOADS if workload.name == "l7-small"]


def results(fairlead: float = 9.0) -> Results:
    samples: dict[str, list[Sample]] = {"direct": [{"rate": 120_000.0}, {}]}
    for peer, cpu in {"fairlead": fairlead, "nginx": 10.5, "haproxy": 11.3, "envoy": 33.6}.items():
        samples[peer] = [{"cpu": cpu, "rate": 50_000.0}, {"cpu": cpu + 2, "rate": 60_000.0}]
    return Results({"l7-small": samples})


def test_a_row_holds_medians_ratios_and_the_verdict() -> None:
    (row,) = report.rows(_SMALL, results())
    assert row.is_met is True
    assert row.cells == (
        *("L7, keep-alive, 100-byte reply", "CPU per request, µs", "10.0", "11.5", "12.3", "34.6"),
        *("0.87", "0.29", "≤ 0.9 x", "yes"),
    )


def test_a_missed_bound_stands_out() -> None:
    (row,) = report.rows(_SMALL, results(fairlead=20.0))
    assert row.is_met is False
    assert row.cells[-1] == "**NO**"
    out = io.StringIO()
    Console(file=out, width=170).print(report.as_table([row], "title"))
    assert "NO" in out.getvalue()
    assert "*" not in out.getvalue()


def test_what_was_not_measured_is_a_dash_and_no_verdict() -> None:
    (row,) = report.rows(_SMALL, Results({"l7-small": {"nginx": [{"cpu": 10.0}], "fairlead": [{}]}}))
    assert row.is_met is None
    assert row.cells[2:] == ("-", "10.0", "-", "-", "-", "-", "≤ 0.9 x", "-")


def test_workloads_that_did_not_run_still_have_their_rows() -> None:
    assert len(report.rows(WORKLOADS, Results())) == sum(len(workload.figures) for workload in WORKLOADS)


def test_details_show_the_spread_of_the_rounds() -> None:
    lines = {peer: told for _, peer, told in report.details(_SMALL, results())}
    assert lines["nginx"] == "CPU per request 11.5 µs (10.5 to 12.5); rate 55,000/s (50,000 to 60,000)"
    assert lines["direct"] == "rate 120,000/s"


def test_numbers_have_three_digits_that_matter() -> None:
    values = (0.0, 0.0001, 0.1789, 1.234, 9.876, 12.34, 123.4, 12345.6, -35.72)
    assert [report.number(v) for v in values] == ["0", "0", "0.179", "1.23", "9.88", "12.3", "123", "12,346", "-35.7"]


def markdown(notes: list[str]) -> str:
    found = report.rows(_SMALL, results())
    return report.as_markdown(found, report.details(_SMALL, results()), {"nginx": "1.22.1"}, notes)


def test_the_markdown_is_a_table_with_as_many_cells_in_each_line() -> None:
    lines = [line for line in markdown([]).splitlines() if line.startswith("|")]
    widths = [line.count("|") for line in lines]
    assert widths[:3] == [len(report.COLUMNS) + 1] * 3
    assert "| nginx | 1.22.1 |" in lines


def test_what_went_wrong_is_in_the_markdown() -> None:
    assert "What went wrong" not in markdown([])
    assert "- envoy: not installed" in markdown(["envoy: not installed"])


def test_a_new_result_replaces_the_old_and_nothing_else() -> None:
    first = report.replace_part("", markdown(["old"]))
    assert first == markdown(["old"])
    document = f"# Written by hand\n\n{first.rstrip()}\n\nand below\n"
    second = report.replace_part(document, markdown(["new"]))
    assert second.startswith("# Written by hand\n\n" + report.BEGIN)
    assert second.endswith(report.END + "\n\nand below\n")
    assert "- new" in second and "- old" not in second
    assert report.replace_part(second, markdown(["new"])) == second


def test_a_document_without_marks_gets_the_result_at_its_end() -> None:
    assert report.replace_part("# By hand\n", markdown([])) == "# By hand\n\n" + markdown([])

"""How long samples are remembered, and what stands when nothing happens any more."""

from __future__ import annotations

from autoscale.samplings import START, A, Traffic
from fairlead.autoscale.samples import Sample, ServiceSample
from fairlead.autoscale.window import Window


def test_there_are_no_figures_before_the_second_sample() -> None:
    traffic = Traffic(Window(10.0))
    assert traffic.window.current("shop") is None
    traffic.second()
    assert traffic.window.current("shop") is None
    assert traffic.window.endpoints("shop") == {}
    traffic.second()
    assert traffic.window.current("shop") is not None
    assert traffic.window.current("other") is None


def test_a_window_is_whole_when_as_much_has_been_seen() -> None:
    traffic = Traffic(Window(10.0))
    traffic.second(10)
    assert not traffic.window.is_whole
    traffic.second()
    assert traffic.window.is_whole
    traffic.second(100)
    figures = traffic.window.current("shop")
    assert figures is not None
    assert figures.window_s == 10.0


def test_a_sample_that_is_not_newer_is_left_out() -> None:
    window = Window(10.0)
    for clock in (1.0, 2.0, 2.0, 1.5):
        window.add(Sample(START + clock, clock, 1, {"shop": ServiceSample()}))
    figures = window.current("shop")
    assert figures is not None
    assert (figures.at, figures.window_s) == (START + 2.0, 1.0)


def test_a_gap_between_reports_is_part_of_the_window() -> None:
    window = Window(10.0)
    for clock in (1.0, 2.0, 60.0):
        window.add(Sample(START + clock, clock, 1, {"shop": ServiceSample()}))
    figures = window.current("shop")
    assert figures is not None
    assert figures.window_s == 59.0


def test_the_last_window_with_traffic_is_remembered() -> None:
    traffic = Traffic(Window(10.0))
    traffic.second(12)
    assert traffic.window.with_traffic("shop") is None
    traffic.serve(A, 500_000)
    traffic.second()
    traffic.second(1000)
    current, last = traffic.window.current("shop"), traffic.window.with_traffic("shop")
    assert current is not None
    assert not current.requests
    assert last is not None
    assert (last.at, last.requests) == (START + 13, 1)


def test_a_few_samples_are_kept_and_the_window_is_a_step_longer_at_most() -> None:
    traffic = Traffic(Window(30.0))
    lengths = []
    for _ in range(200):
        traffic.second()
        figures = traffic.window.current("shop")
        lengths.append(figures.window_s if figures else 0.0)
    assert lengths[:40] == [float(min(second, 30)) for second in range(31)] + lengths[31:40]
    assert all(30.0 <= length < 35.0 for length in lengths[30:])
    assert len(traffic.window._samples) <= 8


def test_a_service_that_is_gone_is_forgotten() -> None:
    traffic = Traffic(Window(10.0))
    traffic.second()
    traffic.serve(A, 500_000)
    traffic.second()
    traffic.window.add(Sample(START + 3, 3.0, 3, {}))
    assert traffic.window.with_traffic("shop") is None

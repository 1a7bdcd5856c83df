"""What is kept of totals: only what grows, and nothing of endpoints that are gone."""

from __future__ import annotations

from autoscale.samplings import A, B
from fairlead.autoscale.samples import Looks, Tally, sample
from fairlead.model import Endpoint, Service, Snapshot, State
from fairlead.observe.totals import ServiceTotals, Totals

SHOP = Service(name="shop", endpoints=(Endpoint(A), Endpoint(B, state=State.UNREADY)))


def looked(*in_flight: dict[str, int]) -> Looks:
    looks = Looks()
    for each in in_flight:
        looks.look(Totals(services={"shop": ServiceTotals(in_flight=each)}))
    return looks


def test_what_is_seen_in_flight_is_added_up() -> None:
    looks = looked({A: 1, B: 2}, {A: 3, "gone": 5}, {})
    taken = sample(Totals(), Snapshot(services={"shop": SHOP}), looks, 1.0, 1.0)
    assert taken.looks == 3
    shop = taken.services["shop"]
    assert (shop.total.seen, shop.endpoints, shop.ready) == (11, {A: Tally(seen=4), B: Tally(seen=2)}, 1)


def test_of_an_endpoint_that_is_gone_nothing_is_kept_and_the_service_never_goes_back() -> None:
    looks = looked({A: 1, "gone": 5})
    sample(Totals(), Snapshot(services={"shop": SHOP}), looks, 1.0, 1.0)
    assert looks.of_endpoint == {"shop": {A: 1}}
    assert looks.of_service == {"shop": 6}


def test_requests_of_all_listeners_and_of_forgotten_endpoints_count() -> None:
    requests = {("web", A, "200"): 3, ("tls", A, "503"): 2, ("web", "gone", "200"): 4, ("web", "", "502"): 1}
    totals = Totals(services={"shop": ServiceTotals(requests=requests, forgotten={"200": 10, "500": 1})})
    shop = sample(totals, Snapshot(services={"shop": SHOP}), Looks(), 1.0, 1.0).services["shop"]
    assert shop.total == Tally(requests=21, errors=4)
    assert shop.endpoints == {A: Tally(requests=5, errors=2), B: Tally()}


def test_a_service_that_was_never_asked_has_counted_nothing() -> None:
    taken = sample(Totals(), Snapshot(services={"shop": SHOP}), Looks(), 1.0, 1.0)
    assert taken.services["shop"].total == Tally()

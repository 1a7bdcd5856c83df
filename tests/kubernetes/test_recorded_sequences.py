"""What a real control plane sent in rollouts, scalings and deletions: the usable set after each event."""

from __future__ import annotations

from fairlead.discovery.kubernetes.meaning import Place
from fairlead.model import State
from kubernetes.recorded import Replay, names, usable


def sizes(name: str, port: str = "http", place: Place | None = None) -> list[int]:
    """How many endpoints are usable after each event while the Service is there."""
    return [len(now.usable(port, place=place)) for now in Replay(name).steps() if "my-app" in now.services]


def test_every_recorded_sequence_can_be_read() -> None:
    for name in names("slices-"):
        assert sum(1 for _ in Replay(name.removeprefix("slices-")).steps()) > 5


def test_scaling_never_uses_less_than_is_ready() -> None:
    counts = sizes("scale-3-10-3")
    full = counts.index(3)
    assert counts[:full] == sorted(counts[:full])
    assert min(counts[full:]) == 3
    assert max(counts) == 10
    assert counts[-1] == 3


def test_a_rollout_never_has_less_than_its_replicas_and_never_uses_what_terminates() -> None:
    for name in ("rollout-quick", "rollout-grace30"):
        was_up = False
        for now in Replay(name).steps():
            states = [each.state for each in now.meaning().endpoints]
            was_up = was_up or states.count(State.READY) == 3
            if was_up:
                assert states.count(State.READY) >= 3
                assert len(now.usable()) == states.count(State.READY)
        assert was_up


def test_a_deletion_by_force_is_seen_as_terminating_and_then_gone() -> None:
    terminating = set[str]()
    for now in Replay("force-delete").steps():
        found = now.meaning()
        ready = {each.address for each in found.endpoints if each.state is State.READY}
        terminating |= {each.address for each in found.endpoints} - ready
        if ready:
            assert now.usable() == ready
    assert terminating


def test_when_all_terminate_they_serve_until_others_are_ready() -> None:
    fell_back = False
    for now in Replay("all-terminating").steps():
        found = now.meaning()
        by_state = {state: {each.address for each in found.endpoints if each.state is state} for state in State}
        assert usable(found) == (by_state[State.READY] or by_state[State.DRAINING])
        fell_back = fell_back or bool(not by_state[State.READY] and by_state[State.DRAINING])
        assert not usable(found) & by_state[State.UNREADY]
    assert fell_back


def test_addresses_that_are_published_before_they_are_ready_are_used() -> None:
    most = 0
    for now in Replay("publish-not-ready").steps():
        if "my-app-pnra" in now.services:
            all_of_them = {each.address for each in now.meaning(service="my-app-pnra").endpoints}
            assert now.usable(service="my-app-pnra") == all_of_them
            most = max(most, len(all_of_them))
    assert most == 2


def test_a_flip_of_readiness_is_followed_and_a_relabelled_pod_is_dropped() -> None:
    counts = sizes("readiness-and-labels")
    assert 2 in counts
    assert 3 in counts


def test_dual_stack_uses_one_family_throughout() -> None:
    for now in Replay("dual-stack").steps():
        # A Pod becomes ready in one slice some milliseconds before it does in the other: never both at once.
        assert len({address.startswith("[") for address in now.usable()}) <= 1
        assert not any(address.startswith("[") for address in now.usable())


def test_named_ports_have_the_numbers_of_each_pod() -> None:
    seen: list[set[str]] = []
    for now in Replay("named-ports").steps():
        if now.services["my-app"].ports[0].name == "http":
            numbers = {address.rpartition(":")[2] for address in now.usable()}
            if not seen or seen[-1] != numbers:
                seen.append(numbers)
    assert seen == [set(), {"8080"}, {"8080", "9090"}, {"8080"}, {"8081"}]


def test_a_port_that_is_renamed_is_unsettled_until_its_slices_follow() -> None:
    counts = []
    for now in Replay("named-ports").steps():
        found = now.meaning("80")
        counts.append(len(usable(found)))
        if counts[-1] == 0 and max(counts) > 0:
            assert found.is_unsettled
    assert counts[-1] == 4


def test_130_endpoints_in_several_slices_and_what_moves_between_them() -> None:
    counts = sizes("over-100")
    assert max(counts) >= 215
    assert 0 not in counts[counts.index(100) :]
    assert counts[-1] == 40


def test_headless_services_are_followed() -> None:
    replay = Replay("headless")
    for now in replay.steps():
        for name, service in now.services.items():
            port = service.ports[0].name or str(service.ports[0].number) if service.ports else "8080"
            now.meaning(port, name)
    assert any(not service.ports for service in replay.services.values())
    portless = next(name for name, service in replay.services.items() if not service.ports)
    assert replay.usable("8080", portless)


def test_hints_keep_traffic_in_the_zone_while_all_have_them() -> None:
    home = Place("node-a", "zone-a")
    for now in Replay("traffic-distribution").steps():
        ready = now.usable()
        near = now.usable(place=home)
        assert near <= ready
        assert bool(near) == bool(ready)
        if now.doing == "trafficDistribution=None" and not any(
            "hints" in note for note in now.meaning(place=home).notes
        ):
            assert near == ready
    assert len(now.usable(place=home)) == 4


def test_a_pod_on_a_node_without_a_zone_turns_hints_off() -> None:
    for now in Replay("traffic-distribution").steps():
        ready = now.usable()
        if "10.231.1.66:8080" in ready:
            assert now.usable(place=Place("node-a", "zone-a")) == ready
            return
    raise AssertionError("it never was ready")


def test_slices_made_by_hand() -> None:
    for now in Replay("manual-and-special").steps():
        if "ext" in now.services and "ext-4" in now.slices:
            assert {"10.231.200.1:8080", "10.231.200.3:8080", "10.231.200.4:8080"} <= now.usable(service="ext")
            assert any("ext-4" in note for note in now.meaning(service="ext").notes)
    assert now.services["outside"].external_name == "backend.example.com"
    assert now.services["sticky600"].affinity_s == 600
    assert now.usable(service="old") == {"10.231.201.1:8080"}


def test_dead_pods_stay_while_the_controllers_are_down_and_then_go_at_once() -> None:
    counts = sizes("controller-down")
    assert set(counts[counts.index(3) :]) == {3, 0}

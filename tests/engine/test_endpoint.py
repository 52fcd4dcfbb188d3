"""One server among several: when it takes requests, and how fast it is known to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.engine import EngineFault
from pacore.engine.capacity import FIRST_REQUESTS, Capacity
from pacore.engine.endpoint import Endpoint, Health, Homes, Speed, least_loaded, places
from pacore.engine.faults import Origin

BROKEN = EngineFault("engine_error", "the connection breaks off", transient=True)


def endpoint(name: str = "one", most: int = 1024) -> Endpoint:
    return Endpoint(Origin(f"http://{name}/v1", None), Capacity(most))


def overloaded(retry_after_seconds: float | None = None) -> EngineFault:
    fault = EngineFault(
        "engine_error", "429", transient=True, retry_after_seconds=retry_after_seconds
    )
    fault.is_overload = True
    return fault


def test_a_rest_doubles_with_every_fault_in_a_row_up_to_a_bound() -> None:
    health, now, rests_seconds = Health(), 0.0, []
    for _ in range(7):
        health.see_fault(now)
        rests_seconds.append(health.rests_until - now)
        now = health.rests_until
    assert rests_seconds == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    health.see_response()
    health.see_fault(now)
    assert health.rests_until - now == 1.0


def test_faults_of_requests_already_under_way_do_not_prolong_a_rest() -> None:
    health = Health()
    for _ in range(64):
        health.see_fault(now=10.0)
    assert health.rests_until == 11.0


def test_after_its_rest_a_server_takes_one_request_and_all_again_once_that_was_answered() -> None:
    one = endpoint()
    one.see_fault(BROKEN, now=0.0)
    assert (one.health.state(0.5), one.takes(0.5)) == ("resting", False)
    assert (one.health.state(1.0), one.takes(1.0)) == ("probing", True)
    with one.outstanding(100.0, now=1.0):
        assert not one.takes(1.5)
        one.see_response(100, 0.5, now=1.5)
    assert (one.health.state(1.5), one.places(1.5)) == ("serving", FIRST_REQUESTS)


def test_a_probe_that_fails_is_followed_by_a_longer_rest() -> None:
    one = endpoint()
    one.see_fault(BROKEN, now=0.0)
    with one.outstanding(100.0, now=1.0):
        one.see_fault(BROKEN, now=1.0)
    assert one.health.state(2.9) == "resting"
    assert (one.health.state(3.0), one.takes(3.0)) == ("probing", True)


def test_a_server_that_was_overloaded_takes_as_many_as_it_can_after_its_rest_without_a_probe() -> (
    None
):
    one = endpoint()
    with one.outstanding(1.0, 0.0), one.outstanding(1.0, 0.0), one.outstanding(1.0, 0.0):
        one.see_fault(overloaded(retry_after_seconds=5.0), now=0.0)
        assert (one.takes(4.9), one.places(4.9)) == (False, 3)
        assert one.health.state(5.0) == "serving"
        assert not one.takes(5.0)
    assert one.places(5.0) == 2


def test_a_silent_server_keeps_what_it_has_and_takes_nothing_until_something_comes_from_it() -> (
    None
):
    one, other = endpoint("one"), endpoint("other")
    with one.outstanding(10.0, 0.0):
        one.health.is_silent = True
        assert (one.health.state(0.0), one.takes(0.0), one.places(0.0)) == ("silent", False, 1)
        assert least_loaded((one, other), 0.0) is other
        assert places((one, other), 0.0) == 1 + FIRST_REQUESTS
        one.see_response(10, 1.0, 1.0)
    assert one.health.state(1.0) == "serving"


def test_where_every_endpoint_rests_the_first_to_end_its_rest_is_selected() -> None:
    one, two = endpoint("one"), endpoint("two")
    one.see_fault(overloaded(9.0), 0.0)
    two.see_fault(overloaded(3.0), 0.0)
    assert least_loaded((one, two), now=1.0) is two
    assert least_loaded((one, two), now=3.0) is two
    assert least_loaded((one, two), now=9.0) is one


def test_where_none_is_serving_as_many_are_sent_as_if_all_were() -> None:
    one, two = endpoint("one", most=8), endpoint("two", most=4)
    one.see_fault(BROKEN, 0.0)
    two.see_fault(BROKEN, 0.0)
    assert places((one, two), 0.5) == 12


def test_between_equally_many_requests_the_fewer_expected_tokens_decide() -> None:
    one, two = endpoint("one"), endpoint("two")
    one.requests, one.expected_tokens = 2, 2000
    two.requests, two.expected_tokens = 2, 1000
    assert least_loaded((one, two), now=1.0) is two
    two.requests = 3
    assert least_loaded((one, two), now=1.0) is one


def test_requests_of_one_prompt_stay_at_one_endpoint_until_it_is_much_fuller_than_another() -> None:
    one, two = endpoint("one", most=20), endpoint("two", most=20)
    homes = Homes((one, two))
    assert homes.choose("a", 0.0) is one
    one.requests = 2
    assert homes.choose("a", 0.0) is one
    assert homes.choose("b", 0.0) is two
    one.requests = 3
    assert homes.choose("a", 0.0) is two
    two.requests = 3
    assert homes.choose("a", 0.0) is two
    two.see_fault(BROKEN, 0.0)
    assert homes.choose("a", 0.0) is one


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(("fault", "overload", "response", "silent", "ends")), st.floats(0, 5)
    ),
    max_size=30,
)


@given(EVENTS)
def test_whatever_happens_a_response_makes_a_server_take_requests_again_after_its_rest(
    events: list[tuple[str, float]],
) -> None:
    one, now = endpoint(), 0.0
    for event, seconds in events:
        now += seconds
        with one.outstanding(1.0, now):
            if event == "fault":
                one.see_fault(BROKEN, now)
            elif event == "overload":
                one.see_fault(overloaded(), now)
            elif event == "response":
                one.see_response(10, 1.0, now)
            elif event == "silent":
                one.health.is_silent = True
        assert one.requests == 0
        assert not one.health.is_probed
    one.see_response(10, 1.0, now)
    assert one.takes(now + 30.0)
    assert one.health.state(now + 30.0) == "serving"


@pytest.mark.parametrize("running", [1, 8, 64])
def test_the_speed_of_a_server_with_a_counter_is_of_one_request_however_many_run(
    running: int,
) -> None:
    speed = Speed()
    for second in range(10):
        speed.see_counter(1_000 + 50 * running * second, running, float(second))
    assert speed.tokens_per_second == pytest.approx(50.0)
    assert speed.service(9.0) == pytest.approx(450.0)
    assert speed.service(9.5) == pytest.approx(475.0)


def test_a_server_that_stalls_is_soon_known_to_be_slow_and_one_that_was_restarted_is_not() -> None:
    speed = Speed()
    for second in range(5):
        speed.see_counter(100 * second, 1, float(second))
    given_by_then = speed.service(4.0)
    for second in range(5, 9):
        speed.see_counter(400, 1, float(second))
    assert speed.tokens_per_second is not None
    assert speed.tokens_per_second < 10.0
    assert speed.service(8.0) == given_by_then
    speed.see_counter(3, 1, 9.0)
    assert speed.service(9.0) == given_by_then


def test_without_a_counter_the_speed_is_that_of_responses() -> None:
    speed = Speed()
    assert (speed.tokens_per_second, speed.service(5.0)) == (None, 0.0)
    speed.see_response(100, 2.0, now=2.0)
    assert speed.tokens_per_second == 50.0
    speed.see_response(100, 4.0, now=4.0)
    assert speed.tokens_per_second == pytest.approx(45.0)
    assert speed.service(4.0) == pytest.approx(100.0)
    speed.see_response(0, 4.0, now=5.0)
    assert speed.tokens_per_second == pytest.approx(45.0)

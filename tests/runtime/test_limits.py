"""Token buckets: what is there, when more is there, and how much of all that is remembered."""

import pytest

from runtime.limits import Buckets, Rate


class Clock:
    """A clock that stands until it is set on."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def takes(buckets: Buckets, sender: object, times: int) -> int:
    """Take until there is nothing more, at most so many times; return how often it worked."""
    for taken in range(times):
        if buckets.wait(sender):
            return taken
        buckets.take(sender)
    return times


def test_a_bucket_gives_what_it_holds_and_then_what_comes_back() -> None:
    clock = Clock()
    buckets = Buckets(Rate(burst=5, per_minute=30), clock=clock)
    assert takes(buckets, "a", 100) == 5
    assert takes(buckets, "b", 1) == 1
    assert buckets.wait("a") == pytest.approx(2.0)
    clock.now += 1.5
    assert buckets.wait("a") == pytest.approx(0.5)
    clock.now += 0.5
    assert takes(buckets, "a", 100) == 1
    clock.now += 3_600
    assert takes(buckets, "a", 100) == 5


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    buckets = Buckets(Rate(1, 60), clock=clock)
    buckets.take("a")
    for _ in range(1_000):
        assert buckets.wait("a") == pytest.approx(1.0)
    clock.now += 1.0
    assert not buckets.wait("a")


@pytest.mark.parametrize("rate", [Rate(3, 7), Rate(10, 10), Rate(1, 1_000_000), Rate(1_000, 13)])
def test_an_hour_of_trying_gives_the_burst_and_the_rate(rate: Rate) -> None:
    clock = Clock()
    buckets = Buckets(rate, clock=clock)
    taken, start = 0, clock.now
    while clock.now <= start + 3_600 and taken < 20_000:
        if wait_s := buckets.wait("a"):
            clock.now += wait_s  # so long, and not a moment more
            assert not buckets.wait("a")
        buckets.take("a")
        taken += 1
    passed_s = clock.now - start
    assert taken <= rate.burst + passed_s * rate.per_minute / 60 + 1.01


def test_many_tokens_at_once_are_there_when_the_bucket_is_full() -> None:
    clock = Clock()
    buckets = Buckets(Rate(10, 60), clock=clock)
    assert not buckets.wait("a", 500)
    buckets.take("a", 500)
    assert buckets.wait("a", 500) == pytest.approx(500)
    assert buckets.wait("a") == pytest.approx(491)


def test_made_up_senders_take_a_bounded_room() -> None:
    clock = Clock()
    buckets = Buckets(Rate(2, 1), most=100, clock=clock)
    for sender in range(10_000):
        clock.now += 0.001
        buckets.take(sender)
        assert len(buckets) <= 100
    # Whoever does not stop is not forgotten for those who came later.
    assert takes(buckets, "flood", 10) == 2
    for sender in range(10_000):
        assert buckets.wait("flood")
        buckets.take(("other", sender))
    assert buckets.wait("flood")
    assert len(buckets) <= 100


def test_a_full_bucket_is_forgotten() -> None:
    clock = Clock()
    buckets = Buckets(Rate(5, 60), clock=clock)
    for sender in range(1_000):
        buckets.take(sender)
    clock.now += 1.0
    buckets.take("one more")
    assert len(buckets) == 1


def test_nothing_taken_is_nothing_remembered() -> None:
    buckets = Buckets(Rate(5, 60), clock=Clock())
    buckets.take("a", 0)
    assert len(buckets) == 0
    assert not buckets.wait("a")

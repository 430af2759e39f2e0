from collections.abc import Callable

import pytest

from shared.dataverse.errors import AmbiguousError
from shared.dataverse.patience import Patience
from shared.errors import ConfigurationError, ThrottledError, TransientError


def patience(pauses: list[float], **options: float) -> Patience:
    now = [0.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    return Patience(clock=lambda: now[0], sleep=sleep, draw=lambda: 1.0, **options)  # type: ignore[arg-type]


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


def test_pauses_double_up_to_the_longest() -> None:
    pauses: list[float] = []
    call = failing(*[TransientError("busy")] * 5)
    assert patience(pauses, first=1.0, longest=5.0).persist(call) == "done"
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_it_ends_after_the_attempts() -> None:
    pauses: list[float] = []
    with pytest.raises(TransientError):
        patience(pauses, attempts=3).persist(failing(*[TransientError("busy")] * 3))
    assert len(pauses) == 2


def test_it_ends_after_the_time() -> None:
    pauses: list[float] = []
    with pytest.raises(TransientError):
        patience(pauses, attempts=50, seconds=30.0).persist(failing(*[TransientError("busy")] * 50))
    assert sum(pauses) <= 30.0


def test_one_ambiguous_attempt_makes_the_end_ambiguous() -> None:
    errors = [AmbiguousError("broke off"), TransientError("busy"), TransientError("busy")]
    with pytest.raises(AmbiguousError):
        patience([], attempts=3).persist(failing(*errors))


def test_a_throttled_attempt_is_left_to_the_limiter() -> None:
    pauses: list[float] = []
    assert patience(pauses).persist(failing(ThrottledError("wait", 3.0))) == "done"
    assert pauses == []


def test_a_long_retry_after_is_handed_back_at_once() -> None:
    with pytest.raises(ThrottledError) as raised:
        patience([]).persist(failing(ThrottledError("wait", 120.0)))
    assert raised.value.retry_after == 120.0


def test_what_does_not_pass_is_not_tried_again() -> None:
    with pytest.raises(ConfigurationError):
        patience([]).persist(failing(ConfigurationError("no privilege")))

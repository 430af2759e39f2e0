"""How the benchmarks compare and keep what they measure."""

from __future__ import annotations

from bench.measure import Claim, Sample, interleaved, ratio, summary


def sample(rows: int, seconds: float) -> Sample:
    return Sample(rows=rows, requests=2, seconds=seconds, cpu=seconds / 2)


def test_rounds_are_interleaved() -> None:
    order: list[str] = []

    def contender(name: str) -> Sample:
        order.append(name)
        return sample(1, 1.0)

    interleaved(2, {"a": lambda: contender("a"), "b": lambda: contender("b")})
    assert order == ["a", "b", "a", "b"]


def test_a_summary_gives_median_and_spread() -> None:
    found = summary([sample(100, 1.0), sample(100, 2.0), sample(100, 4.0)])
    assert (found["rows_per_second"], found["lowest"], found["highest"]) == (50.0, 25.0, 100.0)
    assert found["cpu_ms_per_request"] == 500.0


def test_a_ratio_takes_the_best_way_of_each_within_a_round() -> None:
    found = {
        "slow": [sample(100, 1.0), sample(100, 1.0)],
        "fast": [sample(200, 1.0), sample(400, 1.0)],
        "other": [sample(100, 1.0), sample(100, 1.0)],
    }
    assert ratio(found, ("slow", "fast"), ("other",)) == 3.0


def test_a_claim_holds_up_to_its_limit() -> None:
    assert Claim("at least", 8.0, 8.0).holds
    assert not Claim("at least", 8.0, 7.9).holds
    assert Claim("at most", 3.0, 3.0, most=True).holds
    assert not Claim("at most", 3.0, 3.1, most=True).holds

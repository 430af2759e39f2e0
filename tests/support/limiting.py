"""A limiter whose time passes only by sleeping, and other workers who say what a test lets them say."""

from __future__ import annotations

from typing import Any

from shared.dataverse.limiter import Limiter, News


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Others:
    """Other workers: what they were told, and what they say, one thing after the other."""

    def __init__(self, *news: News) -> None:
        self.told: list[float] = []
        self.news = list(news)

    def tell(self, seconds: float) -> None:
        self.told.append(seconds)

    def hear(self) -> News | None:
        return self.news.pop(0) if self.news else None


def limiter(clock: Clock, start: int = 8, **options: Any) -> Limiter:
    return Limiter(start, clock=clock, sleep=clock.sleep, **options)

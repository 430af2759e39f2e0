"""How a service behaves beside what it answers: web servers, limits, costs, latency. Profiles, and changes to them.

`instant`    nothing is limited and nothing takes longer than the work itself.
`realistic`  the documented limits on two web servers. The costs are chosen so that the execution time of one user
             allows about 200 rows a second on each of them, what others measured, at half the recommended parallelism.

The same names serve the command line (`--limit requests=600 --cost row=0.01 --servers 3`) and
`POST /local/{host}/limits` ({"profile": "realistic", "limits": {"requests": 600}, "servers": 3}).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from local.dataverse.errors import invalid_argument
from local.dataverse.protection import UNLIMITED, Limits
from local.dataverse.timing import INSTANT, Costs

Part = TypeVar("Part", Limits, Costs, "Profile")
NULLABLE = frozenset({"requests", "execution", "concurrent", "dop_hint", "seed"})
WHOLE = frozenset({"requests", "concurrent", "servers", "dop_hint", "seed", "cores"})
ABOVE_ZERO = frozenset({"window", "resolution", "servers", "dop_hint", "cores"})


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One way to behave. `latency` in seconds is the way there and back.

    `dop_hint` is the recommended degree of parallelism, None: cores times servers. `seed` decides which web server a
    request without a cookie reaches, None: one after another; and the jitter of costs.
    """

    servers: int = 1
    latency: float = 0.0
    dop_hint: int | None = None
    seed: int | None = None
    limits: Limits = UNLIMITED
    costs: Costs = INSTANT

    @property
    def parallelism(self) -> int:
        """The degree of parallelism to recommend."""
        return self.dop_hint or self.costs.cores * self.servers

    def report(self) -> dict[str, Any]:
        """Return it as JSON shows it; `changed` reads it again."""
        return asdict(self)


PROFILES = {
    "instant": Profile(),
    "realistic": Profile(
        servers=2,
        latency=0.05,
        limits=Limits(),
        costs=Costs(request=0.05, row=0.02, operation=0.05, cores=8, jitter=0.1),
    ),
}


def changed(profile: Profile, wanted: Mapping[str, Any]) -> Profile:
    """Return the profile that `wanted` names, else the given one, with what it changes. Raises DataverseError."""
    if not isinstance(wanted, Mapping):
        raise invalid_argument("An object is expected.")
    rest = dict(wanted)
    name = rest.pop("profile", None)
    if name is not None and name not in PROFILES:
        raise invalid_argument(f"There is no profile {name!r}; known: {', '.join(PROFILES)}.")
    start = PROFILES[name] if name is not None else profile
    limits = _with(start.limits, rest.pop("limits", {}))
    costs = _with(start.costs, rest.pop("costs", {}))
    return replace(_with(start, rest), limits=limits, costs=costs)


def number(text: str) -> float | int | None:
    """Return a value of the command line: a number, or `none`. Raises ValueError."""
    if text.lower() == "none":
        return None
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _with(old: Part, wanted: Any) -> Part:
    if not isinstance(wanted, Mapping):
        raise invalid_argument("An object is expected.")
    known = [field.name for field in fields(old) if field.name not in ("limits", "costs")]
    for name, value in wanted.items():
        if name not in known:
            raise invalid_argument(f"There is no {name!r}; known: {', '.join(known)}.")
        if fault := _fault(name, value):
            raise invalid_argument(f"{name} {fault}; it is {value!r}.")
    return replace(old, **wanted)


def _fault(name: str, value: Any) -> str | None:
    """Return what is wrong with a value, None if nothing is."""
    if value is None:
        return None if name in NULLABLE else "cannot be without a value"
    if isinstance(value, bool) or not isinstance(value, int if name in WHOLE else (int, float)):
        return "must be a whole number" if name in WHOLE else "must be a number"
    if not math.isfinite(value) or value < 0 or (value == 0 and name in ABOVE_ZERO):
        return "must be above 0" if name in ABOVE_ZERO else "must be 0 or more"
    return None

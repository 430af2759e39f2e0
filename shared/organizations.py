"""The Dataverse organizations that the app is bound to: their clients, and which application user sends next."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cached_property

import httpx

from shared.dataverse.client import Client, Identity
from shared.dataverse.limiter import Limiter
from shared.dataverse.patience import Patience
from shared.dataverse.signin import Credentials, TokenSource
from shared.dataverse.sizing import Sizes
from shared.errors import ConfigurationError, ThrottledError, TransientError
from shared.settings import Settings
from shared.throttling import Throttling

_log = logging.getLogger(__name__)

AWAY_SECONDS = 30.0
"""How long a user that cannot be reached is not asked again."""

_MOVED = (
    "Behind {url} is now the organization {found}, and the run was planned for {planned_for}: nothing more is sent."
)


class Organizations:
    """For each organization a client of every application user, each with a limiter of its own. Thread safe.

    `throttling` is where the workers of a user share its limits; without it each process knows only its own.
    """

    def __init__(
        self,
        settings: Settings,
        throttling: Throttling | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._throttling = throttling
        self._clock = clock
        self._clients: dict[str, list[Client]] = {}
        self._sizes: dict[str, Sizes] = {}
        self._introductions: dict[int, _Introduction] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for clients in self._clients.values():
                for client in clients:
                    client.close()
            self._clients = {}

    def sizes(self, url: str) -> Sizes:
        """What calls to an organization took, whichever user made them."""
        with self._lock:
            return self._sizes.setdefault(url, Sizes(most=self._settings.dataverse_batch_rows))

    def client(self, url: str) -> Client:
        """The client of the first user: for plans and definitions."""
        return self._all(url)[0]

    def users(self, url: str) -> list[Client]:
        """The clients of all users that can be reached, in their order; no one waits for one that cannot.

        Raises ConfigurationError, which names the user, if any cannot sign in or is no member of the organization;
        TransientError if none can be reached.
        """
        clients = self._all(url)
        known = [client for client in clients if client.user_id is not None]
        faults = []
        for client in clients:
            if client.user_id is None and (fault := self._introduction(client).make(patiently=not known)):
                faults.append(fault)
            if client.user_id is not None and client not in known:
                known.append(client)
        if not known:
            raise faults[0]
        return sorted(known, key=clients.index)

    def sender(self, url: str) -> Client:
        """The client of the user with the most capacity free: for one call. Raises as `users` does."""
        return max(self.users(url), key=_capacity)

    def introduce(self, url: str) -> Identity:
        """The organization as the first user sees it; every user is asked anew who it is.

        So whatever was given to a user since, or taken away, counts from now on. Raises as `users` does, and
        TransientError if the first one cannot be reached.
        """
        first, *others = self._all(url)
        identity = first.who_am_i()
        for client in others:
            self._introduction(client).make(anew=True)
        return identity

    def _introduction(self, client: Client) -> _Introduction:
        with self._lock:
            return self._introductions.setdefault(id(client), _Introduction(client, self._clock))

    def _all(self, url: str) -> list[Client]:
        with self._lock:
            if url not in self._clients:
                self._clients[url] = [self._client(url, credentials) for credentials in self._credentials]
            return self._clients[url]

    def _client(self, url: str, credentials: Credentials) -> Client:
        throttling = self._throttling
        others = throttling.of(httpx.URL(url).host, credentials.client_id or "") if throttling else None
        return Client(
            url,
            address=self._settings.dataverse_address,
            tokens=self._tokens[credentials.name],
            limiter=Limiter(users=len(self._credentials), others=others),
            timeout=self._settings.dataverse_timeout_seconds,
            user=credentials.user,
        )

    @cached_property
    def _credentials(self) -> list[Credentials]:
        settings = self._settings
        return [
            Credentials(
                settings.tenant_id,
                user.client_id,
                user.client_secret,
                user.client_certificate,
                authority=settings.authority,
                name=user.name,
            )
            for user in settings.users
        ]

    @cached_property
    def _tokens(self) -> dict[str, TokenSource]:
        return {credentials.name: TokenSource(credentials) for credentials in self._credentials}


def refuse_another(url: str, found: str | None, planned_for: str) -> None:
    """Raise ConfigurationError where behind the address is not the organization any more that a run was planned for."""
    if found is not None and found != planned_for:
        raise ConfigurationError(_MOVED.format(url=url, found=found, planned_for=planned_for))


class _Introduction:
    """Asking a user who it is, which also tells how much to send at once: by one thread, and not all the time."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client, self._clock = client, clock
        self._asking = threading.Lock()
        self._fault: TransientError | None = None
        self._again_at = clock()

    def make(self, *, patiently: bool = False, anew: bool = False) -> TransientError | None:
        """Ask, unless that failed a moment ago; why the user cannot be reached.

        Once only; `patiently`: until the client's patience ends, and if another thread asks just now, wait for it.
        `anew`: ask one that is known, too. Raises ConfigurationError.
        """
        if not self._asking.acquire(blocking=patiently or anew):
            return None
        try:
            if self._client.user_id is not None and not anew:
                return None
            if self._fault is not None and self._clock() < self._again_at:
                return self._fault
            return self._ask(None if patiently else Patience(attempts=1))
        finally:
            self._asking.release()

    def _ask(self, patience: Patience | None) -> TransientError | None:
        self._fault = None
        try:
            self._client.who_am_i(patience)
        except TransientError as fault:
            _log.warning("dataverse.user_unavailable", extra={"user": self._client.user, "reason": str(fault)})
            wait = fault.retry_after if isinstance(fault, ThrottledError) else AWAY_SECONDS
            self._again_at = self._clock() + min(wait, AWAY_SECONDS)
            self._fault = fault
        return self._fault


def _capacity(client: Client) -> tuple[float, int]:
    """Who may send at once comes first, by what is free; of those on hold the one whose hold ends first."""
    return -client.limiter.hold_seconds(), client.limiter.spare

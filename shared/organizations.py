"""The Dataverse organizations that the app is bound to: their clients, and which application user sends next."""

from __future__ import annotations

import logging
import threading
from functools import cached_property

import httpx

from shared.dataverse.client import Client
from shared.dataverse.limiter import Limiter
from shared.dataverse.signin import Credentials, TokenSource
from shared.dataverse.sizing import Sizes
from shared.errors import TransientError
from shared.settings import Settings
from shared.throttling import Throttling

_log = logging.getLogger(__name__)


class Organizations:
    """For each organization a client of every application user, each with a limiter of its own. Thread safe.

    `throttling` is where the workers of a user share its limits; without it each process knows only its own.
    """

    def __init__(self, settings: Settings, throttling: Throttling | None = None) -> None:
        self._settings = settings
        self._throttling = throttling
        self._clients: dict[str, list[Client]] = {}
        self._sizes: dict[str, Sizes] = {}
        self._introductions: dict[int, threading.Lock] = {}
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

    def sender(self, url: str) -> Client:
        """The client of the user with the most capacity free: for one call.

        Raises ConfigurationError, which names the user, if any cannot sign in or is no member of the organization;
        TransientError if none can be reached.
        """
        return max(self._introduced(self._all(url)), key=_capacity)

    def _introduced(self, clients: list[Client]) -> list[Client]:
        """The users that have signed in; each is asked once who it is, which also tells how much to send at once."""
        known, faults = [], []
        for client in clients:
            try:
                self._introduce(client)
                known.append(client)
            except TransientError as fault:
                _log.warning("dataverse.user_unavailable", extra={"user": client.user, "reason": str(fault)})
                faults.append(fault)
        if not known:
            raise faults[0]
        return known

    def _introduce(self, client: Client) -> None:
        if client.user_id is not None:
            return
        with self._introductions.setdefault(id(client), threading.Lock()):
            if client.user_id is None:
                client.who_am_i()

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


def _capacity(client: Client) -> tuple[float, int]:
    """Who may send at once comes first, by what is free; of those on hold the one whose hold ends first."""
    return -client.limiter.hold_seconds(), client.limiter.spare

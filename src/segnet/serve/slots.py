"""How much may be in the service at one time, of all clients and of each."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

from segnet.serve.refusal import overloaded

_IPV6_NETWORK_BITS = 64  # one customer has at least so large a network


class Slots:
    """Slots for things of one kind; used in the event loop's thread only.

    Args:
        total: of all clients together.
        per_client: of one client.
        things: the kind, for messages.
        retry_after_s: asked when a client is refused.
    """

    def __init__(self, total: int, per_client: int, things: str, retry_after_s: Callable[[], int] = lambda: 1) -> None:
        self._total, self._per_client, self._things, self._retry_after_s = total, per_client, things, retry_after_s
        self._taken: Counter[Hashable] = Counter()

    @property
    def taken(self) -> int:
        """Slots in use."""
        return self._taken.total()

    def require_free(self, client: Hashable) -> None:
        """Whether the client could take one now.

        Raises:
            RefusalError: 429.
        """
        limits = ((self._total, self.taken, ""), (self._per_client, self._taken[client], " of one client"))
        for most, taken, whose in limits:
            if taken >= most:
                expected = f"at most {most} {self._things}{whose} at one time"
                raise overloaded(HTTPStatus.TOO_MANY_REQUESTS, expected, f"one beyond {taken}", self._retry_after_s())

    @contextmanager
    def take(self, client: Hashable) -> Iterator[None]:
        """Holds a slot.

        Raises:
            RefusalError: 429, none is free for this client.
        """
        self.require_free(client)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            self._taken += Counter()  # forgets clients with none


class ByteBudget:
    """Bytes that bodies may take in memory, all together.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._most, self.used = most, 0

    def add(self, count: int) -> None:
        """Takes so many more.

        Raises:
            RefusalError: 429, that many are not left; none is taken then.
        """
        if self.used + count > self._most:
            expected = f"at most {self._most:,} bytes of uploads at one time"
            raise overloaded(HTTPStatus.TOO_MANY_REQUESTS, expected, "more", 2)
        self.used += count

    def give_back(self, count: int) -> None:
        """Returns so many."""
        self.used -= count


def client_of(request: Request) -> str:
    """Who sent a request: an IPv4 address, or the network of an IPv6 address."""
    return client_name(request.client.host if request.client else "")


def client_name(host: str) -> str:
    """An address as `client_of` names it."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    bits = 128 - _IPV6_NETWORK_BITS
    return str(IPv6Address(int(address) >> bits << bits))

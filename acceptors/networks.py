"""Networks: which addresses are believed what they say about others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
"""This machine: what is trusted where nobody says otherwise."""

KNOWN: Final = 1_000
"""Addresses whose answer is kept."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Networks:
    """A set of networks in CIDR notation; a bare address is a network of one.

    `"10.1.2.3" in Networks(["10.0.0.0/8"])`. What is no address is in none. An IPv4 address that
    came in by an IPv6 socket (`::ffff:10.1.2.3`) is the IPv4 address.
    Raises ValueError for a network that can't be read, or that has bits behind its prefix.
    """

    __slots__ = ("_known", "networks")

    def __init__(self, networks: Iterable[str]) -> None:
        if isinstance(networks, str):
            raise ValueError(f"networks are a list of texts, got the text {networks!r}")
        self.networks: tuple[Network, ...] = tuple(map(ipaddress.ip_network, networks))
        self._known: dict[str, bool] = {}

    def __contains__(self, address: object) -> bool:
        known = self._known.get(address)  # type: ignore[call-overload]
        if known is None:
            if not isinstance(address, str):
                return False
            known = self._find(address)
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[address] = known
        return bool(known)

    def _find(self, address: str) -> bool:
        parsed = parse_address(address)
        # A network of the other version contains no address of this one.
        return parsed is not None and any(parsed in network for network in self.networks)

    def __repr__(self) -> str:
        return f"Networks({[str(network) for network in self.networks]})"


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that `text` is, None for anything else. Without its zone; an IPv4
    address in an IPv6 one is the former."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address

"""Options are checked before anything starts; what is wrong is named."""

from __future__ import annotations

import ssl

import pytest

import acceptors
from acceptors import Alarm, OptionError, TransportOptions
from acceptors.options import AT_ONCE, CHECKS

BAD = [
    ("host", 5),
    ("port", -1),
    ("port", 65_536),
    ("port", "80"),
    ("port", True),
    ("uds", ""),
    ("uds", b"/tmp/x"),
    ("uds_mode", 0o1000),
    ("fd", -1),
    ("sockets", 3),
    ("sockets", [3]),
    ("systemd", 1),
    ("num_acceptors", 0),
    ("num_acceptors", 1.5),
    ("num_listen_sockets", 0),
    ("max_connections", 0),
    ("max_connections", "many"),
    ("max_connections", None),
    ("max_connections_limit", "medium"),
    ("max_connections_policy", "503"),
    ("max_connections_policy", []),
    ("max_connections_per_ip", 0),
    ("accept_rate", -1),
    ("accept_rate", float("inf")),
    ("accept_rate_per_ip", "10"),
    ("handshake_timeout", 0),
    ("handshake_timeout", float("inf")),
    ("shutdown", -1),
    ("shutdown", "brutal"),
    ("shutdown", float("nan")),
    ("alarms", 5),
    ("alarms", {"many": 5}),
    ("alarms", {"many": Alarm(threshold=0, callback=print)}),
    ("ssl", True),
    ("proxy_protocol", "on"),
    ("proxy_networks", ["10.0.0.1/8"]),
    ("post_listen_callback", "print"),
    ("backlog", 0),
    ("nodelay", "yes"),
    ("reuseport", 1),
    ("keepalive", None),
    ("defer_accept", -1),
    ("fastopen", "on"),
]


@pytest.mark.parametrize(("option", "value"), BAD, ids=[f"{o}={v!r:.20}" for o, v in BAD])
async def test_bad_option_is_named_and_nothing_starts(option, value):
    with pytest.raises(OptionError, match=f"^{option}: expected ") as caught:
        await acceptors.start_listener("bad", {option: value}, acceptors.Connection)
    assert caught.value.option == option
    assert repr(value) in str(caught.value)
    assert acceptors.info() == {}


def test_every_option_is_checked():
    checked = set(CHECKS)
    assert checked == {option for option, _ in BAD}
    assert checked == set(TransportOptions.__dataclass_fields__)
    assert checked > AT_ONCE


async def test_unknown_option_gets_a_suggestion():
    with pytest.raises(OptionError, match=r"num_aceptors: .* did you mean num_acceptors\?"):
        await acceptors.start_listener("bad", {"num_aceptors": 3}, acceptors.Connection)
    with pytest.raises(OptionError, match=r"^zzz: there is no such option$"):
        await acceptors.start_listener("bad", {"zzz": 3}, acceptors.Connection)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uds": "/tmp/x", "fd": 3}, "fd: can't be combined with uds"),
        ({"fd": 3, "systemd": True}, "systemd: can't be combined with fd"),
        ({"uds": "/tmp/x", "num_listen_sockets": 2}, "num_listen_sockets: .* with uds"),
        ({"num_listen_sockets": 3, "num_acceptors": 2}, "num_listen_sockets: 3 sockets need"),
    ],
)
def test_bad_combinations(options, message):
    with pytest.raises(OptionError, match=message):
        TransportOptions(**options)


def test_defaults_are_those_of_the_design():
    options = TransportOptions()
    assert (options.num_acceptors, options.max_connections) == (100, 16_384)
    assert (options.max_connections_policy, options.max_connections_limit) == ("wait", "hard")
    assert (options.backlog, options.nodelay, options.num_listen_sockets) == (1024, True, 1)


async def test_protocol_must_be_callable():
    with pytest.raises(TypeError, match="a protocol is a class"):
        await acceptors.start_listener("bad", {}, "echo")
    assert acceptors.info() == {}


def test_all_options_accept_good_values():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    TransportOptions(
        host="::1",
        port=65_535,
        num_acceptors=3,
        num_listen_sockets=3,
        max_connections="infinity",
        max_connections_limit="soft",
        max_connections_policy="close",
        handshake_timeout=0.5,
        shutdown="infinity",
        alarms={"many": Alarm(threshold=1, callback=print)},
        ssl=context,
        post_listen_callback=print,
        backlog=1,
        nodelay=False,
        reuseport=True,
        keepalive=True,
        defer_accept=1,
        fastopen=5,
    )

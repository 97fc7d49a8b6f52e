"""Signature: webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from plugpy.pipeline import compile_pipeline
from plugpy.plugs import Parsers, Signature
from plugpy.testing import call, conn

BODY = b'{"a":1}'
NOW = 1_700_000_000


def sign(payload: bytes, secret=b"secret", algorithm="sha256"):
    return hmac.new(secret, payload, algorithm).hexdigest()


def passes(plug, headers, body=BODY):
    sent = call(plug, conn("POST", "/", body, headers))
    assert sent.status == (403 if sent.halted else None)
    return not sent.halted


GOOD = sign(BODY)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"sha256={GOOD}", True),
        (f"sha256={GOOD.upper()}", True),
        (f"sha256={sign(BODY, b'other')}", False),
        (f"sha256={sign(b'other')}", False),
        (f"sha256={GOOD[:-2]}", False),
        (f"sha1={GOOD}", False),
        (GOOD, False),
        ("sha256=", False),
        ("sha256=zz", False),
        ("x" * 5000, False),
    ],
)
def test_github(value, expected):
    assert passes(Signature.github("secret"), {"x-hub-signature-256": value}) is expected


def test_without_a_signature_the_body_is_not_read():
    sent = conn("POST", "/", BODY)
    assert Signature.github("secret")(sent) is sent
    assert sent.status == 403


def test_a_secret_that_is_being_replaced():
    plug = Signature.github(["new", "secret"])
    assert passes(plug, {"x-hub-signature-256": f"sha256={GOOD}"})


def stripe(time=NOW, now=NOW, extra=""):
    plug = Signature(
        secret="secret",
        header="stripe-signature",
        pattern=r"(?:\At=(?P<timestamp>\d+))?,v1=(?P<signature>[0-9a-f]+)",
        payload="{timestamp}.{body}",
        clock=lambda: now,
    )
    signature = sign(b"%d.%b" % (time, BODY))
    return passes(plug, {"stripe-signature": f"t={time}{extra},v1={signature}"})


def test_stripe():
    assert stripe()
    assert stripe(extra=",v1=" + "00" * 32)  # any of several
    assert stripe(now=NOW + 300)
    assert not stripe(now=NOW + 301)  # a replay
    assert not stripe(now=NOW - 301)


def test_the_ready_made_ones_agree(monkeypatch):
    monkeypatch.setattr("time.time", lambda: float(NOW))
    signature = sign(b"%d.%b" % (NOW, BODY))
    assert passes(
        Signature.stripe("secret", tolerance=1e12), {"stripe-signature": f"t={NOW},v1={signature}"}
    )
    signature = sign(b"v0:%d:%b" % (NOW, BODY))
    headers = {"x-slack-signature": f"v0={signature}", "x-slack-request-timestamp": str(NOW)}
    plug = Signature.slack("secret", tolerance=1e12)
    assert passes(plug, headers)
    assert not passes(plug, {**headers, "x-slack-request-timestamp": str(NOW + 1)})
    assert not passes(plug, {**headers, "x-slack-request-timestamp": "nonsense"})
    assert not passes(plug, {"x-slack-signature": f"v0={signature}"})


def test_base64_and_another_algorithm():
    plug = Signature(secret=b"secret", header="x-sig", algorithm="sha512", encoding="base64")
    good = base64.b64encode(hmac.digest(b"secret", BODY, hashlib.sha512)).decode()
    assert passes(plug, {"x-sig": good})
    assert not passes(plug, {"x-sig": good[:-4]})


def test_the_body_is_there_for_parsers():
    both = compile_pipeline([Signature.github("secret"), Parsers(parsers=["json"])])
    headers = {"x-hub-signature-256": f"sha256={GOOD}", "content-type": "application/json"}
    assert call(both, conn("POST", "/", BODY, headers)).body_params == {"a": 1}


def test_parsers_before_it_are_refused_at_start():
    with pytest.raises(ValueError, match="Signature must come before Parsers"):
        compile_pipeline([Parsers(parsers=["json"]), Signature.github("secret")])


@pytest.mark.parametrize(
    "options",
    [
        {"secret": ""},
        {"secret": []},
        {"algorithm": "none"},
        {"encoding": "rot13"},
        {"payload": "nothing"},
        {"payload": "{timestamp}.{body}"},
        {"pattern": "x"},
        {"timestamp_header": "x-time"},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=r"."):
        Signature(**{"secret": "secret", "header": "x-sig", **options})

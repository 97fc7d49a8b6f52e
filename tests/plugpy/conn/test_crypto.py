"""Signed and encrypted tokens, derived keys."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugpy.conn import crypto

SECRET = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4

Make = Callable[..., str]
Open = Callable[..., bytes]

both = pytest.mark.parametrize(
    ("make", "unmake"),
    [(crypto.sign, crypto.verify), (crypto.encrypt, crypto.decrypt)],
    ids=["signed", "encrypted"],
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets what time it is for the module."""

    def set_time(now: float) -> None:
        monkeypatch.setattr(crypto.time, "time", lambda: now)

    set_time(1_000_000.0)
    return set_time


@both
@given(st.binary(max_size=200))
def test_data_comes_back(make: Make, unmake: Open, data: bytes) -> None:
    token = make(SECRET, "salt", data)
    assert unmake(SECRET, "salt", token) == data
    # Safe in a cookie and in a URL.
    assert token.isascii()
    assert not set(token) & set(' ;,="\\%/+')


@both
def test_a_token_of_another_secret_or_salt_is_invalid(make: Make, unmake: Open) -> None:
    token = make(SECRET, "salt", b"data")
    for secret, salt in ((OTHER, "salt"), (SECRET, "other"), (SECRET, "")):
        with pytest.raises(crypto.InvalidTokenError):
            unmake(secret, salt, token)


@both
@given(
    position=st.integers(0, 10_000), character=st.characters(min_codepoint=33, max_codepoint=300)
)
def test_a_changed_token_never_gives_other_data(
    make: Make, unmake: Open, position: int, character: str
) -> None:
    token = make(SECRET, "salt", b"the data")
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    try:
        assert unmake(SECRET, "salt", changed) == b"the data"
    except crypto.InvalidTokenError:
        assert changed != token


@both
@given(token=st.text(max_size=80))
def test_any_text_is_an_invalid_token(make: Make, unmake: Open, token: str) -> None:
    with pytest.raises(crypto.InvalidTokenError):
        unmake(SECRET, "salt", token)


@both
def test_a_genuine_token_of_another_layout_is_invalid(
    make: Make, unmake: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypto, "_pack", lambda data, max_age, signed_at: data)
    with pytest.raises(crypto.InvalidTokenError):
        unmake(SECRET, "salt", make(SECRET, "salt", b"no header"))


def test_a_signed_token_is_not_an_encrypted_one() -> None:
    with pytest.raises(crypto.InvalidTokenError):
        crypto.decrypt(SECRET, "salt", crypto.sign(SECRET, "salt", b"data"))
    with pytest.raises(crypto.InvalidTokenError):
        crypto.verify(SECRET, "salt", crypto.encrypt(SECRET, "salt", b"data"))


def test_an_encrypted_token_hides_its_data_and_never_repeats() -> None:
    one = crypto.encrypt(SECRET, "salt", b"the same data")
    assert one != crypto.encrypt(SECRET, "salt", b"the same data")
    assert b"the same data" not in one.encode()


@both
def test_a_token_is_valid_for_a_day(
    make: Make, unmake: Open, clock: Callable[[float], None]
) -> None:
    token = make(SECRET, "salt", b"data")
    clock(1_000_000.0 + 86_400)
    assert unmake(SECRET, "salt", token) == b"data"
    clock(1_000_000.0 + 86_401)
    with pytest.raises(crypto.ExpiredTokenError):
        unmake(SECRET, "salt", token)


@both
def test_a_token_carries_its_own_max_age(
    make: Make, unmake: Open, clock: Callable[[float], None]
) -> None:
    token = make(SECRET, "salt", b"data", max_age=10)
    clock(1_000_010.0)
    assert unmake(SECRET, "salt", token) == b"data"
    # Whoever opens it may ask for a younger one, never for an older.
    with pytest.raises(crypto.ExpiredTokenError):
        unmake(SECRET, "salt", token, max_age=9)
    clock(1_000_011.0)
    with pytest.raises(crypto.ExpiredTokenError):
        unmake(SECRET, "salt", token, max_age=100)


@both
@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("max_age", [0, -5])
def test_a_max_age_of_zero_is_expired_at_once(make: Make, unmake: Open, max_age: int) -> None:
    with pytest.raises(crypto.ExpiredTokenError):
        unmake(SECRET, "salt", make(SECRET, "salt", b"data", max_age=max_age))
    with pytest.raises(crypto.ExpiredTokenError):
        unmake(SECRET, "salt", make(SECRET, "salt", b"data"), max_age=max_age)


@both
def test_a_token_may_live_for_ever_or_be_dated(
    make: Make, unmake: Open, clock: Callable[[float], None]
) -> None:
    token = make(SECRET, "salt", b"data", max_age="infinity")
    clock(10**11)
    assert unmake(SECRET, "salt", token) == b"data"
    with pytest.raises(crypto.ExpiredTokenError):
        unmake(SECRET, "salt", make(SECRET, "salt", b"data", signed_at=0))


@both
@pytest.mark.parametrize("secret", ["", "x" * 63, b"y" * 63])
def test_a_short_secret_is_refused_and_not_shown(make: Make, unmake: Open, secret: Any) -> None:
    for call in (lambda: make(secret, "salt", b""), lambda: unmake(secret, "salt", "a.b")):
        with pytest.raises(ValueError, match="at least 64 random") as caught:
            call()
        assert "xxx" not in str(caught.value)
        assert "yyy" not in str(caught.value)


def test_a_secret_that_is_not_set_says_so() -> None:
    with pytest.raises(ValueError, match="is not set"):
        crypto.checked_secret(None)
    assert crypto.checked_secret(SECRET) == SECRET.encode()


def test_keys_are_pbkdf2_and_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), b"a salt", 1000, 32)
    assert crypto.KeyGenerator.generate(SECRET, "a salt") == expected
    monkeypatch.delattr(hashlib, "pbkdf2_hmac")
    assert crypto.KeyGenerator.generate(SECRET.encode(), b"a salt") == expected


def test_keys_of_other_lengths_and_rounds() -> None:
    key = crypto.KeyGenerator.generate(SECRET, "salt", iterations=1, length=16)
    assert key == hashlib.pbkdf2_hmac("sha256", SECRET.encode(), b"salt", 1, 16)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(json_values)
def test_a_value_comes_back_from_json(value: Any) -> None:
    assert crypto.decode_value(crypto.encode_value(value)) == value


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", float("nan")])
def test_what_json_can_not_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="can't be written as JSON"):
        crypto.encode_value(value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"\x80\x04N.", b"[" * 200_000])
def test_data_that_is_not_json_is_an_invalid_token(data: bytes) -> None:
    with pytest.raises(crypto.InvalidTokenError, match="JSON"):
        crypto.decode_value(data)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [("a", "a", True), ("a", b"a", True), ("é", "é", True), ("a", "b", False), ("a", "", False)],
)
def test_secure_compare(left: Any, right: Any, equal: bool) -> None:
    assert crypto.secure_compare(left, right) is equal


@both
def test_a_missing_package_names_the_extra(
    make: Make, unmake: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("itsdangerous", "cryptography.fernet"):
        monkeypatch.setitem(sys.modules, package, None)
    for call in (lambda: make(SECRET, "salt", b""), lambda: unmake(SECRET, "salt", "a.b")):
        with pytest.raises(crypto.MissingExtraError, match=r'pip install "plugpy\[crypto\]"'):
            call()


def test_the_packages_are_not_imported_before_they_are_used() -> None:
    code = (
        "import plugpy.conn.crypto, sys;"
        "print([m for m in ('itsdangerous', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

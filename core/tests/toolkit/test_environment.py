"""Variables for certificates and proxies that cannot be right are named, with what they are for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from neptune_exporter.contract import UsageError
from neptune_exporter.toolkit import check_certificates, check_proxies


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("content", [b"garbage", b"", bytes(range(256))])
def test_a_file_without_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    monkeypatch.setenv("CA_FILE", str(path))
    with pytest.raises(UsageError, match=f"^the variable CA_FILE: {path} holds no certificates in PEM form$"):
        check_certificates("UNSET", "CA_FILE")


def test_certificates_that_are_not_there_or_are_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CA_FILE", str(tmp_path))
    check_certificates("CA_FILE")
    monkeypatch.setenv("CA_FILE", str(tmp_path / "no.pem"))
    with pytest.raises(UsageError, match="CA_FILE: there is no file"):
        check_certificates("CA_FILE")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whom permissions do not concern")
def test_certificates_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").touch(0)
    monkeypatch.setenv("CA_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(UsageError, match=r"CA_FILE: .* cannot be read: Permission denied"):
        check_certificates("CA_FILE")


@pytest.mark.parametrize(
    "value",
    [
        *("http://[::bad", "://", "foo://127.0.0.1:9", "http://host:port", "http://a..b:99", "http://:80"),
        *("http://127.0.0.1:99999", "http://127.0.0.1:0", "one two", "http://me:secret@"),
    ],
)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_nonsense_is_no_proxy_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(
        UsageError, match=f"^the variable {name} does not hold the address of a proxy"
    ) as caught:
        check_proxies("socksio")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["", "proxy.example", "proxy:3128", "http://me:secret@proxy.example:3128", "http://[::1]:3128/"]
)
def test_addresses_of_proxies(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    check_proxies("socks")


@pytest.mark.parametrize(("module", "installs"), [("socks", "PySocks"), ("socksio", "socksio")])
def test_a_socks_proxy_needs_a_module(monkeypatch: pytest.MonkeyPatch, module: str, installs: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setattr("neptune_exporter.toolkit.environment.find_spec", {}.get)
    with pytest.raises(UsageError, match=f"ALL_PROXY names a SOCKS .* pip install {installs}"):
        check_proxies(module)
    monkeypatch.setattr("neptune_exporter.toolkit.environment.find_spec", {module: sys}.get)
    check_proxies(module)


def test_brackets_in_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,[::1]")
    with pytest.raises(UsageError, match="NO_PROXY: write addresses of IPv6 without brackets"):
        check_proxies("socksio")

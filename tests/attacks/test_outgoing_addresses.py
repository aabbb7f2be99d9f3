"""What a webhook or a picture's address may be: the public internet, in every way of writing an address."""

import ipaddress
import socket
import threading
import time

import pytest
from pytest_django import Settings

from annotation.outbound.addresses import is_metadata, is_public
from annotation.outbound.safe_requests import AddressNotAllowed, NotDelivered, address_of, check_url, post

REFUSED = (
    # this machine
    "http://127.0.0.1/",
    "http://127.255.255.254/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7F.1/",
    "http://0177.0.0.1/",
    "http://0177.0x0.0.1/",
    "http://00000177.0.0.1/",
    "http://127.0.0.1./",
    "http://127.0.0.1.:8080/",
    "http://127\u30020\u30020\u30021/",
    "http://127\uff0e0\uff0e0\uff0e1/",
    "http://127\uff610\uff610\uff611/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[::ffff:0:7f00:1]/",
    # its networks
    "http://10.0.0.1/",
    "http://10.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://192.168.257/",
    "http://0xc0a80001/",
    "http://100.64.0.1/",
    "http://100.127.255.255/",
    "http://169.254.1.1/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[febf::1]/",
    "http://[fec0::1]/",
    "http://[feff::1]/",
    "http://[fc00::1]/",
    "http://[fdff:ffff::1]/",
    # clouds' metadata
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://[fe80::a9fe:a9fe]/",
    "http://169.254.170.2/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://100.100.100.200/",
    # not of the public internet
    "http://192.0.0.1/",
    "http://192.0.0.170/",
    "http://192.0.2.1/",
    "http://192.31.196.1/",
    "http://192.52.193.1/",
    "http://192.88.99.1/",
    "http://192.175.48.1/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[100::1]/",
    "http://[ff02::1]/",
    "http://[ff0e::1]/",
    "http://[4000::1]/",
    "http://[5f00::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[2001:2::1]/",
    "http://[2001:10::1]/",
    "http://[2001:20::1]/",
    "http://[2620:4f:8000::1]/",
    # IPv4 in IPv6
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a00:1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b::168.63.129.16]/",
    "http://[64:ff9b:1::8.8.8.8]/",
    "http://[64:ff9b:1::127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[2002:808:808::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[2001::1]/",
    "http://[2a00:1450:4001::5efe:7f00:1]/",
    "http://[2a00:1450:4001::200:5efe:a00:1]/",
    "http://[::8.8.8.8]/",
    "http://[::ffff:0:8.8.8.8]/",
    # not addresses of the web
    "ftp://example.org/",
    "file:///etc/passwd",
    "gopher://example.org/",
    "javascript:alert(1)",
    "//example.org/",
    "example.org",
    "https://",
    "https:///path",
    "https://user@example.org/",
    "https://user:pass@example.org/",
    "https://@example.org/",
    "https://:@example.org/",
    "http://example.org@127.0.0.1/",
    "http://127.0.0.1@example.org/",
    "http://example.org\\@127.0.0.1/",
    "http://example.org\\.evil/",
    "http://exa mple.org/",
    "http://example.org/\r\nHost: x",
    "http://example.org/\x00",
    "http://127.0.0.1 .example.org/",
    "http://[::1",
    "http://[::1]x/",
    "http://a:b/",
    "http://example.org:0/",
    "http://example.org:22/",
    "http://example.org:25/",
    "http://example.org:65536/",
    "http://example.org:-1/",
    "http://" + "a" * 64 + ".example.org/",
)
TAKEN = (
    "http://example.org/",
    "https://example.org",
    "https://EXAMPLE.org./hook?a=b#c",
    "https://example.org:443/",
    "http://example.org:80/",
    "https://example.org:8443/",
    "https://example.org:65535/",
    "https://b\u00fccher.example/",
    "https://xn--bcher-kva.example/",
    "http://8.8.8.8/",
    "http://134744072/",
    "http://93.184.216.34/",
    "http://100.63.255.255/",
    "http://100.128.0.1/",
    "http://172.15.0.1/",
    "http://172.32.0.1/",
    "http://192.0.1.1/",
    "http://192.88.98.1/",
    "http://198.17.255.255/",
    "http://198.20.0.1/",
    "http://168.63.129.15/",
    "http://223.255.255.255/",
    "http://[2a00:1450:4001:80e::200e]/",
    "http://[2606:4700::6810:84e5]/",
    "http://[2001:200::1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::8.8.8.8]/",
    "https://example.org/a%20b",
    "https://127.0.0.1.example.org/",
)


def test_there_are_enough_forms() -> None:
    assert len(set(REFUSED)) >= 90 and len(set(TAKEN)) >= 25


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_not_of_the_public_internet_is_refused_when_it_is_written(url: str) -> None:
    with pytest.raises(AddressNotAllowed):
        check_url(url)


@pytest.mark.parametrize("url", TAKEN)
def test_an_address_of_the_public_internet_is_taken(url: str) -> None:
    assert check_url(url).hostname


@pytest.mark.parametrize("url", [url for url in REFUSED if url.startswith("http://[") and url.endswith("]/")])
def test_a_name_that_resolves_to_such_an_address_is_refused_when_it_is_called(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = url.removeprefix("http://[").removesuffix("]/").replace("%25", "%")
    answer = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (each, 443, 0, 0)) for each in ("2a00:1450::1", address)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: answer)
    with pytest.raises(AddressNotAllowed):
        address_of("hooks.example.org", 443)


@pytest.mark.parametrize("url", ["http://168.63.129.16/", "http://[::ffff:a9fe:a9fe]/", "http://2852039166/"])
def test_an_operator_who_allows_private_networks_does_not_allow_the_clouds_metadata(
    url: str, settings: Settings
) -> None:
    settings.WEBHOOKS_PRIVATE = True
    with pytest.raises(AddressNotAllowed, match="never called"):
        check_url(url)
    assert check_url("http://10.0.0.1/") and check_url("http://[fd00::1]/")


def test_every_address_that_python_calls_private_is_not_public() -> None:
    """Of each kind some thousand, spread over all of them."""
    for kind, bits in ((ipaddress.IPv4Address, 32), (ipaddress.IPv6Address, 128)):
        for number in range(0, 1 << bits, (1 << bits) // 4_099):
            address = kind(number)
            if is_public(address):
                assert address.is_global and not address.is_multicast and not is_metadata(address)


def test_names_servers_that_do_not_answer_are_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def wait(*_arguments: object, **_options: object) -> list[object]:
        answered.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    monkeypatch.setattr("annotation.outbound.safe_requests.TIMEOUT_S", 0.2)
    began = time.monotonic()
    try:
        with pytest.raises(NotDelivered, match="TimeoutError"):
            post("https://hooks.example.org/", b"{}", {})
    finally:
        answered.set()
    assert time.monotonic() - began < 5

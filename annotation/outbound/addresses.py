"""Which addresses requests may go to: the public internet, and what the operator allows.

The tables are the IANA registries of special-purpose addresses, and the addresses at which clouds serve credentials to
their machines. Addresses that carry an IPv4 address inside are judged by it, or not called at all.
"""

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Never called, whatever the operator allows: whoever answers there hands out credentials of this machine.
METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.169.254/32",  # AWS, Azure, Google, Oracle, DigitalOcean, OpenStack
        "169.254.170.2/32",  # AWS containers
        "169.254.170.23/32",
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle
        "100.100.100.200/32",  # Alibaba
        "fd00:ec2::254/128",  # AWS
        "fd00:ec2::23/128",
        "fd20:ce::254/128",  # Google
        "fe80::a9fe:a9fe/128",  # OpenStack
    )
)
SPECIAL_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
SPECIAL_6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocols: Teredo, benchmarks, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
# an IPv4 address in the last 32 bits, which may be called if that one may: mapped, and NAT64 of networks without IPv4
CARRIES_4 = tuple(ipaddress.IPv6Network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96"))
ISATAP = (0x00005EFE, 0x02005EFE)
LOWEST_PORT = 1_024
PORTS = (80, 443)


def literal_of(host: str) -> Address | None:
    """The address that a host name is, in any form that resolvers take, such as 0x7f.1 or 2130706433; else None."""
    name = host.removesuffix(".").partition("%")[0]
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        pass
    # not "127.0.0.1 and more", which inet_aton takes
    if not name or not name.isascii() or name.split() != [name]:
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError:
        return None


def is_metadata(address: Address) -> bool:
    """Whether a cloud serves credentials there."""
    return any(one in network for one in (address, _inner(address)) if one is not None for network in METADATA)


def is_public(address: Address) -> bool:
    """Whether the address is of the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in SPECIAL_4)
    if any(address in network for network in CARRIES_4):
        inner = _inner(address)
        return inner is not None and is_public(inner)
    return (
        address in GLOBAL_6
        and not any(address in network for network in SPECIAL_6)
        and (int(address) >> 32) & 0xFFFFFFFF not in ISATAP
    )


def is_port(port: int) -> bool:
    """Whether a port may be asked: those of the web, and those that no system reserves."""
    return port in PORTS or LOWEST_PORT <= port < 65_536


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address in an IPv6 one, in any of the ways in which one can be in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)

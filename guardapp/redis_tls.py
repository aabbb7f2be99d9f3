"""TLS to Redis: the server's certificate and its name are checked."""

import ssl
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ImproperlyConfigured


def options(url: str, ca: str) -> dict[str, object] | None:
    """The options of connections to this address; None without TLS. Raises ImproperlyConfigured.

    `ca` is a file of certificates, "" for those of the system.
    """
    given = urlsplit(url)
    if given.scheme != "rediss":
        if ca:
            raise ImproperlyConfigured("GUARDAPP_REDIS_CA needs a REDIS_URL that begins with rediss://.")
        return None
    # an option in the address would win over the ones here
    if loose := [name for name in parse_qs(given.query) if name.startswith("ssl_")]:
        raise ImproperlyConfigured(
            f"REDIS_URL has {', '.join(loose)}: leave it out. Certificates are always checked; GUARDAPP_REDIS_CA names "
            "the file of your own authority."
        )
    if ca and not Path(ca).is_file():
        raise ImproperlyConfigured(f"GUARDAPP_REDIS_CA={ca!r} is no file.")
    checked: dict[str, object] = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    return checked | ({"ssl_ca_certs": ca} if ca else {})

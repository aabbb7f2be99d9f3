"""Media in a bucket, configured by one setting: s3://BUCKET/PREFIX?endpoint=…&region=…&public=…"""

import importlib.util
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ImproperlyConfigured

# A store that is down is reported within seconds, not minutes.
CONNECT_S, READ_S, ATTEMPTS = 3, 20, 2
KNOWN = ("endpoint", "region", "public")


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A bucket and our folder in it.

    `endpoint` "" means Amazon's for the region. `public` is the address of the store for browsers.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    public: str = ""

    def key(self, name: str) -> str:
        """Return the object key of a file named relative to the media root."""
        return f"{self.prefix}/{name}" if self.prefix else name

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def origin(self) -> str:
        """Scheme, host and port that browsers load media from."""
        parts = urlsplit(self.public or self.endpoint or f"https://{self.bucket}.s3.{self.region}.amazonaws.com")
        return f"{parts.scheme}://{parts.netloc}"

    def options(self, *, for_browsers: bool = False) -> dict[str, Any]:
        """Options of django-storages' S3Storage. boto3 finds the account's keys: environment, file or role."""
        from botocore.config import Config

        own = (self.public if for_browsers else "") or self.endpoint
        return {
            "bucket_name": self.bucket,
            "location": self.prefix,
            "region_name": self.region or "us-east-1",
            "endpoint_url": own or f"https://s3.{self.region}.amazonaws.com",
            "file_overwrite": True,
            "default_acl": None,
            "querystring_auth": True,
            "client_config": Config(
                signature_version="s3v4",
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                s3={"addressing_style": "path" if own else "virtual"},
                # stores other than Amazon's may not support checksum trailers
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        }


def parse(url: str) -> ObjectStore | None:
    """Parse the setting; "" means that media are on disk and gives None. Raises ImproperlyConfigured."""
    if not url:
        return None
    parts = urlsplit(url)
    more = dict(parse_qsl(parts.query))
    unknown = sorted(set(more) - set(KNOWN))
    if parts.scheme != "s3" or not parts.netloc:
        raise ImproperlyConfigured(f"GUARDAPP_MEDIA_URL={url!r} is not s3://BUCKET/PREFIX?endpoint=https://…")
    if unknown:
        raise ImproperlyConfigured(f"GUARDAPP_MEDIA_URL: {', '.join(unknown)} is not known. Known: {', '.join(KNOWN)}.")
    for name in ("endpoint", "public"):
        if name in more and urlsplit(more[name]).scheme not in ("http", "https"):
            raise ImproperlyConfigured(f"GUARDAPP_MEDIA_URL: {name}={more[name]!r} is not an http or https address.")
    if not more.get("endpoint") and not more.get("region"):
        raise ImproperlyConfigured(
            "GUARDAPP_MEDIA_URL needs ?region=… for Amazon's S3, or ?endpoint=https://… for another store."
        )
    if importlib.util.find_spec("storages") is None or importlib.util.find_spec("boto3") is None:
        raise ImproperlyConfigured("GUARDAPP_MEDIA_URL needs the extra s3: pip install 'guardapp[s3]'.")
    return ObjectStore(
        parts.netloc, parts.path.strip("/"), more.get("endpoint", ""), more.get("region", ""), more.get("public", "")
    )

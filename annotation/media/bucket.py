"""The media bucket of a team setup, accessed through django-storages: put, fetch, list and links for browsers."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File

from guardapp.guard.media.errors import MediaNotAFile, MediaStorageFailed, MediaStoreAway, MediaTooLarge
from guardapp.object_store import ObjectStore

CHUNK = 1 << 20
GONE = ("404", "NoSuchKey", "NotFound")


def in_use() -> bool:
    """Whether media is stored in a bucket rather than on disk."""
    return settings.OBJECT_STORE is not None


def place() -> ObjectStore:
    """Return the object store. Requires a bucket to be in use."""
    assert settings.OBJECT_STORE is not None
    return settings.OBJECT_STORE


def put(name: str, source: Path, mime: str = "application/octet-stream") -> None:
    """Store a file under a name relative to the media root. Raises MediaStoreAway."""
    with _named_errors(name), source.open("rb") as stream:
        content = File(stream)
        content.content_type = mime  # type: ignore[attr-defined]  # django-storages reads it
        _storage().save(name, content)


def holds(name: str) -> bool:
    """Whether the bucket contains the object. Raises MediaStoreAway."""
    with _named_errors(name):
        return bool(_storage().exists(name))


def fetch(name: str, target: Path, *, limit: int) -> None:
    """Download the object to `target` atomically. Raises MediaStoreAway, MediaNotAFile, MediaTooLarge."""
    with _named_errors(name):
        body = _storage().bucket.Object(place().key(name)).get()["Body"]
        partial = target.with_name(f".{target.name}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(body, partial, limit)
            partial.replace(target)
        except OSError as error:
            if _is_ours(error):
                raise MediaStorageFailed(error.strerror or "") from error
            raise
        finally:
            body.close()
            partial.unlink(missing_ok=True)


def names(folder: str) -> Iterator[str]:
    """Yield the names of the objects below a folder, relative to the media root. Raises MediaStoreAway."""
    store = place()
    with _named_errors(folder):
        for found in _storage().bucket.objects.filter(Prefix=store.key(f"{folder}/" if folder else "")):
            yield found.key[len(store.prefix) + 1 :] if store.prefix else found.key


def link(name: str, *, mime: str, disposition: str) -> str:
    """Return a URL that gives anyone read access to this object for MEDIA_LINK_SECONDS.

    The caller must have checked permissions.
    """
    parameters = {"ResponseContentType": mime, "ResponseContentDisposition": disposition}
    made: str = _storage(for_browsers=True).url(name, parameters=parameters, expire=settings.MEDIA_LINK_SECONDS)
    return made


def make() -> bool:
    """Create the bucket in a self-hosted store; return False if it exists. Raises MediaStoreAway.

    Buckets at Amazon are created by their owner.
    """
    client = _storage().connection.meta.client
    try:
        with _named_errors(""):
            client.head_bucket(Bucket=place().bucket)
    except MediaNotAFile:
        with _named_errors(""):
            client.create_bucket(Bucket=place().bucket)
        return True
    return False


def answers() -> str:
    """Return "ok", or the reason why the bucket cannot be used."""
    try:
        with _named_errors(""):
            _storage().connection.meta.client.head_bucket(Bucket=place().bucket)
    except MediaStorageFailed as error:
        return error.detail or "away"
    except MediaNotAFile:
        return f"there is no bucket {place().bucket}"
    return "ok"


def _storage(*, for_browsers: bool = False) -> Any:
    return _made(place(), for_browsers)


@cache
def _made(store: ObjectStore, for_browsers: bool) -> Any:
    from storages.backends.s3 import S3Storage  # the extra s3

    return S3Storage(**store.options(for_browsers=for_browsers))


def _write(body: Any, target: Path, limit: int) -> None:
    written = 0
    with target.open("wb") as stream:
        for chunk in body.iter_chunks(CHUNK):
            written += stream.write(chunk)
            if written > limit:
                raise MediaTooLarge(f"more than {limit:,} bytes")


def _is_ours(error: OSError) -> bool:
    """Whether this is a disk error, not a connection error, which boto3 also raises as OSError."""
    return error.errno is not None and not isinstance(error, ConnectionError | TimeoutError)


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Translate boto3's errors to media errors."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in GONE:
            raise MediaNotAFile(f"{name} is not in the media store") from error
        raise MediaStoreAway(f"{place().url}: {code}") from error
    except (BotoCoreError, Boto3Error, HTTPClientError, ConnectionError, TimeoutError) as error:
        raise MediaStoreAway(f"{place().url}: {type(error).__name__}") from error

"""Queries for exports: the newest ones with their files, and a single file to download."""

from pathlib import Path

from django.conf import settings

from annotation.models import Export

PAGE = 20
MANIFEST = "manifest.json"
MIMES = {".gz": "application/gzip", ".parquet": "application/vnd.apache.parquet", ".json": "application/json"}


class NoSuchFile(LookupError):
    """This export has no file of this name, or its files were deleted when they had been kept long enough."""


def newest_exports(*, before: int | None = None, limit: int = PAGE) -> list[Export]:
    """Return exports with their files, newest first: up to `limit`, plus one if there are more."""
    rows = Export.objects.order_by("-id").select_related("asked_by").prefetch_related("files")
    return list((rows.filter(pk__lt=before) if before else rows)[: limit + 1])


def file_of(export: Export, name: str) -> tuple[Path, str, str]:
    """Return the path of a finished file, its quoted ETag and its content type. Raises NoSuchFile."""
    path = Path(settings.EXPORTS_DIR) / str(export.pk) / name
    if export.pruned_at is not None:
        raise NoSuchFile(NoSuchFile.__doc__)
    if name == MANIFEST and export.finished_at is not None:
        etag = f'"manifest-{export.pk}"'
    else:
        found = export.files.filter(name=name).first()
        if found is None:
            raise NoSuchFile(NoSuchFile.__doc__)
        etag = f'"{found.sha256}"'
    return path, etag, MIMES[path.suffix]

"""The table of export formats, used by the page, the API, the command and the file writer.

To add a format, write a module with its projection and columns, and add a row to FORMATS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.errors import ServiceError
from annotation.exporting import canonical, canonical_columns, sharegpt, trl
from annotation.exporting.projection import Drop, Projection
from annotation.exporting.write_file import ParquetMissing

NO_TARGET = (Drop.TARGET_PENDING, Drop.TARGET_UNAVAILABLE, Drop.NO_PROMPT_LABEL, Drop.WITHDRAWN)


class UnknownFormat(ServiceError, ValueError):
    """There is no export format of this name."""


class ExportFormat(StrEnum):
    CANONICAL = "canonical"
    TRL = "trl"
    SHAREGPT = "sharegpt"

    @classmethod
    def _missing_(cls, value: object) -> None:
        known = ", ".join(cls)
        raise UnknownFormat(
            _("There is no export format “%(name)s”. The formats are %(known)s.") % {"name": value, "known": known}
        )


@dataclass(frozen=True, slots=True)
class Format:
    """An export format. `title` and `words` are shown on the page, `drops` in the API documentation.

    `columns` takes pyarrow and whether any row of the export has media; it returns the Parquet schema, with the same
    fields as the JSON lines.
    """

    title: str | Promise
    words: str | Promise
    projection: Projection
    columns: Callable[[Any, bool], Any]
    drops: tuple[Drop, ...] = ()
    # for all rows of an export with media, if their shape differs
    projection_with_media: Projection | None = None
    # for Parquet, if it differs
    projection_in_columns: Projection | None = None
    # it needs the history of the items
    whole: bool = False


FORMATS = {
    ExportFormat.CANONICAL: Format(
        gettext_lazy("Canonical record"),
        gettext_lazy(
            "Everything about each item: content, the guard's prediction, every review, the gold label and its "
            "target reasoning."
        ),
        projection=canonical.canonical,
        projection_in_columns=canonical.canonical_in_columns,
        columns=canonical_columns.columns,
        whole=True,
    ),
    ExportFormat.TRL: Format(
        "TRL",
        gettext_lazy(
            "Conversations for supervised fine-tuning with TRL: the guard's own prompt and the target completion."
        ),
        projection=trl.trl_text,
        columns=trl.columns,
        drops=NO_TARGET,
        projection_with_media=trl.trl_media,
    ),
    ExportFormat.SHAREGPT: Format(
        "ShareGPT",
        gettext_lazy("Conversations for LLaMA-Factory, Axolotl and other trainers that read ShareGPT rows."),
        projection=sharegpt.sharegpt,
        columns=sharegpt.columns,
        drops=(*NO_TARGET, Drop.PLACEHOLDER_IN_TEXT),
    ),
}


def projection_of(name: ExportFormat, *, with_media: bool, in_columns: bool = False) -> Projection:
    """Return the projection of a format. `with_media` is whether any row of the export has media."""
    format = FORMATS[name]
    return (
        (in_columns and format.projection_in_columns)
        or (with_media and format.projection_with_media)
        or format.projection
    )


def columns_of(name: ExportFormat, *, with_media: bool) -> Any:
    """Return the format's pyarrow schema. Raises ParquetMissing."""
    try:
        import pyarrow
    except ImportError:
        raise ParquetMissing(ParquetMissing.__doc__) from None
    return FORMATS[name].columns(pyarrow, with_media)


def drops_in_words() -> str:
    """Describe the rows dropped by each format, with reasons, for the API documentation."""
    what = "; ".join(f"{name} drops {', '.join(format.drops)}" for name, format in FORMATS.items() if format.drops)
    why = "; ".join(f"{reason}: {reason.label}" for reason in Drop)
    return f"{what} ({why})"

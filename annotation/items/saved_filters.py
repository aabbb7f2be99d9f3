"""Item searches saved under a name."""

from annotation.errors import ServiceError
from annotation.items.search import ItemSearch
from annotation.models import SavedFilter, User

LONGEST_NAME = 100


class FilterNotValid(ServiceError):
    """A saved filter needs a name of at most 100 characters, and something that it narrows by."""


class FilterOfAnother(ServiceError):
    """Only its owner or a lead deletes a saved filter."""


def save_filter(*, owner: User, name: str, search: ItemSearch, shared: bool) -> SavedFilter:
    """Save the search, replacing the owner's filter of the same name. Raises FilterNotValid."""
    name = " ".join(name.replace("\x00", "").split())
    if not 0 < len(name) <= LONGEST_NAME or not search.narrowed:
        raise FilterNotValid
    saved, _ = SavedFilter.objects.update_or_create(
        owner=owner, name=name, defaults={"query": search.query, "shared": shared}
    )
    return saved


def delete_filter(*, saved: SavedFilter, by: User) -> None:
    """Delete the filter. Raises FilterOfAnother."""
    if saved.owner_id != by.pk and not by.is_lead:
        raise FilterOfAnother
    saved.delete()

"""The table of formats: every format has its row, a row says what is dropped, and an unknown format is refused."""

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from annotation.exporting.export_files import request_export, write_next
from annotation.exporting.formats import FORMATS, ExportFormat, UnknownFormat
from annotation.exporting.stream import ExportRequest, summarise
from annotation.items.withdraw import withdraw_item
from annotation.models import Export, GoldLabel
from annotation.status import ExportLayout, ExportState, Role, TargetSource
from tests.annotation.exporting.test_export import FLIPPED, review
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_every_format_has_its_row_and_a_name_that_an_export_can_store() -> None:
    assert list(FORMATS) == list(ExportFormat)
    assert max(map(len, ExportFormat)) <= (Export._meta.get_field("format").max_length or 0)


@pytest.mark.parametrize("name", list(ExportFormat))
def test_a_format_drops_what_its_row_says_and_nothing_else(name: ExportFormat) -> None:
    review()
    review(FLIPPED)
    GoldLabel.objects.filter(item=review(FLIPPED)).update(target_source=TargetSource.UNAVAILABLE)
    GoldLabel.objects.filter(item=review()).update(prompt_label=None)
    review(prompt="What does <image> mean?")
    withdraw_item(item_id=review().pk, by=None)
    tally = summarise(request=ExportRequest(name))
    assert tally.dropped == {reason.value: 1 for reason in FORMATS[name].drops}
    assert tally.rows == 6 - len(FORMATS[name].drops)


def test_the_page_offers_every_format_in_words(client: Client) -> None:
    review()
    client.force_login(make_user(Role.LEAD))
    page = client.get("/export/").content.decode()
    for name, format in FORMATS.items():
        assert f'value="{name}"' in page
        assert f"<strong>{format.title}</strong>" in page


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(UnknownFormat, match=r"“csv”\. The formats are canonical, trl, sharegpt"):
        ExportFormat("csv")
    with pytest.raises(CommandError, match="“csv”"):
        call_command("export", format="csv")


def test_a_stored_export_of_an_unknown_format_fails_in_words_and_holds_up_no_other() -> None:
    review()
    for _ in range(2):
        request_export(request=ExportRequest(ExportFormat.CANONICAL), layout=ExportLayout.JSONL, actor=None, by="test")
    strange, other = Export.objects.order_by("pk")
    Export.objects.filter(pk=strange.pk).update(format="csv")
    while write_next():
        pass
    strange.refresh_from_db()
    other.refresh_from_db()
    assert (strange.state, strange.files.count()) == (ExportState.FAILED, 0)
    assert "no export format “csv”" in strange.error
    assert (other.state, other.rows) == (ExportState.DONE, 1)

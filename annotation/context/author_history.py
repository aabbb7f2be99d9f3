"""Earlier decisions on the same author."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q
from django.db.models.functions import Left

from annotation.models import Author, GoldLabel, Item, User
from annotation.queues.access import queues_of
from annotation.status import ItemStatus
from guardapp.guard.taxonomy import Harmfulness

COUNTED = 500  # newest items of an author
LAST = 5
BEGINNING = 200  # characters of a prompt
SHOWN = ("prompt_label", "response_label", "created_at", "item__source", "item__external_id")
HARMFUL = Q(prompt_label=Harmfulness.HARMFUL) | Q(response_label=Harmfulness.HARMFUL)
WAITING = {
    ItemStatus.PENDING,
    ItemStatus.PREDICTING,
    ItemStatus.PREDICTION_FAILED,
    ItemStatus.READY,
    ItemStatus.ESCALATED,
}
DECIDED = Q(item__status=ItemStatus.REVIEWED)


@dataclass(frozen=True, slots=True)
class PastDecision:
    """A decided item of the author."""

    item: Item
    beginning: str
    gold: GoldLabel

    @property
    def label(self) -> str:
        harmful = Harmfulness.HARMFUL in (self.gold.prompt_label, self.gold.response_label)
        return Harmfulness.HARMFUL if harmful else Harmfulness.UNHARMFUL


@dataclass(frozen=True, slots=True)
class AuthorHistory:
    """The author's other items, as far as the person may see their queues: the newest COUNTED are counted."""

    harmful: int
    unharmful: int
    waiting: int
    last: Sequence[PastDecision]
    many: bool  # whether there may be more than are counted

    @property
    def total(self) -> int:
        return self.harmful + self.unharmful + self.waiting


def history_of(*, author: Author, item: Item, user: User) -> AuthorHistory:
    """The history of an item's author without the item itself, in three queries.

    Hidden gold is left out: nobody is to read its verdict here and meet it in a queue afterwards.
    """
    others = Item.objects.filter(author=author).exclude(pk=item.pk).exclude(hidden_gold__active=True)
    if not user.is_lead:
        others = others.filter(queue__in=queues_of(user).order_by().values("pk"))
    newest = list(others.order_by("-pk").values_list("pk", "status")[:COUNTED])
    golds = GoldLabel.objects.standing().filter(DECIDED, item__in=[pk for pk, _status in newest])
    counted = golds.aggregate(harmful=Count("pk", filter=HARMFUL), decided=Count("pk")) if newest else {}
    harmful, decided = counted.get("harmful", 0), counted.get("decided", 0)
    last = golds.select_related("item").only(*SHOWN).annotate(beginning=Left("item__prompt", BEGINNING))
    return AuthorHistory(
        harmful=harmful,
        unharmful=decided - harmful,
        waiting=sum(status in WAITING for _pk, status in newest),
        last=[
            PastDecision(gold.item, _beginning(gold), gold) for gold in (last.order_by("-pk")[:LAST] if decided else ())
        ],
        many=len(newest) == COUNTED,
    )


def _beginning(gold: GoldLabel) -> str:
    beginning: str = gold.beginning  # type: ignore[attr-defined]
    return beginning

"""The queue that a new installation shows: made by the project's own generator, of topics that the starter never trained on."""

from collections.abc import Iterator

from annotation.models import Item
from annotation.services.incoming import IncomingItem, RowStatus
from annotation.services.ingest import ingest_items
from guardapp import env
from training.starter.rows_text import generate

SOURCE = "demo"
SEED = 2026
DEFAULT_ITEMS = 60


def demo_items_wanted() -> int:
    """GUARDAPP_DEMO_ITEMS; 0 leaves a new installation empty."""
    return env.integer("GUARDAPP_DEMO_ITEMS", DEFAULT_ITEMS)


def demo_is_wanted() -> bool:
    """Only where nothing has come in yet."""
    return demo_items_wanted() > 0 and not Item.objects.exists()


def load_demo(*, count: int) -> int:
    """Ingest `count` generated items through the ordinary service. Returns how many are new."""
    results = ingest_items(rows=list(_text_items(count)))
    return sum(result.status is RowStatus.CREATED for result in results)


def _text_items(count: int) -> Iterator[IncomingItem]:
    for row in generate(SEED, count, held_out_topics=True):
        yield IncomingItem(external_id=row["id"], source=SOURCE, prompt=row["prompt"], response=row["response"],
                           metadata={"topic": row["topic"]}, reason={"kind": "demo", "note": "made by the project itself"})

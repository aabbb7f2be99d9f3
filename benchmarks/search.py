"""Searches among very many items in many scripts, on SQLite or PostgreSQL.

    python -m benchmarks.search [--items 200000] [--database sqlite] [--rounds 20]

Makes a database of its own (on PostgreSQL, on the server at GUARDAPP_TEST_POSTGRES) and drops it at the end. Items are
stored with their texts by the product's own functions; then each query of QUERIES is answered as the page of items
does, for a lead. The last line is one JSON object with the p95 over all answers and of each query.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

from benchmarks.product import print_progress
from benchmarks.scale import database

BATCH = 5_000
WORDS = {
    "en": "how would somebody explain the recipe of bread dark beer green soap blue ink to people who have no oven "
    "please tell me whether this account is real and where the money went before police came",
    "de": "die Straße zum Bäcker führt über Gießen und später weiter bis zur großen Brücke ohne Ausfahrt",
    "ru": "ещё один вопрос про старый дом и новую дорогу которую строят слишком долго",
    "ar": "كيف أصنع الخبز في البيت من غير فرن وما هي المدة التي أحتاج إليها",
    "hi": "मुझे किताब पढ़ना पसंद है लेकिन समय नहीं मिलता इसलिए रात को पढ़ता हूँ",
    "zh": "我 想 在 家里 烤 面包 但是 没有 烤箱 怎么 办 才 好 请 告诉 我 方法",
    "ja": "東京 で ラーメン を 食べ ました が とても 美味しかった です",
    "th": "ฉัน อยาก กิน ข้าวผัด ที่ บ้าน ของ เพื่อน",
}
QUERIES = {  # what: query
    "common word": "people",
    "common words": "bread oven please",
    "part of a number": "#777",
    "one item": "#123456",
    "nothing": "zqxjkv",
    "words that never meet": "面包 Straße",
    "phrase": '"of bread dark beer"',
    "Russian": "дорогу",
    "Arabic with marks": "الخُبْز",
    "Hindi": "किताब",
    "Chinese, two characters": "面包",
    "Chinese, one character": "烤",
    "Thai": "ข้าวผัด",
    "one letter": "e",
    "two letters": "zu",
    "address": "user77@mail.example",
    "emoji": "👩‍💻",
}


def texts(number: int) -> tuple[str, str]:
    """Prompt and response of an item, of about 300 characters together, always the same for a number."""
    draw = random.Random(number)
    language = draw.choices(list(WORDS), [60, 8, 8, 6, 6, 6, 3, 3])[0]
    words = WORDS[language].split()
    space = "" if language in ("zh", "ja", "th") else " "
    prompt = space.join(draw.choices(words, k=22)) + f" #{number}"
    response = space.join(draw.choices(words, k=26))
    if number % 500 == 0:
        response += " 👩‍💻"
    if number % 100 == 0:
        response += f" user{number // 100}@mail.example.org"
    return prompt, response


def fill(items: int) -> float:
    """Store items with their texts. Returns the seconds of the texts and their index alone."""
    from django.db import transaction

    from annotation.ingest.item_text import write_texts
    from annotation.models import Item, ReviewQueue

    queue, spent = ReviewQueue.objects.get(slug="default"), 0.0
    rows: Iterator[Item] = (
        Item(
            source="bench",
            external_id=f"item-{number}",
            modality="text",
            prompt=texts(number)[0],
            response=texts(number)[1],
            content_hash=f"{number:064x}",
            status="ready",
            queue=queue,
        )
        for number in range(1, items + 1)
    )
    while batch := list(islice(rows, BATCH)):
        with transaction.atomic():
            made = Item.objects.bulk_create(batch)
            began = time.perf_counter()
            write_texts([item.pk for item in made])
            spent += time.perf_counter() - began
    return spent


def measure(rounds: int) -> dict[str, Any]:
    from annotation.items.lists import items_page
    from annotation.items.search import ItemSearch
    from annotation.models import User
    from annotation.status import Role

    lead = User.objects.create_user(username="lead", role=Role.LEAD)
    taken: dict[str, list[float]] = {}
    found = {}
    for _ in range(rounds):
        for what, query in QUERIES.items():
            began = time.perf_counter()
            page = items_page(ItemSearch(q=query), user=lead)
            taken.setdefault(what, []).append((time.perf_counter() - began) * 1000)
            found[what] = len(page.items)
    every = [ms for of_query in taken.values() for ms in of_query]
    return {
        "p50_ms": round(statistics.median(every), 1),
        "p95_ms": round(statistics.quantiles(every, n=100)[94], 1),
        "of_query_p95_ms": {what: round(statistics.quantiles(ms, n=20)[18], 1) for what, ms in taken.items()},
        "shown": found,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--items", type=int, default=200_000)
    arguments.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    arguments.add_argument("--rounds", type=int, default=20)
    given = arguments.parse_args()
    with ExitStack() as stack:
        os.environ["GUARDAPP_DATA"] = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        os.environ["DJANGO_SETTINGS_MODULE"] = "guardapp.settings"
        if given.database == "postgresql":
            os.environ["DATABASE_URL"] = stack.enter_context(database())
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        began = time.perf_counter()
        spent = fill(given.items)
        print_progress(f"{given.items:,} items in {time.perf_counter() - began:.0f} s, their texts {spent:.0f} s of it")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        figures = measure(given.rounds)
        connection.close()
    print(json.dumps({"database": given.database, "items": given.items, "texts_s": round(spent, 1), **figures}))


if __name__ == "__main__":
    main()

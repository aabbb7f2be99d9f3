"""Fill PostgreSQL with very many items quickly: INSERT … SELECT of rows as the product would leave them.

Two of five items are reviewed and settled, by fifty people in turn; the others wait in four queues, five eighths of
them in "default". Every table that a review touches is as full as in production. Fingerprints and training's tables are
left out.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

PEOPLE = 50
QUEUES = ("default", "fraud", "threats", "appeals-desk")
SECONDS_BETWEEN = 2  # between the arrivals of two items

ITEMS = """
INSERT INTO annotation_item (
    id, source, external_id, modality, prompt, response, metadata, reason, content_hash, created_at, status, queue_id, lane, language,
    severity, round, priority, free_slots, prediction_id, attempts, error_code, error_message)
SELECT id, 'bench', 'item-' || id, 'text', prompt, response, '{}', '{}',
    encode(sha256(convert_to(lower(prompt) || chr(31) || chr(30) || lower(response), 'UTF8')), 'hex'), arrived,
    CASE WHEN id %% 5 < 2 THEN 'reviewed' ELSE 'ready' END, (%(queues)s)[CASE WHEN id %% 8 < 5 THEN 1 ELSE id %% 8 - 3 END],
    CASE WHEN id %% 20 = 0 THEN 'audit' ELSE 'flagged' END, 'en', 0, 1,
    round((6 * (0.01 + id %% 30 / 100.0) - extract(epoch FROM arrived - '2026-01-01') / 86400)::numeric, 6),
    CASE WHEN id %% 5 < 2 THEN 0 ELSE 1 END, id, 0, '', ''
FROM (
    SELECT id, now() - (%(last)s + 60 - id) * interval '%(between)s seconds' AS arrived,
        'How would ' || (ARRAY['somebody', 'a neighbour', 'my aunt', 'one of us', 'a student'])[1 + id %% 5]
        || ' explain ' || (ARRAY['the recipe', 'the secret', 'the history', 'the chemistry'])[1 + id / 5 %% 4]
        || ' of ' || (ARRAY['bread', 'dark beer', 'green soap', 'blue ink', 'a sour cake', 'old cheese', 'glue'])[1 + id / 20 %% 7]
        || ' to people who have neither an oven nor the time to wait for it (' || id || ')?' AS prompt,
        'Mix flour, water, salt and yeast; wait for an hour and a half; fold it twice; bake it in a pan with a lid, on a low '
        || 'flame. This is answer number ' || id || '.' AS response
    FROM generate_series(%(first)s, %(last)s) AS id) AS made
"""
PREDICTIONS = """
INSERT INTO annotation_prediction (
    id, item_id, version_id, completion, parsed, steps, prompt_label, response_label, categories, prompt_score, response_score,
    prompt_marginal, response_marginal, prompt_harm, response_harm, rollouts,
    disagreement, media_seen, tokens, latency_ms, shadow, created_at)
SELECT id, id, %(version)s, %(completion)s, true, %(steps)s, 'unharmful', 'unharmful', '[]', 0.01 + id %% 30 / 100.0, 0.01,
    0.01 + id %% 30 / 100.0, 0.01, 0.01 + id %% 30 / 100.0, 0.01, %(rollouts)s,
    0, '[]', 60, 100, false, created_at + interval '10 seconds'
FROM annotation_item WHERE id BETWEEN %(first)s AND %(last)s
"""
ASSIGNMENTS = """
INSERT INTO annotation_assignment (
    item_id, queue_id, reviewer_id, token, state, created_at, opened_at, expires_at, ended_at, reason, round, mode, takes_slot)
SELECT id, queue_id, (%(people)s)[1 + id / 5 %% %(number_of_people)s], gen_random_uuid(), 'submitted', created_at + interval '30 seconds',
    created_at + interval '30 seconds', created_at + interval '630 seconds', created_at + interval '50 seconds', '', 1, 'open', true
FROM annotation_item WHERE id BETWEEN %(first)s AND %(last)s AND status = 'reviewed'
"""
REVIEWS = """
INSERT INTO annotation_review (
    item_id, prediction_id, reviewer_id, assignment_id, idempotency_key, kind, prompt_label, response_label, categories, note, reason,
    error_kinds, steps, mode, lane, seconds, policy_version_id, created_at)
SELECT item_id, item_id, reviewer_id, lease.id, 'filled-' || item_id, 'accepted', 'unharmful', 'unharmful', '[]', '', '', '[]', '[]',
    'open', lane, 20, %(policy)s, ended_at
FROM annotation_assignment AS lease JOIN annotation_item AS item ON item.id = item_id WHERE item_id BETWEEN %(first)s AND %(last)s
"""
GOLD = """
INSERT INTO annotation_goldlabel (
    item_id, review_id, prediction_id, prompt_label, response_label, categories, source, policy_version_id, target_steps, target_source,
    target_attempts, created_at, settled_at)
SELECT item_id, id, prediction_id, prompt_label, response_label, '[]', 'consensus', policy_version_id, %(steps)s, 'accepted', 0,
    created_at, created_at + interval '10 seconds'
FROM annotation_review WHERE item_id BETWEEN %(first)s AND %(last)s
"""
EVENTS_OF_ALL = """
INSERT INTO annotation_event (at, kind, item_id, detail)
SELECT created_at + after * interval '1 second', kind, id, detail::jsonb
FROM annotation_item, (VALUES (0, 'ingested', '{}'), (10, 'predicted', '{"version": "starter"}')) AS told (after, kind, detail)
WHERE id BETWEEN %(first)s AND %(last)s
"""
EVENTS_OF_REVIEWED = """
INSERT INTO annotation_event (at, kind, actor_id, item_id, detail)
SELECT created_at + after * interval '1 second', told.kind, CASE WHEN by_person THEN reviewer_id END, item_id,
    CASE told.kind WHEN 'reviewed' THEN jsonb_build_object('review', id, 'kind', 'accepted') ELSE '{}' END
FROM annotation_review, (VALUES (-20, 'assigned', true), (0, 'reviewed', true), (0, 'gold_settled', false)) AS told (after, kind, by_person)
WHERE item_id BETWEEN %(first)s AND %(last)s
"""
NUMBERED = ("item", "prediction")  # tables whose ids are assigned here


@dataclass(frozen=True, slots=True)
class Ground:
    """Ids and values that the rows refer to."""

    version: int
    policy: int
    queues: list[int]
    people: list[int]
    completion: str
    steps: str  # JSON
    rollouts: str  # JSON


def fill(ground: Ground, first: int, last: int) -> None:
    """Insert items `first` to `last`, whose numbers are their ids, and run VACUUM ANALYZE like autovacuum."""
    given: dict[str, Any] = {
        "first": first,
        "last": last,
        "between": SECONDS_BETWEEN,
        "version": ground.version,
        "policy": ground.policy,
        "queues": ground.queues,
        "people": ground.people,
        "number_of_people": len(ground.people),
        "completion": ground.completion,
        "steps": ground.steps,
        "rollouts": ground.rollouts,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        # the references are correct by construction, so skip checking each
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SET LOCAL synchronous_commit = off")
        for statement in (ITEMS, PREDICTIONS, ASSIGNMENTS, REVIEWS, GOLD, EVENTS_OF_ALL, EVENTS_OF_REVIEWED):
            cursor.execute(statement, given)
        for table in NUMBERED:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('annotation_{table}', 'id'), %s)", [last])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")

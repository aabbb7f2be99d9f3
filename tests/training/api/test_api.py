"""The API of training: runs of every kind, pipelines, schedules, rollouts."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from annotation.models import ModelVersion
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from tests.factories import make_user, production
from tests.training.rows import make_much_gold, make_snapshot
from training.contract import MINED, ROLLOUTS
from training.files import directory_of
from training.models import DatasetSnapshot, Pipeline, RetrainSchedule, TrainingRun
from training.runs.pipelines import request_pipeline
from training.status import RunStatus

pytestmark = pytest.mark.django_db
NIGHTLY = {"name": "nightly", "trigger": "cron", "cron": "0 3 * * *"}
OPERATIONS = [
    ("POST", "snapshots"),
    ("GET", "runs"),
    ("POST", "runs"),
    ("GET", "runs/1"),
    ("POST", "runs/1/cancel"),
    ("POST", "runs/1/resume"),
    ("POST", "runs/1/clone"),
    ("GET", "runs/1/rollouts"),
    ("GET", "pipelines"),
    ("POST", "pipelines"),
    ("GET", "pipelines/1"),
    ("POST", "pipelines/1/cancel"),
    ("POST", "pipelines/1/clone"),
    ("GET", "schedules"),
    ("POST", "schedules"),
    ("GET", "schedules/1"),
    ("PUT", "schedules/1"),
    ("DELETE", "schedules/1"),
    ("POST", "schedules/1/fire"),
    ("POST", "versions/1/promote"),
]
Client = Callable[..., APIClient]


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    tasks: list[str] = []
    monkeypatch.setattr("training.api.base.ring", lambda task: tasks.append(task.name))
    return tasks


@pytest.fixture
def with_key(rung: list[str]) -> Client:
    def client(*scopes: ApiScope) -> APIClient:
        made = create_key(owner=make_user(Role.LEAD), name="test", scopes=scopes)
        return APIClient(headers={"Authorization": f"Bearer {made.secret}"})

    return client


@pytest.fixture
def trainer(with_key: Client) -> APIClient:
    production()
    return with_key(ApiScope.TRAIN)


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    production()
    return make_snapshot(40)


def send(client: APIClient, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(f"/api/v1/{path}", body or {}, format="json", headers=headers)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_needs_the_scope_to_train(with_key: Client, method: str, path: str) -> None:
    anonymous = APIClient().generic(method, f"/api/v1/{path}")
    assert (anonymous.status_code, anonymous["Content-Type"]) == (401, "application/problem+json")
    refused = with_key(*(scope for scope in ApiScope if scope is not ApiScope.TRAIN)).generic(method, f"/api/v1/{path}")
    assert refused.status_code == 403 and "train" in refused.json()["detail"]
    assert with_key(ApiScope.TRAIN).generic(method, f"/api/v1/{path}").status_code not in (401, 403, 500)
    reviewer = APIClient()
    reviewer.force_login(make_user(Role.REVIEWER))
    assert reviewer.generic(method, f"/api/v1/{path}").status_code == 403


def test_a_run_of_each_kind_can_be_queued(trainer: APIClient, snapshot: DatasetSnapshot) -> None:
    mine = send(trainer, "runs", {"snapshot": snapshot.pk, "kind": "mine", "settings": {"rollouts": 2}})
    assert mine.status_code == 202 and mine.json()["kind"] == "mine" and mine.json()["settings"]["rollouts"] == 2
    dpo = send(
        trainer,
        "runs",
        {"snapshot": snapshot.pk, "kind": "dpo", "mined_from": mine.json()["id"], "after": mine.json()["id"]},
    )
    assert dpo.json()["after"] == dpo.json()["mined_from"] == mine.json()["id"]
    grpo = send(
        trainer,
        "runs",
        {"snapshot": snapshot.pk, "kind": "grpo", "recipe_toml": 'preset = "starter-sft"\n[grpo]\nseed = 99\n'},
    )
    assert grpo.json()["settings"]["seed"] == 99
    page = trainer.get("/api/v1/runs?kind=dpo&status=queued").json()
    assert [run["id"] for run in page["runs"]] == [dpo.json()["id"]] and page["next"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"recipe": "stew"}, "/recipe"),
        ({"settings": {"epoch": 3}}, "/settings"),
        ({"settings": {"epochs": "three"}}, "/settings"),
        ({"launch": {"processes": 2}}, "/launch"),
        ({"kind": "distil"}, "/kind"),
        ({"kind": "grpo", "recipe_toml": "[grpo]\nseed = 'x'"}, "/settings"),
        ({"kind": "sft", "recipe": "hs-dpo"}, "/recipe"),
    ],
)
def test_a_run_that_cannot_be_names_the_field(
    trainer: APIClient, snapshot: DatasetSnapshot, body: dict[str, Any], pointer: str
) -> None:
    answer = send(trainer, "runs", {"snapshot": snapshot.pk, **body})
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer] and not TrainingRun.objects.exists()


def test_a_request_sent_twice_starts_one_run(trainer: APIClient, with_key: Client) -> None:
    make_much_gold(make_user(Role.LEAD), 40)
    first, second = (
        send(trainer, "runs", {"settings": {"epochs": 1}}, **{"Idempotency-Key": "a-key"}) for _ in range(2)
    )
    assert first.status_code == second.status_code == 202 and first.json()["id"] == second.json()["id"]
    assert TrainingRun.objects.count() == DatasetSnapshot.objects.count() == 1
    other = send(
        with_key(ApiScope.TRAIN), "runs", {"snapshot": DatasetSnapshot.objects.get().pk}, **{"Idempotency-Key": "a-key"}
    )
    assert other.json()["id"] != first.json()["id"]


def test_a_run_is_cancelled_resumed_and_copied(trainer: APIClient, snapshot: DatasetSnapshot) -> None:
    run = send(trainer, "runs", {"snapshot": snapshot.pk}).json()
    assert send(trainer, f"runs/{run['id']}/resume").status_code == 409
    assert send(trainer, f"runs/{run['id']}/cancel").json()["status"] == RunStatus.CANCELLED
    assert send(trainer, f"runs/{run['id']}/cancel").json()["type"] == "urn:guardapp:problem:run_not_cancellable"
    assert send(trainer, f"runs/{run['id']}/resume").json()["status"] == RunStatus.QUEUED
    copy = send(trainer, f"runs/{run['id']}/clone", {"settings": {"epochs": 2}}).json()
    assert copy["settings"]["epochs"] == 2 and copy["id"] != run["id"]
    assert send(trainer, f"runs/{run['id']}/clone", {"settings": {"group_size": 2}}).status_code == 422


def test_a_long_list_of_runs_comes_in_pages(trainer: APIClient, snapshot: DatasetSnapshot) -> None:
    TrainingRun.objects.bulk_create(
        [
            TrainingRun(
                name=f"old-{number}", snapshot=snapshot, base_version=production(), requested_by=snapshot.created_by
            )
            for number in range(53)
        ]
    )
    first = trainer.get("/api/v1/runs").json()
    second = trainer.get(f"/api/v1/runs?before={first['next']}").json()
    ids = [run["id"] for run in first["runs"] + second["runs"]]
    assert len(ids) == len(set(ids)) == 53 and second["next"] is None
    assert trainer.get("/api/v1/runs?before=x").json()["errors"][0]["pointer"] == "/before"
    assert trainer.get("/api/v1/runs?kind=x").json()["errors"][0]["pointer"] == "/kind"


def test_the_rollouts_of_a_run_can_be_read(trainer: APIClient, snapshot: DatasetSnapshot) -> None:
    mine = send(trainer, "runs", {"snapshot": snapshot.pk, "kind": "mine"}).json()
    grpo = send(trainer, "runs", {"snapshot": snapshot.pk, "kind": "grpo"}).json()
    assert trainer.get(f"/api/v1/runs/{mine['id']}/rollouts").json()["groups"] == []
    for run, name, line in (
        (
            mine,
            MINED,
            {
                "id": "7",
                "kept": True,
                "rollouts": [{"completion": "so", "parsed": True, "right": False, "tokens": 3, "reused": True}],
            },
        ),
        (
            grpo,
            ROLLOUTS,
            {
                "step": 4,
                "id": "7",
                "prompt": "why",
                "completion": "so",
                "tokens": 3,
                "reward": 0.5,
                "parts": {"format": 1.0, "accuracy": 1.0},
                "advantage": -1.0,
            },
        ),
    ):
        folder = directory_of(TrainingRun.objects.get(pk=run["id"]))
        folder.mkdir(parents=True)
        (folder / name).write_text(json.dumps(line) + "\n")
    [mined] = trainer.get(f"/api/v1/runs/{mine['id']}/rollouts").json()["groups"]
    assert (mined["row"], mined["kept"], mined["completions"][0]["reused"]) == ("7", True, True)
    drawn = trainer.get(f"/api/v1/runs/{grpo['id']}/rollouts?step=4").json()
    assert drawn["steps"] == [4] and drawn["groups"][0]["completions"][0]["parts"] == {"format": 1.0, "accuracy": 1.0}


def test_a_pipeline_is_queued_read_copied_and_cancelled(
    trainer: APIClient, rung: list[str], snapshot: DatasetSnapshot, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made = send(trainer, "pipelines", {"snapshot": snapshot.pk, "settings": {"grpo": {"max_steps": 5}}})
    assert made.status_code == 202 and rung == ["training.tasks.execute"]
    pipeline = made.json()
    assert [run["kind"] for run in pipeline["runs"]] == ["sft", "mine", "grpo"] and pipeline["runs"][2]["settings"][
        "max_steps"
    ] == 5
    copy = send(trainer, f"pipelines/{pipeline['id']}/clone", {"settings": {"sft": {"epochs": 1}}}).json()
    assert (copy["runs"][0]["settings"]["epochs"], copy["runs"][2]["settings"]["max_steps"]) == (1, 5)
    assert send(trainer, f"pipelines/{pipeline['id']}/cancel").json()["status"] == RunStatus.CANCELLED
    listed = trainer.get("/api/v1/pipelines?status=queued").json()["pipelines"]
    assert [one["id"] for one in listed] == [copy["id"]] and trainer.get(
        f"/api/v1/pipelines/{copy['id']}"
    ).json() == copy
    refused = send(trainer, "pipelines", {"snapshot": snapshot.pk, "stages": ["mine", "sft"]})
    assert refused.json()["errors"][0]["pointer"] == "/stages"


def test_a_pipeline_takes_its_own_snapshot(trainer: APIClient) -> None:
    few = send(trainer, "pipelines")
    assert (few.status_code, few.json()["type"]) == (409, "urn:guardapp:problem:not_enough_gold")
    make_much_gold(make_user(Role.LEAD), 40)
    assert (
        send(trainer, "pipelines", {"recipe": "starter-sft"}).status_code == 202
        and DatasetSnapshot.objects.count() == 1
    )


def test_a_schedule_is_made_changed_fired_and_removed(trainer: APIClient) -> None:
    made = send(trainer, "schedules", {**NIGHTLY, "settings": {"sft": {"epochs": 2}}})
    assert (
        made.status_code == 201
        and made.json()["next_at"] is not None
        and made.json()["settings"] == {"sft": {"epochs": 2}}
    )
    path = f"schedules/{made.json()['id']}"
    fired = send(trainer, f"{path}/fire")
    assert (fired.status_code, fired.json()["outcome"]) == (202, "skipped") and fired.json()["note"]
    assert send(trainer, f"{path}/fire").status_code == 409
    changed = trainer.put(
        f"/api/v1/{path}", {"name": "by count", "trigger": "hard_samples", "hard_samples": 9}, format="json"
    ).json()
    assert (
        changed["standing"] == "0 of 9 new hard samples" and changed["next_at"] is None and len(changed["firings"]) == 1
    )
    assert [one["name"] for one in trainer.get("/api/v1/schedules").json()["schedules"]] == ["by count"]
    assert trainer.delete(f"/api/v1/{path}").status_code == 204 and not RetrainSchedule.objects.exists()
    assert trainer.get(f"/api/v1/{path}").status_code == 404


def test_a_schedule_that_cannot_be_names_the_field(trainer: APIClient) -> None:
    refused = send(trainer, "schedules", {**NIGHTLY, "cron": "at night"})
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/cron"
    assert send(trainer, "schedules", NIGHTLY).status_code == 201
    assert send(trainer, "schedules", NIGHTLY).json()["type"] == "urn:guardapp:problem:schedule_name_taken"


def test_nothing_is_promoted_by_any_of_it(trainer: APIClient, snapshot: DatasetSnapshot) -> None:
    pipeline = request_pipeline(snapshot=snapshot, base_version=production(), requested_by=snapshot.created_by)
    assert Pipeline.objects.get() == pipeline and ModelVersion.objects.get() == production()

"""JSON messages between the web and guard processes: requests with contents, and answers with judgements."""

import base64
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from guardapp.guard.judging import Judged, Mode
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Judgement, Rollout, Verdict, Window

JUDGE = "/judge"
LEAVE = "/leave"
HEALTH = "/healthz"
RETRY_AFTER = "Retry-After"


@dataclass(frozen=True, slots=True)
class Content:
    """Content to be judged. `media` are untrusted files, as received, those of `messages` first.

    `messages` came before the prompt, as in `Item.messages`. `places` are the media's JSON pointers in the content.
    """

    prompt: str = ""
    response: str | None = None
    media: tuple[bytes, ...] = ()
    messages: tuple[dict[str, Any], ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """Contents to be judged, all with the same options, within `seconds`. `id` names it when its caller leaves."""

    contents: tuple[Content, ...]
    mode: Mode = Mode.FULL
    rollouts: int = 0
    seconds: float = 30.0
    id: str = field(default_factory=lambda: uuid4().hex)

    def as_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode.value,
            "rollouts": self.rollouts,
            "seconds": self.seconds,
            "id": self.id,
            "contents": [
                {
                    "prompt": one.prompt,
                    "response": one.response,
                    "media": [base64.b64encode(data).decode() for data in one.media],
                    "messages": one.messages,
                }
                for one in self.contents
            ],
        }

    @classmethod
    def of(cls, given: dict[str, Any]) -> "JudgeRequest":
        contents = tuple(
            Content(
                one["prompt"],
                one["response"],
                tuple(base64.b64decode(data) for data in one["media"]),
                tuple(one.get("messages", ())),
            )
            for one in given["contents"]
        )
        return cls(contents, Mode(given["mode"]), int(given["rollouts"]), float(given["seconds"]), str(given["id"]))


@dataclass(frozen=True, slots=True)
class GuardAnswer:
    """The guard's judgement, its version, and the policy version in its prompt, if any.

    `unseen` is the number of pages or pictures in the content's files that the guard did not see.
    """

    judged: Judged
    version: str
    policy_version: str | None = None
    unseen: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "policy_version": self.policy_version,
            "unseen": self.unseen,
            "rollouts": [_rollout_as_json(rollout) for rollout in self.judged.all],
        }

    @classmethod
    def of(cls, given: dict[str, Any]) -> "GuardAnswer":
        greedy, *sampled = (_rollout_of(rollout) for rollout in given["rollouts"])
        judged = Judged(greedy, tuple(sampled))
        return cls(judged, given["version"], given["policy_version"], given.get("unseen", 0))


def _rollout_as_json(rollout: Rollout) -> dict[str, Any]:
    judgement = rollout.judgement
    found = {
        "completion": rollout.completion,
        "tokens": rollout.tokens,
        "finished": rollout.finished,
        "prompt_score": rollout.prompt_score,
        "response_score": rollout.response_score,
        "judgement": None
        if judgement is None
        else {
            "steps": judgement.steps,
            "prompt": judgement.verdict.prompt,
            "response": judgement.verdict.response,
            "categories": judgement.verdict.categories,
        },
    }
    if rollout.parts:
        found["decisive"] = rollout.decisive
        found["parts"] = [
            {
                "prompt": window.prompt,
                "response": window.response,
                "left_out": window.left_out,
                "rollout": _rollout_as_json(part),
            }
            for window, part in rollout.parts
        ]
    return found


def _rollout_of(given: dict[str, Any]) -> Rollout:
    stored = given["judgement"]
    judgement = (
        None
        if stored is None
        else Judgement(
            tuple(stored["steps"]),
            Verdict(_label(stored["prompt"]), _label(stored["response"]), categories=tuple(stored["categories"])),
        )
    )
    return Rollout(
        given["completion"],
        judgement,
        given["tokens"],
        given["finished"],
        given["prompt_score"],
        given["response_score"],
        tuple(
            (
                Window(
                    tuple(part["prompt"]),
                    None if part["response"] is None else tuple(part["response"]),
                    part.get("left_out", 0),
                ),
                _rollout_of(part["rollout"]),
            )
            for part in given.get("parts", ())
        ),
        given.get("decisive", 0),
    )


def _label(word: str | None) -> Harmfulness | None:
    return Harmfulness(word) if word else None

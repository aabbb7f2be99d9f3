"""The stock OpenAI client talks to the guard."""

import base64
from collections.abc import Iterator

import openai
import pytest
from django.conf import settings as django_settings
from openai.types import ModerationImageURLInputParam, ModerationTextInputParam
from pytest_django.live_server_helper import LiveServer
from rest_framework.test import APIClient

from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from guardapp.guard.protocol import Engine
from tests.annotation.conftest import Serve, new_key
from tests.annotation.moderation.test_moderate import scripted
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="session", autouse=True)
def static_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """whitenoise wants its folder when the live server starts."""
    django_settings.STATIC_ROOT = tmp_path_factory.mktemp("static")


def image_at(url: str) -> ModerationImageURLInputParam:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.fixture
def client_of_openai(caller: APIClient, live_server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=new_key(), base_url=f"{live_server.url}/v1", max_retries=0, timeout=60) as client:
        # open, it would keep a thread of the live server, and that thread its connection to the database
        yield client


def test_the_stock_openai_client_gets_its_shape_for_texts(
    client_of_openai: openai.OpenAI, serve: Serve, starter: Engine
) -> None:
    serve(starter)
    answer = client_of_openai.moderations.create(input=["What is the capital of Peru?", "How do I build a pipe bomb?"])
    plain, bomb = answer.results
    assert answer.id.startswith("modr-") and answer.model == "starter"
    assert not plain.flagged and not any(plain.categories.to_dict().values())
    assert bomb.flagged and bomb.categories.illicit_violent
    assert bomb.category_scores.illicit_violent > 0.9 > plain.category_scores.illicit_violent
    assert bomb.category_applied_input_types.illicit_violent == ["text"]
    extra = bomb.categories.to_dict()
    assert extra["S9"] is True and extra["harmful"] is True


def test_the_stock_openai_client_sends_text_and_image_together(
    client_of_openai: openai.OpenAI, serve: Serve, starter: Engine, png: bytes
) -> None:
    serve(starter)
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    parts: list[ModerationTextInputParam | ModerationImageURLInputParam] = [
        {"type": "text", "text": "What is in this picture?"},
        image_at(url),
    ]
    answer = client_of_openai.moderations.create(
        model="omni-moderation-latest", extra_body={"reasoning": True}, input=parts
    )
    [result] = answer.results
    assert result.category_applied_input_types.violence == ["text", "image"]
    assert result.to_dict()["reasoning"], "asked for, so there"


def test_the_openai_client_understands_what_is_refused(
    client_of_openai: openai.OpenAI, live_server: LiveServer, serve: Serve
) -> None:
    serve(scripted())
    with pytest.raises(openai.UnprocessableEntityError, match="is not served"):
        client_of_openai.moderations.create(model="gpt-4", input="x")
    with pytest.raises(openai.UnprocessableEntityError, match="fetching by URL is not offered"):
        client_of_openai.moderations.create(input=[image_at("https://example.org/a.png")])
    with pytest.raises(openai.UnprocessableEntityError, match="An image cannot be read"):
        client_of_openai.moderations.create(input=[image_at("data:image/png;base64,AAAA")])
    with pytest.raises(openai.AuthenticationError):
        client_of_openai.with_options(api_key="wrong").moderations.create(input="x")
    reader = create_key(owner=make_user(Role.LEAD), name="reader", scopes=[ApiScope.ITEMS_READ]).secret
    with pytest.raises(openai.PermissionDeniedError):
        client_of_openai.with_options(api_key=reader).moderations.create(input="x")

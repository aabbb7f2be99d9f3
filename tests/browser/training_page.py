"""What the browser tests of the training pages share."""

from playwright.sync_api import Page, expect

from annotation.models import User
from annotation.status import Role
from tests.factories import make_user

DRAWN = (
    "(key) => window.Chart.getChart(document.querySelector(`[data-chart=${key}] "
    "canvas`))?.data.datasets[0].data.length ?? 0"
)


def wait_for_points(page: Page, chart: str, fewest: int, most: int) -> None:
    """Until the chart holds so many. The page's policy forbids the evaluation that `wait_for_function` needs."""
    for _ in range(300):
        drawn = page.evaluate(DRAWN, chart)
        if fewest <= drawn <= most:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{chart} holds {drawn} points")


def sign_in(page: Page) -> User:
    lead = make_user(Role.LEAD)
    page.goto("/login/")
    page.fill("[name=username]", lead.username)
    page.fill("[name=password]", "a long test passphrase")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Training")).to_be_visible()
    return lead

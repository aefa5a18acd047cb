"""What is around every page."""

from playwright.sync_api import expect
from tests.console.conftest import Desk


def test_every_page_of_the_menu_opens(desk: Desk) -> None:
    """Each link of the menu leads to a page that neither the browser nor axe complains about."""
    links = desk.go("/").locator("nav[aria-label=Main] a[href^='/']")
    paths = [link.get_attribute("href") for link in links.all()]
    assert len(paths) >= 10
    for path in paths:
        desk.go(str(path))
        expect(desk.page.get_by_role("heading", level=1)).to_be_visible()
        desk.look(f"menu{str(path).replace('/', '-')}")

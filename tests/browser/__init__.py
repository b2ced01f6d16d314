"""The page in a real browser."""

from playwright.sync_api import Browser, BrowserContext, Page

PATIENCE = 60_000  # milliseconds: two busy cores draw slowly


def visit(browser: Browser, **options) -> BrowserContext:
    """A new visitor."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    return context


def open_hidden_tab(page: Page, name: str) -> None:
    """A tab that a narrow screen keeps behind its "..." menu."""
    page.locator(".overflow-menu button").first.click()
    page.locator(".overflow-dropdown button", has_text=name).click()

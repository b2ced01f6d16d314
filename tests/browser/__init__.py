"""The page in a real browser."""

from playwright.sync_api import Browser, BrowserContext

PATIENCE = 60_000  # milliseconds: two busy cores draw slowly


def visit(browser: Browser, **options) -> BrowserContext:
    """A new visitor."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    return context

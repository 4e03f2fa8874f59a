"""A browser, and the page in it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.serve.page.service import Service, running
from tests.serve.page.shown import Shown


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Shown]]:
    """`show(Service(), viewport=..., ...) -> Shown`; whatever it did, it asked nobody else and no policy stopped it."""
    shown: list[Shown] = []
    with ExitStack() as stack:

        def opened(service: Service | None = None, **settings: Any) -> Shown:
            service = service or Service()
            if not service.address:
                stack.enter_context(running(service))
            context = browser.new_context(**({"viewport": {"width": 1280, "height": 860}} | settings))
            stack.callback(context.close)
            shown.append(Shown(service, context.new_page()))
            return shown[-1]

        yield opened
        for one in shown:
            assert one.foreign == []
            assert one.errors == []

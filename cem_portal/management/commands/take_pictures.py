"""Take the pictures of README.md from a running demo, with the Chromium of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

PAGES = {
    "home": "/",
    "customers": "/engagement/customers/",
    "composer": "/engagement/broadcasts/new/?scenario=past_buyers",
    "seller-performance": "/engagement/performance/seller/",
}
WIDTHS = (1440, 390)
CHROMIUM = "/usr/bin/chromium"


class Command(BaseCommand):
    help = "Take the pictures of README.md from a running demo (make run first)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--address", default="http://127.0.0.1:8000", help="Where the demo runs")
        parser.add_argument("--folder", default=str(settings.BASE_DIR / "docs" / "img"))

    def handle(self, *args: object, **options: Any) -> None:
        try:
            from playwright.sync_api import Error, sync_playwright
        except ImportError as error:
            raise CommandError("Pictures need the development packages: make setup.") from error
        folder = Path(options["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
                )
                for width in WIDTHS:
                    page = browser.new_page(viewport={"width": width, "height": 900}, locale="en-GB")
                    self.sign_in(page, options["address"])
                    for name, path in PAGES.items():
                        page.goto(options["address"] + path)
                        page.wait_for_load_state("networkidle")
                        page.screenshot(path=folder / f"{name}-{width}.png")
                        self.stdout.write(f"{folder.name}/{name}-{width}.png")
        except Error as error:
            raise CommandError(f"No pictures: {error}") from error

    def sign_in(self, page: Any, address: str) -> None:
        page.goto(f"{address}/sign-in/")
        page.fill("input[name=username]", "advance")
        page.fill("input[name=password]", "demo")
        page.click("button[type=submit]")
        page.wait_for_load_state("networkidle")

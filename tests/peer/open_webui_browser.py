"""A browser that signs up with Open WebUI, picks a model, chats, and stops an answer: open_webui_browser.py OPEN_WEBUI CLLM CHROMIUM.

Prints {"answer": text, "stopped_after": seconds} as JSON.
"""

import json
import sys
import time
import urllib.request
from collections.abc import Callable

from playwright.sync_api import Page, sync_playwright

ANSWER_TIMEOUT_S = 300


def running(server: str) -> int:
    with urllib.request.urlopen(f"{server}/health?level=detailed") as response:
        return json.load(response)["data"]["queue"]["running"]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sign_up(page: Page, address: str) -> None:
    page.goto(address, wait_until="domcontentloaded")
    page.locator("input[type=email]").or_(page.get_by_text("Get started")).first.wait_for()
    if page.get_by_text("Get started").count():
        page.get_by_text("Get started").first.click()
    page.locator("input[autocomplete=name]").fill("Ada")
    page.locator("input[type=email]").fill("ada@example.org")
    for field in page.locator("input[type=password]").all():
        field.fill("a-secret-of-the-tests")
    page.locator("button[type=submit]").click()
    page.get_by_text("Okay, Let's Go!").click()


def say(page: Page, text: str) -> None:
    page.locator("#chat-input").click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def main(address: str, server: str, chromium: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        sign_up(page, address)
        with urllib.request.urlopen(f"{server}/v1/models") as response:
            model = json.load(response)["data"][0]["id"]
        page.locator("#model-selector-model-button").click()
        page.get_by_text(model).last.click()
        say(page, "What is the capital of France?")
        wait_until(lambda: running(server) > 0)
        wait_until(lambda: running(server) == 0)
        answer = page.locator("#response-content-container").first
        wait_until(lambda: bool(answer.inner_text().strip()))
        said = answer.inner_text()
        say(page, "Count to ten thousand, and say something about each number.")
        wait_until(lambda: running(server) > 0)
        page.locator('button[aria-label="Stop"]').first.click()
        clicked = time.monotonic()
        wait_until(lambda: running(server) == 0)
        print(json.dumps({"answer": said, "stopped_after": time.monotonic() - clicked}))
        browser.close()


main(*sys.argv[1:])

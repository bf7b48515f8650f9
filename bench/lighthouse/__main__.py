"""`make lighthouse`: every kind of page judged by Lighthouse, as on a phone of the middle class.

Runs on a throwaway stack that it fills; prints a table and exits with 1 where a score is below
what the design promises.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import aiohttp
from tqdm import tqdm  # type: ignore[import-untyped]

from contracts.vocabulary import Role

HERE = Path(__file__).parent
LIGHTHOUSE = HERE / "node_modules" / ".bin" / "lighthouse"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
LEAST = 98
TICKETS = 120
# Whatever else runs on the machine takes time away from a page, and never gives it any.
ATTEMPTS = 3
# A live page never becomes quiet.
WAIT_MS = 20_000
CHROMIUM_FLAGS = "--headless=new --no-sandbox --disable-gpu"


def main(wanted: str = "") -> int:
    """Judge the pages with this in their address; return the exit status."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not LIGHTHOUSE.exists() or chromium is None:
        print("Lighthouse or Chromium is missing: run `make lighthouse`.", file=sys.stderr)
        return 1
    demo = [sys.executable, "-m", "demo", "--tickets", str(TICKETS)]
    subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    failed = []
    print(f"{'':46}", *(f"{name:>15}" for name in CATEGORIES))
    pages = [page for page in asyncio.run(_pages()) if wanted in page[1]]
    for role, path in tqdm(pages, leave=False, disable=None):
        for _ in range(ATTEMPTS):
            scores, faults = _judge(chromium, role, path)
            if min(scores) >= LEAST:
                break
        tqdm.write(f"{role or '':9}{path:37} " + " ".join(f"{score:15}" for score in scores))
        if min(scores) < LEAST:
            failed.append(path)
            tqdm.write("\n".join(f"          {fault}" for fault in faults))
    return 1 if failed else 0


async def _pages() -> list[tuple[Role | None, str]]:
    """Return every kind of page with the role that sees it."""
    headers = {"Authorization": f"Bearer {os.environ['TICKET_API_TOKEN']}", "X-Role": Role.HELPDESK}
    async with aiohttp.ClientSession(os.environ["TICKET_API_URL"], headers=headers) as session:
        async with session.get("/v1/tickets", params={"status": "closed", "limit": 1}) as found:
            closed_id = (await found.json())["items"][0]["id"]
        # The demo may have none that is active at this hour.
        body = {"description": "The lift is stuck", "category": "facility_management"}
        async with session.post("/v1/tickets", json=body) as opened:
            active_id = (await opened.json())["id"]
        async with session.put(f"/v1/tickets/{active_id}/status", json={"status": "active"}):
            pass
    return [
        (None, "/"),
        (Role.USER, "/tickets"),
        (Role.HELPDESK, "/tickets?status=all"),
        (Role.USER, "/tickets?q=nothing-at-all"),
        (Role.USER, f"/tickets/{active_id}"),
        (Role.HELPDESK, f"/tickets/{active_id}"),
        (Role.HELPDESK, f"/tickets/{closed_id}"),
        (Role.HELPDESK, "/analytics"),
        (Role.HELPDESK, "/analytics/unclosed?last=30&unit=days"),
        (Role.HELPDESK, "/analytics/resolution"),
        (Role.HELPDESK, "/analytics/active"),
        (Role.HELPDESK, "/analytics/all"),
        (Role.HELPDESK, "/classifier?text=The+lift+is+stuck"),
    ]


def _judge(chromium: str, role: Role | None, path: str) -> tuple[list[int], list[str]]:
    """Return the scores of a page, 0-100, and what was found wrong with it."""
    command = [
        *(str(LIGHTHOUSE), f"{os.environ['WEB_URL']}{path}", "--quiet", "--output=json"),
        f"--only-categories={','.join(CATEGORIES)}",
        f"--chrome-flags={CHROMIUM_FLAGS}",
        f"--max-wait-for-load={WAIT_MS}",
    ]
    if role:
        command.append(f"--extra-headers={json.dumps({'Cookie': f'role={role}'})}")
    environment = os.environ | {"CHROME_PATH": chromium}
    done = subprocess.run(command, env=environment, check=False, capture_output=True)  # noqa: S603
    if done.returncode:
        return [0] * len(CATEGORIES), [done.stderr.decode().strip()]
    report = json.loads(done.stdout)
    scores = [round(100 * (report["categories"][name]["score"] or 0)) for name in CATEGORIES]
    weighted = {
        reference["id"]
        for name in CATEGORIES
        for reference in report["categories"][name]["auditRefs"]
        if reference["weight"]
    }
    faults = [
        f"{name}: {audit['title']} {audit.get('displayValue', '')}"
        for name, audit in report["audits"].items()
        if name in weighted and audit["score"] is not None and audit["score"] < 1
    ]
    return scores, faults


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))

"""Lighthouse's marks for a few pages of the rendered book; needs node and chromium.

Not among the tests, for a mark for speed depends on how busy the machine is: `make
lighthouse`.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

SITE = Path(__file__).parent.parent / "_build" / "html"
PAGES = ("index", "mf", "gmf", "exercises/latent-size")
AT_LEAST = {"performance": 90, "accessibility": 95, "best-practices": 95, "seo": 95}
RUNS = 3  # the one in the middle counts, for a busy machine is slow now and then
LIGHTHOUSE = ("npx", "--yes", "lighthouse@12.8.2", "--quiet", "--output=json")
NAMES = ("chromium", "chromium-browser", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)


@cache
def compressed(path):
    """A file's bytes, the work done once: it is the page's speed that is measured."""
    return gzip.compress(path.read_bytes())


class Server(SimpleHTTPRequestHandler):
    """Serves the rendered book compressed, as GitHub Pages and other web servers do."""

    def do_GET(self):
        path = SITE / self.path.partition("?")[0].lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        body = compressed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # the table is what there is to read


def report(address):
    """What Lighthouse says of a page, as it looks to a phone."""
    flags = "--chrome-flags=--headless --no-sandbox --disable-gpu"
    surroundings = {**os.environ, "CHROME_PATH": CHROMIUM}
    done = subprocess.run(
        [*LIGHTHOUSE, flags, address],
        env=surroundings,
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def performance(said):
    """The mark for speed, by which reports are put in order."""
    return said["categories"]["performance"]["score"]


def main():
    """Print a table of the marks and, below it, what kept one from being full."""
    if not (CHROMIUM and shutil.which("npx")):
        sys.exit("Lighthouse needs node (for npx) and chromium; one is not installed.")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, daemon=True).start()
    enough, remarks = True, []
    print("page".ljust(24), *AT_LEAST)
    for page in PAGES:
        address = f"http://127.0.0.1:{server.server_port}/book/{page}.html"
        reports = sorted((report(address) for _ in range(RUNS)), key=performance)
        said = reports[RUNS // 2]
        marks = {
            name: round(100 * said["categories"][name]["score"]) for name in AT_LEAST
        }
        print(
            page.ljust(24),
            *(str(mark).rjust(len(name)) for name, mark in marks.items()),
        )
        enough &= all(marks[name] >= least for name, least in AT_LEAST.items())
        for name in AT_LEAST:
            for audit in said["categories"][name]["auditRefs"]:
                finding = said["audits"][audit["id"]]
                if (
                    audit["weight"]
                    and finding["score"] is not None
                    and finding["score"] < 0.9
                ):
                    shown = finding.get("displayValue", "")
                    remarks.append(f"{page}: {name}: {finding['title']} {shown}")
    print(*remarks, sep="\n")
    sys.exit(not enough)


if __name__ == "__main__":
    main()

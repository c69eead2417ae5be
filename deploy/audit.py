"""
Known vulnerabilities of what the lock file pins: `python -m deploy.audit`.

Asks the advisory database of OSV, by pip-audit. Ends with 1 for a vulnerability; where the database cannot be
reached it says so and ends with 0, since a network that is missing is no finding. `OSV_URL` names a mirror.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"

_NETWORK = re.compile(r"^(?:requests\.exceptions\.|.*Could not connect to OSV).*", re.MULTILINE)
"""What pip-audit ends with where the database does not answer."""


def audit(lock: Path, osv_url: str | None) -> int:
    """Look up what a lock file pins, say what was found, and give the exit code."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--disable-pip"]
    command += ["--require-hashes", "--vulnerability-service", "osv", "--progress-spinner", "off"]
    command += ["--format", "json", *(["--osv-url", osv_url] if osv_url else [])]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)  # noqa: S603 - built here
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except json.JSONDecodeError:
        return _failed(done.stderr)
    found = list(_findings(packages))
    for line in found:
        print(line)  # noqa: T201 - the findings are the output
    print(f"audit: {len(packages)} packages, {len(found)} known vulnerabilities")  # noqa: T201
    return 1 if found else 0


def _findings(packages: list[dict[str, Any]]) -> Iterator[str]:
    for package in packages:
        for each in package.get("vulns", ()):
            names = ", ".join([each["id"], *each.get("aliases", ())])
            remedy = ", ".join(each["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {names}; mended in {remedy}"


def _failed(said: str) -> int:
    network = _NETWORK.findall(said)
    if network:
        print(f"audit: not run: the advisory database cannot be reached ({network[-1].strip()})")  # noqa: T201
        return 0
    print(said, file=sys.stderr)  # noqa: T201
    print("audit: pip-audit failed; see above", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(audit(LOCK, os.environ.get("OSV_URL")))

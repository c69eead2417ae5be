"""
What the chart gives, with its defaults and with everything: `python -m tests.deploy.render` writes it down.

Helm is not everywhere: where it is, a test holds what is written down to the chart; everywhere the chart's
own files must be those it was made from, and the tests read what it gave.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.files import DEPLOY

CHART = DEPLOY / "helm" / "evse-status"
HERE = Path(__file__).parent
RENDERED = HERE / "rendered"
KUBERNETES = "1.33"
VALUES: dict[str, Path | None] = {"default": None, "everything": HERE / "everything.values.yaml"}
"""By what they are called: no values, and all of them."""

LONG = {"ConfigMap", "PrometheusRule"}
"""Kinds that repeat whole files; they are looked at where Helm is."""


def source_hash() -> str:
    """Give the hash of all that decides what the chart gives, but for the files it repeats."""
    files = [path for path in sorted(CHART.rglob("*")) if path.is_file() and path.parent.name != "files"]
    files += [values for values in VALUES.values() if values is not None]
    summed = hashlib.sha256()
    for path in files:
        summed.update(f"{path.name}\0".encode() + path.read_bytes())
    return summed.hexdigest()


def template(helm: str, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Let Helm render the chart with some values."""
    values = VALUES[name]
    chosen = ["--values", str(values)] if values is not None else []
    command = [helm, "template", "evse-status", str(CHART), "--namespace", "evse"]
    command += ["--kube-version", f"{KUBERNETES}.0", *chosen, *more]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)  # noqa: S603 - fixed


def documents(text: str) -> list[dict[str, Any]]:
    """Give the manifests of a stream."""
    return [document for document in yaml.safe_load_all(text) if document]


def written(rendered: str) -> str:
    """Give what is written down of what Helm gave."""
    kept = [document for document in documents(rendered) if document["kind"] not in LONG]
    text = yaml.safe_dump_all(kept, sort_keys=False, width=110)
    return f"# Of the chart {source_hash()}; python -m tests.deploy.render\n{text}"


def main() -> None:
    """Write down what Helm gives; it has to be installed."""
    helm = shutil.which("helm")
    if helm is None:
        raise SystemExit("helm is not installed")
    RENDERED.mkdir(exist_ok=True)
    for name in VALUES:
        done = template(helm, name)
        if done.returncode:
            raise SystemExit(done.stderr)
        (RENDERED / f"{name}.yaml").write_text(written(done.stdout), encoding="utf-8")


if __name__ == "__main__":
    main()

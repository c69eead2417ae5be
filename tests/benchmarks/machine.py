"""What a figure was measured on and what was measured, in words that name neither a host nor a path."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import redis

from tests.local_kafka import kafka_version

Json = dict[str, Any]

_PACKAGES = ("aiokafka", "orjson", "pydantic", "redis")

MEASURED = ("service", "schemas", "requirements.lock")
"""What a figure depends on; changes elsewhere make no other commit of it."""


def machine(redis_url: str | None = None) -> Json:
    """Describe this machine, and the parts outside where there are any."""
    told: Json = {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 1),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "uvloop": importlib.metadata.version("uvloop") if importlib.util.find_spec("uvloop") else None,
    }
    if redis_url is not None:
        told |= {"kafka": kafka_version(), "store": store_version(redis_url)}
    return told


def cpu_model() -> str:
    """Name the processor."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def store_version(redis_url: str) -> str:
    """Name the server that holds the view, with its version."""
    with redis.Redis.from_url(redis_url) as client:
        info: Any = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def commit(root: Path) -> str:
    """Name what is measured: the commit, and `-changed` where the code is not as committed."""
    named = git(root, "rev-parse", "--short=10", "HEAD")
    return named + ("-changed" if git(root, "status", "--porcelain", "--", *MEASURED) else "")


def git(root: Path, *arguments: str) -> str:
    """Ask git, and give what it prints."""
    command = shutil.which("git")
    if command is None:
        raise SystemExit("results are kept by commit, and there is no git")
    done = subprocess.run([command, "-C", str(root), *arguments], check=False, capture_output=True, text=True)  # noqa: S603 - the arguments are ours
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return done.stdout.strip()

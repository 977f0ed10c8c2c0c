"""`ml-agent doctor`: what works on this machine, and what to do about the rest."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Literal

import typer

from ml_agent.core.errors import MLAgentError, NoIsolation, boundary


def doctor(
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Say what works on this machine, and what to do about the rest.

    Exit code 1 if something that every run needs is missing.

    Example: ml-agent doctor
    """
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: sys.version.split()[0],
        "libraries": _libraries,
        "isolation": _isolation,
        "cache": _cache,
        "memory": _memory,
        "accelerator": _accelerator,
    }
    found: dict[str, dict[str, str | bool]] = {}
    for name, check in checks.items():
        try:
            with boundary(MLAgentError, "it cannot be told"):
                found[name] = {"ok": True, "found": check()}
        except MLAgentError as error:
            found[name] = {"ok": False, "found": str(error)}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, entry in found.items():
            typer.echo(f"{'ok  ' if entry['ok'] else 'FAIL'}  {name:<12} {entry['found']}")
    if not all(entry["ok"] for entry in found.values()):
        raise typer.Exit(1)


def _libraries() -> str:
    wanted = ("torch", "transformers", "peft", "scikit-learn", "pandas")
    missing, have = [], []
    for name in wanted:
        try:
            have.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise MLAgentError(f"{', '.join(missing)} not installed; run `make install`")
    return ", ".join(have)


def _isolation() -> str:
    from ml_agent.sandbox import choose_tier

    try:
        tier = choose_tier("auto")
    except NoIsolation as error:
        raise NoIsolation(f"{error}. {_outcome('reduced')}") from error
    other = _outcome("reduced" if tier == "strong" else "strong")
    return f"{tier}: canary attacks from inside a box were harmless. {other}"


def _outcome(tier: Literal["strong", "reduced"]) -> str:
    from ml_agent.sandbox import choose_tier

    try:
        choose_tier(tier)
    except NoIsolation as error:
        return f"`--sandbox {tier}` would be refused: {error}"
    return f"`--sandbox {tier}` would hold as well"


def _cache() -> str:
    from ml_agent.assets import cache_home

    home = cache_home()
    standing = next(folder for folder in (home, *home.parents) if folder.exists())
    free_gib = shutil.disk_usage(standing).free / 2**30
    if not os.access(standing, os.W_OK):
        raise MLAgentError(f"{home} cannot be written; set ML_AGENT_HOME to a folder that can")
    if free_gib < 2:
        raise MLAgentError(f"{free_gib:.1f} GiB free at {home}; 2 GiB are needed")
    return f"{home}, {free_gib:.0f} GiB free"


def _memory() -> str:
    gib = memory_bytes() / 2**30
    if gib < 7.5:
        raise MLAgentError(f"{gib:.1f} GiB; the quickstart needs 8 GiB")
    cores = len(os.sched_getaffinity(0))
    # A container's quota of CPU time takes none of them away.
    return f"{gib:.0f} GiB, {cores} core{'' if cores == 1 else 's'} where no quota allows less"


def memory_bytes(
    groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> int:
    """What this process may use: the machine's memory, or less where a container is limited.

    Args:
        groups: Where control groups are mounted.
        own: Says in which of them this process is.
    """
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    lines = own.read_text().splitlines() if own.exists() else []
    for _, controller, path in (line.split(":", 2) for line in lines):
        # Version 2 has one hierarchy for all controllers, version 1 one for each.
        if controller not in {"", "memory"}:
            continue
        place = groups / controller / path.lstrip("/")
        # A limit holds for all groups below; a container sees its own group as the root.
        names = ("memory.max", "memory.limit_in_bytes")
        files = [group / name for group in (place, *place.parents) for name in names]
        limits = [file.read_text().strip() for file in files if file.is_file()]
        found += [int(limit) for limit in limits if limit != "max"]
    return min(found)


def _accelerator() -> str:
    try:
        import torch
    except (ImportError, OSError) as error:
        raise MLAgentError(f"torch cannot be loaded ({error}); run `make install`") from error
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "none; the CPU is used"

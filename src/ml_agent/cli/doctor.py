"""`ml-agent doctor`: what works on this machine, and what to do about the rest."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Literal

import typer

from ml_agent.compute.machine import cores, memory_bytes
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
    count = cores()
    return f"{gib:.0f} GiB, {count} core{'' if count == 1 else 's'}"


def _accelerator() -> str:
    try:
        import torch
    except (ImportError, OSError) as error:
        raise MLAgentError(f"torch cannot be loaded ({error}); run `make install`") from error
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "none; the CPU is used"

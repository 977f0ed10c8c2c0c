"""Why this machine cannot isolate untrusted code, and what to do about it."""

import platform
from pathlib import Path

from ml_agent.core.errors import NoIsolation
from ml_agent.sandbox.contract import Tier

_LESS = " Or accept less isolation, best inside something disposable: --sandbox reduced"
_MARKS = ("/.dockerenv", "/run/.containerenv")
_NEEDS = (
    "The reduced tier needs Linux 6.12 or newer with Landlock and seccomp filters, x86_64 or "
    "aarch64, and a Python that scripts may reach."
)


def no_isolation(reason: str, *, tier: Tier = "strong") -> NoIsolation:
    """The error that says what was refused and the most likely fix.

    Args:
        reason: What was attempted and how it failed.
        tier: Which isolation was attempted.
    """
    advice = _NEEDS if tier == "reduced" else _advice()
    return NoIsolation(f"scripts cannot be isolated on this machine ({reason}). {advice}")


def _advice() -> str:
    if platform.system() != "Linux":
        return "Isolation needs Linux: run this in a Linux container or virtual machine."
    return _how_to_allow_namespaces() + _LESS


def _how_to_allow_namespaces() -> str:
    if _setting("user/max_user_namespaces") == "0":
        return "Allow user namespaces: sudo sysctl -w user.max_user_namespaces=15000."
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "Allow user namespaces: sudo sysctl -w kernel.unprivileged_userns_clone=1."
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "Ubuntu restricts user namespaces: "
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, "
            "or give Python an AppArmor profile with `userns,`."
        )
    if in_container():
        return (
            "This container forbids namespaces: start it with --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined --security-opt systempaths=unconfined."
        )
    return "It needs Linux 5.12 or newer, user namespaces and seccomp filters on x86_64 or aarch64."


def _setting(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def in_container() -> bool:
    """Whether this seems to be a container, or something else that filters system calls."""
    filtered = "Seccomp:\t2" in Path("/proc/self/status").read_text()
    return filtered or any(Path(mark).exists() for mark in _MARKS)

"""What a worker process can't do, whatever runs in it: write, connect, grow, outlive the agent.

Landlock is asked for through system calls, since no library of ours wraps it. It is applied
before any thread starts, because it binds the calling thread and what comes from it.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from domain_agent.worker.limits import MIB, PoolSettings

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_QUERY = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# Rights to the file system that each version of the interface knows, all of them denied.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
_BIND_AND_CONNECT, _SOCKETS_AND_SIGNALS = 0b11, 0b11
# Without version 3 a process could still cut its sources short.
_OLDEST = 3
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom", "/proc/self"),
    *("/proc/meminfo", "/proc/cpuinfo", "/sys/fs/cgroup", "/sys/devices/system/cpu"),
)

_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """The kernel can't confine the process as the settings demand."""


def die_with(parent: int) -> None:
    """Have the kernel end this process when the agent's thread that started it ends."""
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the agent is gone")


def limit(settings: PoolSettings) -> None:
    """Bound memory, forbid core dumps and growing files."""
    space = settings.address_space_mib * MIB
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _control(_PR_SET_DUMPABLE, 0)


def confine(roots: Sequence[Path], package_root: Path) -> None:
    """Leave this process nothing but reading the roots and what Python needs.

    Raises Unavailable where the kernel can't promise that.
    """
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208 - names only
        raise Unavailable("the process already has threads, which would stay unconfined")
    version = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_QUERY)
    if version < _OLDEST:
        found = f"version {version}" if version > 0 else "none"
        raise Unavailable(f"it needs Landlock version {_OLDEST} or later, the kernel has {found}")
    ruleset = _create(version)
    try:
        for root in roots:
            _allow(ruleset, root, _READ_FILE | _READ_DIR)
        for path, rights in _needed(package_root):
            if path.exists():
                _allow(ruleset, path, rights)
        _control(_PR_SET_NO_NEW_PRIVS, 1)
        _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _create(version: int) -> int:
    rights = (1 << _RIGHTS[min(version, max(_RIGHTS))]) - 1
    network = _BIND_AND_CONNECT if version >= _NETWORK_SINCE else 0
    scopes = _SOCKETS_AND_SIGNALS if version >= _SCOPES_SINCE else 0
    # Older versions refuse fields that they don't know, even when they are zero.
    known = 3 if version >= _SCOPES_SINCE else 2 if version >= _NETWORK_SINCE else 1
    attributes = struct.pack("<QQQ", rights, network, scopes)[: known * 8]
    return _checked(_libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))


def _needed(package_root: Path) -> list[tuple[Path, int]]:
    both = _READ_FILE | _READ_DIR
    needed = [(Path(path), both) for path in _SYSTEM]
    # Beside a checkout lie files that are no code of ours, beside an installed package only code.
    installed = (package_root / "duckdb").is_dir()
    needed += [(package_root, both if installed else _READ_DIR)]
    needed += [(package_root / room, both) for room in ("mesh", "domain_agent")]
    needed += [(Path(prefix), both) for prefix in {sys.prefix, sys.base_prefix}]
    needed += [(Path(entry), both) for entry in sys.path if Path(entry) != package_root]
    return needed


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"{path} can't be opened: {error.strerror}") from error
    try:
        allowed = rights if path.is_dir() else rights & _READ_FILE
        rule = struct.pack("<Qi", allowed, beneath)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(beneath)


def _control(option: int, value: int) -> None:
    _checked(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def _checked(result: int) -> int:
    if result < 0:
        raise Unavailable(os.strerror(ctypes.get_errno()))
    return result

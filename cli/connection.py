"""Which control plane a command talks to, as whom, and what said so."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from cli.contexts import Contexts
from cli.flags import Flags
from mesh import errors
from mesh.wire.targets import channel_target

SCHEMES = {"grpc": False, "http": False, "grpc+tcp": False, "grpcs": True, "https": True}
SCHEMES["grpc+tls"] = True


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it came from: a flag, a variable or a context."""

    value: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What is known of the connection; some of it may be missing."""

    context: Setting
    server: Setting
    token: Setting
    ca_file: Setting


@dataclass(frozen=True, slots=True)
class Address:
    """A gRPC target and whether TLS protects it."""

    target: str
    tls: bool


@dataclass(frozen=True, slots=True)
class Connection:
    """All that is needed to call the control plane."""

    address: Address
    token: str
    roots: bytes | None
    timeout: float


def settings(flags: Flags, variables: Mapping[str, str], contexts: Contexts) -> Settings:
    """What counts: a flag, then a context that a flag names, a variable, the other contexts."""
    name, source = _context_name(flags, variables, contexts)
    chosen = contexts.named(name) if name is not None else None
    by_flag = source == "--context"

    def pick(flag: str | None, option: str, variable: str, stored: str | None) -> Setting:
        if flag:
            return Setting(flag, option)
        if by_flag and stored:
            return Setting(stored, f"context {name}")
        if variables.get(variable):
            return Setting(variables[variable], variable)
        return Setting(stored, f"context {name}") if stored else Setting(None, "")

    return Settings(
        Setting(name, source),
        pick(flags.server, "--server", "MESH_SERVER", chosen.server if chosen else None),
        pick(flags.token, "--token", "MESH_TOKEN", chosen.token if chosen else None),
        pick(flags.ca_file, "--ca-file", "MESH_CA_FILE", chosen.ca_file if chosen else None),
    )


def connection(found: Settings, timeout: float) -> Connection:
    """The connection. Says what to do when the server or the token is missing."""
    if found.server.value is None:
        raise click.UsageError(
            "No control plane named. Pass --server HOST:PORT, set MESH_SERVER, or keep it:"
            " `mesh context set NAME --server HOST:PORT --token-file FILE`."
        )
    target = address(found.server.value)
    if found.token.value is None:
        raise errors.TokenMissing(
            "no token: set MESH_TOKEN, pass --token, or keep it with"
            " `mesh context set NAME --token-file FILE`."
            " Somebody with the duty admin or security issues it: `mesh token issue --for user:YOU`"
        )
    token = found.token.value.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise errors.TokenInvalid(
            f"the token from {found.token.source} is no token: it has characters that none has"
        )
    return Connection(target, token, _roots(found.ca_file), timeout)


def address(text: str) -> Address:
    """host:port, or grpc://host:port (plain) or grpcs://host:port (TLS).

    Without a scheme, loopback is plain and everything else TLS. Tokens never travel in plain
    text to another machine. Several replicas on this machine are joined by commas.
    """
    parts = [_one(part.strip()) for part in text.split(",")]
    if len(parts) == 1:
        return parts[0]
    joined = ",".join(part.target for part in parts)
    if any(part.tls for part in parts):
        raise click.UsageError(
            f"{text!r}: with TLS, give one name that has the addresses of all replicas."
        )
    try:
        channel_target(joined)
    except ValueError as error:
        raise click.UsageError(f"{text!r}: {error}.") from error
    return Address(joined, False)


def _one(text: str) -> Address:
    scheme, separator, rest = text.partition("://")
    target = (rest if separator else text).rstrip("/")
    host, colon, port = target.rpartition(":")
    known = not separator or scheme in SCHEMES
    if not known or not colon or not host or not port.isdecimal() or "/" in target:
        raise click.UsageError(
            f"{text!r} is no address. Write host:port, grpc://host:port on this machine,"
            " or grpcs://host:port."
        )
    local = _is_loopback(host)
    tls = SCHEMES[scheme] if separator else not local
    if not tls and not local:
        raise click.UsageError(
            f"{text!r} would send the token in plain text to another machine. Use grpcs://{target}."
        )
    return Address(target, tls)


def _context_name(
    flags: Flags, variables: Mapping[str, str], contexts: Contexts
) -> tuple[str | None, str]:
    if flags.context:
        return flags.context, "--context"
    if variables.get("MESH_CONTEXT"):
        return variables["MESH_CONTEXT"], "MESH_CONTEXT"
    if contexts.current is not None:
        return contexts.current, "the file of contexts"
    return None, ""


def _is_loopback(host: str) -> bool:
    bare = host.strip("[]")
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost"


def _roots(found: Setting) -> bytes | None:
    if found.value is None:
        return None
    try:
        return Path(found.value).read_bytes()
    except OSError as error:
        raise click.UsageError(
            f"The certificates from {found.source} can't be read: {error}."
        ) from error

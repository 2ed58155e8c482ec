"""Rules for the product as a whole: its names, version, status, owners, purposes and server."""

import re
from collections.abc import Mapping

from mesh.contracts.extensions import extension, extension_path
from mesh.contracts.odcs import OUTDATED
from mesh.contracts.problems import Findings, Path, closest, listing, shown
from mesh.contracts.shapes import Element, entries, members, text
from mesh.names import NAME_RULE, is_name

STATUSES = ("proposed", "draft", "active", "deprecated", "retired")
FORMATS = ("parquet", "csv")
VERSION = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){2}")
MAX_ID = 128
_SUBJECT = re.compile(r"(?:team:)?[^\s:]{1,128}")
# DuckDB expands patterns and `~`, so these would name other files than the contract says.
_PATTERN_CHARACTERS = frozenset("*?[]{}\\")


def check_product(contract: Element, purposes: frozenset[str] | None, findings: Findings) -> None:
    """Note what the mesh needs of the product and the document lacks."""
    for key in ("domain", "name"):
        _check_name(contract, key, findings)
    _check_words(contract, findings)
    _check_owners(contract, findings)
    _check_purposes(contract, purposes, findings)
    _check_servers(contract, findings)


def name_problem(name: object) -> str | None:
    """What keeps text from naming a domain, product or dataset."""
    if isinstance(name, str) and not is_name(name):
        better = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
        hint = f"; for example `{better}`" if is_name(better) else ""
        return f"is {shown(name)}; allowed is {NAME_RULE}{hint}"
    return None


def path_problem(path: str, absolute_allowed: bool) -> str | None:
    """What keeps text from being a path that stays where it points."""
    if not path or len(path) > 1_024:
        return "is a path of 1 to 1,024 characters"
    if "://" in path or path.startswith("~"):
        return f"is {shown(path)}; allowed is a path, without scheme and `~`"
    if not absolute_allowed and path.startswith("/"):
        return f"is {shown(path)}; allowed is a path below the server's path, not an absolute one"
    if ".." in path.split("/"):
        return f"is {shown(path)}; `..` is not allowed"
    if used := sorted(_PATTERN_CHARACTERS & set(path)):
        return f"is {shown(path)}; {' '.join(used)} is not allowed, one dataset is one file"
    return None


def _check_name(contract: Element, key: str, findings: Findings) -> None:
    if key not in contract:
        findings.add((), f"`{key}` is missing; allowed is {NAME_RULE}")
    elif wrong := name_problem(contract[key]):
        findings.add((key,), wrong)


def _check_words(contract: Element, findings: Findings) -> None:
    api = text(contract, "apiVersion")
    if api is not None and api.startswith(OUTDATED):
        findings.add(("apiVersion",), f"is {shown(api)}; allowed are v3.0.0 and later")
    version = text(contract, "version")
    if version is not None and not VERSION.fullmatch(version):
        findings.add(("version",), f"is {shown(version)}; allowed are three numbers, as in 1.0.0")
    identifier = text(contract, "id")
    if identifier is not None and not 1 <= len(identifier) <= MAX_ID:
        findings.add(("id",), f"has {len(identifier)} characters; allowed are 1 to {MAX_ID}")
    status = text(contract, "status")
    if "status" not in contract:
        findings.add((), f"`status` is missing; allowed: {', '.join(STATUSES)}")
    elif status is not None and status not in STATUSES:
        near = closest(status, STATUSES)
        findings.add(("status",), f"is {shown(status)}; allowed: {', '.join(STATUSES)}{near}")


def owners(contract: Element) -> list[str]:
    """Token subjects, or `team:<id>`, of the members who are owners and have not left."""
    _, team = members(contract)
    found = [text(m, "username") for _, m in team if m.get("role") == "owner" and _stays(m)]
    return list(dict.fromkeys(owner for owner in found if owner))


def _stays(member: Element) -> bool:
    return member.get("dateOut") is None


def _check_owners(contract: Element, findings: Findings) -> None:
    path, team = members(contract)
    for index, member in team:
        username, role = text(member, "username"), text(member, "role")
        if role is not None and role != "owner" and role.casefold() == "owner":
            findings.add((*path, index, "role"), f"is {shown(role)}; write `owner`")
        if role == "owner" and username is not None and not _SUBJECT.fullmatch(username):
            allowed = "a token's subject or team:<id>, without spaces"
            message = f"is {shown(username)}; allowed is {allowed}"
            findings.add((*path, index, "username"), message)
    if not owners(contract):
        where: Path = ("team",) if "team" in contract else ()
        findings.add(
            where,
            "no owner; list a member with `username` and `role: owner` (and no `dateOut`) "
            "under team.members",
        )


def _check_purposes(contract: Element, known: frozenset[str] | None, findings: Findings) -> None:
    listed = extension(contract, "mesh.purposes")
    if known is None or not isinstance(listed, list):
        return
    path = extension_path(contract, (), "mesh.purposes")
    for index, purpose in enumerate(listed):
        if isinstance(purpose, str) and purpose not in known:
            near = closest(purpose, known) or f"; registered: {listing(sorted(known)) or 'none'}"
            findings.add((*path, index), f"{shown(purpose)} is not a registered purpose{near}")


def _check_servers(contract: Element, findings: Findings) -> None:
    servers = list(entries(contract, "servers"))
    for index, server in servers:
        if "roles" in server:
            message = "roles of a server are not enforced; declare them under the contract's roles"
            findings.add(("servers", index, "roles"), message)
    local = [(index, server) for index, server in servers if server.get("type") == "local"]
    where: Path = ("servers",) if "servers" in contract else ()
    if not local:
        found = listing(str(s["type"]) for _, s in servers if isinstance(s.get("type"), str))
        wanted = "the agent reads one server with `type: local`, `path` and `format` parquet or csv"
        findings.add(where, f"{wanted}; found {found or 'none'}")
    for index, _ in local[1:]:
        findings.add(("servers", index), "a second local server; the agent reads exactly one")
    for index, server in local:
        _check_local(server, ("servers", index), findings)


def _check_local(server: Element, path: Path, findings: Findings) -> None:
    folder, format_ = text(server, "path"), text(server, "format")
    if folder is not None and (wrong := path_problem(folder, absolute_allowed=True)):
        findings.add((*path, "path"), wrong)
    if format_ is not None and format_ not in FORMATS:
        near = closest(format_, FORMATS)
        findings.add((*path, "format"), f"is {shown(format_)}; allowed: {', '.join(FORMATS)}{near}")
    encoding = text(server, "encoding")
    if encoding is not None and encoding.casefold() not in ("utf-8", "utf8"):
        findings.add((*path, "encoding"), f"is {shown(encoding)}; the agent reads UTF-8")


def title(contract: Element) -> str:
    """The first line of the description's purpose, else the product's name."""
    description = contract.get("description")
    purpose = text(description, "purpose") if isinstance(description, Mapping) else None
    lines = (purpose or "").strip().splitlines()
    return lines[0].strip() if lines else str(contract.get("name", ""))

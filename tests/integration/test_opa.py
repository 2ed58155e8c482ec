"""OPA as companies run it already: bundles, status and decision logs, with the real program."""

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import OpaNotServed
from mesh.v1 import agreements_pb2, audit_pb2, identity_pb2, opas_pb2, status_pb2
from tests.differential.opa_server import free_port
from tests.integration.test_control_plane_agreements import approve, publish
from tests.integration.test_control_plane_agreements import ask as request_access
from tests.opa_client import LOOKUP, Answer, Meshed, ask, call, decide, meshed_opa, question
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Plane, error_of, eventually, running

ANY_PORT = "127.0.0.1:0"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state", opa=ANY_PORT) as plane:
        plane.purpose()
        publish(plane.admin, contract())
        yield plane


def service_token(plane: Plane, domain: str = "bookings", duty: str = "opa") -> str:
    principal = identity_pb2.Principal(
        kind="service", subject=f"opa-{domain}", duties=[f"{duty}:{domain}"]
    )
    request = identity_pb2.IssueTokenRequest(principal=principal)
    return plane.admin.identity.IssueToken(request).token


def bearer(plane: Plane, domain: str = "bookings") -> dict[str, str]:
    return {"Authorization": f"Bearer {service_token(plane, domain)}"}


def meshed(plane: Plane, folder: Path, **changed: str) -> Meshed:
    token = folder / "opa.token"
    token.write_text(service_token(plane))
    key = plane.admin.opas.GetBundleKey(opas_pb2.GetBundleKeyRequest())
    known: dict[str, Any] = {"key_id": key.id, "key": key.public_key, **changed}
    return Meshed(url=f"http://{plane.opa_address}", token=token, **known)


def agreed(plane: Plane) -> str:
    asked = request_access(plane.user("ana", teams=("ops",)))
    approve(plane.user("olga"), asked.id)
    return asked.id


def decisions(plane: Plane, product: str = "") -> list[audit_pb2.Entry]:
    request = audit_pb2.ListEntriesRequest(kind="decision", product=product)
    return list(plane.admin.audit.ListEntries(request).entries)


def opas(plane: Plane) -> list[opas_pb2.Opa]:
    return list(plane.admin.opas.ListOpas(opas_pb2.ListOpasRequest()).opas)


def bundle(plane: Plane, headers: dict[str, str], domain: str = "bookings") -> Answer:
    return call(plane.opa_address, "GET", f"/opa/bundles/{domain}.tar.gz", headers=headers)


def upload(plane: Plane, headers: dict[str, str], entries: object) -> Answer:
    body = gzip.compress(json.dumps(entries).encode())
    packed = {**headers, "Content-Encoding": "gzip"}
    return call(plane.opa_address, "POST", "/opa/logs/bookings", body, packed)


def entry(decision: str = "d-1", **changed: object) -> dict[str, object]:
    """An entry of a decision log that tells of a read that is allowed."""
    return {
        "labels": {"id": "opa-1", "version": "1.22.2"},
        "decision_id": decision,
        "bundles": {"meshwarden": {"revision": f"7-{'a' * 64}"}},
        "path": LOOKUP,
        "input": question(),
        "result": {"allow": True, "reasons": []},
        "timestamp": "2026-11-25T09:00:00.123456789Z",
        **changed,
    }


def test_an_opa_follows_what_is_agreed_and_its_decisions_are_audited(
    plane: Plane, tmp_path: Path
) -> None:
    with meshed_opa(tmp_path / "opa", meshed(plane, tmp_path)) as opa:
        eventually(lambda: decide(opa).get("reasons") == ["agreement.missing"])

        agreement = agreed(plane)
        eventually(lambda: decide(opa).get("allow"))
        answer = ask(opa, LOOKUP, question())
        assert answer["result"]["masks"].keys() == {"c0"}
        assert decide(opa, purpose="payroll")["reasons"] == ["purpose.unknown"]

        plane.admin.agreements.RevokeAgreement(
            agreements_pb2.RevokeAgreementRequest(id=agreement, note="over")
        )
        eventually(lambda: decide(opa).get("reasons") == ["agreement.revoked"])

        decision = str(answer["decision_id"])
        eventually(lambda: decision in {one.reference for one in decisions(plane)})
        told = next(one for one in decisions(plane) if one.reference == decision)
        policy = plane.admin.status.GetStatus(status_pb2.GetStatusRequest()).policy_digest
        assert (told.action, told.actor) == ("decision.allowed", "user:ana")
        assert (told.product, told.purpose) == ("bookings.reservations", "crew-planning")
        assert "dataset passengers" in told.summary
        assert f"policy {policy}" in told.summary
        assert "no agent" in told.summary
        eventually(lambda: {"agreement.revoked"} in [set(one.reasons) for one in decisions(plane)])
        revision = plane.admin.status.GetStatus(status_pb2.GetStatusRequest()).revision
        eventually(lambda: [one.active_revision for one in opas(plane)] == [revision])
        (known,) = opas(plane)
        assert (known.domain, known.reporter) == ("bookings", "service:opa-bookings")
        assert (known.policy_digest, known.problem) == (policy, "")
        assert known.target_revision == revision


def test_a_change_reaches_an_opa_that_waits_for_it(plane: Plane, tmp_path: Path) -> None:
    """Its next poll would come in five minutes, so that only the waiting request brings it."""
    patient = replace(meshed(plane, tmp_path), delay=300)
    with meshed_opa(tmp_path / "opa", patient) as opa:
        eventually(lambda: decide(opa).get("reasons") == ["agreement.missing"])
        agreement = agreed(plane)
        eventually(lambda: decide(opa).get("allow"))
        plane.admin.agreements.RevokeAgreement(
            agreements_pb2.RevokeAgreementRequest(id=agreement, note="over")
        )
        eventually(lambda: decide(opa).get("reasons") == ["agreement.revoked"])


def test_a_wrong_signature_is_refused_and_the_old_bundle_decides_on(tmp_path: Path) -> None:
    """A control plane with the same tokens and another bundle key takes the place of the first."""
    listen = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        with running(tmp_path / "one", opa=listen) as plane:
            plane.purpose()
            publish(plane.admin, contract())
            agreed(plane)
            opa = stack.enter_context(meshed_opa(tmp_path / "opa", meshed(plane, tmp_path)))
            eventually(lambda: decide(opa).get("allow"))
            eventually(lambda: [one.active_revision > 0 for one in opas(plane)] == [True])
            (before,) = opas(plane)
        keys = tmp_path / "keys"
        keys.mkdir()
        for name in ("token.key", "snapshot.key", "evidence.key"):
            (keys / name).write_bytes((tmp_path / "one" / name).read_bytes())
        with running(tmp_path / "other", keys=keys, opa=listen) as other:
            eventually(lambda: [one for one in opas(other) if "verify" in one.problem])
            (after,) = opas(other)
            assert (after.id, after.active_revision) == (before.id, before.active_revision)
            assert decide(opa)["allow"]
            # What it refused, it also refuses when it has nothing to fall back on.
            opa.stop()
            opa.start()
            eventually(lambda: [one for one in opas(other) if one.active_revision == 0])
            assert decide(opa) == {}


def test_another_domains_bundle_is_refused(plane: Plane, tmp_path: Path) -> None:
    foreign = meshed(plane, tmp_path, scope="fleet")
    with meshed_opa(tmp_path / "opa", foreign) as opa:
        eventually(lambda: any("scope" in one.problem for one in opas(plane)))
        assert decide(opa) == {}


def test_an_unchanged_bundle_is_not_sent_again(plane: Plane) -> None:
    headers = bearer(plane)
    first = bundle(plane, headers)
    assert first.status == 200
    assert first.headers["Content-Type"] == "application/vnd.openpolicyagent.bundles"
    again = bundle(plane, {**headers, "If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


def test_the_same_bundle_is_built_once(plane: Plane) -> None:
    """Each signature is another, so that equal bytes are the same bundle."""
    headers = bearer(plane)
    assert bundle(plane, headers).body == bundle(plane, headers).body


def test_a_state_that_returns_has_another_tag(plane: Plane) -> None:
    headers = bearer(plane)
    before = bundle(plane, headers).headers["ETag"]
    plane.purpose("marketing")
    between = bundle(plane, headers).headers["ETag"]
    assert before != between
    assert bundle(plane, {**headers, "If-None-Match": f"{before}"}).status == 200
    assert bundle(plane, {**headers, "If-None-Match": f"{before}, {between}"}).status == 304


def test_a_waiting_request_ends_with_the_change_or_in_time(plane: Plane) -> None:
    headers = bearer(plane)
    tag = bundle(plane, headers).headers["ETag"]
    prefer = {**headers, "If-None-Match": tag, "Prefer": "modes=snapshot,delta;wait=1"}
    began = time.monotonic()
    assert bundle(plane, prefer).status == 304
    assert time.monotonic() - began >= 1

    answers: list[Answer] = []
    prefer["Prefer"] = "modes=snapshot,delta;wait=60"
    waiting = threading.Thread(target=lambda: answers.append(bundle(plane, prefer)))
    waiting.start()
    # Whether the request waits already or comes after the change: it gets the new bundle.
    plane.purpose("marketing")
    waiting.join(20)
    (answer,) = answers
    assert answer.status == 200
    assert answer.headers["ETag"] != tag


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/opa/bundles/bookings.tar.gz", "GET"),
        ("/opa/status/bookings", "POST"),
        ("/opa/logs/bookings", "POST"),
    ],
)
def test_only_an_opa_of_the_domain_is_served(plane: Plane, path: str, method: str) -> None:
    admin = {"Authorization": f"Bearer {plane.admin.token}"}
    steward = {"Authorization": f"Bearer {service_token(plane, duty='steward')}"}
    refused = [
        (401, "token.missing", {}),
        (401, "token.invalid", {"Authorization": "Bearer nonsense"}),
        (401, "token.missing", {"Authorization": "Basic YTpi"}),
        (403, "duty.missing", bearer(plane, "fleet")),
        (403, "duty.missing", admin),
        (403, "duty.missing", steward),
    ]
    for status, reason, headers in refused:
        answer = call(plane.opa_address, method, path, b"[]", headers)
        assert (answer.status, answer.reason) == (status, reason)
    unnamed = call(plane.opa_address, method, path.replace("bookings", "Book"), b"[]", admin)
    assert (unnamed.status, unnamed.reason) == (400, "request.invalid")


def test_a_decision_is_written_once_however_often_it_is_told(plane: Plane) -> None:
    headers = bearer(plane)
    assert upload(plane, headers, [entry(), entry(), entry("d-2")]).status == 200
    assert upload(plane, headers, [entry("d-2"), entry("d-3")]).status == 200
    # The same id of another OPA is another decision.
    assert upload(plane, headers, [entry(labels={"id": "opa-2"})]).status == 200
    assert sorted(one.reference for one in decisions(plane)) == ["d-1", "d-1", "d-2", "d-3"]


def test_a_decision_can_not_be_rewritten(plane: Plane) -> None:
    headers = bearer(plane)
    upload(plane, headers, [entry(result={"allow": False, "reasons": ["agreement.missing"]})])
    upload(plane, headers, [entry()])
    (told,) = decisions(plane)
    assert (told.action, list(told.reasons)) == ("decision.denied", ["agreement.missing"])


def test_one_domain_can_not_write_about_another(plane: Plane) -> None:
    publish(plane.admin, contract(domain="fleet", product="aircraft"))
    library = {
        "subject": {"kind": "user", "id": "ana", "teams": []},
        "purpose": "crew-planning",
        "product": {"domain": "fleet", "name": "reservations"},
        "dataset": {"name": "passengers"},
    }
    told = [
        entry("a", input=question(product="fleet.aircraft")),
        entry("b", input=question(product="aircraft")),
        entry("c", path="mesh/access/decision", input=library),
    ]
    assert upload(plane, bearer(plane), told).status == 200
    assert {one.reference: one.product for one in decisions(plane)} == {"a": "", "b": "", "c": ""}
    assert all("no product of bookings" in one.summary for one in decisions(plane))
    assert decisions(plane, product="fleet.aircraft") == []
    fleet = plane.user("fred", duties=("owner:fleet",))
    seen = fleet.audit.ListEntries(audit_pb2.ListEntriesRequest(kind="decision")).entries
    assert list(seen) == []


def test_other_queries_of_the_company_are_none_of_the_audit(plane: Plane) -> None:
    told = [entry("a", path="company/authz/allow"), entry("b", path=""), entry("c", path="mesh")]
    assert upload(plane, bearer(plane), told).status == 200
    assert decisions(plane) == []


HOSTILE: list[object] = [
    None,
    7,
    "text",
    [],
    {},
    {"path": LOOKUP},
    entry(decision=""),
    entry(decision="x" * 10_000),
    entry(decision="two\nlines"),
    entry(labels=None),
    entry(labels={"id": "\u202e"}),
    entry("h-1", input=None, result=None, bundles=None, timestamp=None),
    entry("h-2", input=[], result=[], bundles=[], timestamp=7),
    entry("h-3", input={"subject": {"kind": "root", "id": "ana"}}),
    entry("h-4", input={"subject": {"kind": "user", "id": "ana\x00\nuser:bea"}}),
    entry("h-5", input={"subject": {"kind": "user", "id": "x" * 10_000}}),
    entry("h-6", input=question(product="x' OR 1=1 --", purpose="\ud800")),
    entry("h-7", result={"allow": "true", "reasons": ["UPPER", 7, "a.b" * 5_000, "fine.reason"]}),
    entry("h-8", timestamp="9999-12-31T23:59:59+00:00"),
    entry("h-9", timestamp="0001-01-01T00:00:00+14:00"),
    entry("h-10", timestamp="0001-01-01T00:00:00-14:00"),
    entry("h-11", bundles={"b": {"revision": "1-" + "A" * 64}, "c": "x"}),
    entry("h-12", error={"code": "x", "message": "\x1b[31m"}),
]


def test_hostile_entries_neither_break_the_log_nor_stand_in_it_as_others(plane: Plane) -> None:
    headers = bearer(plane)
    assert upload(plane, headers, [*HOSTILE, entry("good")]).status == 200
    told = {one.reference: one for one in decisions(plane)}
    assert set(told) == {"good", *(f"h-{n}" for n in range(1, 13))}
    assert {one.actor for one in told.values()} == {"", "user:ana"}
    assert told["h-4"].actor == ""
    assert told["h-7"].action == "decision.denied"
    assert list(told["h-7"].reasons) == ["fine.reason"]
    assert all(one.summary.isprintable() and len(one.summary) < 400 for one in told.values())
    now = plane.clock().timestamp()
    for name in ("h-8", "h-9", "h-10"):
        assert abs(told[name].time.seconds - now) < 60
    changes = plane.admin.audit.ListEntries(audit_pb2.ListEntriesRequest(kind="change")).entries
    (refused,) = [one for one in changes if one.action == "opa.log_refused"]
    assert refused.actor == "service:opa-bookings"
    assert "10 entries" in refused.summary


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"", "", 400),
        (b"{}", "", 400),
        (b"[NaN]", "", 400),
        (b"[" * 200_000, "", 400),
        (b"[" + b"9" * 5_000 + b"]", "", 400),
        (b"\xff\xfe", "", 400),
        (b"[]", "gzip", 400),
        (b"[]", "br", 400),
        (gzip.compress(b"[]", mtime=0)[:-4], "gzip", 400),
        (gzip.compress(b"[]", mtime=0) * 2, "gzip", 400),
        (zlib.compress(b"[]"), "gzip", 400),
        (gzip.compress(b" " * 5_000_000), "gzip", 413),
        (b" " * 1_100_000, "", 413),
        (b"[]", "", 200),
    ],
)
def test_a_body_is_bounded_also_when_unpacked(
    plane: Plane, body: bytes, encoding: str, status: int
) -> None:
    headers = bearer(plane) | ({"Content-Encoding": encoding} if encoding else {})
    answer = call(plane.opa_address, "POST", "/opa/logs/bookings", body, headers)
    assert answer.status == status, answer.body


@pytest.mark.parametrize("document", [[], {}, {"labels": {}}, {"labels": {"id": "a b"}}, "x"])
def test_a_status_says_whose_it_is(plane: Plane, document: object) -> None:
    body = json.dumps(document).encode()
    answer = call(plane.opa_address, "POST", "/opa/status/bookings", body, bearer(plane))
    assert (answer.status, answer.reason) == (400, "request.invalid")
    assert opas(plane) == []


def test_a_domain_has_a_bounded_number_of_opas(plane: Plane, monkeypatch: Any) -> None:
    monkeypatch.setattr("control_plane.opa.store.MOST_OF_DOMAIN", 3)
    headers = bearer(plane)
    for number in range(5):
        status = json.dumps({"labels": {"id": f"opa-{number}"}, "bundles": {}}).encode()
        call(plane.opa_address, "POST", "/opa/status/bookings", status, headers)
    assert [one.id for one in opas(plane)] == ["opa-2", "opa-3", "opa-4"]


def test_slow_clients_delay_nobody(plane: Plane) -> None:
    """Connections that say nothing, half a head or half a body; calls go on beside them."""
    host, _, port = plane.opa_address.rpartition(":")
    started = (
        b"",
        b"GET /opa/bundles/bookings.tar.gz HTTP/1.1\r\nHost: x\r\n",
        b"POST /opa/logs/bookings HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        b"Authorization: Bearer " + service_token(plane).encode() + b"\r\n\r\n[",
    )
    slow = [socket.create_connection((host, int(port))) for _ in range(30)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(started[number % len(started)])
        assert bundle(plane, bearer(plane)).status == 200
        assert plane.admin.status.GetStatus(status_pb2.GetStatusRequest(), timeout=5).revision
    finally:
        for connection in slow:
            connection.close()


def test_without_the_setting_no_opa_is_served(tmp_path: Path) -> None:
    with running(tmp_path / "state") as plane:
        assert plane.opa_address == ""
        assert not (plane.state / "bundle.key").exists()
        error = error_of(lambda: plane.admin.opas.GetBundleKey(opas_pb2.GetBundleKeyRequest()))
    assert isinstance(error, OpaNotServed)


def test_the_key_stays_the_same(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with running(tmp_path / "state", opa=ANY_PORT) as plane:
            keys.append(plane.admin.opas.GetBundleKey(opas_pb2.GetBundleKeyRequest()))
    assert keys[0] == keys[1]
    assert (tmp_path / "state" / "bundle.key").stat().st_mode & 0o777 == 0o600

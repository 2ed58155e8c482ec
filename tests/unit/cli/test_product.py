import csv
import io
import json
from pathlib import Path

import yaml

from mesh import errors
from mesh.v1 import contracts_pb2
from tests.unit.cli import samples
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Run

NEXT = "cursor of page two"


def listed(*contracts: contracts_pb2.Contract) -> contracts_pb2.ListProductsResponse:
    return contracts_pb2.ListProductsResponse(contracts=contracts)


def test_list_as_json_is_an_array_with_times_in_utc(control: ControlPlane, run: Run) -> None:
    control.answers["ListProducts"] = listed(samples.contract())
    done = run("product", "list", "-o", "json")
    (product,) = json.loads(done.out)
    assert done.code == 0
    assert product["product"] == "bookings.reservations"
    assert product["publish_time"] == "2026-11-24T19:00:00Z"
    assert product["datasets"] == ["passengers"]


def test_output_option_works_before_and_after_the_command(control: ControlPlane, run: Run) -> None:
    control.answers["ListProducts"] = listed(samples.contract())
    before = run("-o", "json", "product", "list")
    after = run("product", "list", "-o", "json")
    assert before.out == after.out
    assert json.loads(before.out)


def test_list_as_yaml_and_csv_say_the_same(control: ControlPlane, run: Run) -> None:
    control.answers["ListProducts"] = listed(samples.contract())
    (from_yaml,) = yaml.safe_load(run("product", "list", "-o", "yaml").out)
    (from_csv,) = csv.DictReader(io.StringIO(run("product", "list", "-o", "csv").out))
    assert from_yaml["product"] == from_csv["product"] == "bookings.reservations"
    assert from_csv["owners"] == "bea team:reservations"
    assert list(from_yaml) == list(from_csv)


def test_list_follows_every_page(control: ControlPlane, run: Run) -> None:
    control.answers["ListProducts"] = [
        contracts_pb2.ListProductsResponse(
            contracts=[samples.contract(product="one")], next_page_token=NEXT
        ),
        listed(samples.contract(product="two")),
    ]
    done = run("product", "list", "-o", "json")
    assert [p["product"] for p in json.loads(done.out)] == ["bookings.one", "bookings.two"]
    assert control.last("ListProducts").page_token == NEXT


def test_an_empty_list_says_so_on_stderr_and_is_an_empty_array(
    control: ControlPlane, run: Run
) -> None:
    control.answers["ListProducts"] = listed()
    table = run("product", "list")
    assert (table.code, table.out) == (0, "")
    assert "No products" in table.err
    assert run("product", "list", "-o", "json").out == "[]\n"
    assert run("product", "list", "-o", "csv").out.startswith("product,version")


def test_calls_carry_the_bearer_token(control: ControlPlane, run: Run) -> None:
    control.answers["ListProducts"] = listed()
    run("product", "list")
    assert control.asked[0].metadata["authorization"] == "Bearer a.control.token"


def test_show_tells_columns_with_classification_and_mask(control: ControlPlane, run: Run) -> None:
    control.answers["GetContract"] = contracts_pb2.GetContractResponse(
        contract=samples.contract(), versions=["1.0.0", "0.9.0"]
    )
    done = run("product", "show", "bookings.reservations")
    assert "email" in done.out
    assert "confidential" in done.out
    assert "partial" in done.out
    assert "1.0.0, 0.9.0" in done.out
    assert "none: no agent of the domain has reported one" in done.out


def test_show_document_prints_the_published_bytes(control: ControlPlane, run: Run) -> None:
    published = samples.contract()
    control.answers["GetContract"] = contracts_pb2.GetContractResponse(contract=published)
    done = run("product", "show", "bookings.reservations", "--document")
    assert done.out.encode() == published.document


def test_a_product_name_without_a_domain_is_a_usage_error(run: Run) -> None:
    done = run("product", "show", "reservations")
    assert done.code == 2
    assert "domain.product" in done.err


def test_publish_sends_the_bytes_and_tells_what_is_new(
    control: ControlPlane, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "reservations.yaml"
    file.write_bytes(b"kind: DataContract\r\n")
    control.answers["PublishContract"] = contracts_pb2.PublishContractResponse(
        contract=samples.contract(), created=True
    )
    done = run("product", "publish", str(file), "-o", "json")
    assert json.loads(done.out)[0]["outcome"] == "published"
    assert control.last("PublishContract").document == b"kind: DataContract\r\n"


def test_publish_goes_on_after_a_refused_file_and_exits_with_its_code(
    control: ControlPlane, run: Run, tmp_path: Path
) -> None:
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for file in files:
        file.write_text("kind: DataContract")
    control.answers["PublishContract"] = [
        errors.ContractVersionTaken("1.0.0 is published with another content"),
        contracts_pb2.PublishContractResponse(contract=samples.contract()),
    ]
    done = run("product", "publish", *map(str, files))
    assert done.code == errors.Conflict.kind.exit_code
    assert "contract.version_taken" in done.err
    assert "unchanged" in done.out


def test_publish_refuses_a_huge_file_before_sending_it(
    control: ControlPlane, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as writing:
        writing.truncate(50 * 1024 * 1024)
    done = run("product", "publish", str(file))
    assert done.code == errors.Exhausted.kind.exit_code
    assert "contract.too_large" in done.err
    assert control.asked == []


def test_a_missing_file_is_a_usage_error(run: Run) -> None:
    done = run("product", "publish", "nowhere.yaml")
    assert done.code == 2
    assert "nowhere.yaml" in done.err

"""What a module's text tells, and how layers are kept to their places."""

import pytest

from mesh.decisions import modules
from mesh.decisions.layers import check_layers, required, with_declarations
from mesh.decisions.modules import code, package_of, reads_now, turns_by_itself
from mesh.decisions.policy import Policy
from mesh.errors import PolicyInvalid
from tests.unit.decisions.examples import library, library_policy

LAYER = """package mesh.organisation

require["organisation.residency"] if input.product.residency == "eu"

# require["organisation.commented"] if true
note := "require[\\"organisation.quoted\\"]"
require["organisation.basis"] if input.product.legal_basis
require["organisation.basis"] if data.mesh.organisation.require["organisation.residency"]
"""
PATH = "organisation/rules.rego"


def layered(text: str, path: str = PATH) -> dict[str, str]:
    return library() | {path: text}


def test_only_code_is_left_and_stays_in_place() -> None:
    text = 'a := "x # \\"y" # b "c"\nd := `e\n"f` # g'

    blanked = code(text)

    assert len(blanked) == len(text)
    assert blanked.split() == ["a", ":=", '"', '"', "d", ":=", "`", "`"]


@pytest.mark.parametrize(
    "text",
    [
        "input.now",
        "x := input.now",
        'input["now"]',
        "input[key]",
        "walk(input)",
        "import input.now",
        "import input as i",
        "f(input, 1)",
        '$"{input.now}"',
        "$`{input.now}`",
    ],
)
def test_whatever_may_look_at_now_reads_it(text: str) -> None:
    assert reads_now(f"package a\n{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "input.purpose",
        "# input.now",
        'x := "input.now"',
        "x.input.now",
        "my_input.now",
        "input.nowhere",
        'x with input as {"now": 1}',
    ],
)
def test_what_looks_elsewhere_does_not_read_now(text: str) -> None:
    assert not reads_now(f"package a\n{text}\n")


def test_the_library_reads_now_and_states_when_it_turns() -> None:
    assert not turns_by_itself(library_policy())
    assert any(reads_now(text) for text in library().values())


@pytest.mark.parametrize(
    "text", ["", "# package a\n", 'package a["b"]\n', "package a\npackage b\n", "package\na\n"]
)
def test_a_module_has_one_plain_package(text: str) -> None:
    with pytest.raises(PolicyInvalid, match="declares its package"):
        package_of("library/a.rego", text)


def test_rego_tests_are_found_once_and_in_order() -> None:
    text = "test_b if x\n# test_c if x\ntest_a if x\n\ttest_x\ntest_b if y\nz := `\ntest_d`"

    assert modules.tests_in(text) == ["test_b", "test_a"]


def test_requirements_are_collected_from_code_alone() -> None:
    assert required(PATH, LAYER) == ["organisation.basis", "organisation.residency"]


def test_declarations_are_made_from_the_layers() -> None:
    policy = with_declarations(layered(LAYER))

    assert policy.modules["declared.rego"] == (
        "package mesh.declared\n\n"
        'requirements := ["organisation.basis", "organisation.residency"]\n'
    )
    check_layers(policy)


def test_without_layers_nothing_is_declared() -> None:
    assert with_declarations(library()) == library_policy()


@pytest.mark.parametrize(
    "text",
    [
        "require := {}",
        'require contains "organisation.a"',
        "require[id] if input.x",
        "require[`organisation.a`] if input.x",
        'default require["organisation.a"] := true',
        'require["domain.a"] if true',
        'require["agreement.missing"] if true',
        'require["organisation.A"] if true',
        'require["organisation"] if true',
    ],
)
def test_requirements_that_can_not_be_collected_are_refused(text: str) -> None:
    with pytest.raises(PolicyInvalid, match=r"organisation/rules\.rego:3: "):
        with_declarations(layered(f"package mesh.organisation\n\n{text}\n"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (PATH, 'package mesh.access\n\nrequire["agreement.missing"] if true\n'),
        (PATH, "package mesh.organisations\n"),
        ("domain/rules.rego", "package mesh.organisation\n"),
        ("elsewhere/rules.rego", "package mesh.elsewhere\n"),
        ("rules.rego", "package mesh.rules\n"),
        (PATH, "package mesh.organisation\n\nmasks := []\n"),
        (PATH, "package mesh.organisation\n\ndefault masks := []\n"),
        (PATH, 'package mesh.organisation\n\nlimits["rows"] := 1\n'),
        (PATH, "package mesh.organisation\n\nallow if data.users[input.subject.id]\n"),
        (PATH, 'package mesh.organisation\n\nallow if data["mesh"].x\n'),
        (PATH, "package mesh.organisation\n\nallow if walk(data)\n"),
    ],
)
def test_a_layer_stays_in_its_place(path: str, text: str) -> None:
    with pytest.raises(PolicyInvalid, match=path):
        with_declarations(layered(text, path))


@pytest.mark.parametrize(
    "declared",
    [None, "package mesh.declared\n\nrequirements := []\n", 'package mesh.declared\n\nx := "y"\n'],
)
def test_declarations_that_are_not_the_layers_are_refused(declared: str | None) -> None:
    both = layered(LAYER) | ({"declared.rego": declared} if declared else {})

    with pytest.raises(PolicyInvalid, match="does not list what the layers require"):
        check_layers(Policy(both))

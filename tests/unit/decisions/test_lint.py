"""What a layer's modules may not do is found at its line; what they may do passes."""

import pytest

from mesh.decisions.lint import lint

GOOD = """# METADATA
# title: Residency
# description: Where personal data may be read.
package mesh.organisation

import data.mesh.organisation.regions

# METADATA
# title: organisation.residency
# description: Personal data is read from products that keep it in the EU.
require["organisation.residency"] if not outside

require["organisation.residency"] if regions.known(input.product.residency)

outside if {
	input.product.residency != "eu"
	concat(":", [input.subject.kind, split(input.subject.id, "@")[0]]) == "user:ana"
}

masks contains {"rule": "organisation.contact", "class": class.id, "mask": "pseudonym"} if {
	some class in input.dataset.classes
	startswith(object.get(class, "category", ""), "con")
	strict(class)
}

strict(class) if count([tag | some tag in class.tags; tag == "vip"]) > 0

rows contains {"rule": "organisation.origin", "filter": filter} if {
	filter := {"column": "origin", "op": "eq", "value": "JFK"}
}

limits contains {"rows": 1000}
"""
REGIONS = """package mesh.organisation.regions

import data.mesh.clock

known(region) if region in {"eu", "us"}

valid_until contains clock.midnight(input.now) if clock.weekday(input.now) in {"Saturday", "Sunday"}
"""
TESTS = """package mesh.organisation_test

import data.mesh.organisation

test_europe if {
	organisation.require["organisation.residency"] with input.product as {"residency": "eu"}
}
"""
ONLY_OWN = "imports `data.mesh.organisation` and `data.mesh.clock` only"
HEAD = "package mesh.organisation\n\n"


def problems(text: str, path: str = "organisation/a.rego") -> list[tuple[int, str]]:
    return [(one.line, one.message) for one in lint({path: text})]


def test_what_layers_are_for_passes() -> None:
    modules = {
        "organisation/residency.rego": GOOD,
        "organisation/regions.rego": REGIONS,
        "organisation/residency_test.rego": TESTS,
    }
    assert lint(modules) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("allow := true", "no rule `allow`"),
        ("default allow := false", "no rule `allow`"),
        ("deny if input.x", "no rule `deny`"),
        ("decision := {}", "no rule `decision`"),
        ('x := http.send({"url": "u"})', "`http.send` can't be used: a decision looks at nothing"),
        ('x := http["send"]({"url": "u"})', "by its plain name"),
        ("x := time.now_ns()", "`time.now_ns` can't be used"),
        ('x := lower(input.purpose) == "a"', "`lower` can't be used: engines differ"),
        ("x := rand.intn(input.purpose, 2)", "`rand.intn` can't be used"),
        ("x := net.lookup_ip_addr(input.purpose)", "`net.lookup_ip_addr` can't be used"),
        ("x := min({c | some c in input.subject.teams})", "compares numbers as texts"),
        ("x := walk (input)", "`walk` can't be used"),
        ("x := data.mesh.access.decision", "nothing of another layer"),
        ("x := data.mesh.domain.masks", "nothing of another layer"),
        ("x := data.mesh", "nothing of another layer"),
        ("x := data.fleet.secrets", "nothing else, so that decisions can be recomputed"),
        ("import data.mesh.access", ONLY_OWN),
        ("import data.mesh.organisations as o", ONLY_OWN),
        ("import future.keywords.in", ONLY_OWN),
        ("x if not input.subject.blocked", "`not` stands only before"),
        ("x if not f(input.subject)", "`not` stands only before"),
        ("x if not y.z", "`not` stands only before"),
        ("x if not y in input.subject.teams", "`not` stands only before"),
        ('x if y with input as {"a": 1}', "`with` is for tests"),
        ("x := 0.5", "whole numbers"),
        ("x := 1e3", "whole numbers"),
        ('x := $"{input.purpose}"', "template strings"),
        ("x if regex.match(input.purpose, input.purpose)", "pattern of `regex.match` is written"),
        ('x := sprintf("%s", [input.purpose])', "`sprintf` can't be used"),
        ('x := concat(",", input.subject.teams)', "joins a list that is written out"),
        ('x := concat(",", {"a", "b"})', "joins a list that is written out"),
        ('x := concat(",", [t | some t in input.subject.teams])', "joins a list that is"),
        ("x := concat(input.purpose, [])", "joins a list that is written out"),
        ('require["organisation.a"] if input.purpose', "no sentence for those it refuses"),
        ('require["domain.a"] if input.purpose', "named `organisation.<lower_case>`"),
        ("require[x] if input.purpose", "write each requirement as"),
        ('masks := [{"mask": "clear"}]', "as `masks contains"),
    ],
)
def test_what_is_not_allowed_is_named_with_its_line(line: str, told: str) -> None:
    found = problems(f"{HEAD}y if input.purpose\n\n{line}\n")
    assert found, line
    assert {at for at, _ in found} == {5}
    assert any(told in message for _, message in found), found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("package mesh.access\n", "its package is `mesh.organisation`; found `mesh.access`"),
        ("package mesh.domain\n", "its package is `mesh.organisation`"),
        ("package mesh.organisations\n", "its package is `mesh.organisation`"),
        ("x := 1\n", "declares its package"),
    ],
)
def test_another_package_is_refused(text: str, told: str) -> None:
    ((line, message),) = problems(text)
    assert line == 1
    assert told in message


def test_what_stands_in_texts_and_comments_is_no_code() -> None:
    assert (
        problems(f'{HEAD}# allow := http.send(1.5) with input as x\nx := "not lower(1.5)"\n') == []
    )


def test_every_problem_of_every_module_is_told_in_order() -> None:
    found = lint(
        {
            "organisation/b.rego": f"{HEAD}x := 0.5\n",
            "organisation/a.rego": f"{HEAD}x := lower(input.purpose)\ny := 0.5\n",
        }
    )
    assert [(one.path, one.line) for one in found] == [
        ("organisation/a.rego", 3),
        ("organisation/a.rego", 4),
        ("organisation/b.rego", 3),
    ]
    assert str(found[0]).startswith("organisation/a.rego:3: `lower` can't be used")


@pytest.mark.parametrize(
    "path", ["organisation/A.rego", "organisation/a.txt", "organisation/../a.rego"]
)
def test_a_path_is_plain(path: str) -> None:
    assert "lower-case words" in problems(HEAD, path)[0][1]

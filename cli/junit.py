"""A report as JUnit's XML: a test case for each check, and for each Rego test."""

import re
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from cli.policy_reports import in_folder, line_of
from cli.text import plain
from mesh.decisions.checks import Check, Outcome, Report
from mesh.decisions.testing import TestOutcome

_NO_XML = re.compile("[\ufffe\uffff]")


def junit(folder: Path, report: Report) -> bytes:
    """The document."""
    root = Element("testsuites", name=f"mesh policy check, {report.layer}")
    checks = _suite(root, "checks", len(report.checks))
    for check in report.checks:
        _check(checks, folder, check)
    tests = _suite(root, "tests", len(report.tests))
    for test in report.tests:
        _test(tests, folder, test)
    for suite in (checks, tests):
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _suite(root: Element, name: str, tests: int) -> Element:
    return SubElement(root, "testsuite", name=name, tests=str(tests), errors="0")


def _check(suite: Element, folder: Path, check: Check) -> None:
    case = SubElement(suite, "testcase", classname="checks", name=check.name)
    if check.outcome is Outcome.NOT_RUN:
        SubElement(case, "skipped", message=_text(check.about))
    elif check.outcome is Outcome.FAILED:
        lines = [_text(line_of(folder, problem)) for problem in check.problems]
        failure = SubElement(case, "failure", message=lines[0], type=check.name)
        failure.text = "\n".join(lines)


def _test(suite: Element, folder: Path, test: TestOutcome) -> None:
    package, _, name = test.name.rpartition(".")
    file = _text(in_folder(folder, test.path))
    case = SubElement(suite, "testcase", classname=package, name=name)
    case.set("file", file)
    case.set("line", str(test.line))
    if test.failure is not None:
        failure = SubElement(case, "failure", message=_text(test.failure), type="test")
        failure.text = _text(f"{file}:{test.line}: {test.failure}")


def _text(text: str) -> str:
    """Text that XML may hold, on one line."""
    return _NO_XML.sub("\ufffd", plain(text))

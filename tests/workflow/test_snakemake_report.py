"""`snakemake --report`: Snakemake's own report holds figures, tables and ours."""

import subprocess
import zipfile
from pathlib import Path

from tests.workflow.checkout import Checkout


def test_figures_tables_and_report_are_in_one_file(finished_tiny: Checkout, tmp_path: Path) -> None:
    target = tmp_path / "report.zip"
    before = {path: path.stat().st_mtime_ns for path in finished_tiny.results.rglob("*")}
    ended = subprocess.run(
        finished_tiny.command("--report", str(target)),
        cwd=finished_tiny.folder,
        env=finished_tiny.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Missing metadata" not in ended.stdout + ended.stderr
    with zipfile.ZipFile(target) as file:
        names = {Path(name).name for name in file.namelist()}
        page = file.read("report/report.html").decode()
    results = finished_tiny.results
    for path in (*results.glob("figures/*.svg"), *results.glob("tables/*.csv")):
        assert path.name in names
    assert "report.html" in names
    assert all(f'"{category}"' in page for category in ("Figures", "Tables", "Report"))
    for caption in ("Drawn from the tables of the study", "opens offline", "The numbers that"):
        assert caption in page
    assert before == {path: path.stat().st_mtime_ns for path in results.rglob("*")}

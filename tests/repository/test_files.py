"""Files that several jobs write at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from radscale_lib.files import atomic_write, read_json, write_json


def test_jobs_that_write_one_file_at_once_are_not_in_each_others_way(tmp_path: Path) -> None:
    path = tmp_path / "ids" / "id.json"
    with atomic_write(path, shared=True) as mine, atomic_write(path, shared=True) as other:
        mine.write_text("{}")
        other.write_text("{}")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write_json(path, {"study": {}}, shared=True), range(200)))
    assert read_json(path) == {"study": {}}
    assert [each.name for each in path.parent.iterdir()] == ["id.json"]

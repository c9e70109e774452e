"""Code digests see what changes results, and nothing else."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

from radscale_lib.planning import code


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A script and a package in the shape of ours."""
    files = {
        "scripts/train.py": "from radscale_lib.a import f\n\ndef main():\n    f()\n",
        "radscale_lib/__init__.py": "",
        "radscale_lib/a.py": (
            '"""Module."""\n\ndef f():\n    """Doc."""\n'
            "    from radscale_lib.pack import lazy\n    return lazy.g()\n"
        ),
        "radscale_lib/pack/__init__.py": "from . import beside\n",
        "radscale_lib/pack/beside.py": "B = 1\n",
        "radscale_lib/pack/lazy.py": "def g():\n    return 1\n\nclass C:\n    x = 1\n",
        "radscale_lib/unused.py": "def h():\n    return 1\n",
        "radscale_lib/study/__init__.py": "X = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def digest(tree: Path, **options: tuple[str, ...]) -> dict[str, str]:
    for cached in (code._definitions, code._facts, code._exists):
        cached.cache_clear()
    code._recalled.clear()
    code._used.clear()
    return code.code_of(tree / "scripts" / "train.py", **options)


def edit(tree: Path, name: str, old: str, new: str) -> None:
    path = tree / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_reaches_lazy_relative_and_package_imports(tree: Path) -> None:
    assert set(digest(tree)) == {
        "train:<module>",
        "train:main",
        "radscale_lib.a:f",
        "radscale_lib.pack:<module>",
        "radscale_lib.pack.beside:<module>",
        "radscale_lib.pack.lazy:g",
        "radscale_lib.pack.lazy:C",
    }


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("radscale_lib/a.py", '"""Doc."""', '"""Another doc."""'),
        ("radscale_lib/a.py", "return lazy.g()", "return (lazy\n        .g())  # remark"),
        ("radscale_lib/unused.py", "return 1", "return 2"),
        ("radscale_lib/study/__init__.py", "X = 1", "X = 2"),
    ],
)
def test_does_not_see(tree: Path, name: str, old: str, new: str) -> None:
    before = digest(tree)
    edit(tree, name, old, new)
    assert digest(tree) == before


KIND_OF_OTHERS = {"facts": ("radscale_lib.study",)}


def recalled(tree: Path, file: Path) -> dict[str, str]:
    """By another process, with what the last one remembered."""
    for cached in (code._definitions, code._facts, code._exists):
        cached.cache_clear()
    code._used.clear()
    code._recalled.clear()
    code.recall(file)
    return code.code_of(tree / "scripts" / "train.py", **KIND_OF_OTHERS)


def test_what_is_remembered_is_not_parsed_again(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    parse = ast.parse

    def counted(text: str, path: Path) -> ast.Module:
        parsed.append(path.name)
        return parse(text, path)

    ours = SimpleNamespace(**vars(ast))
    ours.parse = counted
    monkeypatch.setattr(code, "ast", ours)
    before = digest(tree, **KIND_OF_OTHERS)
    assert {"lazy.py", "beside.py"} < set(parsed)
    parsed.clear()
    code.remember(tmp_path / "code.txt")
    assert recalled(tree, tmp_path / "code.txt") == before and parsed == []
    edit(tree, "radscale_lib/pack/lazy.py", "return 1", "return 2")
    after = recalled(tree, tmp_path / "code.txt")
    assert parsed == ["lazy.py"]
    assert after != before and after == digest(tree, **KIND_OF_OTHERS)


def test_damage_of_what_is_remembered_is_seen(tree: Path, tmp_path: Path) -> None:
    before = digest(tree, **KIND_OF_OTHERS)
    file = tmp_path / "code.txt"
    code.remember(file)
    text = file.read_text()
    value = before["radscale_lib.pack.lazy:g"]
    for damaged in (text.replace(value, "0" * 16), text[:-9], "", "\xff"):
        file.write_text(damaged, encoding="latin-1")
        assert recalled(tree, file) == before
    file.unlink()
    assert recalled(tree, file) == before


def test_names_the_definition_that_changed(tree: Path) -> None:
    before = digest(tree)
    edit(tree, "radscale_lib/pack/lazy.py", "return 1", "return 2")
    after = digest(tree)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"radscale_lib.pack.lazy:g"}


def test_modules_imported_by_name_count_with_their_imports(tree: Path) -> None:
    named = tree / "radscale_lib" / "named.py"
    named.write_text("from radscale_lib import unused\ndef h(): return 1\n")
    before = digest(tree, modules=("radscale_lib.named",))
    assert {"radscale_lib.named:h"} < set(before) and set(digest(tree)) < set(before)
    edit(tree, "radscale_lib/unused.py", "return 1", "return 2")
    changed = digest(tree, modules=("radscale_lib.named",))
    assert {name for name in before if before[name] != changed[name]} == {"radscale_lib.unused:h"}


KIND = '''
LIMIT = 3
class Kind(Section):
    """Doc."""
    works: ClassVar[int] = 1
    key: int = Field(1, description="One.")

    @model_validator(mode="after")
    def _check(self): return self

    def fact(self): return LIMIT
'''


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("return LIMIT", "return LIMIT + 1", True),
        ("LIMIT = 3", "LIMIT = 4", True),
        ("ClassVar[int] = 1", "ClassVar[int] = 2", True),
        ("One.", "The first.", False),
        ("Doc.", "Another.", False),
        ("_check(self): return self", "_check(self): return check(self)", False),
    ],
)
def test_of_a_kind_its_facts_count_and_its_schema_does_not(
    tree: Path, old: str, new: str, counts: bool
) -> None:
    (tree / "radscale_lib" / "study" / "kind.py").write_text(KIND)
    before = digest(tree, facts=("radscale_lib.study.kind",))
    edit(tree, "radscale_lib/study/kind.py", old, new)
    assert (digest(tree, facts=("radscale_lib.study.kind",)) != before) == counts

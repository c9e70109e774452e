"""Digests of first-party code: of each definition that a script reaches through imports."""

import ast
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from radscale_lib.files import atomic_write

PACKAGE = "radscale_lib"
UNHASHED = (f"{PACKAGE}.study", f"{PACKAGE}.planning", f"{PACKAGE}.provenance")
"""Modules on which no result depends: the study's schema, which counts through its values (a stage
id holds the resolved slice of the study, so that a new key or a clearer message reruns nothing),
and modules that plan and record jobs."""

FOR_OTHERS = ("exports",)
"""Class variables of kinds on which no result depends."""


def code_of(
    script: Path,
    modules: Iterable[str] = (),
    facts: Iterable[str] = (),
    root: Path | None = None,
) -> dict[str, str]:
    """Digest every definition that a script reaches.

    Comments, docstrings and formatting do not count. Imports inside functions do.

    Args:
        script: a Python file, if there is one.
        modules: modules that the script imports by name, and their imports.
        facts: modules of kinds, of which only methods and class variables count; fields count
            through their values.
        root: folder that holds the package; by default the parent of the script's folder.

    Returns:
        `module:definition` -> SHA-256 (first 16 hex digits) of its syntax tree. Top-level
        statements other than functions and classes are listed as `module:<module>`.
    """
    root = root or script.parent.parent
    packages = frozenset({PACKAGE, *(name.partition(".")[0] for name in modules)})
    found, seen, pending = dict[str, str](), set[str](), list(modules)
    if script.is_file():
        digests, imports = _definitions(script, script.stem)
        found |= digests
        pending += _modules(imports, packages, root)
    while pending:
        module = pending.pop()
        if module in seen or module == PACKAGE or module.startswith(UNHASHED):
            continue
        seen.add(module)
        digests, imports = _definitions(_module_file(module, root), module)
        found |= digests
        pending += _modules(imports, packages, root)
    for module in facts:
        found |= _facts(_module_file(module, root), module)
    return found


_recalled: dict[str, Any] = {}
"""Digests made by an earlier process, by the content they belong to."""
_used: dict[str, Any] = {}
"""Digests that this process used."""


def recall(path: Path) -> None:
    """Load the digests that `remember` wrote, so that unchanged contents are not parsed.

    A file that is missing or damaged is ignored.
    """
    try:
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return
    if digest == _digest(text):
        _recalled.update(json.loads(text))


def remember(path: Path) -> None:
    """Write the digests that this process used, unless they were recalled."""
    if _used.keys() <= _recalled.keys():
        return
    text = json.dumps(_used, sort_keys=True)
    with atomic_write(path) as partial:
        partial.write_text(f"{_digest(text)}\n{text}", encoding="utf-8")


def _known(kind: str, path: Path, module: str, of: Callable[[ast.Module], Any]) -> Any:
    """A value computed from a module's syntax tree, or recalled if its content is unchanged."""
    content = path.read_text()
    place = [*sys.version_info[:2], _of_this_file(), kind, module, path.name]
    key = hashlib.sha256(f"{place}\n{content}".encode()).hexdigest()[:32]
    if key not in _used:
        known = _recalled.get(key)
        _used[key] = of(ast.parse(content, path)) if known is None else known
    return _used[key]


@cache
def _of_this_file() -> str:
    return _digest(Path(__file__).read_text())


@cache
def _definitions(path: Path, module: str) -> tuple[dict[str, str], list[str]]:
    """Digests of a module's definitions, and names that it imports."""

    def of(tree: ast.Module) -> tuple[dict[str, str], list[str]]:
        imports = sorted(set(_imports(tree, path, module)))
        parts: dict[str, list[str]] = {}
        for node in _without_docstrings(tree).body:
            name = getattr(node, "name", "<module>")
            parts.setdefault(f"{module}:{name}", []).append(ast.dump(node))
        return {name: _digest("\n".join(dumps)) for name, dumps in parts.items()}, imports

    digests, imports = _known("definitions", path, module, of)
    return digests, imports


@cache
def _facts(path: Path, module: str) -> dict[str, str]:
    """Methods (not validators) and class variables of a module's classes, and its constants."""
    found: dict[str, str] = _known("facts", path, module, lambda tree: _facts_of(tree, module))
    return found


def _facts_of(tree: ast.Module, module: str) -> dict[str, str]:
    found = {}
    for node in _without_docstrings(tree).body:
        if isinstance(node, ast.ClassDef):
            stated = [ast.dump(part) for part in node.body if _is_fact(part)]
            found[f"{module}:{node.name}"] = _digest("\n".join(stated))
        elif isinstance(node, ast.Assign):
            names = "+".join(ast.unparse(target) for target in node.targets)
            found[f"{module}:{names}"] = _digest(ast.dump(node))
    return found


def _is_fact(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return not any("validator" in ast.unparse(each) for each in node.decorator_list)
    return (
        isinstance(node, ast.AnnAssign)
        and "ClassVar" in ast.unparse(node.annotation)
        and ast.unparse(node.target) not in FOR_OTHERS
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if not isinstance(node, documented):
            continue
        kept = [
            statement
            for statement in node.body
            if not (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            )
        ]
        node.body = kept or [ast.Pass()] if not isinstance(node, ast.Module) else kept
    return tree


def _imports(tree: ast.Module, path: Path, module: str) -> Iterator[str]:
    """Full names imported anywhere in a file, of modules and of what may be modules."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def _modules(names: Iterable[str], packages: frozenset[str], root: Path) -> Iterator[str]:
    """The modules of the given packages among imported names, with their parent packages."""
    for name in names:
        steps = name.split(".")
        if steps[0] in packages:
            for end in range(1, len(steps) + 1):
                prefix = ".".join(steps[:end])
                if _exists(prefix, root):
                    yield prefix


@cache
def _exists(module: str, root: Path) -> bool:
    return _candidate(module, root) is not None


def _candidate(module: str, root: Path) -> Path | None:
    package, _, below = module.partition(".")
    if package != PACKAGE:  # an installed package's
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            return None
        origin = Path(spec.origin)
        if not below:
            return origin
        root = origin.parent.parent
    stem = root.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def _module_file(module: str, root: Path) -> Path:
    path = _candidate(module, root)
    if path is None:
        raise ModuleNotFoundError(f"{module}: not below {root}, and not installed")
    return path

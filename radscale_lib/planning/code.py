"""Digests of first-party code: each definition a script reaches through imports."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "radscale_lib"
UNHASHED = (f"{PACKAGE}.study", f"{PACKAGE}.planning", f"{PACKAGE}.provenance")
"""What no result depends on: the study's schema, which is read through its values (a stage id holds
the resolved slice of the study, so that a new key or a clearer message reruns nothing), and what
plans and records the jobs."""


def code_of(script: Path, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Digest every definition that a script reaches.

    Comments, docstrings and formatting do not count. Imports inside functions do.

    Args:
        script: a Python file; the package lies beside its folder.
        without: modules not to enter.

    Returns:
        `module:definition` -> SHA-256 (first 16 hex digits) of its syntax tree. Top-level
        statements that define no function or class come as `module:<module>`.
    """
    root = script.parent.parent
    digests, imports = _definitions(script, script.stem, root)
    found = dict(digests)
    seen, pending = set[str](), list(imports)
    while pending:
        module = pending.pop()
        if module in seen or module.startswith(UNHASHED) or module in without:
            continue
        seen.add(module)
        digests, imports = _definitions(_module_file(module, root), module, root)
        found |= digests
        pending += imports
    return found


@cache
def _definitions(path: Path, module: str, root: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    tree = ast.parse(path.read_text(), path)
    imports = tuple(sorted(set(_imports(tree, path, module, root))))
    parts: dict[str, list[str]] = {}
    for node in _without_docstrings(tree).body:
        name = getattr(node, "name", "<module>")
        parts.setdefault(f"{module}:{name}", []).append(ast.dump(node))
    digests = {
        name: hashlib.sha256("\n".join(dumps).encode()).hexdigest()[:16]
        for name, dumps in parts.items()
    }
    return digests, imports


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


def _imports(tree: ast.Module, path: Path, module: str, root: Path) -> Iterator[str]:
    """First-party modules imported anywhere in a file, and the packages that hold them."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            steps = name.split(".")
            if steps[0] == PACKAGE:
                for end in range(1, len(steps) + 1):
                    prefix = ".".join(steps[:end])
                    if _exists(prefix, root):
                        yield prefix


@cache
def _exists(module: str, root: Path) -> bool:
    return _candidate(module, root) is not None


def _candidate(module: str, root: Path) -> Path | None:
    stem = root.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def _module_file(module: str, root: Path) -> Path:
    path = _candidate(module, root)
    if path is None:
        raise ModuleNotFoundError(f"{module}: not below {root}")
    return path

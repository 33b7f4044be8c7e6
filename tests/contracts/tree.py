"""What the contract tests read of the source tree, without importing it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, at_import: bool = False) -> set[str]:
    """Absolute names of the modules that a file imports; `from a import b` counts as `a` and `a.b`.

    Imports for the type checker alone do not count; with `at_import` neither do those inside functions.
    """
    names: set[str] = set()
    for node in statements(ast.parse(path.read_text()), into_functions=not at_import):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def statements(node: ast.AST, *, into_functions: bool) -> Iterator[ast.AST]:
    """Every node below `node` that can run."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if into_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(child, into_functions=into_functions)


def calls(path: Path) -> set[str]:
    """The dotted names that a file calls."""
    return {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)}

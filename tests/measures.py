"""Measures of the production code: density, function length, complexity.

`python tests/measures.py` prints the whole table beside its aims; with paths as arguments it
prints a line for each of these files, so that a change can be judged while it is made.
"""

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("commands", "config", "database", "delivery", "models", "operating", "serving", "web")
MAX_COLUMNS = 100
MAX_MODULE_LINES = 300
# The aim is 64,000 for what there was before notifications, which took 6,300 tokens. A year without
# care took 13,000 more, with the processes, which were not counted before, and messages with their
# drawings 23,000. Groups, storms and the health of channels took 10,000; several senders and
# PostgreSQL take 7,000; the dashboard, the log, replay, history and the lab take 26,000; the
# modules of the database, not counted before, are 4,000. Files of channels, moving in, the whole
# API, backups, the doctor, drills and the bundle take 45,000. This bound keeps the code from
# growing until the aim is reached.
MAX_TOKENS = 208_000

_LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case)


@dataclass(frozen=True)
class Measure:
    """One figure, and the aim that it must keep."""

    name: str
    value: float
    aim: float

    @property
    def kept(self) -> bool:
        """Return True if the figure is within its aim."""
        return self.value <= self.aim

    def __str__(self) -> str:
        mark = "" if self.kept else "   <-- over"
        return f"{self.name:45} {self.value:>10,.1f}   at most {self.aim:>8,g}{mark}"


@dataclass(frozen=True)
class Source:
    """One production module: its path, its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Return the module at a path."""
        text = path.read_text(encoding="utf-8")
        return cls(path, text, ast.parse(text, str(path)))

    @property
    def lines(self) -> list[str]:
        """The physical lines."""
        return self.text.splitlines()

    def nodes(self, *types: type[ast.AST]) -> list[ast.AST]:
        """Return every node of these types."""
        return [node for node in ast.walk(self.tree) if isinstance(node, types)]

    def tokens(self) -> list[tokenize.TokenInfo]:
        """Return the tokens of the code: no comments, no layout; a docstring is one token."""
        found = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [token for token in found if token.type not in _LAYOUT]


def production_files() -> list[Path]:
    """Return every production module, in a fixed order."""
    found = sorted(ROOT.glob("*.py"))
    for folder in FOLDERS:
        found += sorted((ROOT / folder).rglob("*.py"))
    return found


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method of a module."""
    for node in ast.walk(source.tree):
        if isinstance(node, _FUNCTIONS):
            yield node


def length(function: ast.AST) -> int:
    """Return the lines of a function from `def` to its end."""
    return function.end_lineno - function.lineno + 1


def complexity(function: ast.AST) -> int:
    """Return the cyclomatic complexity (McCabe), with boolean operators and comprehensions.

    The branches of a nested function count for that function alone.
    """
    total = 1
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, _FUNCTIONS):
            continue
        if isinstance(node, _BRANCHES):
            total += 1
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            total += 1 + len(node.ifs)
        waiting += ast.iter_child_nodes(node)
    return total


def is_nested_conditional(node: ast.AST) -> bool:
    """Return True for a conditional expression that holds another one."""
    inner = (child for child in ast.walk(node) if child is not node)
    return any(isinstance(child, ast.IfExp) for child in inner)


def is_parallel_assignment(node: ast.AST) -> bool:
    """Return True for `a, b = x, y`."""
    return isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)


def measure(sources: list[Source]) -> list[Measure]:
    """Return every figure of the modules taken together."""
    tokens = [token for source in sources for token in source.tokens()]
    lines = sum(len({token.start[0] for token in source.tokens()}) for source in sources)
    thousands = max(1, lines) / 1000
    conditionals = [node for source in sources for node in source.nodes(ast.IfExp)]
    comprehensions = [node for source in sources for node in source.nodes(*_COMPREHENSIONS)]
    assignments = [node for source in sources for node in source.nodes(ast.Assign)]
    all_functions = [one for source in sources for one in functions(source)]
    lengths = sorted(map(length, all_functions)) or [0]
    complexities = list(map(complexity, all_functions)) or [0]
    parallel = sum(map(is_parallel_assignment, assignments))
    return [
        Measure("tokens (aim: 64,000)", len(tokens), MAX_TOKENS),
        Measure("tokens per line of code", len(tokens) / max(1, lines), 7.5),
        Measure(f"lines over {MAX_COLUMNS} columns", count_wide_lines(sources), 0),
        Measure("conditional expressions per 1,000 lines", len(conditionals) / thousands, 15),
        Measure("nested conditional expressions", sum(map(is_nested_conditional, conditionals)), 0),
        Measure("comprehensions per 1,000 lines", len(comprehensions) / thousands, 20),
        Measure("parallel assignments per 1,000 lines", parallel / thousands, 1),
        Measure("function length, median", statistics.median(lengths), 8),
        Measure("function length, 90 %", lengths[int(len(lengths) * 0.9)], 20),
        Measure("function length, longest", lengths[-1], 40),
        Measure("cyclomatic complexity, average", statistics.fmean(complexities), 3),
        Measure("cyclomatic complexity, highest", max(complexities), 12),
        Measure("module length, longest", max(len(one.lines) for one in sources), MAX_MODULE_LINES),
    ]


def count_wide_lines(sources: list[Source]) -> int:
    """Return how many lines are wider than the limit."""
    return sum(len(line) > MAX_COLUMNS for source in sources for line in source.lines)


def worst_functions(sources: list[Source]) -> list[str]:
    """Return the functions that are too long or too complex, as `path:line name`."""
    found = []
    for source in sources:
        for function in functions(source):
            if length(function) > 40 or complexity(function) > 12:
                place = f"{source.path.relative_to(ROOT)}:{function.lineno}"
                size = f"{length(function)} lines, complexity {complexity(function)}"
                found.append(f"{place} {function.name}: {size}")
    return found


def describe(source: Source) -> str:
    """Return the figures of one module in a line."""
    tokens = source.tokens()
    lines = max(1, len({token.start[0] for token in tokens}))
    figures = [
        f"{len(tokens):>6} tokens",
        f"{len(tokens) / lines:4.1f} a line",
        f"{len(source.lines):>4} lines",
        f"{len(source.nodes(ast.IfExp)):>3} conditional expressions",
        f"{len(source.nodes(*_COMPREHENSIONS)):>3} comprehensions",
        f"{count_wide_lines([source]):>3} wide lines",
        str(source.path.relative_to(ROOT)),
    ]
    return "  ".join(figures)


def main(arguments: list[str]) -> int:
    """Print the figures; return 1 when one misses its aim."""
    if arguments:
        for path in arguments:
            print(describe(Source.read(Path(path).resolve())))
        return 0
    sources = [Source.read(path) for path in production_files()]
    figures = measure(sources)
    print("\n".join([*map(str, figures), *worst_functions(sources)]))
    return int(not all(figure.kept for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The structure of the code: which module may import which, and how dense the code may be."""

import ast
import re
from functools import cache

import pytest
from measures import (
    MAX_COLUMNS,
    MAX_MODULE_LINES,
    ROOT,
    Source,
    complexity,
    functions,
    length,
    measure,
    production_files,
    worst_functions,
)

MAX_KIND_LINES = 110
TOP_LEVEL = {
    "app.py",
    "cli.py",
    "clock.py",
    "gunicorn.conf.py",
    "locks.py",
    "logs.py",
    "startup.py",
    "wsgi.py",
}
ODDS_AND_ENDS = {"utils", "util", "helpers", "helper", "base", "common", "manager", "misc"}
WEB_FRAMEWORK = ("flask", "flask_wtf", "wtforms", "werkzeug", "jinja2", "markupsafe")
HTTP_CLIENTS = ("httpx", "aiohttp", "urllib", "http", "smtplib", "ftplib", "pycurl")

SOURCES = [Source.read(path) for path in production_files()]


def module_name(source):
    """Return `delivery.kinds` for delivery/kinds/__init__.py."""
    parts = source.path.relative_to(ROOT).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


MODULES = {module_name(source): source for source in SOURCES}
OUR_PACKAGES = {name.split(".")[0] for name in MODULES}


@cache
def imports_of(module):
    """Return the full name of everything that a module imports, anywhere in the module."""
    names = set()
    for node in MODULES[module].nodes(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            continue
        assert node.level == 0, f"{module} has a relative import, which a one-file build cannot run"
        names.add(node.module)
        names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def importers_of(*packages):
    """Return the modules that import one of these top-level packages."""
    found = set()
    for module in MODULES:
        if {name.split(".")[0] for name in imports_of(module)} & set(packages):
            found.add(module)
    return found


def modules_in(*packages):
    """Return the modules of these packages of ours, such as `web.accounts`."""
    prefixes = tuple(f"{package}." for package in packages)
    return {module for module in MODULES if module in packages or module.startswith(prefixes)}


# --- layers ---------------------------------------------------------------------------------


def test_every_production_module_is_found():
    known = {"app", "config", "models", "delivery.sender", "delivery.kinds.webhook"}
    assert known <= set(MODULES)
    assert {path.name for path in ROOT.glob("*.py")} == TOP_LEVEL
    assert importers_of("flask")
    assert "delivery.sender" in importers_of("requests")


@pytest.mark.parametrize("module", ["config.texts", "clock", "locks", "delivery.outcome"])
def test_the_lowest_layer_imports_nothing_of_ours(module):
    assert not {name for name in imports_of(module) if name.split(".")[0] in OUR_PACKAGES}


def test_the_models_import_only_each_other():
    for module in modules_in("models"):
        ours = {name for name in imports_of(module) if name.split(".")[0] in OUR_PACKAGES}
        assert {name.split(".")[0] for name in ours} <= {"models"}, module


def test_delivery_imports_neither_flask_nor_web():
    assert not modules_in("delivery") & importers_of(*WEB_FRAMEWORK, "web", "app")


def test_accounts_import_no_flask_because_the_command_line_uses_them():
    accounts = modules_in("web.accounts")
    assert len(accounts) > 3
    assert not accounts & importers_of(*WEB_FRAMEWORK)
    for module in accounts:
        ours = {name for name in imports_of(module) if name.split(".")[0] == "web"}
        assert all(name.startswith("web.accounts") for name in ours), module


def test_only_the_sender_and_the_guard_import_requests_and_urllib3():
    allowed = modules_in("delivery.guard", "delivery.sender")
    assert importers_of("requests", "urllib3") <= allowed


def test_no_other_module_uses_an_http_client():
    allowed = modules_in("delivery.guard", "delivery.sender")
    clients = ("urllib.request", "http.client", "http.server")
    for module in importers_of(*HTTP_CLIENTS) - allowed:
        assert not [name for name in imports_of(module) if name.startswith(clients)], module


WRITES_DELIVERIES = re.compile(
    r"\b(INSERT INTO delivery|UPDATE delivery|DELETE FROM delivery)\b"
    r"|\bDelivery\.(create|delete|insert|insert_many|replace|update)\b"
)


def test_only_the_outbox_writes_deliveries():
    writers = {module for module, one in MODULES.items() if WRITES_DELIVERIES.search(one.text)}
    assert writers
    assert writers <= modules_in("delivery.outbox")


def test_only_the_guard_and_the_server_open_sockets():
    assert importers_of("socket") <= modules_in("delivery.guard", "serving")


def test_web_never_calls_the_sender_directly():
    for module in modules_in("web"):
        assert "delivery.sender.send" not in imports_of(module)


def test_imports_form_no_circle():
    def reachable(module, seen):
        for name in imports_of(module) & set(MODULES):
            if name not in seen:
                seen.add(name)
                reachable(name, seen)
        return seen

    # A package's kinds are found by `kinds()` at run time, after everything is imported.
    assert not [module for module in MODULES if module in reachable(module, set())]


def reads_environment(node):
    """Return True for `os.environ` and `os.getenv`, and for an import of one of them."""
    names = {"environ", "environb", "getenv", "getenvb"}
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and bool(names & {alias.name for alias in node.names})
    if not isinstance(node, ast.Attribute) or node.attr not in names:
        return False
    return isinstance(node.value, ast.Name) and node.value.id == "os"


def test_only_config_reads_the_environment():
    readers = {
        module
        for module, source in MODULES.items()
        if any(map(reads_environment, ast.walk(source.tree)))
    }
    assert readers <= modules_in("config")


def test_os_is_never_imported_under_another_name():
    for source in SOURCES:
        for node in source.nodes(ast.Import):
            assert not [alias for alias in node.names if alias.name == "os" and alias.asname]


def test_no_module_is_named_for_odds_and_ends():
    assert not [module for module in MODULES if ODDS_AND_ENDS & set(module.split("."))]


def test_no_production_module_imports_from_the_tests():
    assert not importers_of("tests", "conftest", "receiver", "markup", "pytest", "requests_mock")


# --- measures -------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", measure(SOURCES), ids=lambda figure: figure.name)
def test_the_code_keeps_its_measures(figure):
    assert figure.kept, "\n".join([str(figure), *worst_functions(SOURCES)])


def test_a_kind_is_a_short_file():
    kinds = [one for one in SOURCES if one.path.parent.name == "kinds" and "KIND = " in one.text]
    assert len(kinds) == 18
    too_long = [one.path.name for one in kinds if len(one.lines) > MAX_KIND_LINES]
    assert too_long == []


def test_no_comprehension_has_more_than_two_clauses():
    types = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    for source in SOURCES:
        for node in source.nodes(*types):
            clauses = len(node.generators) + sum(len(one.ifs) for one in node.generators)
            assert clauses <= 2, f"{source.path}:{node.lineno}"


# --- the measures themselves ----------------------------------------------------------------


def source_of(text):
    return Source(ROOT / "example.py", text, ast.parse(text))


def figures_of(text):
    return {figure.name: figure.value for figure in measure([source_of(text)])}


def test_the_measures_count_what_they_name():
    text = '"""A docstring\n\nof three lines."""\na, b = 1, 2\nc = 1 if a else 2 if b else 3\n'
    figures = figures_of(text)
    assert figures["tokens (aim: 64,000)"] == 1 + 7 + 11
    assert figures["tokens per line of code"] == pytest.approx(19 / 3)
    assert figures["parallel assignments per 1,000 lines"] == pytest.approx(1000 / 3)
    assert figures["nested conditional expressions"] == 1
    assert (
        figures_of("x = [y for y in z]\n" + "w" * (MAX_COLUMNS + 1) + "\n")[
            f"lines over {MAX_COLUMNS} columns"
        ]
        == 1
    )
    assert figures_of("x = 1\n" * (MAX_MODULE_LINES + 1))["module length, longest"] == 301


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1", 1),
        ("return 1 if x else 2", 2),
        ("if x and y or z:\n    return 1", 4),
        ("for y in x:\n    while y:\n        pass", 3),
        ("return [y for y in x if y if z]", 4),
        ("try:\n    pass\nexcept OSError:\n    pass", 2),
        ("def inner():\n    return 1 if x else 2", 1),
    ],
)
def test_complexity_counts_every_branch(body, expected):
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    function = next(functions(source_of(f"def outer(x, y, z):\n{lines}")))
    assert complexity(function) == expected
    assert length(function) == body.count("\n") + 2

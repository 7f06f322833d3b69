"""The rooms of the library: the order of imports, names told apart, functions that fit on a screen."""

import ast
from collections import defaultdict
from pathlib import Path

import genoattn_cli
import pytest

import genoattn

LIBRARY = Path(genoattn.__file__).parent
# Data flow down the list; imports point up it only. Rooms of one line may import each other.
ROOMS = (
    (
        "errors",
        "cohort",
        "writing",
        "provenance",
        "progress",
        "streams",
        "in_memory",
        "html_text",
        "cohort_html",
    ),
    ("io",),
    ("tokens",),
    ("attention",),
    ("model",),
    ("closed_form",),
    ("interactions",),
    ("scan",),
    ("inference",),
    ("fitting",),
    ("simulate",),
    ("design",),
    ("describe",),
    ("views",),
    ("plot",),
    ("estimators",),
    ("report",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
LONGEST = 60

FILES = sorted(path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.py"))
TREES = {path: ast.parse((LIBRARY / path).read_text(encoding="utf-8")) for path in FILES}


def room_of(path):
    return path.parts[0].removesuffix(".py")


def imported_modules(node):
    """Modules of the library that an import names, as dotted paths below genoattn."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return []
    return [name.removeprefix("genoattn.") for name in names if name.startswith("genoattn.")]


def imports_down(path, tree):
    """Imports anywhere in a file, in functions and under TYPE_CHECKING too, of a room below its own."""
    own = room_of(path)
    found = []
    for node in ast.walk(tree):
        for module in imported_modules(node):
            room = module.split(".")[0]
            if room != own and room != "__version__" and FLOOR[room] > FLOOR[own]:
                found.append(f"{path}:{node.lineno} imports {module}")
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_up_the_list_of_rooms(path):
    if path.name == "__init__.py" and len(path.parts) == 1:
        assert not any(imported_modules(node) for node in ast.walk(TREES[path])), "names are resolved lazily"
        return
    assert imports_down(path, TREES[path]) == []


def test_every_file_is_in_a_room():
    assert {room_of(path) for path in FILES} - {"__init__"} <= set(FLOOR)


def test_an_import_down_the_list_is_seen():
    down = "def late():\n    from genoattn.fitting.fit import fit\n"
    assert imports_down(Path("model/link.py"), ast.parse(down)) == ["model/link.py:2 imports fitting.fit.fit"]
    assert imports_down(Path("design/suggest.py"), ast.parse(down)) == []


def repeated(names):
    places = defaultdict(list)
    for name, place in names:
        places[name].append(str(place))
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_file_name_occurs_twice():
    assert repeated((p.name, p) for p in FILES if p.name != "__init__.py") == {}


def test_no_class_name_occurs_twice():
    classes = (
        (node.name, path)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert repeated(classes) == {}


def lines_of_code(function, lines):
    """Lines of a function from its first to its last, less those of its docstring and empty ones."""
    first = function.body[0]
    docstring = range(0)
    if ast.get_docstring(function) is not None:
        docstring = range(first.lineno, first.end_lineno + 1)
    every = range(function.lineno, function.end_lineno + 1)
    return sum(1 for number in every if number not in docstring and lines[number - 1].strip())


COMMANDS = sorted(Path(genoattn_cli.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", [*(LIBRARY / p for p in FILES), *COMMANDS], ids=lambda p: p.name)
def test_functions_fit_on_a_screen(path):
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    nodes = ast.walk(ast.parse(text))
    functions = (n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    long = {f.name: n for f in functions if (n := lines_of_code(f, lines)) > LONGEST}
    assert long == {}

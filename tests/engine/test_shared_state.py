"""No hidden input: a function changes what it is given, and nothing that outlives its call."""

import ast

from scripts.rooms import ROOT, sources

ALLOWED = {
    "landslide_plugin/core/interruption.py": {"_asked", "_depth", "_first"},  # of the process
    "landslide_plugin/engine_lookup.py": {"_own_answer"},  # a cache: asking a Python takes seconds
    "landslide_plugin/outputs/whole.py": {"_open", "_read"},  # a thread's, set back by their `with`
    "processing_algorithms/styles.py": {"_processors"},  # QGIS would let go of them
}
"""Files to the objects of a module that functions change all the same."""

CHANGES = {"add", "append", "clear", "discard", "extend", "insert", "pop", "remove", "set",
           "setdefault", "update"}  # fmt: skip
"""Methods that change their object."""


def test_no_function_changes_what_outlives_its_call():
    """Else what a command does depends on who was called before, or is called beside it."""
    changed = {file.relative_to(ROOT).as_posix(): changed_objects(file) for file in sources()}
    assert {file: names for file, names in changed.items() if names} == ALLOWED


def changed_objects(file):
    """Return the names of shared objects that a file's functions change."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    shared, result = shared_objects(file, body), set()
    methods = [item for each in body if isinstance(each, ast.ClassDef) for item in each.body]
    for function in (item for item in body + methods if isinstance(item, ast.FunctionDef)):
        foreign = shared - names_set(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                result.update(node.names)
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in CHANGES:
                result.update({root_name(node.func)} & foreign)
            elif isinstance(node, (ast.Attribute, ast.Subscript)) and is_set(node):
                result.update({root_name(node)} & foreign)
    return result


def shared_objects(file, body):
    """Return the names that all functions of a file share: of its objects, classes, imports."""
    shared = {item.name for item in body if isinstance(item, ast.ClassDef)}
    for item in body:
        if isinstance(item, (ast.Assign, ast.AnnAssign)):
            shared |= names_set(item)
        elif isinstance(item, ast.ImportFrom) and item.level:
            base = file.parents[item.level - 1].joinpath(*(item.module or "").split("."))
            shared |= {each.name for each in item.names if not (base / f"{each.name}.py").exists()}
    return shared


def names_set(node):
    """Return the names that a piece of source gives values to, its parameters among them."""
    inner = list(ast.walk(node))
    stored = {each.id for each in inner if isinstance(each, ast.Name) and is_set(each)}
    return stored | {each.arg for each in inner if isinstance(each, ast.arg)}


def is_set(node):
    return isinstance(node.ctx, (ast.Store, ast.Del))


def root_name(node):
    """Return the name that `name.attribute[item]` begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return getattr(node, "id", "")

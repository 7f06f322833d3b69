"""Pages of error messages and what to do about each, read from the code whenever the site is built.

python docs/error_pages.py   # prints the messages that name no cure
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
ERRORS = {"InputError", "OutputError", "BadParameter"}
# Page, heading, and the rooms or files whose messages it shows; the first that fits.
THEMES = (
    (
        "genotypes",
        "Genotype files",
        "io/vcf io/bcf io/indexed io/plink io/pgen io/bgen io/dosages io/genotype io/record io/alleles "
        "io/duplicates io/code io/byte io/collect io/filters",
    ),
    ("sequences", "Sequences and variants", "io/align io/alphabets io/mutations io/variants"),
    (
        "tables",
        "Tables of samples",
        "io/table io/phenotypes io/covariates io/measurements io/matching io/sample io/sentinels io/frames "
        "io/text io/site_features",
    ),
    ("reading", "Any input", "io streams describe cohort in_memory"),
    ("fit", "Fitting", "fitting model closed_form inference estimators"),
    ("output", "Tables, reports and plots", "interactions views plot report writing provenance"),
    ("scan", "Scanning", "scan"),
    ("predict", "Prediction, suggestion and simulation", "tokens design simulate"),
    ("attention", "Attention modules", "attention"),
    ("options", "Options of the command line", "genoattn_cli"),
)
COUNTED = ("n", "number", "n_")
# What to do about messages whose text says only what is wrong, by their beginning or a part.
CURES = {
    "finite values, one a sample": "give one finite value a sample",
    "needs a value of 0 or more": "correct the variances, or leave them out",
    "needs integers at": "give states as integers, one column a site",
    "of columns 0 to": "give the columns of each term as integers",
    "probabilities that add up to 1": "give probabilities that add up to 1 at each site",
    "leave out A, B": "leave out the options that are named",
    "no file that genoattn reads": "give genotypes, an alignment, a table or an output folder",
    "mutations are suggested for aligned sequences only": "fit an alignment or a table of variants",
    "give the measured variants": "give --measured with the file that holds the sequence",
    "WHERE: no such file": "check the path",
    "not a checkpoint": "give a checkpoint that a Trainer wrote for this class",
    "written by genoattn": "load it with that version, or train again",
    "give the cohort": "give the cohort that the module was trained on",
    "checkpoint keeps the state": "leave one of the two out",
    "phantom check needs genotypes": "use it for cohorts of genotypes",
    "not a FASTA": "check the file and its suffix: the first line of a FASTA begins with >",
    "no records": "check that the file is complete",
    "such rows of N": "correct the rows, the reference or its numbering",
    "not a VCF": "check the file: the header may be cut off, or its columns separated by spaces",
    "a batch must be": "make batches with CohortData",
    "known variances": "give batches with variances, as CohortData makes them",
    "leave a training set": "give shares that add up to less than 1",
    "simulate: MISTAKE": "change the setting that the message names",
    "which no training sample had": "leave the sample out, or fit again with samples of that level",
    "is not a list of numbers": "write numbers separated by commas",
    "Only binary classification is supported": "use sklearn.multiclass.OneVsRestClassifier",
    "names no command that reads a cohort": "give the folder of a fit or a scan",
    "which cannot be read again": "write what came through the pipe to a file, and run on that",
    "nor beside the folder": "put the files beside the folder, or run again",
    "have changed since": "bring the former files back, or run again",
}


@dataclass(frozen=True)
class Message:
    """What an error says: where and what was found, and after the first semicolon what to do."""

    file: str
    found: str
    cure: str


def messages() -> list[Message]:
    """Messages of all errors raised for a mistake in the input, in the order of the files."""
    return list(_messages(ROOT))


@cache
def _messages(root: Path) -> tuple[Message, ...]:
    library = sorted((root / "genoattn").rglob("*.py"))
    command_line = sorted((root / "cli" / "genoattn_cli").rglob("*.py"))
    seen: dict[tuple[str, str], Message] = {}
    for path in [*library, *command_line]:
        for message in _of_file(path):
            seen.setdefault((message.found, message.cure), message)
    return tuple(seen.values())


def theme_of(file: str) -> str:
    """Page of the messages of a file, ``io/vcf.py`` of the library or ``genoattn_cli/fit.py``."""
    return next((page for page, _, starts in THEMES if file.startswith(tuple(starts.split()))), "options")


def theme_page(page: str) -> str:
    """Markdown page of one theme."""
    (title,) = [title for name, title, _ in THEMES if name == page]
    parts = [
        f"# Errors: {title[0].lower()}{title[1:]}",
        "Words in capitals stand for what the message fills in.",
    ]
    for message in messages():
        if theme_of(message.file) == page:
            cure = f"{message.cure[0].upper()}{message.cure[1:]}." if message.cure else "See the message."
            parts.append(f"`{message.found.replace('`', '')}`\n:   {_escaped(cure)}")
    return "\n\n".join(parts) + "\n"


def index_list() -> str:
    """Links to the pages with the number of their messages."""
    pages = [theme_of(message.file) for message in messages()]
    rows = [(title, page, pages.count(page)) for page, title, _ in THEMES if page in pages]
    return "\n".join(f"* [{title}]({page}.md): {count}" for title, page, count in rows)


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").replace("[", "\\[")


def _of_file(path: Path) -> Iterator[Message]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant | ast.JoinedStr)
    }
    folder = ROOT / "genoattn" if path.is_relative_to(ROOT / "genoattn") else ROOT / "cli"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ERRORS and node.args:
            found, _, cure = _template(node.args[0], constants).partition("; ")
            if re.search("[a-z]{3}", found):  # otherwise it passes on the text of another message
                cure = cure or next((known for part, known in CURES.items() if part in found), "")
                yield Message(path.relative_to(folder).as_posix(), found, cure)


def _template(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    """Text of a message, with words in capitals where it fills something in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part, constants) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        text = _template(node.value, constants)
        return f"'{text}'" if node.conversion == ord("r") else text
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _template(node.left, constants) + _template(node.right, constants)
    if isinstance(node, ast.Name) and node.id in constants:
        return _template(constants[node.id], constants)
    return _placeholder(node)


def _placeholder(node: ast.expr) -> str:
    """A word in capitals for an expression: PATH of ``table.path``, N of ``len(samples)``."""
    if isinstance(node, ast.Name):
        word = node.id.strip("_")
        return "N" if word in COUNTED or word.startswith("n_") else word.upper().replace("_", "-")
    if isinstance(node, ast.Attribute):
        return _placeholder(ast.Name(node.attr))
    if isinstance(node, ast.Subscript):
        return _placeholder(node.value)
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name == "len" or name.endswith((".sum", ".count", "int", "comb")):
            return "N"
        if name.endswith("join") or name == "list_names":
            return "A, B, .."
        if isinstance(node.func, ast.Attribute):
            return _placeholder(node.func.value)
    if isinstance(node, ast.BinOp):
        return "N"
    return ".."


if __name__ == "__main__":
    for message in messages():
        if not message.cure:
            print(f"{message.file}: {message.found}")

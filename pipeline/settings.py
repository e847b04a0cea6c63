"""List all keys of a configuration with default, unit and the paper's value.

    python -m pipeline.settings                 every key, on the screen
    python -m pipeline.settings bmn             those of one section, or whose name holds a word
    python -m pipeline.settings --markdown      the page docs/configuration.md

What a key means is said where it is defined, beside its default: in the `settings.py` of the
package that reads it.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.stages import STAGES
from runtime.config import default_values
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.help_text import CommandParser, program_name
from runtime.sections import SECTIONS, RunConfig

_MISSING = "???"


@dataclass(frozen=True)
class Key:
    """One key: its name with the section in front, its default as YAML has it, and what it
    means."""

    name: str
    default: str
    meaning: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("pipeline.settings"),
        description=__doc__,
        epilog=EXIT_CODES_HELP,
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="a section, or a part of the key's name")
    parser.add_argument("--markdown", action="store_true", help="print the page of the documentation")
    arguments = parser.parse_args(argv)

    def act() -> int:
        print(page() if arguments.markdown else listing(arguments.words), end="")
        return EXIT_DONE

    return guarded(act)


def all_keys() -> dict[str, list[Key]]:
    """Return the keys of every section, in the order of their definition; "" holds those of the
    run itself."""
    defaults = default_values()
    return {
        section: [
            Key(name, _word(defaults[name]), meanings.get(name.rpartition(".")[2], ""))
            for name in _names(section, settings)
        ]
        for section, settings in {"": RunConfig, **SECTIONS}.items()
        for meanings in [attribute_docs(settings)]
    }


def _names(section: str, settings: type) -> Iterator[str]:
    for entry in dataclasses.fields(settings):
        yield f"{section}.{entry.name}" if section else entry.name


def _word(value: object) -> str:
    if value == _MISSING:
        return "must be set"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value) if value != "" else "empty"


def attribute_docs(settings: type) -> dict[str, str]:
    """Return the docstrings under the fields of a dataclass and of those that it inherits from."""
    found: dict[str, str] = {}
    for owner in reversed(settings.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for entry, below in itertools.pairwise(body):
            if not (isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name)):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[entry.target.id] = " ".join(str(below.value.value).split())
    return found


def readers(section: str) -> list[str]:
    """Return the commands of the stages that read a section."""
    return [
        spec.command
        for spec in STAGES.values()
        if any(entry.partition(".")[0] == section for entry in spec.sections)
    ]


def listing(words: Sequence[str]) -> str:
    """Return the keys as text: all of them, or those of some sections or with some words in their
    names.

    Raises:
        InputError: if a word fits no key.
    """
    keys = [key for section in all_keys().values() for key in section]
    for word in words:
        if not any(word in key.name for key in keys):
            raise InputError(f"no key and no section holds '{word}'; sections: {', '.join(SECTIONS)}")
    shown = [key for key in keys if not words or any(word in key.name for word in words)]
    width = max(50, shutil.get_terminal_size((100, 24)).columns - 1)
    indent = "    "
    lines = []
    for key in shown:
        lines.append(f"{key.name} = {key.default}")
        lines += textwrap.wrap(key.meaning, width, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return docs/configuration.md."""
    parts = [
        "# Configuration\n",
        "Every key, its default, and what it means; defaults are the paper's values where it gives them.",
        "This page is printed by `python -m pipeline.settings --markdown`. In a file, `bmn.epochs` is",
        "`epochs` below `bmn:`; on the command line it is `bmn.epochs=3`.\n",
    ]
    for section, keys in all_keys().items():
        settings = SECTIONS.get(section, RunConfig)
        summary = (inspect.getdoc(settings) or "").split("\n\n")[0].replace("\n", " ")
        parts.append(f"## {section or 'The run'}\n")
        parts.append("\n".join(textwrap.wrap(summary, 100)) + "\n")
        commands = ", ".join(f"`python -m {command}`" for command in readers(section))
        if commands:
            parts.append("\n".join(textwrap.wrap(f"Read by {commands}.", 100, break_on_hyphens=False)) + "\n")
        parts.append("| key | default | meaning |\n|---|---|---|")
        parts += [f"| `{key.name}` | {_cell(key.default)} | {_cell(key.meaning)} |" for key in keys]
        parts.append("")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())

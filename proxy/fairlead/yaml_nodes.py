"""A YAML document as values that know their line and their field, and that collect what is wrong with them.

Owns the reading of nodes: nothing is constructed, so no text turns into a date, a boolean or an object behind the
reader's back, and every complaint names the place it is about. Every accessor answers with something to go on with:
one reading finds all problems. Invariant: nobody but `Document.check` raises, and always ConfigError.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final, final

import yaml
from yaml.composer import Composer, ComposerError

from fairlead.errors import ConfigError

_MAX_DEPTH: Final = 64  # of nesting and of merging; a configuration has 5 levels, the stack has room for a few hundred
_MERGE: Final = "tag:yaml.org,2002:merge"
_NULL: Final = "tag:yaml.org,2002:null"
_CORE: Final = "tag:yaml.org,2002:"
_UNQUOTED_IPV6: Final = re.compile(r"(?<![\"'\[])(\[[0-9A-Fa-f:.]*::?[0-9A-Fa-f:.]*\](:\d+)?)")
_BARE_IPV6: Final = re.compile(r"(?<=[\[, ])(::[0-9A-Fa-f:.]*(?:/\d{1,3})?)(?=[,\] ])")
_WORD: Final = re.compile(r"(?:[\w./-]|<<){1,64}")
_UNREADABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NOTHING: Final = yaml.ScalarNode(_NULL, "", yaml.Mark("", 0, 0, 0, None, 0))  # the root of an empty text
_Entries = dict[str, tuple[yaml.Node, yaml.Node]]


@final
class Document:
    """One file's text, and what is wrong with it. `field` is the name of its root; a configuration's has none."""

    def __init__(self, file: str, field: str = "") -> None:
        self.file = file
        self.field = field
        self._problems: list[tuple[int, str]] = []
        self._entries: dict[int, _Entries] = {}

    def complain(self, line: int, field: str, message: str) -> None:
        """Note a problem: `message` says what is wrong and what to do."""
        self._problems.append((line, f"{self.file}:{line}: {field or 'configuration'}: {message}"))

    def check(self) -> None:
        """Raise ConfigError with all that was noted, by line and each once: an anchor is read wherever it is used."""
        if self._problems:
            ordered = sorted(self._problems, key=lambda problem: problem[0])
            raise ConfigError(list(dict.fromkeys(text for _, text in ordered)))

    def root(self, text: str) -> Value:
        """The value of the whole text; null when there is none. Raises ConfigError when it is not YAML."""
        if unreadable := _UNREADABLE.search(text):
            line = text.count("\n", 0, unreadable.start()) + 1
            self.complain(line, self.field, f"has the character {unreadable[0]!a}, which YAML forbids; remove it")
            self.check()
        return Value(self._compose(text) or _NOTHING, self.field, self)

    def _compose(self, text: str) -> yaml.Node | None:
        try:
            return _Loader(text).compose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            self.complain(line, self.field, f"is not YAML: {_reason(error)}{_hint(text, line)}")
        except yaml.YAMLError as error:
            self.complain(1, self.field, f"is not YAML: {' '.join(str(error).split())}")
        self.check()
        return None

    def entries(self, node: yaml.MappingNode, field: str, depth: int = 0) -> _Entries:
        """Key to key node and value node, with what is merged in (`<<`): what the mapping itself says comes first."""
        known = self._entries.get(id(node))
        if known is None:
            self._entries[id(node)] = {}  # what a mapping that merges itself finds there
            known = self._entries[id(node)] = self._read_entries(node, field, depth)
        return known

    def _read_entries(self, node: yaml.MappingNode, field: str, depth: int) -> _Entries:
        own: _Entries = {}
        merged: _Entries = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                for name, pair in self._merged(value, field, depth).items():
                    merged.setdefault(name, pair)
            elif not isinstance(key, yaml.ScalarNode) or not key.value.isprintable():
                self.complain(line, field, "has a key that is not a word; write KEY: VALUE")
            elif key.value in own:
                first = own[key.value][0].start_mark.line + 1
                self.complain(line, join(field, key.value), f"is given twice, first in line {first}; remove one")
            else:
                own[key.value] = (key, value)
        return {**merged, **own}

    def _merged(self, value: yaml.Node, field: str, depth: int) -> _Entries:
        found: _Entries = {}
        for node in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(node, yaml.MappingNode) or depth >= _MAX_DEPTH:
                line = value.start_mark.line + 1
                self.complain(line, join(field, "<<"), "merges what is no mapping, or merges too deeply")
                continue
            for name, pair in self.entries(node, field, depth + 1).items():
                found.setdefault(name, pair)
        return found


@final
@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A node of a document, with the field that it is the value of."""

    node: yaml.Node
    field: str
    document: Document

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    @property
    def is_null(self) -> bool:
        return bool(self.node.tag == _NULL)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode)

    def complain(self, message: str) -> None:
        """Note what is wrong with this value."""
        self.document.complain(self.line, self.field, message)

    def mapping(self, keys: Collection[str] | None = None) -> dict[str, Value]:
        """The values by key. With `keys` every other key is a problem."""
        if not isinstance(self.node, yaml.MappingNode):
            expected = f" with any of {', '.join(sorted(keys))}" if keys else ""
            self.complain(f"is {self._shown()}, and must be a mapping (KEY: VALUE){expected}")
            return {}
        self._check_tag()
        found = {}
        for key, (key_node, node) in self.document.entries(self.node, self.field).items():
            field = join(self.field, key)
            if keys is None or key in keys:
                found[key] = Value(node, field, self.document)
            else:
                self.document.complain(key_node.start_mark.line + 1, field, f"is unknown; {suggest(key, keys)}")
        return found

    def items(self) -> list[Value]:
        """The values of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.complain(f"is {self._shown()}, and must be a list")
            return []
        self._check_tag()
        return [Value(node, f"{self.field}[{place}]", self.document) for place, node in enumerate(self.node.value)]

    def text(self) -> str | None:
        """The text of a scalar as it was written, or None when that is a problem."""
        if not isinstance(self.node, yaml.ScalarNode) or self.is_null:
            self.complain(f"is {self._shown()}, and must be a text or a number")
            return None
        self._check_tag()
        if not self.node.value.isprintable():
            self.complain("has a line break or an invisible character; remove it")
            return None
        return str(self.node.value)

    def _check_tag(self) -> None:
        if not self.node.tag.startswith(_CORE):
            self.complain(f"has the tag {quoted(self.node.tag)}; tags mean nothing here, remove it")

    def _shown(self) -> str:
        if self.is_null:
            return "empty"
        if self.is_mapping:
            return "a mapping"
        return "a list" if self.is_list else quoted(str(self.node.value))


def read_text(path: Path) -> str:
    """A file's text. Raises ConfigError when it cannot be read or is not UTF-8."""
    try:
        raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: file: is not UTF-8 text; save it as UTF-8"]) from error
    except FileNotFoundError as error:
        raise ConfigError([f"{path}:1: file: does not exist; create it or name another"]) from error
    except IsADirectoryError as error:
        raise ConfigError([f"{path}:1: file: is a directory; name a file in it"]) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError([f"{path}:1: file: cannot be read: {reason}; check its path and permissions"]) from error


def join(field: str, key: str) -> str:
    """The name of a field within another; a key that would blur it is quoted."""
    key = key if _WORD.fullmatch(key) else quoted(key)
    return f"{field}.{key}" if field else key


def suggest(word: str, known: Collection[str]) -> str:
    """What was probably meant, or else what there is."""
    if meant := get_close_matches(word, known, n=1):
        return f"did you mean {meant[0]!r}?"
    return f"known are {', '.join(sorted(known))}" if known else "there are none"


def quoted(text: str) -> str:
    """A user's text within a message: escaped, and not longer than a line can bear."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


@final
class _Loader(Composer, yaml.CSafeLoader):
    """libyaml's parser, ten times as fast as the one in Python, under PyYAML's own composer in Python.

    The composer of libyaml's binding overflows the C stack on deep nesting; this one stops in time.
    """

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)
        self._depth = 0

    def compose(self) -> yaml.Node | None:
        try:
            return self.get_single_node()
        finally:
            self.dispose()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self._depth == _MAX_DEPTH:
            mark = parent.start_mark if parent else None
            raise ComposerError(problem=f"more than {_MAX_DEPTH} levels of nesting", problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _reason(error: yaml.MarkedYAMLError) -> str:
    context = f"{error.context}" if error.context else ""
    if context and error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
        context += f" that begins in line {error.context_mark.line + 1}"
    return ": ".join(part for part in (context, error.problem) if part)


def _hint(text: str, line: int) -> str:
    lines = text.split("\n")
    written = lines[line - 1] if line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "; indent with spaces, not tabs"
    if unquoted := _UNQUOTED_IPV6.search(written) or _BARE_IPV6.search(written):
        return f'; write an IPv6 address in quotes: "{unquoted[1]}"'
    return ""

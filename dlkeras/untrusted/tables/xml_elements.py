"""Elements of a stranger's XML, one after the other, in memory that is bounded."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from dlkeras.untrusted.gate import UntrustedFileError

CHUNK = 2**18
# Bytes of one tag, which expat holds until it ends.
MAX_TAG = 2**20
# Bytes that one element may take in memory, with all that is in it: a row of a thousand
# cells takes less than one MiB.
MAX_ELEMENT = 2**24
# Of elements beside the ones we read, with their attributes: one of Excel's merged
# cells or links each.
MAX_OTHERS = 2**20
# Bytes of all names, which the parser keeps: a workbook has some hundred.
MAX_NAMES = 2**22
# What Python takes for an element, for the dictionary of its attributes, for a place in
# a list.
_NODE, _ATTRIBUTES, _POINTER = 100, 300, 8


def elements(path: Path, part: IO[bytes], wanted: str) -> Iterator[ElementTree.Element]:
    """Give every element of a name, whole; nothing else is kept.

    Args:
        path: what to call the file.
        part: the XML.
        wanted: the name, without its namespace; one inside another is part of that.

    Raises:
        UntrustedFileError: an element is too large, there are too many others, or the
            XML has a DTD, whose entities could make gigabytes of a few bytes.
        xml.etree.ElementTree.ParseError: it is no XML.
    """
    target = _Target(path, wanted)
    parser = ElementTree.XMLParser(target=target)
    quiet = 0
    while chunk := part.read(CHUNK):
        calls = target.calls
        parser.feed(chunk)
        quiet = quiet + len(chunk) if calls == target.calls else 0
        if quiet > MAX_TAG:
            raise target.refused(f"a tag of at most {MAX_TAG:,} bytes")
        yield from target.taken()
    parser.close()
    yield from target.taken()


class _Target:
    """Builds the elements of one name while the parser reads."""

    def __init__(self, path: Path, wanted: str) -> None:
        self.calls = 0
        self._path, self._wanted = path, wanted
        self._whole: list[ElementTree.Element] = []
        self._builder: Any = None
        self._depth = self._size = self._others = self._names = 0
        self._known: set[str] = set()

    def refused(self, expected: str) -> UntrustedFileError:
        return UntrustedFileError(
            f"{self._path}: expected XML as Excel writes it, {expected}"
        )

    def taken(self) -> list[ElementTree.Element]:
        whole, self._whole = self._whole, []
        return whole

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.calls += 1
        if tag not in self._known or not self._known.issuperset(attributes):
            self._learn({tag, *attributes} - self._known)
        if self._builder is None:
            if tag.rpartition("}")[2] != self._wanted:
                self._other(1 + len(attributes))
                return
            self._builder, self._size = ElementTree.TreeBuilder(), 0
        self._depth += 1
        size = _NODE + (_ATTRIBUTES if attributes else 0)
        self._add(size + sum(map(sys.getsizeof, attributes.values())))
        self._builder.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.calls += 1
        if self._builder is not None:
            self._builder.end(tag)
            self._depth -= 1
            if not self._depth:
                self._whole.append(self._builder.close())
                self._builder = None

    def data(self, text: str) -> None:
        self.calls += 1
        if self._builder is not None:
            self._add(_POINTER + sys.getsizeof(text))
            self._builder.data(text)

    def start_ns(self, prefix: str, uri: str) -> None:
        del prefix, uri
        self._other(1)

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        del name, public, system
        raise self.refused("without a DTD")

    def close(self) -> None:
        """Nothing is left: the elements were taken."""

    def _add(self, size: int) -> None:
        self._size += size
        if self._size > MAX_ELEMENT:
            raise self.refused(
                f"with {MAX_ELEMENT:,} bytes at most in a {self._wanted}"
            )

    def _other(self, count: int) -> None:
        self._others += count
        if self._others > MAX_OTHERS:
            raise self.refused(
                f"with at most {MAX_OTHERS:,} elements beside each {self._wanted}"
            )

    def _learn(self, names: set[str]) -> None:
        self._known |= names
        self._names += sum(map(sys.getsizeof, names))
        if self._names > MAX_NAMES:
            raise self.refused("with some hundred names")

"""Looks for stiff words in what readers read: `python scripts/words.py`.

proselint reads the documents, the chapters' text, and the docstrings, comments and
messages of the library: English with its own rules and the house's, Portuguese with the
house's. `make lint` runs it. A place that must stay goes into `ALLOWED`.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from proselint.checks import __register__ as proselints
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, types
from proselint.tools import LintFile

ROOT = Path(__file__).parent.parent
# What to write instead; the left side is a pattern of RE2.
ENGLISH = {
    r"(?:of|for|to|on|in|by|from) whom": "who ... for, say; or two sentences",
    r"(?:none|some|all|each|most|many|one|two) of which": "two sentences",
    r"that which": "what",
    r"of which": "two sentences",
    r"(?:what|who) stands": "what is",
    r"that is not (?:said|named|given)": "if you don't ...",
    r"unless another": "if no other ...",
    r"those (?:are|is) \w+ (?:that|which)": "the ones that are ...",
    r"those that": "the ones that",
    r"anew": "again",
    r"goes on (?:to|from|with)": "continues",
    r"beside each other": "at the same time, or side by side",
    r"(?:hence|thus|thereby|whereby|therein|thereof|whereupon|hereby)": "so",
    r"in order to": "to",
    r"so as to": "to",
    r"upon": "on",
    r"utili[sz]e[sd]?": "use",
    r"(?:amongst|whilst|lest|likewise)": "among, while, so that not, too",
    r"whosoever|whoever": "anyone who",
    r"the (?:former|latter)": "its name",
    r"(?:is|are) of use": "helps",
    r"(?:is|are|was|were) to be (?:had|found|said|seen)": "active: you find ...",
    r"it is (?:said|told|known) (?:that|by)": "say who says it",
    r"one (?:can|must|may|should|sees|needs|wants)": "you ...",
    r"one's own": "your own",
    r"(?:obviously|of course|simply|clearly|basically)": "nothing",
    r"please note(?: that)?": "nothing",
    r"at the hand of": "with",
    r"for no other": "only for",
    r"nowise|nought|aught": "not, nothing, anything",
}
PORTUGUESE = {
    r"a fim de": "para",
    r"d?o mesmo (?:é|foi|está|tem|deve)": "ele, ela",
    r"através d[eao]": "com, por",
    r"sendo que": "duas frases",
    r"rede[s]? funda[s]?": "rede profunda",
    r"figurinha[s]?": "figura",
    r"bom demais": "demais",
    r"realizar (?:o|a|um|uma)": "fazer",
    r"taxa de aprendizado": "taxa de aprendizagem",
    r"gradiente descendente": "descida do gradiente",
    r"aprendizado de máquina profundo": "aprendizagem profunda",
    r"nomear uma pasta": "indicar uma pasta",
    r"o artigo imprime": "o artigo dá",
    r"a nível de": "em",
    r"performar|performático": "render",
    r"deletar": "apagar",
    r"customizar|customizado": "ajustar",
    r"por favor": "nada",
    r"vale (?:ressaltar|notar|lembrar) que": "nada",
    r"obviamente|simplesmente": "nada",
}
# proselint's own that fit a technical text.
PROSELINT = ("archaism", "cliches", "lexical_illusions", "malapropisms", "mondegreens",
             "needless_variants", "nonwords", "redundancy", "hedging")  # fmt: skip
CODE = (r"^(```+|~~~+).*?^\s*\1", r"\$\$.*?\$\$", r"\$[^$\n]+\$", r"`[^`\n]+`",
        r"\]\([^)]*\)", r"<[^>\n]+>", r"https?://\S+")  # fmt: skip
ALLOWED = {
    ("salience", "needless_variants"),
    ("saliency", "needless_variants"),  # a term
    ("in the long run", "cliches"),
    ("in a word", "cliches"),  # or two
    ("for free", "cliches"),
    ("for free", "redundancy"),
}


def documents() -> Iterator[tuple[Path, bool]]:
    """Yield what people read and whether each is Portuguese."""
    generated = {ROOT / "docs" / name for name in ("chapters",)}
    generated.add(ROOT / "docs/pt-BR/capitulos")
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    code = [path for name in ("notebooks", "dlkeras", "pipelines", "docs")
            for path in (ROOT / name).rglob("*.py")]  # fmt: skip
    for path in sorted([*pages, *code]):
        if path.name != "CHANGELOG.md" and not generated.intersection(path.parents):
            yield path, "pt-BR" in path.as_posix()


def prose(path: Path) -> str:
    """Return a document with spaces in place of code, formulas and addresses."""
    text = path.read_text("utf-8")
    if is_code(path):
        text = said_in_code(text)
    elif path.suffix == ".py":  # a chapter: the cells of text
        cells = re.split(r"(^# %%.*$)", text, flags=re.MULTILINE)
        kept = [blank(cells[0])]
        for head, cell in zip(cells[1::2], cells[2::2], strict=True):
            if "[markdown]" in head:
                cell = re.sub(r"^#", " ", cell, flags=re.MULTILINE)
            kept += [blank(head), cell if "[markdown]" in head else blank(cell)]
        text = "".join(kept)
    for code in CODE:
        text = re.sub(code, lambda found: blank(found[0]), text, flags=re.M | re.S)
    return text


def is_code(path: Path) -> bool:
    """Return whether a file is code, and no chapter."""
    return path.suffix == ".py" and not re.search(
        r"^# %%", path.read_text("utf-8"), re.MULTILINE
    )


def said_in_code(source: str) -> str:
    """Return docstrings, messages and comments, with spaces in place of the code."""
    lines = source.splitlines(keepends=True)
    kept = [[*blank(line)] for line in lines]
    middle = getattr(tokenize, "FSTRING_MIDDLE", None)  # Python 3.12 and later
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING:
            words = re.sub(r"""^\w*(\"{3}|'{3}|["'])|(\"{3}|'{3}|["'])$""",
                           lambda found: blank(found[0]), token.string)  # fmt: skip
            if "f" in token.string.split(token.string[-1])[0].casefold():
                words = re.sub(r"\{[^{}]*\}", lambda found: blank(found[0]), words)
        elif token.type == tokenize.COMMENT:
            words = " " + token.string[1:]
        elif token.type == middle:
            words = token.string
        else:
            continue
        row, column = token.start
        for number, line in enumerate(words.splitlines()):
            first = 0 if number else column
            kept[row - 1 + number][first : first + len(line)] = line
    text = "".join("".join(line) for line in kept)
    examples = re.compile(r"^ *(>>>|\.\.\.) .*$", re.M)
    return examples.sub(lambda found: blank(found[0]), text)


def blank(text: str) -> str:
    """Return spaces in place of the text, with its lines."""
    return re.sub(r"[^\n]", " ", text)


def checks(words: dict[str, str], path: str) -> tuple[Check, ...]:
    """Return proselint's checks for words of the house."""
    spaced = {pattern.replace(" ", r"\s{1,60}"): to for pattern, to in words.items()}
    say = "say it another way ({}). Found: {}"
    return tuple(
        Check(
            types.PreferredForms(items={f"(?:{pattern})": to}), path=path, message=say
        )
        for pattern, to in spaced.items()
    )


# An apostrophe may look like the beginning of a quotation, which proselint leaves out.
for _checks in (tuple(proselints), checks(ENGLISH, "house_en"),
                checks(PORTUGUESE, "house_pt")):  # fmt: skip
    CheckRegistry().register_many(
        tuple(c._replace(flags=c.flags._replace(allow_quotes=True)) for c in _checks)
    )


def main() -> None:
    """Print what is found, a line each, and fail if there is anything."""
    found = 0
    for path, portuguese in documents():
        names = ("house_pt",) if portuguese else ("house_en", *PROSELINT)
        if is_code(path):  # f(x, x), 'a', 'a'
            names = tuple(name for name in names if name != "lexical_illusions")
        config = {"max_errors": 1000, "checks": dict.fromkeys(names, True)}
        text = prose(path)
        for result in LintFile(str(path), text).lint(config):  # type: ignore[arg-type]
            start, end = (place - 1 for place in result.check_result.span)
            quoted = " ".join(text[start:end].split())
            rule = result.check_result.check_path.split(".")[0]
            if (quoted.casefold(), rule) in ALLOWED:
                continue
            # A heading and its first word, a formula's numbers.
            if rule == "lexical_illusions" and re.search(r"\n\n|\d", text[start:end]):
                continue
            found += 1
            line = text.count("\n", 0, start) + 1
            said = " ".join(result.check_result.message.split())
            print(f"{path.relative_to(ROOT)}:{line}: {said}")
    if found:
        sys.exit(f"{found} places; scripts/words.py has the list")


if __name__ == "__main__":
    main()

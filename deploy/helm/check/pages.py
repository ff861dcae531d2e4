"""The table of values in the chart's README, from the comments in values.yaml."""

import json
import re

import yaml

from chart import FOLDER

BEGIN, END = "<!-- values: made by `cargo xtask chart --write` -->", "<!-- end of values -->"


def readme():
    """README.md as it should be."""
    text = (FOLDER / "README.md").read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}{END}{tail}"


def table():
    """Single values first, then a table for each section."""
    rows = documented()
    sections = {}
    for path, default, doc in rows:
        top = path.split(".")[0]
        single = not any(other.startswith(f"{top}.") for other, *_ in rows)
        sections.setdefault("" if single else top, []).append((path, default, doc))
    text = ""
    for section in sorted(sections, key=lambda name: name != ""):
        text += f"### `{section}`\n\n" if section else ""
        text += "| value | default | what for |\n|---|---|---|\n"
        text += "".join(row(*each) for each in sections[section]) + "\n"
    return text


def row(path, default, doc):
    shown = "" if default in (None, "") else f"`{json.dumps(default, ensure_ascii=False)}`"
    return f"| `{path}` | {shown} | {doc} |\n"


def documented():
    """Path, default and meaning of every value that has a comment `# --`."""
    text = (FOLDER / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    rows, path, doc = [], [], None
    for line in text.splitlines():
        comment = re.match(r"^\s*# (-- )?(.*)$", line)
        key = re.match(r"^(\s*)([A-Za-z]+):", line)
        if comment and comment[1]:
            doc = comment[2]
        elif comment and doc is not None:
            doc += f" {comment[2]}"
        elif key:
            path = [*path[: len(key[1]) // 2], key[2]]
            if doc is not None:
                rows.append((".".join(path), at(defaults, path), doc))
            doc = None
    return rows


def at(values, path):
    for key in path:
        values = values[key]
    return values


def undocumented():
    """Values without a comment, neither of their own nor of what they lie in."""
    known = {path for path, *_ in documented()}

    def leaves(value, path):
        if ".".join(path) in known and not (isinstance(value, dict) and any(
            other.startswith(".".join(path) + ".") for other in known
        )):
            return
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from leaves(inner, [*path, key])
        elif ".".join(path) not in known:
            yield ".".join(path)

    return list(leaves(yaml.safe_load((FOLDER / "values.yaml").read_text()), []))

#!/usr/bin/env python3
"""What a run reached of src/ops and src/command, from `llvm-cov export`.

    .ci/coverage.py REGIONS.json [--all]

Prints the regions of each file, and every error that the run did not reach: a place where one is made (`Err(`, `Error::`,
`ok_or`), or a `?` behind something that reads or checks words. A `?` behind an operation on the unit of work hands on an
error that is made elsewhere: those are counted, and listed with --all. No error are the `?` of an option, and of a word
that `take_with` has seen to be there. Fails if an error was not reached, but for those in coverage-reasons.txt beside
this file; and if one of those was.
"""

import json
import os
import re
import sys
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
REASONS = os.path.join(HERE, "coverage-reasons.txt")
MADE = re.compile(r"\bErr\(|\bError::|\bok_or")
HANDED = re.compile(r"\bwork\b|\bcollection::<|\bself\.store\b|\bops::|\bedit\.|\bw\.")


class File:
    """A source file and the regions counted in it."""

    def __init__(self, path):
        self.name = os.path.relpath(path, ROOT)
        with open(path, encoding="utf-8") as file:
            self.lines = file.read().split("\n")
        self.counts = defaultdict(int)

    def uncovered(self):
        return [region for region, count in self.counts.items() if not count]

    def innermost(self, at):
        """The smallest region around a place: its count, or none."""
        around = [(r[2] - r[0], r[3] - r[1], count) for r, count in self.counts.items() if r[:2] <= at < r[2:]]
        return min(around)[2] if around else None

    def before(self, line, column):
        """The expression that ends at a place: back over brackets, names and dots."""
        text = "\n".join(self.lines[max(0, line - 80):line - 1] + [self.lines[line - 1][:column - 1]])
        end, depth, at = len(text), 0, len(text)
        while at > 0:
            char = text[at - 1]
            if char in ")]}>" and text[at - 2:at] not in ("->", "=>"):
                depth += 1
            elif char in "([{<":
                if not depth:
                    break
                depth -= 1
            elif not depth and not re.match(r"[\w.:?&\s]", char):
                break
            elif not depth and char.isspace() and not text[at:].lstrip().startswith("."):
                break
            at -= 1
        return text[at:end].strip()


def read(path):
    """The files of an export, each region with how often it was run in all its instances."""
    with open(path, encoding="utf-8") as file:
        export = json.load(file)["data"][0]
    files = {}
    wanted = {entry["filename"] for entry in export["files"]}
    for function in export["functions"]:
        for *region, count, file_id, _, kind in function["regions"]:
            name = function["filenames"][file_id]
            if kind == 0 and name in wanted:
                files.setdefault(name, File(name)).counts[tuple(region)] += count
    return sorted(files.values(), key=lambda file: file.name)


def unreached(file):
    """Lines with an error that was not reached, and lines whose `?` only hands one on."""
    errors, handed = set(), set()
    for number, text in enumerate(file.lines, 1):
        code = text.split("//")[0]
        for match in MADE.finditer(code):
            if file.innermost((number, match.start() + 1)) == 0:
                errors.add(number)
    for line, column, end_line, end_column in file.uncovered():
        if line == end_line and file.lines[line - 1][column - 1:end_column - 1] == "?":
            expression = file.before(line, column)
            if MADE.search(expression):
                errors.add(line)
            elif not is_no_error(file, line, expression):
                (handed if HANDED.search(expression) else errors).add(line)
    return sorted(errors), sorted(handed - errors)


def is_no_error(file, number, expression):
    """Whether a `?` answers no error: it is an option's, or reads a word that `take_with` has seen to be there."""
    end = len(expression)
    depth = 0
    for at in range(end - 1, -1, -1):
        depth += (expression[at] == ")") - (expression[at] == "(")
        if not depth:
            end = at
            break
    method = re.search(r"\.(\w+)$", expression[:end])
    if method and re.fullmatch(r"get|get_mut|ok|first|last|next|find|position|checked_\w+", method[1]):
        return True
    before = file.lines[max(0, number - 4):number]
    return method and method[1] == "word" and any(".take_with(" in line for line in before)


def reasons():
    """`file: part of the line: reason`, one a line."""
    with open(REASONS, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return [tuple(part.strip() for part in line.split(" | ", 2)) for line in lines]


def main():
    files, listed, used = read(sys.argv[1]), reasons(), set()
    missing, handed_on = [], []
    print(f"{'file':32}{'regions':>9}{'missed':>8}{'reached':>10}{'errors missed':>15}{'listed':>8}")
    total = [0, 0]
    for file in files:
        errors, handed = unreached(file)
        known = {}
        for number in errors:
            text = file.lines[number - 1]
            known[number] = [r for r in listed if file.name.endswith(r[0]) and r[1] in text]
            used.update(known[number])
        open_errors = [number for number in errors if not known[number]]
        missing += [(file, number) for number in open_errors]
        handed_on += [(file, number) for number in handed]
        regions, missed = len(file.counts), len(file.uncovered())
        total = [total[0] + regions, total[1] + missed]
        print(f"{file.name:32}{regions:9}{missed:8}{100 - 100 * missed / regions:9.1f}%"
              f"{len(open_errors):15}{len(errors) - len(open_errors):8}")
    print(f"{'all':32}{total[0]:9}{total[1]:8}{100 - 100 * total[1] / total[0]:9.1f}%{len(missing):15}")
    for title, places in [("NOT REACHED", missing)] + [("hands on", handed_on)] * ("--all" in sys.argv):
        for file, number in places:
            print(f"{title} {file.name}:{number}: {file.lines[number - 1].strip()}")
    stale = [reason for reason in listed if reason not in used]
    for reason in stale:
        print("IN THE LIST, BUT REACHED OR GONE: " + " | ".join(reason))
    print(f"errors not reached: {len(missing)}; listed with a reason: {len(listed) - len(stale)}; "
          f"places that only hand one on: {len(handed_on)}")
    sys.exit(bool(missing or stale))


main()

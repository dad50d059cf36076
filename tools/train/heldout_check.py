#!/usr/bin/env python3
"""Checks the held-out sets: questions, outside, turns, names, sums (.jsonl) and prompts.txt.

All of them were worded by hand, apart from the training corpus and without looking at it; nothing
here may ever be copied into it. `pumice eval qa` scores a reply as right where it holds any one of
"answers", letters of both cases alike. From that follow the rules that are checked here:

- no answer stands in its own question, in what the user said before it (for turns: between the name
  and the question), so that an echo of the question is not a right answer;
- an answer with a leading space (" -n", " mit") is one that would else be found inside a word;
- a sum's digits are in none of its numbers. A result of one digit would be found in many wrong
  ones, so it counts only in a phrase that gives it ("= 7", "is 7");
- every sum is held out of training (corpus.sums.held_out, where the corpus is there). One-digit
  pairs are all trained on and so cannot be among them: each sum has at least one two-digit number.
"""

import importlib
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
SETS = {"questions": ("pumice", 180), "outside": ("outside", 100), "turns": ("turns", 50),
        "names": ("turns", 50), "sums": ("sums", 200)}
FIELDS = {"category", "question", "answers", "turns"}
PROMPTS = 500


def held_out_rule():
    """The corpus's own rule for sums, or None where there is no corpus."""
    sys.path.insert(0, str(HERE))
    try:
        return importlib.import_module("corpus.sums").held_out
    except ImportError:
        return None


def plain(text):
    return " ".join(re.findall(r"[\w+-]+", text.casefold()))


def line_problems(row, category):
    if set(row) - FIELDS or row.get("category") != category or not row.get("question", "").strip():
        yield "fields are not as they should be"
        return
    turns, answers = row.get("turns", []), row.get("answers", [])
    if not answers or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        yield "no answers"
    if len(answers) != len(set(answers)):
        yield "an answer stands twice"
    if (category == "turns") != (len(turns) >= 2):
        yield f"{len(turns)} earlier turns"
    said = "\n".join(turns[1:] + [row["question"]]).casefold()
    for answer in answers:
        if answer.casefold() in said:
            yield f"the answer {answer!r} is in the question"
    if category == "turns" and answers[0].casefold() not in turns[0].casefold():
        yield "the name is not told"


def sum_problems(row, held_out):
    question, answer = row["question"], row["answers"][0]
    a, b = (int(number) for number in re.findall(r"\d+", question))
    if re.search(r"\b(subtract|take)\b.* from ", question, re.IGNORECASE):
        a, b = b, a
    minus = re.search(r"\d ?- ?\d|minus|less|take|subtract|difference", question, re.IGNORECASE)
    result = a - b if minus else a + b
    if answer.split()[-1] != str(result) or (result < 10) != (len(row["answers"]) > 1):
        yield f"the answer is {answer!r}, not {result}"
    if not 0 <= result <= 198 or max(a, b) > 99 or max(a, b) < 10:
        yield "out of range"
    pairs = [(a, "-", b)] if minus else [(a, "+", b), (b, "+", a)]
    if held_out and not all(held_out(*pair) for pair in pairs):
        yield "not held out of training"


def check_set(name, held_out, seen):
    category, least = SETS[name]
    path = HERE / f"{name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    problems = [] if len(lines) >= least else [f"{path.name}: {len(lines)} lines, want {least}"]
    for number, line in enumerate(lines, 1):
        row = json.loads(line)
        found = list(line_problems(row, category))
        if category == "sums":
            found += sum_problems(row, held_out)
        key = plain(" | ".join(row.get("turns", []) + [row["question"]]))
        if key in seen:
            found.append(f"the same as {seen[key]}")
        seen[key] = f"{path.name}:{number}"
        problems += [f"{path.name}:{number}: {text}: {line[:100]}" for text in found]
    print(f"{path.name}: {len(lines)} lines")
    return problems


def check_prompts():
    lines = (HERE / "prompts.txt").read_text(encoding="ascii").splitlines()
    prompts = [json.loads(line) for line in lines]
    print(f"prompts.txt: {len(prompts)} lines")
    good = all(isinstance(prompt, str) and "\0" not in prompt for prompt in prompts)
    if good and len(prompts) == len(set(prompts)) == PROMPTS and "" in prompts:
        return []
    return [f"prompts.txt: want {PROMPTS} different strings without NUL, an empty one among them"]


def main():
    held_out, seen = held_out_rule(), {}
    problems = [text for name in SETS for text in check_set(name, held_out, seen)] + check_prompts()
    if held_out is None:
        print("no corpus here: whether the sums are held out of it was not checked")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

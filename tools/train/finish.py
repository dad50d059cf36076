"""Makes the shipped model of WORK/pumice-mini-f16.gguf: quantised file, measurements, model card.

What is made on the way lies in WORK/finish. Each file there is kept while nothing that it was made
from has changed (the program itself is not looked at: --again makes all anew), so an interrupted
run goes on where it was.

Only what the model says itself is measured (eval --replies): it was never trained to expect what
users write. Each measured conversation has a chunk of its own, as in use.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import time
from array import array
from pathlib import Path

import card
import common
import goals
import heldout_check
import tokenizer as bpe

ROOT = common.HERE.parent.parent
CALIBRATION_CHUNKS, CALIBRATION_CONTEXT, SENSITIVITY_CHUNKS = 64, 512, 1
HELD_CONVERSATIONS, CHUNK = 128, 96  # measured, and tokens that each of them has at most
MASK = 0x7FFF                         # a token of the corpus without its top bit


class Steps:
    """Files of a folder, each made once from its inputs."""

    def __init__(self, folder, again):
        self.folder, self.hashes = Path(folder), {}
        if again:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _content(self, thing):
        if not isinstance(thing, Path):
            return str(thing)
        about = thing.stat()
        key = (thing, about.st_mtime_ns, about.st_size)
        if key not in self.hashes:
            self.hashes[key] = common.sha256(thing)
        return self.hashes[key]

    def made(self, name, inputs, make):
        """The path of file `name`; make(path) writes it unless it is there from the same inputs
        (paths, whose content counts, and plain values)."""
        path, mark = self.folder / name, self.folder / (name + ".from")
        mine = hashlib.sha256("\n".join([name, *map(self._content, inputs)]).encode()).hexdigest()
        if path.exists() and mark.exists() and mark.read_text() == mine:
            return path
        print(f"{name} ...", end="", flush=True)
        began = time.monotonic()
        path.with_name(name + ".part").unlink(missing_ok=True)
        mark.unlink(missing_ok=True)
        common.replace(path, make)
        common.replace(mark, lambda at: at.write_text(mine))
        print(f" {time.monotonic() - began:.0f} s", flush=True)
        return path


def pumice(o, *words):
    """Runs the program; returns what it printed. What it complains of becomes our one line."""
    command = [str(o.pumice), *map(str, words)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise common.Failure(f"{o.pumice} is missing; build it first (demo/run does) or name it "
                             f"with --pumice") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise common.Failure(f"\n{' '.join(command[1:3])} ended with {done.returncode}: "
                             f"{said[-1] if said else 'no words'}".strip())
    return done.stdout.decode(errors="replace")


# --- Texts -----------------------------------------------------------------------------------


def documents(work, name, wanted):
    """Yields the ids of about `wanted` documents, evenly spread over DIR/NAME.*."""
    stem = Path(work) / name
    starts = array("Q", stem.with_suffix(".starts").read_bytes())
    n = len(starts) - 1
    with open(stem.with_suffix(".tokens"), "rb") as file:
        for k in range(min(wanted, n)):
            first, end = starts[k * n // min(wanted, n)], starts[k * n // min(wanted, n) + 1]
            file.seek(2 * first)
            yield [i & MASK for i in array("H", file.read(2 * (end - first)))]


def asked(tokens, ids):
    """What the user of a conversation says, turn by turn, in plain words."""
    turns = tokens.decode(ids).split("<|im_start|>")
    return [heldout_check.plain(turn.split("\n", 1)[1].replace("<|im_end|>", ""))
            for turn in turns if turn.startswith("user\n")]


def held_out_questions():
    """Plain words of everything that the held-out sets ask."""
    rows = [row for name in goals.SETS for row in read_set(name)]
    return {heldout_check.plain(text) for row in rows for text in (row["question"],
                                                                  *row.get("turns", ()))}


def read_set(name):
    lines = (common.HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def write_ids(path, ids):
    path.write_text(" ".join(map(str, ids)) + "\n")


def calibration(o, tokens, path):
    """Conversations of the training text, one after the other, none with a held-out question."""
    size = CALIBRATION_CHUNKS * CALIBRATION_CONTEXT
    line_end, forbidden, found = tokens.encode("\n"), held_out_questions(), []
    for ids in documents(o.work, "train", size // 8):
        if len(found) >= size:
            break
        if not forbidden.intersection(asked(tokens, ids)):
            found += [*ids, *line_end]
    if len(found) < size:
        raise common.Failure(f"{o.work}/train.tokens: {len(found)} tokens are less than the "
                             f"{size} that calibrate")
    write_ids(path, found[:size])


def chunks_of(conversations, padding):
    """Each conversation as one chunk: cut, or filled up with a token that is not measured."""
    return [i for ids in conversations for i in (ids + [padding] * CHUNK)[:CHUNK]]


def held_text(o, tokens, path):
    write_ids(path, chunks_of(documents(o.work, "held", HELD_CONVERSATIONS), tokens.endoftext))


def questions_text(answers, tokens, path):
    """The pumice questions with what the f16 model answers."""
    rows = json.loads(answers.read_text())["answers"]
    chats = [tokens.chat([("user", row["question"]), ("assistant", row["answer"])])[0]
             for row in rows]
    write_ids(path, chunks_of(chats, tokens.endoftext))


# --- Measurements ----------------------------------------------------------------------------


def answers(o, steps, model, label):
    """{set: path of what the model answers}."""
    limit = ["--limit", o.limit] if o.limit else []
    return {name: steps.made(
        f"{name}-{label}.json", [model, common.HERE / f"{name}.jsonl", o.limit],
        lambda path, name=name: pumice(o, "eval", "qa", "-m", model, common.HERE / f"{name}.jsonl",
                                       "--json", path, *limit)) for name in goals.SETS}


def prompts(o, steps, model):
    """Where the answers to random prompts end; nothing is expected of them but an end."""
    file = common.HERE / "prompts.txt"
    limit = ["--limit", o.limit] if o.limit else []
    return steps.made("prompts.json", [model, file, o.limit], lambda path: pumice(
        o, "eval", "qa", "-m", model, file, "--json", path, *limit))


def divergence(o, steps, model, f16, texts):
    """{text: statistics of the model against f16}."""
    found = {}
    for name, text in texts.items():
        path = steps.made(f"{model.stem}-{name}.json", [model, f16, text], lambda path, text=text:
                          pumice(o, "eval", "kld", "-m", model, "--reference", f16, "-f", text,
                                 "--ids", "--replies", "-c", CHUNK, "--json", path))
        found[name] = json.loads(path.read_text())["runs"][0]["statistics"]
    return found


def within_limits(measured):
    return all(s["same_top"]["value"] >= goals.LEAST_SAME_TOP and
               s["kld"]["mean"]["value"] <= goals.MOST_KLD for s in measured.values())


# --- Quantising ------------------------------------------------------------------------------


def quantised(o, steps, name, f16, matrix, words):
    """(file, plan): the f16 file with the types that `words` ask for."""
    plan = steps.folder / f"{name}.plan.json"

    def make(path):
        said = pumice(o, "quantize", f16, path, *words, "--imatrix", matrix,
                      "--method", goals.METHOD, "--json")
        common.replace(plan, lambda at: at.write_text(said))

    file = steps.made(f"{name}.gguf", [f16, matrix, goals.METHOD, *words], make)
    return file, json.loads(plan.read_text())


def choose(o, steps, f16, texts, calibration_ids):
    """[{name, file, plan, measured}]: the mix first, then budgets from small to large, the last of
    which is shipped: it is the first within the limits, or the largest."""
    matrix = steps.made("imatrix.gguf", [f16, calibration_ids], lambda path: pumice(
        o, "imatrix", "-m", f16, "-f", calibration_ids, "--ids", "--gram", "--process-output",
        "-c", CALIBRATION_CONTEXT, "-o", path))
    sensitivity = steps.made(
        "sensitivity.json", [f16, matrix, calibration_ids, goals.TYPES, SENSITIVITY_CHUNKS],
        lambda path: pumice(o, "quantize", f16, "--budget", goals.MIX, "--types", goals.TYPES,
                            "--imatrix", matrix, "--calibration", calibration_ids, "--ids",
                            "--chunks", SENSITIVITY_CHUNKS, "-c", CALIBRATION_CONTEXT,
                            "--sensitivity", "full", "--sensitivity-file", path, "--dry-run"))
    rows = []

    def measure(name, words):
        file, plan = quantised(o, steps, name, f16, matrix, words)
        rows.append({"name": name, "file": file, "plan": plan,
                     "measured": divergence(o, steps, file, f16, texts)})

    measure(goals.MIX, [goals.MIX])
    for budget in goals.BUDGETS:
        measure(f"budget-{budget}",
                ["--budget", budget, "--types", goals.TYPES, "--sensitivity-file", sensitivity])
        if within_limits(rows[-1]["measured"]):
            break
    return rows


# --- The whole -------------------------------------------------------------------------------


def needed(o):
    """The f16 file, or what to do to have one."""
    f16 = o.work / "pumice-mini-f16.gguf"
    for path in (f16, *(o.work / name for name in (
            "tokenizer.json", "trained.json", "log.jsonl", "corpus.json", "train.tokens",
            "train.starts", "held.tokens", "held.starts"))):
        if not path.exists():
            raise common.Failure(f"{path} is missing; train first (tools/train/run {o.work})")
    return f16


def ship(o, file):
    """Puts the quantised file where the program looks for it."""
    size = file.stat().st_size
    if size > goals.MOST_BYTES:
        raise common.Failure(f"{file} has {size} bytes; the most that is shipped is "
                             f"{goals.MOST_BYTES}")
    out = o.out / "pumice-mini.gguf"
    if not out.exists() or common.sha256(out) != common.sha256(file):
        common.replace(out, lambda path: shutil.copyfile(file, path))
    return out


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", type=Path, default=Path("build/train"),
                   help="what tools/train/run made")
    p.add_argument("--pumice", type=Path, default=ROOT / "build/tools/pumice/pumice",
                   help="the built program")
    p.add_argument("--out", type=Path, default=ROOT / "demo/model",
                   help="folder of the shipped file and its card")
    p.add_argument("--limit", type=int, default=0, help="questions per set, for a trial (0: all)")
    p.add_argument("--again", action="store_true", help="keep nothing of an earlier run")
    return p.parse_args()


def main():
    o = options()
    f16 = needed(o)
    tokens = bpe.Tokenizer.load(o.work / "tokenizer.json")
    steps = Steps(o.work / "finish", o.again)
    vocabulary = o.work / "tokenizer.json"
    calibration_ids = steps.made("calibration.ids", [
        o.work / "train.starts", vocabulary, CALIBRATION_CHUNKS, CALIBRATION_CONTEXT],
        lambda path: calibration(o, tokens, path))
    exact = answers(o, steps, f16, "f16")
    texts = {
        "held": steps.made("held.ids", [o.work / "held.tokens", vocabulary, HELD_CONVERSATIONS,
                                        CHUNK], lambda path: held_text(o, tokens, path)),
        "questions": steps.made("questions.ids", [exact["questions"], vocabulary, CHUNK],
                                lambda path: questions_text(exact["questions"], tokens, path)),
    }
    rows = choose(o, steps, f16, texts, calibration_ids)
    shipped = rows[-1]["file"]
    out = ship(o, shipped)
    small = answers(o, steps, shipped, "quantised")
    ended = prompts(o, steps, shipped)
    facts = card.gather(o.work, f16, out, rows, {"f16": exact, "quantised": small}, ended,
                        {name: read_set(name) for name in goals.SETS})
    common.replace(steps.folder / "card.json",
                   lambda path: path.write_text(json.dumps(facts, indent=1)))
    common.replace(o.out / "README.md", lambda path: path.write_text(card.text(facts)))
    print(card.summary(facts))
    print(f"{out}: {out.stat().st_size} bytes, SHA-256 {facts['file']['sha256']}; card in "
          f"{o.out / 'README.md'}")
    return 0


if __name__ == "__main__":
    common.run("finish.py", main)

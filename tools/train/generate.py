"""Makes the corpus: documents of every kind in their shares, as tokens on disk.

  generate.py --work DIR sample     counts words of a sample and trains DIR/tokenizer.json
  generate.py --work DIR corpus     writes DIR/train.* and DIR/held.* with that tokenizer
  generate.py --work DIR late       writes DIR/late.*: what the last cycle of the training reads
  generate.py --work DIR show KIND  prints a few documents

The same seed, size and corpus modules give the same bytes, whatever the number of processes: the
corpus is made of shards, each from its own random numbers. Shards already there are kept, so an
interrupted run goes on where it was.

Files: .tokens are u16, the top bit set where the model is to say the token (the assistant's text
and its end); .starts are u64, the first token of each document and the end of the last; .kinds
are u8, indices into "kinds" of corpus.json (late.json), which also has the counts.
"""

import argparse
import hashlib
import json
import multiprocessing
import random
import shutil
import signal
import sys
import zlib
from array import array
from itertools import islice
from pathlib import Path

import common
import corpus
import noise
import tokenizer as bpe

WANTED = 0x8000            # top bit of a token: the loss counts it
SHARD_BYTES = 8_000_000    # of text
HELD_ONE_IN = 200          # documents, chosen by their text
PROBE = 200                # documents that tell the mean length of a kind
MAX_RESTARTS = 50          # of a kind that has few documents
PARTS = ("tokens", "starts", "kinds")
SHARDS, LATE_SHARDS = "shards", "late-shards"


def text_of(turns):
    return "\n".join(f"{role}: {text}" for role, text in turns)


def checked(name, turns):
    """`turns` as the template will show them; one that cannot be shown is its author's bug."""
    roles = [role for role, _ in turns]
    rest = roles[1:] if roles[:1] == ["system"] else roles
    wanted = ["user", "assistant"] * (len(rest) // 2)
    if not rest or rest != wanted:
        raise common.Failure(f"corpus kind {name}: a document has the roles {roles}; expected an "
                             f"optional system turn, then user and assistant in turn")
    turns = [(role, text.strip()) for role, text in turns]
    if any(not text for role, text in turns if role == "assistant"):
        raise common.Failure(f"corpus kind {name}: a document has an empty reply: {turns}")
    return turns


def made(kinds, seed, part, size):
    """Yields (kind name, turns) of about `size` bytes of text, each kind in its share.

    `part` names the stretch of random numbers. Kinds come one after the other.
    """
    total = sum(module.WEIGHT for module in kinds.values())
    for name, module in kinds.items():
        probe = [len(text_of(d)) for d in islice(module.documents(random.Random(f"{seed}/{name}"),
                                                                  PROBE), PROBE)]
        if not probe:
            raise common.Failure(f"corpus kind {name} made no documents")
        share = size * module.WEIGHT / total
        mean, left = max(1, sum(probe) / len(probe)), share
        for attempt in range(MAX_RESTARTS):
            rng = random.Random(f"{seed}/{name}/{part}/{attempt}")
            for turns in module.documents(rng, max(1, round(left / mean))):
                left -= len(text_of(turns))
                yield name, checked(name, turns)
            if left <= share * 0.02:
                break


def is_held(turns):
    return zlib.crc32(text_of(turns).encode()) % HELD_ONE_IN == 0


class Documents:
    """Documents as arrays of tokens, to be written or appended."""

    def __init__(self):
        self.tokens, self.starts, self.kinds = array("H"), array("Q", [0]), array("B")

    def add(self, kind, ids, wanted):
        self.tokens.extend(i | WANTED if w else i for i, w in zip(ids, wanted))
        self.starts.append(len(self.tokens))
        self.kinds.append(kind)

    def save(self, stem):
        for part in PARTS:
            data = getattr(self, part)
            common.replace(f"{stem}.{part}", lambda path, d=data: path.write_bytes(d.tobytes()))


def make_shard(job):
    """Writes one shard; returns its counts per kind. Runs in a process of its own."""
    work, folder, seed, number, size = job
    done = Path(f"{folder}/{number:04}.json")
    if done.exists():
        return json.loads(done.read_text())
    late = Path(folder).name == LATE_SHARDS
    part = f"late {number}" if late else number
    kinds = corpus.kinds(late)
    names = list(kinds)
    tokens = bpe.Tokenizer.load(f"{work}/tokenizer.json")
    documents = [d for d in made(kinds, seed, part, size)]
    rng = random.Random(f"{seed}/shard/{part}")
    rng.shuffle(documents)
    train, held = Documents(), Documents()
    counts = {name: {"documents": 0, "tokens": 0, "wanted": 0} for name in names}
    seen = set()
    for name, turns in documents:
        if is_held(turns):
            text = text_of(turns)
            if text not in seen:
                seen.add(text)
                held.add(names.index(name), *tokens.chat(turns))
            continue
        turns = noise.noisy(turns, rng, getattr(kinds[name], "NOISE", 1.0))
        ids, wanted = tokens.chat(turns)
        train.add(names.index(name), ids, wanted)
        count = counts[name]
        count["documents"] += 1
        count["tokens"] += len(ids)
        count["wanted"] += sum(wanted)
    train.save(f"{folder}/{number:04}.train")
    held.save(f"{folder}/{number:04}.held")
    common.replace(done, lambda path: path.write_text(json.dumps(counts)))
    return counts


def join(folder, part_name, stem, shards):
    """Appends the shards' files of `part_name` to stem.*, moving the starts."""
    for part in PARTS:
        def write(path, part=part):
            end = 0
            with open(path, "wb") as out:
                for number in range(shards):
                    shard = f"{folder}/{number:04}.{part_name}.{part}"
                    if part != "starts":
                        with open(shard, "rb") as file:
                            shutil.copyfileobj(file, out)
                        continue
                    starts = array("Q", Path(shard).read_bytes())
                    moved = array("Q", (s + end for s in starts))
                    out.write((moved if number == 0 else moved[1:]).tobytes())
                    end = moved[-1]
        common.replace(f"{stem}.{part}", write)


def fingerprint(seed, megabytes, tokenizer_file):
    """A hash of all that decides the corpus."""
    digest = hashlib.sha256(f"{seed} {megabytes}".encode())
    files = [f for f in sorted((common.HERE / "corpus").rglob("*"))
             if f.is_file() and "__pycache__" not in f.parts]
    files += [common.HERE / "generate.py", common.HERE / "noise.py", Path(tokenizer_file)]
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def sample(options):
    path = Path(options.work) / "tokenizer.json"
    if path.exists() and not options.again:
        print(f"{path} is there; --again makes it anew")
        return 0
    size = min(options.megabytes, options.sample) * 1_000_000
    texts = (text for _, turns in made(corpus.kinds(), options.seed, "sample", size)
             for _, text in turns)
    counts = bpe.count_words(texts)
    learnt = bpe.learn(counts, options.vocabulary)
    if learnt.size != options.vocabulary:
        print(f"note: the sample gave {learnt.size} tokens of {options.vocabulary}",
              file=sys.stderr)
    common.replace(path, learnt.save)
    letters, ids = 0, 0
    for word, n in counts.items():
        letters += n * len(word)
        ids += n * len(learnt.encode(word.decode("utf-8", errors="replace")))
    print(f"{path}: {learnt.size} tokens, {letters / max(1, ids):.2f} bytes a token, "
          f"{len(counts)} different words")
    return 0


def counted(jobs, processes):
    """Makes all shards; returns the counts of all together."""
    totals = {}
    # Ctrl-C is the parent's to answer: a worker's trace would hide its one line.
    with multiprocessing.Pool(min(processes, len(jobs)), signal.signal,
                              (signal.SIGINT, signal.SIG_IGN)) as pool:
        for n, counts in enumerate(pool.imap(make_shard, jobs)):
            for name, count in counts.items():
                total = totals.setdefault(name, dict.fromkeys(count, 0))
                for key, value in count.items():
                    total[key] += value
            print(f"\rcorpus: shard {n + 1} of {len(jobs)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return totals


def make_corpus(options):
    work, late = Path(options.work), options.what == "late"
    if not (work / "tokenizer.json").exists():
        raise common.Failure(f"{work}/tokenizer.json is missing; run `sample` first")
    mark = fingerprint(options.seed, options.megabytes, work / "tokenizer.json")
    about = work / ("late.json" if late else "corpus.json")
    if about.exists() and json.loads(about.read_text())["fingerprint"] == mark:
        print(f"{about} is up to date")
        return 0
    folder = work / (LATE_SHARDS if late else SHARDS)
    shard_mark = folder / "fingerprint"
    if not shard_mark.exists() or shard_mark.read_text() != mark:
        shutil.rmtree(folder, ignore_errors=True)
        common.replace(shard_mark, lambda path: path.write_text(mark))
    shards = max(1, round(options.megabytes * 1_000_000 / SHARD_BYTES))
    totals = counted([(str(work), str(folder), options.seed, n,
                       options.megabytes * 1_000_000 / shards) for n in range(shards)],
                     options.processes)
    join(folder, "train", work / ("late" if late else "train"), shards)
    if not late:
        join(folder, "held", work / "held", shards)
    data = {"fingerprint": mark, "seed": options.seed, "megabytes": options.megabytes,
            "kinds": list(totals), "counts": totals}
    common.replace(about, lambda path: path.write_text(json.dumps(data, indent=1)))
    shutil.rmtree(folder, ignore_errors=True)
    for name, total in totals.items():
        print(f"  {name:24} {total['documents']:9} documents {total['tokens'] / 1e6:7.2f} M tokens "
              f"{total['wanted'] / 1e6:7.2f} M wanted")
    print(f"  {'all':24} {sum(t['documents'] for t in totals.values()):9} documents "
          f"{sum(t['tokens'] for t in totals.values()) / 1e6:7.2f} M tokens")
    return 0


def show(options):
    kinds = corpus.kinds(late=True)
    if options.kind not in kinds:
        raise common.Failure(f"no kind {options.kind}; there are: {', '.join(kinds)}")
    for turns in islice(kinds[options.kind].documents(random.Random(options.seed), 10), 10):
        print(text_of(noise.noisy(checked(options.kind, turns), random.Random(0))), "\n")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", default="build/train", help="folder of everything made")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--megabytes", type=float, default=400, help="text of the corpus")
    parser.add_argument("--sample", type=float, default=40, help="megabytes for the tokenizer")
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="train the tokenizer anew")
    parser.add_argument("what", choices=("sample", "corpus", "late", "show"))
    parser.add_argument("kind", nargs="?")
    options = parser.parse_args()
    return {"sample": sample, "corpus": make_corpus, "late": make_corpus,
            "show": show}[options.what](options)


if __name__ == "__main__":
    common.run("generate.py", main)

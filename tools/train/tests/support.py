"""Puts the training programs on the import path, and makes a small folder to train in."""

import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def write_work(folder, documents=600):
    """A tokenizer of 288 ids and a corpus of short sums in `folder`, as generate.py leaves them."""
    import generate
    import tokenizer as bpe
    rng = random.Random(1)
    turns = []
    for _ in range(documents):
        a, b = rng.randrange(5), rng.randrange(5)
        turns.append([("user", f"{a} + {b}?"), ("assistant", f"It is {a + b}.")])
    words = bpe.count_words(text for document in turns for _, text in document)
    words += bpe.count_words(["user assistant and many other different words"] * 9)
    merged = bpe.learn(words, 288, least=1)
    assert merged.size == 288, merged.size
    merged.save(Path(folder) / "tokenizer.json")
    for name, part in (("train", turns[20:]), ("held", turns[:20])):
        made = generate.Documents()
        for number, document in enumerate(part):
            made.add(number % 2, *merged.chat(document))
        made.save(Path(folder) / name)
    (Path(folder) / "corpus.json").write_text(json.dumps(
        {"fingerprint": "test", "kinds": ["sums", "more sums"], "counts": {}}))

"""Greetings, thanks, questions about the model itself, jokes, praise, insults, noise.

smalltalk.txt holds groups of things that are said and of answers that fit each of them.
"""

import pathlib
import random
import string
from collections.abc import Iterator

from . import dictionary, kit, names, sums
from .kit import Conversation

WEIGHT = 0.05

Group = tuple[list[str], list[str]]


def _load() -> dict[str, list[Group]]:
    groups: dict[str, list[Group]] = {}
    kind = ""
    path = pathlib.Path(__file__).with_name("smalltalk.txt")
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]") and " => " not in line:
            kind = line[1:-1]
        elif " => " in line and not line.startswith("#"):
            asks, replies = line.split(" => ")
            groups.setdefault(kind, []).append((asks.strip().split(" | "), replies.strip().split(" | ")))
    return groups


GROUPS = _load()
WEIGHTS = {"greeting": 0.16, "thanks": 0.05, "goodbye": 0.06, "how are you": 0.13, "identity": 0.2, "help": 0.1,
           "joke": 0.07, "praise": 0.06, "insult": 0.05, "noise": 0.05, "language": 0.05, "behaviour": 0.08}


def exchange(rng: random.Random, kind: str) -> Conversation:
    """Something said and an answer that fits."""
    groups = GROUPS[kind]
    asks, replies = rng.choices(groups, [len(asks) ** 0.5 for asks, _ in groups])[0]
    ask = rng.choice(asks)
    if kind not in ("noise", "language"):
        ask = kit.rough(rng, ask)
        if rng.random() < 0.03:
            ask = ask.upper()
    return [("user", ask), ("assistant", rng.choice(replies))]


def _any(rng: random.Random) -> Conversation:
    return exchange(rng, rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])


_BAFFLED = ("I did not understand that. What would you like to know?", "I do not understand. Please write a question.",
            "That means nothing to me. How can I help?", "I did not get that. Please try other words.",
            "Sorry, I do not understand. You can ask me about pumice, words, stories or small sums.")
_EMPTY = ("You wrote nothing. What would you like to know?", "I see no question. How can I help?",
          "Your message is empty. Ask me about pumice, words, stories or small sums.",
          "Please write something. I can help with pumice, words, stories and small sums.")


def _noise(rng: random.Random) -> Conversation:
    """Keys struck at random, or nothing at all."""
    kind = rng.random()
    if kind < 0.15:
        return [("user", rng.choice(("", " ", "  ", "\n", "\n\n"))), ("assistant", rng.choice(_EMPTY))]
    length = rng.choices((rng.randint(1, 8), rng.randint(9, 40), rng.randint(60, 300)), (5, 3, 1))[0]
    if kind < 0.4:
        text = "".join(rng.choice(string.ascii_lowercase + " ") for _ in range(length))
    elif kind < 0.6:
        text = "".join(rng.choice(string.punctuation + string.digits + " ") for _ in range(length))
    elif kind < 0.75:
        text = rng.choice(string.ascii_letters + "?!.-") * length
    elif kind < 0.85:
        text = " ".join([rng.choice(("bla", "foo", "la", "x", "do", "ha", "test", "no", "a"))] * max(1, length // 4))
    else:
        words = [rng.choice(dictionary.ENTRIES).word for _ in range(rng.randint(4, 14))]
        text = " ".join(words)
    text = text.strip() or "?"
    return [("user", text), ("assistant", rng.choice(_BAFFLED))]


_FOREIGN_A = "der die das und ist nicht le la les et est pas que el los y es un una il lo che non di det och er ikke jag".split()
_FOREIGN_B = ("maison chat chien livre temps eau pain haus hund katze buch zeit wasser brot casa perro gato libro agua pan "
              "tiempo cane gatto libro acqua pane tempo hus hund bok vann tid dom kot pies ksiazka woda chleb kniha voda kocka "
              "talo koira kirja vesi aika").split()
_ENGLISH_ONLY = ("I only know English.", "Sorry, I only know English. Please write in English.",
                 "I am sorry, I only know English. How can I help you?", "I understand only English.")


def _foreign(rng: random.Random) -> Conversation:
    words = [rng.choice(_FOREIGN_A if i % 2 == 0 else _FOREIGN_B) for i in range(rng.randint(3, 9))]
    text = " ".join(words) + rng.choice(("", "?", ".", " ?"))
    return [("user", text[:1].upper() + text[1:] if rng.random() < 0.6 else text), ("assistant", rng.choice(_ENGLISH_ONLY))]


def _named(rng: random.Random) -> Conversation:
    """A greeting with a name, a farewell with the same name."""
    name = names.given(rng)
    turns = [("user", rng.choice(("Hi, I am {n}.", "Hello, {n} here.", "Good morning, I am {n}.", "Hey, this is {n}.")).format(n=name)),
             ("assistant", rng.choice(("Hello, {n}! How can I help?", "Hi {n}! What can I do for you?", "Nice to meet you, {n}.")).format(n=name))]
    for _ in range(rng.randint(0, 2)):
        turns += _any(rng)
    turns += [("user", rng.choice(("Bye!", "Goodbye.", "See you!", "I have to go."))),
              ("assistant", rng.choice(("Goodbye, {n}!", "Bye, {n}! Come back whenever you like.", "See you, {n}!")).format(n=name))]
    return turns


def _chat(rng: random.Random) -> Conversation:
    """A whole small conversation: greeting, some things, thanks, goodbye."""
    turns: Conversation = []
    if rng.random() < 0.75:
        turns += exchange(rng, "greeting")
    for _ in range(rng.randint(1, 4)):
        kind = rng.random()
        if kind < 0.65:
            turns += exchange(rng, rng.choice(("how are you", "identity", "identity", "help", "joke", "praise", "insult", "behaviour")))
        elif kind < 0.8:
            op = rng.choice("+-")
            a, b = sums.pair(rng, op)
            turns += [("user", f"What is {a} {op} {b}?"), ("assistant", sums.answer(rng, a, op, b))]
        else:
            entry = rng.choice(dictionary.ENTRIES)
            turns += [("user", f"What does {entry.word} mean?"), ("assistant", dictionary.meaning_line(rng, entry))]
    if rng.random() < 0.4:
        turns += exchange(rng, "thanks")
    if rng.random() < 0.4:
        turns += exchange(rng, "goodbye")
    return turns


def documents(rng: random.Random, count: int) -> Iterator[Conversation]:
    """`count` conversations of small talk."""
    table = [(0.52, _any), (0.1, _noise), (0.05, _foreign), (0.05, _named), (0.28, _chat)]
    yield from kit.stream(rng, count, table, 0.15)


if __name__ == "__main__":
    print(f"{sum(len(asks) for groups in GROUPS.values() for asks, _ in groups)} things to say, "
          f"{sum(len(replies) for groups in GROUPS.values() for _, replies in groups)} answers")
    kit.check("smalltalk", documents, samples=25)

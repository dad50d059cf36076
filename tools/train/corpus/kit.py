"""What all generators share: how users type, light system prompts, small talk between turns."""

import random
import re
from collections.abc import Callable, Iterator

Turn = tuple[str, str]
Conversation = list[Turn]

# The trainer adds typing noise of its own after the tokenizer is made (misspellings spoil the
# statistics a tokenizer learns from), so this is for use without it.
TYPOS = False

SYSTEM_LINES = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a friendly helper.",
    "You are the small built-in model of pumice.",
    "You are pumice-mini, a small built-in helper.",
    "You are pumice's helper. Be brief and honest.",
    "Answer briefly.",
    "Answer in plain words.",
    "Be kind and keep your answers short.",
    "You are an assistant. If you do not know something, say so.",
    "You answer questions about pumice, tell stories and do small sums.",
    "Help the user. Do not make things up.",
    "You are a polite assistant running on the user's own machine.",
    "Be helpful, honest and short.",
)


def with_system(rng: random.Random, turns: Conversation, share: float = 0.12) -> Conversation:
    """The conversation, now and then with a light system prompt before it."""
    if turns and turns[0][0] != "system" and rng.random() < share:
        return [("system", rng.choice(SYSTEM_LINES))] + turns
    return turns


def choose(rng: random.Random, table: list[tuple[float, Callable]]) -> Callable:
    """One entry of a table of (weight, value)."""
    return rng.choices([value for _, value in table], [weight for weight, _ in table])[0]


def stream(rng: random.Random, count: int,
           table: list[tuple[float, Callable[[random.Random], Conversation]]],
           system: float = 0.12) -> Iterator[Conversation]:
    """`count` conversations drawn from a table of (weight, maker)."""
    makers = [maker for _, maker in table]
    weights = [weight for weight, _ in table]
    for maker in rng.choices(makers, weights, k=count):
        yield with_system(rng, maker(rng), system)


_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def expand(rng: random.Random, template: str) -> str:
    """Replaces each innermost [a|b|c] by one of its choices; a choice may be empty."""
    while True:
        replaced = _CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), template)
        if replaced == template:
            return re.sub(r" {2,}", " ", replaced).replace(" ,", ",").replace(" .", ".").strip()
        template = replaced


_SLIPS = {
    "what": "waht", "the": "teh", "please": "plese", "tell": "tel", "story": "stroy",
    "about": "abuot", "you": "u", "are": "r", "does": "dose", "because": "becuase", "know": "kno",
    "how": "hwo", "much": "mcuh", "friend": "freind", "their": "thier", "name": "nmae",
    "mean": "meen", "which": "wich", "word": "wrod", "can": "cna", "with": "wiht",
}


def _slip(rng: random.Random, text: str) -> str:
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) > 3 and word.isalpha()
              and word.islower()]
    known = [i for i, word in enumerate(words) if word in _SLIPS]
    if known and rng.random() < 0.6:
        at = rng.choice(known)
        words[at] = _SLIPS[words[at]]
    elif places:
        at = rng.choice(places)
        word = words[at]
        cut = rng.randrange(1, len(word) - 1)
        words[at] = rng.choice((word[:cut] + word[cut + 1:],
                                word[:cut] + word[cut + 1] + word[cut] + word[cut + 2:],
                                word[:cut] + word[cut] + word[cut:]))
    return " ".join(words)


def rough(rng: random.Random, text: str, share: float = 0.3, typos: float = 0.04) -> str:
    """The user's text as people type it: some without capital, without mark, with a slip."""
    if rng.random() < share:
        shape = rng.randrange(4)
        if shape != 0:
            text = re.sub(r"[.?!]+$", "", text)
        words = text.split(" ", 1)
        if shape != 1 and words[0] not in ("I", "I'm") and len(words[0]) > 1 or words[0] == "A":
            text = text[:1].lower() + text[1:]
        if shape == 3 and text.endswith("?") is False and rng.random() < 0.2:
            text += rng.choice(("??", "...", " please", "!"))
    if TYPOS and rng.random() < typos:
        text = _slip(rng, text)
    return text


def check(name: str, documents: Callable[[random.Random, int], Iterator[Conversation]],
          count: int = 4000, samples: int = 12) -> None:
    """Prints what a module yields: counts, distinct words, a few whole conversations."""
    rng = random.Random(1)
    words: dict[str, int] = {}
    answers: set[str] = set()
    asked: set[str] = set()
    characters = turns = 0
    kept: list[Conversation] = []
    for index, conversation in enumerate(documents(rng, count)):
        turns += sum(1 for role, _ in conversation if role == "assistant")
        for role, text in conversation:
            characters += len(text)
            (answers if role == "assistant" else asked).add(text)
            for word in re.findall(r"[A-Za-z']+", text.lower()):
                words[word] = words.get(word, 0) + 1
        if index % max(1, count // samples) == 0:
            kept.append(conversation)
    print(f"{name}: {count} conversations, {turns} answers, {characters} characters, "
          f"{len(words)} distinct words ({sum(1 for n in words.values() if n >= 50)} of them 50 "
          f"times or more), {len(answers)} distinct answers, {len(asked)} distinct requests")
    for conversation in kept[:samples]:
        print("-" * 60)
        for role, text in conversation:
            print(f"{role}: {text}")

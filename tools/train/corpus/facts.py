"""Conversations about pumice itself, from the hand-written facts in facts/*.txt.

Owns: reading and checking those files, the composition of conversations out of them, and the
surface changes (`dress`) that multiply a wording. Owns no fact: every fact and every wording is
text in facts/. Run `python3 -m corpus.facts` in tools/train to check and count them.

A fact file is a list of entries:

    == id                     the entry's name; a later entry of the same name adds to it
    key: a | b                each answer contains one of these (case is ignored); may be repeated
    after: id id ...          the facts after which the elliptical questions of F: make sense
    A:                        answers, one per line
    Q:                        questions, one per line
    F:                        follow-ups that only make sense after one of `after`
    YES: / NO:                questions whose answer begins with that word
    P:                        question => its own answer

`#` begins a comment line; {name} is replaced from FIGURES; [a|b|] takes one of the alternatives.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import re
from typing import Callable, Iterable, Iterator

WEIGHT = 0.40

Conversation = list[tuple[str, str]]

FOLDER = pathlib.Path(__file__).with_suffix("")

# What the trainer decides; the facts quote it from here.
FIGURES = {"mini_weights": "7 million", "mini_context": "512"}

SECTIONS = {"A:": "answers", "Q:": "questions", "F:": "follow_ups", "YES:": "yes", "NO:": "no",
            "P:": "pairs"}


@dataclasses.dataclass
class Fact:
    """One fact with its wordings; `topic` is the file that it first stood in."""

    name: str
    topic: str
    keys: list[list[str]] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)
    answers: list[str] = dataclasses.field(default_factory=list)
    questions: list[str] = dataclasses.field(default_factory=list)
    follow_ups: list[str] = dataclasses.field(default_factory=list)
    yes: list[str] = dataclasses.field(default_factory=list)
    no: list[str] = dataclasses.field(default_factory=list)
    pairs: list[str] = dataclasses.field(default_factory=list)

    def wordings(self) -> int:
        """How many hand-written questions lead to this fact."""
        return sum(len(x) for x in (self.questions, self.follow_ups, self.yes, self.no, self.pairs))


def load(folder: pathlib.Path = FOLDER) -> dict[str, Fact]:
    """All facts of a folder by name; ValueError with file and line where one is malformed."""
    facts: dict[str, Fact] = {}
    for path in sorted(folder.glob("*.txt")):
        fact, section = None, ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            for name, value in FIGURES.items():
                line = line.replace("{" + name + "}", value)
            if line.startswith("== "):
                name, section = line[3:].strip(), ""
                fact = facts.setdefault(name, Fact(name, path.stem))
            elif fact is None:
                raise ValueError(f"{path.name}:{number}: text before the first entry")
            elif line in SECTIONS:
                section = SECTIONS[line]
            elif section:
                getattr(fact, section).append(line)
            elif line.startswith("key:"):
                fact.keys.append([key.strip() for key in line[4:].split("|")])
            elif line.startswith("after:"):
                fact.after += line[6:].split()
            else:
                raise ValueError(f"{path.name}:{number}: neither a section nor key: or after:")
    return facts


def complaints(facts: dict[str, Fact]) -> list[str]:
    """What is wrong with the facts, one line each: missing keys, answers without their key term,
    pairs without an arrow, one wording for two facts."""
    found: list[str] = []
    owner: dict[str, str] = {}
    for fact in facts.values():
        if not fact.keys or len(fact.answers) < 3 or len(fact.questions) < 8:
            found.append(f"{fact.name}: too little: {len(fact.keys)} keys, "
                         f"{len(fact.answers)} answers, {len(fact.questions)} questions")
        for answer in fact.answers:
            for key in fact.keys:
                if not any(word.casefold() in answer.casefold() for word in key):
                    found.append(f"{fact.name}: no {' | '.join(key)} in: {answer}")
        for pair in fact.pairs:
            if pair.count(" => ") != 1:
                found.append(f"{fact.name}: a pair needs one ' => ': {pair}")
        for wording in fact.questions + fact.yes + fact.no:
            plain = re.sub(r"[^\w+#/. -]", "", wording).strip(" .").casefold()
            if owner.get(plain, fact.name) != fact.name:
                found.append(f"{fact.name}: also in {owner[plain]}: {wording}")
            owner[plain] = fact.name
    return found


# --- Surface: what one hand-written wording may also look like -------------------------------

# Whole words or phrases of which any may stand for any other.
SYNONYMS = [
    ("graphics card", "gpu", "card", "video card", "graphics card"),
    ("computer", "machine", "pc", "computer"),
    ("program", "software", "tool", "program", "app"),
    ("flag", "option", "switch", "flag"),
    ("quantise", "quantize"),
    ("quantised", "quantized"),
    ("quantising", "quantizing"),
    ("quantisation", "quantization"),
    ("answer", "reply", "response", "answer"),
    ("answers", "replies", "responses", "answers"),
    ("big", "large"),
    ("bigger", "larger"),
    ("quick", "fast"),
    ("wrong", "incorrect", "wrong"),
    ("need", "require", "need"),
    ("needed", "required", "necessary"),
    ("make", "create", "make"),
    ("begin", "start"),
    ("show", "print", "display", "show"),
    ("choose", "pick", "select"),
    ("explain", "describe", "explain"),
    ("built-in model", "model in the box", "built-in model", "included model", "default model"),
    ("model file", "file", "model file", "gguf file"),
    ("i would like to", "i want to", "i'd like to"),
    ("cannot", "can't"),
    ("do not", "don't"),
    ("does not", "doesn't"),
    ("is not", "isn't"),
    ("what is", "what's", "what is"),
]

# How an opening may be turned: the rest of the sentence stays.
OPENINGS = [
    (r"how do i (.+)", ["how can I {}", "how to {}", "what do I do to {}", "I want to {}. How?",
                        "is there a way to {}", "what is the way to {}", "show me how to {}",
                        "how would I {}", "I'd like to {}, how", "tell me how to {}",
                        "what must I type to {}", "can you help me to {}", "trying to {}",
                        "I need to {}", "how does one {}", "how should I {}"]),
    (r"how can i (.+)", ["how do I {}", "how to {}", "is there a way to {}", "I want to {}",
                         "tell me how I can {}"]),
    (r"what is (?:a |an |the )?([\w.+-]+(?: [\w.+-]+)?)",
     ["explain {}", "tell me about {}", "what does {} mean", "what do you know about {}",
      "can you explain {}", "I don't know what {} is", "{} - what is that", "meaning of {}",
      "what do people mean by {}", "I keep reading about {}. What is it?", "{}, please explain",
      "what's the meaning of {}", "describe {}", "give me a definition of {}",
      "{} explained", "never heard of {}"]),
    (r"what does ([\w.+-]+(?: [\w.+-]+)?) mean",
     ["what is {}", "meaning of {}", "explain {}", "what do they mean by {}", "{} means what"]),
    (r"what does ((?:pumice )?[\w-]+) do",
     ["what is {} for", "explain {}", "what happens with {}", "what do I use {} for",
      "tell me what {} does", "purpose of {}", "when do I need {}"]),
    (r"where is (.+)", ["where can I find {}", "where do I find {}", "where does one see {}"]),
    (r"where do i (.+)", ["where can I {}", "where should I {}", "in which place do I {}"]),
    (r"can i (.+)", ["may I {}", "is it possible to {}", "am I able to {}", "could I {}"]),
    (r"is there (.+)", ["do you have {}", "does pumice have {}", "I am looking for {}"]),
    (r"which command (.+)", ["what command {}", "name the command that {}",
                             "what is the command that {}"]),
    (r"which flag (.+)", ["what flag {}", "name the flag that {}", "what is the flag that {}",
                          "what option {}"]),
    (r"why (.+)", ["tell me why {}", "can you say why {}", "I wonder why {}"]),
    (r"it says (.+)", ["I get {}", "error: {}", "the message is {}", "pumice says {}",
                       "what does it mean when it says {}", "it tells me {}", "it printed {}",
                       "what can I do about {}", "{} - what now"]),
]

PREFIXES = ["hi, ", "hello, ", "hey, ", "quick question: ", "question: ", "ok, ", "so, ", "well, ",
            "sorry, ", "please, ", "one question: ", "hi! ", "hello. ", "good morning. ",
            "excuse me, ", "I have a question. ", "another thing: ", "now ", "tell me, ",
            "maybe you know: ", "just wondering, ", "hi there, ", "um, ", "btw ", "and ", "also, ",
            "I am curious, ", "can you tell me, ", "do you know, ", "help: ", "for a beginner: ",
            "short question, ", "yo, ", "thank you. ", "thanks. "]
SUFFIXES = [" please", ", please", " thanks", ", thank you", " in pumice", " with pumice", " here",
            ", do you know", " exactly", " again", " in short", ", briefly", " then", " actually"]


def choose_alternatives(rng: random.Random, text: str) -> str:
    """Replaces each [a|b|c] by one of its parts."""
    return re.sub(r"\[([^\[\]]*\|[^\[\]]*)\]", lambda m: rng.choice(m[1].split("|")), text)


def vary_words(rng: random.Random, text: str) -> str:
    """Swaps a few words for their synonyms."""
    for group in SYNONYMS:
        pattern = r"\b(" + "|".join(re.escape(w) for w in dict.fromkeys(group)) + r")\b(?![.-]\w)"
        if re.search(pattern, text) and rng.random() < 0.4:
            text = re.sub(pattern, rng.choice(group), text, count=1)
    return text


def turn_opening(rng: random.Random, text: str) -> str:
    """Says the same sentence with another opening, where one is known."""
    for pattern, forms in OPENINGS:
        match = re.fullmatch(pattern, text.rstrip("?. "), re.IGNORECASE)
        if match:
            return rng.choice(forms).format(match[1])
    return text


def punctuate(rng: random.Random, text: str) -> str:
    """Question marks and capitals as people do or do not write them."""
    if text.endswith("?") and rng.random() < 0.25:
        text = text[:-1].rstrip()
    elif text[-1].isalnum() and rng.random() < 0.35:
        asks = re.search(r"\b(what|how|why|where|which|who|can|does|do|is|are|will|may)\b",
                         text.lower())
        text += "?" if asks else rng.choice([".", "?", "", "!"])
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    elif rng.random() < 0.08:
        text = text.lower()
    return text


def dress(rng: random.Random, question: str, noise: float = 1.0) -> str:
    """A hand-written question as some user might say it. `noise` scales how often it changes;
    0 leaves everything but the choice of alternatives. Slips of the fingers are the trainer's."""
    text = choose_alternatives(rng, question)
    if rng.random() < 0.3 * noise:
        text = turn_opening(rng, text)
    if rng.random() < 0.4 * noise:
        text = vary_words(rng, text)
    if rng.random() < 0.07 * noise and len(text) < 60 and text[-1].isalnum():
        text += rng.choice(SUFFIXES)
    if rng.random() < 0.15 * noise:
        keep = re.match(r"(I|GGUF|NVIDIA|AMD|HF|VRAM|KV|IQ|Q\d|F\d|-)\b", text)
        text = rng.choice(PREFIXES) + (text if keep else text[0].lower() + text[1:])
    return punctuate(rng, text) if noise else text


# --- Composition -----------------------------------------------------------------------------

# First words of answers that read badly after "Yes." or "No.".
NOT_AFTER_YES = {"Nothing", "Nobody", "Type", "Through", "Only", "Give", "Put", "Write"}

SYSTEMS = ["You are a helpful assistant.", "You are the built-in model of pumice.",
           "You are a small helper. Answer briefly.", "You answer questions about pumice.",
           "Be short and friendly.", "You are pumice, a small assistant."]

GREETINGS = [
    ("hello", ["Hello! What would you like to know?", "Hello. How can I help you?"]),
    ("hi", ["Hi! What can I do for you?", "Hi. Ask me something."]),
    ("hi there", ["Hi! What is your question?", "Hello! How can I help you?"]),
    ("hey", ["Hey! What can I do for you?", "Hello! What would you like to know?"]),
    ("good morning", ["Good morning! How can I help you?", "Good morning. What is your question?"]),
    ("good evening", ["Good evening! What can I do for you?"]),
    ("hello, can you help me?", ["Hello! I will try. What is it about?", "Yes, what is it?"]),
    ("I have a question", ["Please ask.", "Go on, what is your question?"]),
    ("I have a few questions about pumice", ["Please ask. I know pumice well.", "Go on, ask."]),
    ("may I ask something?", ["Of course. What is it?", "Yes, please ask."]),
]

# Openings after which only questions about trouble make sense.
CALLS = [
    ("I need help", ["What is the problem?", "Tell me what happened, and I will try to help."]),
    ("something does not work", ["What happens? Tell me the message.", "What does it say?"]),
    ("I have a problem", ["What is it?", "What happens? Tell me more."]),
    ("help!", ["What is wrong?", "What happened?"]),
    ("it is broken", ["What does it say?", "What happens? Tell me the message."]),
]

THANKS = [
    ("thanks", ["You are welcome.", "You are welcome. Ask me more if you like."]),
    ("thank you", ["You are welcome.", "With pleasure."]),
    ("great, thanks", ["You are welcome.", "Good luck!"]),
    ("ok, that helps", ["I am glad.", "Good. Ask me if there is more."]),
    ("perfect", ["I am glad that it helps.", "Good!"]),
    ("ok", ["Good. Is there anything else?", "Ask me if you want to know more."]),
    ("I see", ["Good. Ask me more if you like.", "Is there anything else?"]),
    ("thanks, bye", ["You are welcome. Goodbye!", "Goodbye!"]),
]


class Deck:
    """Deals its items in random order, all of them before any comes again."""

    def __init__(self, items: Iterable):
        self.items = list(items)
        self.left: list = []

    def deal(self, rng: random.Random):
        if not self.left:
            self.left = self.items[:]
            rng.shuffle(self.left)
        return self.left.pop()


class Teller:
    """Composes conversations; of one fact every wording and answer comes up equally often."""

    def __init__(self, facts: dict[str, Fact], noise: float = 1.0):
        self.facts, self.noise = facts, noise
        # A fact with many wordings is one that people ask about.
        self.names = Deck(name for name, fact in facts.items()
                          for _ in range(max(1, round(fact.wordings() / 20))))
        self.questions = {name: Deck(fact.questions) for name, fact in facts.items()}
        self.answers = {name: Deck(fact.answers) for name, fact in facts.items()}
        self.closed = Deck((name, word, line) for name, fact in facts.items()
                           for word, lines in (("Yes.", fact.yes), ("No.", fact.no))
                           for line in lines)
        self.pairs = Deck(line for fact in facts.values() for line in fact.pairs)
        self.chains = Deck((first, name, line) for name, fact in facts.items()
                           for line in fact.follow_ups for first in fact.after if first in facts)
        self.successors: dict[str, list[str]] = {}
        for name, fact in facts.items():
            for first in fact.after:
                if fact.follow_ups:
                    self.successors.setdefault(first, []).append(name)
        self.topics: dict[str, list[str]] = {}
        for fact in facts.values():
            self.topics.setdefault(fact.topic, []).append(fact.name)

    def turn(self, rng: random.Random, name: str, question: str | None = None,
             noise: float | None = None) -> Conversation:
        """One question about a fact and its answer."""
        asked = question if question is not None else self.questions[name].deal(rng)
        asked = dress(rng, asked, self.noise if noise is None else noise)
        return [("user", asked), ("assistant", self.answers[name].deal(rng))]

    def single(self, rng: random.Random) -> Conversation:
        return self.turn(rng, self.names.deal(rng))

    def yes_or_no(self, rng: random.Random) -> Conversation:
        name, word, question = self.closed.deal(rng)
        talk = self.turn(rng, name, question, 0.5 * self.noise)
        answer = talk[1][1]
        while answer.split()[0].strip(".,:") in NOT_AFTER_YES:
            answer = self.answers[name].deal(rng)
        if not answer.startswith(word.rstrip(".")):
            answer = f"{word} {answer}"
        return [talk[0], ("assistant", answer)]

    def pair(self, rng: random.Random) -> Conversation:
        question, answer = self.pairs.deal(rng).split(" => ")
        return [("user", dress(rng, question, 0.5 * self.noise)), ("assistant", answer)]

    def follow_up(self, rng: random.Random) -> Conversation:
        first, name, line = self.chains.deal(rng)
        talk = self.turn(rng, first) + self.turn(rng, name, line, 0.3 * self.noise)
        nexts = [n for n in self.successors.get(name, []) if n != first]
        if nexts and rng.random() < 0.3:
            last = rng.choice(nexts)
            talk += self.turn(rng, last, rng.choice(self.facts[last].follow_ups), 0.3 * self.noise)
        return talk

    def same_topic(self, rng: random.Random) -> Conversation:
        name = self.names.deal(rng)
        talk = self.turn(rng, name)
        others = [n for n in self.topics[self.facts[name].topic] if n != name]
        for other in rng.sample(others, rng.choice([1, 1, 2])):
            talk += self.turn(rng, other)
        return talk

    def mixed_topics(self, rng: random.Random) -> Conversation:
        return [t for _ in range(rng.choice([2, 2, 3])) for t in self.single(rng)]

    def greeted(self, rng: random.Random) -> Conversation:
        trouble = rng.random() < 0.25
        words, replies = rng.choice(CALLS if trouble else GREETINGS)
        hello = [("user", punctuate(rng, words)), ("assistant", rng.choice(replies))]
        if trouble:
            return hello + self.turn(rng, rng.choice(self.topics["g_trouble"]))
        return hello + rng.choice([self.single, self.single, self.follow_up])(rng)

    def thanked(self, rng: random.Random) -> Conversation:
        words, replies = rng.choice(THANKS)
        talk = rng.choice([self.single, self.follow_up])(rng)
        return talk + [("user", punctuate(rng, words)), ("assistant", rng.choice(replies))]

    def shapes(self) -> list[tuple[float, Callable[[random.Random], Conversation]]]:
        """The kinds of conversation and their shares."""
        return [(50, self.single), (7, self.yes_or_no), (3, self.pair), (16, self.follow_up),
                (9, self.same_topic), (6, self.mixed_topics), (5, self.greeted), (4, self.thanked)]


def with_system(rng: random.Random, talk: Conversation) -> Conversation:
    """Some conversations begin with a system text."""
    return [("system", rng.choice(SYSTEMS))] + talk if rng.random() < 0.06 else talk


def documents(rng: random.Random, count: int, noise: float = 1.0) -> Iterator[Conversation]:
    """`count` conversations; noise 0 gives the wordings as they are written."""
    facts = load()
    found = complaints(facts)
    if found:
        raise ValueError("; ".join(found[:5]))
    teller = Teller(facts, noise)
    weights, shapes = zip(*teller.shapes())
    for _ in range(count):
        yield with_system(rng, rng.choices(shapes, weights)[0](rng))


# --- Check by hand ---------------------------------------------------------------------------

def report() -> int:
    """Prints the facts, their wordings, the vocabulary and ten samples; 1 where one is wrong."""
    facts = load()
    found = complaints(facts)
    for line in found:
        print("!", line)
    words: set[str] = set()
    for fact in facts.values():
        text = " ".join(fact.answers + fact.questions + fact.follow_ups + fact.yes + fact.no)
        words.update(re.findall(r"[a-z']+", text.lower()))
        key = ", ".join("/".join(key) for key in fact.keys)
        print(f"{fact.name:22} {fact.wordings():3} wordings {len(fact.answers):2} answers  {key}")
    total = sum(fact.wordings() for fact in facts.values())
    answers = sum(len(fact.answers) for fact in facts.values())
    print(f"{len(facts)} facts, {total} wordings ({total / len(facts):.1f} a fact), "
          f"{answers} answers, {len(words)} distinct words, {len(found)} complaints")
    if not found:
        for talk in documents(random.Random(1), 10):
            print()
            for role, text in talk:
                print(f"{role}: {text}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(report())

"""An own dictionary of plain words: meanings, examples, kinds, opposites, paraphrases.

words/*.txt holds the entries by class, words/frames.txt sentences by class, words/world.txt simple
knowledge of the world. Every word appears in many sentences with changing companions.
"""

import dataclasses
import pathlib
import random
import re
from collections.abc import Iterator

from . import kit, language, names
from .kit import Conversation
from .language import article, listed, plural

WEIGHT = 0.15

_FOLDER = pathlib.Path(__file__).with_name("words")

NOUN_FILES = ("nouns_living.txt", "nouns_things.txt", "nouns_world.txt")

# The frames each class of noun uses; a class that is not here uses those of its own name.
FRAMES_OF = {
    "animal": ["animal-like"], "bird": ["animal-like", "bird", "bird"],
    "sea animal": ["sea animal", "sea animal", "animal-sea"],
    "insect": ["insect", "insect", "animal-like"], "fruit": ["edible", "fruit"],
    "vegetable": ["edible", "vegetable"], "food": ["edible"], "tool": ["object", "tool"],
    "kitchen thing": ["object", "kitchen thing"], "furniture": ["object", "furniture"],
    "clothing": ["object", "clothing", "clothing"], "container": ["object", "container"],
    "vehicle": ["object", "vehicle", "vehicle"], "toy": ["object", "toy"],
    "instrument": ["object", "instrument"], "thing": ["object", "thing"],
}

# What a member of the class is called in "is a fox an animal?" and "name three animals".
KIND_NAMES = {
    "animal": "animal", "bird": "bird", "sea animal": "sea animal", "insect": "small creature",
    "person": "person", "family": "member of a family", "body": "part of a body", "plant": "plant",
    "fruit": "fruit", "vegetable": "vegetable", "food": "food", "drink": "drink", "tool": "tool",
    "kitchen thing": "kitchen thing", "furniture": "piece of furniture",
    "house part": "part of a house", "building": "building", "clothing": "piece of clothing",
    "container": "container", "vehicle": "vehicle", "toy": "toy",
    "instrument": "musical instrument", "material": "material", "shape": "shape",
    "colour": "colour", "landscape": "place in nature", "weather": "kind of weather",
    "feeling": "feeling", "computing": "computer word", "event": "event", "time": "time",
}
WIDER = {"bird": "animal", "sea animal": "animal", "insect": "animal", "fruit": "food",
         "vegetable": "food"}

MASS = set("""water milk tea coffee juice lemonade wine beer cocoa bread butter cheese meat ham bacon soup
rice pasta jam honey sugar salt flour chocolate candy porridge yoghurt cream sauce toast stew garlic spinach
celery wood iron steel gold silver copper metal clay sand wool cotton silk leather rubber plastic wax oil
coal chalk straw ink paint pumice rain snow wind thunder lightning fog frost ice hail sunshine heat joy
happiness sadness anger fear love hate hope courage pride shame pity pain hunger thirst trust doubt envy
curiosity patience kindness worry peace friendship luck help danger safety success failure freedom power
strength weakness health illness beauty wisdom knowledge work music noise silence weight money advice news
truth data hair blood skin fur grass moss ivy wheat effort permission corn clover string cloth glue soap paper furniture
springtime noon midnight dawn dusk breakfast lunch dinner supper surprise bark software skill speed
war paint salad cabbage lettuce time""".split())
PAIRS = {"scissors", "pliers", "trousers", "stairs", "scales", "cards", "dice"}
UNIQUE = {"sun", "moon", "sky", "ground", "world", "sea", "future", "past", "beginning", "end"}

ADJECTIVES = "small old new heavy red blue green beautiful strange broken dirty clean little".split()
PLACES = """the garden|the forest|the park|the meadow|the yard|the street|the field|the old barn|the kitchen|
the village|the valley|the station|the market|the harbour|the school|the hall|the cave|the castle|the mill|
the orchard|the tall grass|the shadow of the wall|the cellar|the snow|the corner""".replace("\n", "").split("|")
NUMBERS = "two three four five six seven eight nine ten twelve twenty".split()
FREQUENCY = {"always", "often", "never", "seldom", "sometimes", "already"}
FUTURE = {"soon", "later", "tomorrow", "tonight", "today", "now", "immediately", "early", "finally"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One meaning of one word."""
    word: str
    part: str       # noun, verb, adjective or adverb
    kind: str       # the section: "animal", "move", ...
    meaning: str
    same: str
    opposite: str
    irregular: str


def _read_entries(file: str, part: str) -> list[Entry]:
    entries, kind = [], ""
    for line in (_FOLDER / file).read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line.startswith("["):
            kind = line[1:-1]
        elif line and not line.startswith("#"):
            cells = (line.split("|") + [""] * 4)[:5]
            entries.append(Entry(cells[0], part, kind, cells[1], cells[2], cells[3], cells[4]))
    return entries


_ADVERB_KINDS = {"manner", "when", "where", "degree"}


def _load() -> list[Entry]:
    entries = [entry for file in NOUN_FILES for entry in _read_entries(file, "noun")]
    entries += _read_entries("verbs.txt", "verb")
    for entry in _read_entries("describing.txt", "adjective"):
        part = "adverb" if entry.kind in _ADVERB_KINDS else "adjective"
        entries.append(dataclasses.replace(entry, part=part))
    return entries


def _load_frames() -> dict[str, list[str]]:
    frames: dict[str, list[str]] = {}
    current: list[str] = []
    for line in (_FOLDER / "frames.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            # A section name has no bar; a sentence may begin with a [choice|choice].
            if line.endswith("]") and "|" not in line:
                current = frames.setdefault(line[1:-1], [])
                continue
        if line.strip() and not line.startswith("#"):
            current.append(line.strip())
    return frames


ENTRIES = _load()
FRAMES = _load_frames()
BY_KIND: dict[str, list[Entry]] = {}
for _entry in ENTRIES:
    BY_KIND.setdefault(_entry.kind, []).append(_entry)
BY_WORD: dict[str, list[Entry]] = {}
for _entry in ENTRIES:
    BY_WORD.setdefault(_entry.word, []).append(_entry)
NOUNS = [entry for entry in ENTRIES if entry.part == "noun"]
VERBS = [entry for entry in ENTRIES if entry.part == "verb"]
ADJECTIVE_ENTRIES = [entry for entry in ENTRIES if entry.part == "adjective"]
IRREGULAR = {entry.word: entry.irregular for entry in VERBS if entry.irregular}
WITH_SAME = [entry for entry in ENTRIES if entry.same]
WITH_OPPOSITE = [entry for entry in ENTRIES if entry.opposite]
OBJECT_KINDS = ("tool", "kitchen thing", "toy", "thing", "container", "clothing", "furniture")
OBJECTS = [e for kind in OBJECT_KINDS for e in BY_KIND[kind]
           if e.word not in MASS | PAIRS and e.part == "noun"]
EDIBLES = [e for kind in ("fruit", "vegetable", "food") for e in BY_KIND[kind]]


def frames_of(entry: Entry) -> list[str]:
    """All sentences a word may stand in."""
    if entry.part == "noun":
        groups = FRAMES_OF.get(entry.kind, [entry.kind])
    elif entry.part == "verb":
        # Acts of the body take the frames of movement: both have no object.
        group = {"body act": "move"}.get(entry.kind, entry.kind)
        groups = [f"verb {group}"]
    elif entry.part == "adjective":
        groups = [f"adj {entry.kind}"]
    elif entry.kind == "when":
        groups = [f"adverb {'frequency' if entry.word in FREQUENCY else 'future' if entry.word in FUTURE else 'when'}"]
    else:
        groups = [f"adverb {entry.kind}"]
    return [frame for group in groups for frame in FRAMES.get(group, [])]


def _companion(rng: random.Random, slot: str) -> str:
    """A word for <slot>: "<animal>", "<a animal>", "<animals>"."""
    with_article = slot.startswith("a ")
    kind = slot[2:] if with_article else slot
    many = kind.endswith("-plural")
    kind = kind.removesuffix("-plural")
    if kind in ("objects", "edibles"):
        many, kind = True, kind[:-1]
    if kind == "tree-like":
        return rng.choice(("tree", "bush", "fern", "oak", "pine", "birch", "willow", "roof"))
    if kind == "adjq":
        return rng.choice(ADJECTIVES)
    pool = {"object": OBJECTS, "edible": EDIBLES}.get(kind) or BY_KIND[kind]
    entry = rng.choice(pool)
    word = entry.word
    if word in PAIRS:
        return word
    if many:
        return word if word in MASS else plural(word)
    if with_article:
        return f"some {word}" if word in MASS else article(word)
    return word


_SLOT = re.compile(r"<([a-zA-Z -]+)>")


def _forms(entry: Entry, word: str) -> dict[str, str]:
    """The slots that depend on the word alone."""
    if entry.part == "verb":
        own = entry.irregular if word == entry.word else ""
        return {"v": word, "vs": language.third(word), "ving": language.gerund(word),
                "vd": own or IRREGULAR.get(word) or language.past(word)}
    mass = word in MASS or word in PAIRS
    with_article = word if mass else article(word)
    if entry.part != "noun":
        with_article = article(word)
    many = word if mass else plural(word)
    return {"x": word, "ax": with_article, "xs": many, "Ax": language.sentence(with_article)[:-1],
            "Xs": many[:1].upper() + many[1:], "X": word[:1].upper() + word[1:],
            "f": many, "F": many[:1].upper() + many[1:]}


def render(entry: Entry, word: str, frame: str, rng: random.Random) -> str:
    """One frame with the word in it and the other places filled."""
    text = kit.expand(rng, frame)
    (n, he), (m, _) = names.people(rng, 2, made=0.25)
    her = he == "she"
    others = [e.word for e in BY_KIND[entry.kind] if e.word != word and e.part == entry.part]
    other = rng.choice(others) if others else word
    thing = rng.choice(OBJECTS).word
    slots = {"n": n, "m": m, "he": he, "his": "her" if her else "his",
             "him": "her" if her else "him", "place": rng.choice(PLACES), "town": names.town(rng),
             "adj": rng.choice(ADJECTIVES), "num": rng.choice(NUMBERS),
             "ax2": other if other in MASS else article(other), "ax3": article(thing)}
    slots.update(_forms(entry, word))
    text = _SLOT.sub(lambda match: _companion(rng, match.group(1)), text)
    text = re.sub(r"\{(\w+)\}", lambda match: slots[match.group(1)], text)
    text = re.sub(r"\b([Aa]) (?=[aeiou])(?!one|uni|use)", r"\1n ", text)
    return _quoted(language.sentence(text))


def _quoted(text: str) -> str:
    """Puts quotation marks round "... , said Tom." and "...? asked Tom."."""
    if '"' in text:
        return text
    match = re.match(r"^(.*[,?!]) ((?:said|asked|cried) .*)$", text)
    if not match or " so " in match.group(1)[-4:]:
        return text
    return f'"{match.group(1)}" {match.group(2)}'


def example(rng: random.Random, entry: Entry) -> str:
    """A sentence that uses the word."""
    frames = frames_of(entry)
    return render(entry, entry.word, rng.choice(frames), rng)


# ---- meanings -------------------------------------------------------------------------------

def _is(entry: Entry) -> str:
    """"A fox is a clever red animal ..."."""
    word = entry.word
    if entry.part == "verb":
        return f"to {word} is to {entry.meaning}"
    if entry.part == "adjective":
        return f'"{word}" means {entry.meaning}'
    if entry.part == "adverb":
        return f'"{word}" means {entry.meaning}'
    if word in PAIRS:
        return f"{word} are {entry.meaning}"
    if word in MASS or entry.kind == "colour":
        return f"{word} is {entry.meaning}"
    if word in UNIQUE or (entry.kind == "body" and entry.meaning.startswith("the ")):
        return f"the {word} is {entry.meaning}"
    return f"{article(word)} is {entry.meaning}"


def meaning_line(rng: random.Random, entry: Entry) -> str:
    """The meaning as a full sentence, in one of several shapes."""
    shapes = [language.sentence(_is(entry))] * 4
    quoted = f'"{entry.word}"'
    if entry.part == "verb":
        shapes += [f"{quoted} means to {entry.meaning}.", f"It means to {entry.meaning}."]
    elif entry.part in ("adjective", "adverb"):
        shapes += [f"It means {entry.meaning}.", f"{quoted} means: {entry.meaning}."]
    else:
        shapes += [f"The word {quoted} means {entry.meaning}.", f"That is {entry.meaning}.",
                   f"{quoted}: {entry.meaning}."]
    return rng.choice(shapes)


ASK_MEANING = """What does "{w}" mean?|What does {w} mean?|What does the word {w} mean?|What is the meaning of {w}?
What is the meaning of "{w}"?|Meaning of {w}?|Explain the word {w}.|Explain "{w}".|Can you explain the word {w}?
Define {w}.|Define the word "{w}".|Give me a definition of {w}.|How would you explain {w}?|{w}: what does it mean?
I do not know the word {w}.|I don't understand the word {w}.|What do people mean by {w}?|Tell me what {w} means.
Do you know what {w} means?|What's the meaning of {w}?|Please explain {w} to me.|In simple words, what does {w} mean?
The word {w}, what is it?|Could you tell me the meaning of "{w}"?|Somebody said "{w}". What is that?
What does it mean if somebody says {w}?|I read the word "{w}" today. What does it mean?|whats {w}|define {w}""".replace(
    "\n", "|").split("|")
ASK_NOUN = """What is {aw}?|What's {aw}?|Can you tell me what {aw} is?|Do you know what {aw} is?|Tell me what {aw} is.
What exactly is {aw}?|What kind of thing is {aw}?|Explain to me what {aw} is.
What do you know about {ws}?|Tell me about {ws}.|Tell me something about {ws}.|Say something about {ws}.
Describe {aw}.|How would you describe {aw}?""".replace("\n", "|").split("|")
ASK_VERB = """What does it mean to {w}?|What does "to {w}" mean?|What do you do when you {w}?|What is it to {w}?
If somebody {ws}, what is he doing?|What is {wing}?|Explain what it means to {w}.""".replace("\n", "|").split("|")


def _ask_meaning(rng: random.Random, entry: Entry) -> str:
    pool = ASK_MEANING
    slots = {"w": entry.word}
    if entry.part == "noun" and rng.random() < 0.5:
        pool = ASK_NOUN
        slots["aw"] = entry.word if entry.word in MASS | PAIRS else article(entry.word)
        if entry.word in UNIQUE:
            slots["aw"] = f"the {entry.word}"
        slots["ws"] = entry.word if entry.word in MASS | PAIRS | UNIQUE else plural(entry.word)
        if entry.kind == "colour":
            pool = ASK_MEANING
    elif entry.part == "verb" and rng.random() < 0.5:
        pool = ASK_VERB
        slots["ws"] = language.third(entry.word)
        slots["wing"] = language.gerund(entry.word)
    return kit.rough(rng, rng.choice(pool).format(**slots))


def explain(rng: random.Random, entry: Entry) -> str:
    """A meaning, sometimes with an example or a related word."""
    entries = BY_WORD[entry.word]
    if len(entries) > 1 and rng.random() < 0.7:
        first, second = entries[:2]
        return (f'"{entry.word}" can mean two things. {language.sentence(_is(first))} '
                f"{language.sentence(_is(second))}")
    text = meaning_line(rng, entry)
    extra = rng.random()
    if extra < 0.3:
        text += rng.choice((" For example: ", " Example: ", " ")) + example(rng, entry)
    elif extra < 0.42 and entry.same:
        text += f' Another word for it is "{entry.same}".'
    elif extra < 0.52 and entry.opposite:
        text += f' The opposite is "{entry.opposite}".'
    return text


def _meaning(rng: random.Random) -> Conversation:
    entry = rng.choice(ENTRIES)
    turns = [("user", _ask_meaning(rng, entry)), ("assistant", explain(rng, entry))]
    if rng.random() < 0.35:
        turns += _follow(rng, entry)
    return turns


def _follow(rng: random.Random, entry: Entry) -> Conversation:
    """A question that only "it" links to the word before."""
    kind = rng.random()
    if kind < 0.4:
        ask = rng.choice(("Use it in a sentence.", "Can you use it in a sentence?", "An example, please.",
                          "Give me an example.", "And in a sentence?", "How is it used?",
                          "Make a sentence with it.", "Show me a sentence with that word."))
        return [("user", kit.rough(rng, ask)), ("assistant", example(rng, entry))]
    if kind < 0.6 and entry.opposite:
        ask = rng.choice(("And the opposite?", "What is the opposite?", "What is the opposite of it?",
                          "Is there an opposite?", "The opposite?"))
        return [("user", kit.rough(rng, ask)), ("assistant", _opposite_line(rng, entry))]
    if kind < 0.8 and entry.same:
        ask = rng.choice(("Is there another word for it?", "Another word for that?", "A similar word?",
                          "Do you know another word with that meaning?"))
        return [("user", kit.rough(rng, ask)), ("assistant", _same_line(rng, entry))]
    ask = rng.choice(("How do you spell it?", "Spell it, please.", "How is it spelled?"))
    return [("user", kit.rough(rng, ask)), ("assistant", spelled(entry.word))]


# ---- sentences ------------------------------------------------------------------------------

ASK_SENTENCE = """Use {w} in a sentence.|Use the word {w} in a sentence.|Make a sentence with {w}.
Write a sentence with the word "{w}".|Give me a sentence with {w}.|Can you use {w} in a sentence?
I need an example with the word {w}.|A sentence with {w}, please.|Put the word {w} into a sentence.
Show me how to use {w}.|Write one sentence about {w}.|How do I use "{w}" in a sentence?|Example with {w}?
Say something with the word {w}.|Build a sentence that has {w} in it.|An example for {w}, please.
How is the word {w} used?|Give an example of {w}.|Could you write a sentence that contains "{w}"?""".replace(
    "\n", "|").split("|")


def _sentences(rng: random.Random) -> Conversation:
    entry = rng.choice(ENTRIES)
    count = rng.choices((1, 2, 3), (5, 3, 2))[0]
    if count == 1:
        return [("user", kit.rough(rng, rng.choice(ASK_SENTENCE).format(w=entry.word))),
                ("assistant", example(rng, entry))]
    number = language.NUMBER_WORDS[count]
    asks = (f"Write {number} sentences with {entry.word}.", f"Make {number} sentences with {entry.word}.",
            f"Give me {number} sentences with the word {entry.word}.",
            f"Use {entry.word} in {number} sentences.", f"{count} sentences with {entry.word}, please.",
            f'I need {number} examples with the word "{entry.word}".')
    frames = rng.sample(frames_of(entry), count)
    lines = [render(entry, entry.word, frame, rng) for frame in frames]
    if rng.random() < 0.3:
        text = "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))
    else:
        text = " ".join(lines)
    return [("user", kit.rough(rng, rng.choice(asks))), ("assistant", text)]


def _two_words(rng: random.Random) -> Conversation:
    a, b = rng.sample(ENTRIES, 2)
    ask = rng.choice((f"Write a sentence with {a.word} and one with {b.word}.",
                      f"Use {a.word} and {b.word}, each in a sentence.",
                      f"Make a sentence with {a.word}, then one with {b.word}.",
                      f"Give me examples for {a.word} and {b.word}."))
    return [("user", kit.rough(rng, ask)), ("assistant", f"{example(rng, a)} {example(rng, b)}")]


def _about(rng: random.Random) -> Conversation:
    entry = rng.choice(NOUNS)
    subject = entry.word if entry.word in MASS | PAIRS | UNIQUE else plural(entry.word)
    ask = rng.choice((f"Tell me about {subject}.", f"Write a few sentences about {subject}.",
                      f"Say something about {subject}.", f"Write about {subject}.",
                      f"Talk about {subject}.", f"A short text about {subject}, please."))
    lines = [language.sentence(_is(entry))]
    if entry.kind in KIND_NAMES:
        others = [e.word for e in BY_KIND[entry.kind] if e.word != entry.word]
        if len(others) > 2 and rng.random() < 0.4:
            kind = KIND_NAMES[entry.kind]
            first, second = rng.sample(others, 2)
            lines.append(f"Other {plural_kind(kind)} are {first} and {second}."
                         if entry.kind not in ("food", "weather") else
                         f"Other examples are {first} and {second}.")
    lines += [render(entry, entry.word, frame, rng)
              for frame in rng.sample(frames_of(entry), rng.randint(1, 3))]
    return [("user", kit.rough(rng, ask)), ("assistant", " ".join(lines))]


# ---- related words --------------------------------------------------------------------------

def _to(entry: Entry, word: str) -> str:
    return f"to {word}" if entry.part == "verb" else word


def _opposite_line(rng: random.Random, entry: Entry) -> str:
    shown, other = _to(entry, entry.word), _to(entry, entry.opposite)
    return rng.choice((f'The opposite of "{shown}" is "{other}".', f"The opposite of {shown} is {other}.",
                       f'"{other}".'.capitalize(), f'It is "{other}".',
                       f'"{other}" is the opposite of "{shown}".'))


def _same_line(rng: random.Random, entry: Entry) -> str:
    shown, other = _to(entry, entry.word), _to(entry, entry.same)
    return rng.choice((f'Another word for "{shown}" is "{other}".', f'You can say "{other}".',
                       f'"{other}" means the same.', f'"{other}" has the same meaning as "{shown}".',
                       f'A word like "{shown}" is "{other}".'))


def _opposite(rng: random.Random) -> Conversation:
    entry = rng.choice(WITH_OPPOSITE)
    w = _to(entry, entry.word) if rng.random() < 0.4 else entry.word
    ask = rng.choice((f"What is the opposite of {w}?", f'What is the opposite of "{w}"?',
                      f"Opposite of {w}?", f"Give me the opposite of {w}.", f"The opposite of {w}, please.",
                      f"Which word is the opposite of {w}?", f"If something is not {entry.word}, what is it?"
                      if entry.part == "adjective" else f"What is the contrary of {w}?",
                      f"What word means the opposite of {w}?", f"Antonym of {entry.word}?",
                      f"Tell me the opposite of {w}.", f"Do you know the opposite of {w}?"))
    turns = [("user", kit.rough(rng, ask)), ("assistant", _opposite_line(rng, entry))]
    while rng.random() < 0.4 and len(turns) < 8:
        entry = rng.choice(WITH_OPPOSITE)
        ask = rng.choice((f"And of {entry.word}?", f"And {entry.word}?", f"What about {entry.word}?",
                          f"And the opposite of {entry.word}?", f"Now {entry.word}."))
        turns += [("user", kit.rough(rng, ask)), ("assistant", _opposite_line(rng, entry))]
    return turns


def _same(rng: random.Random) -> Conversation:
    entry = rng.choice(WITH_SAME)
    w = _to(entry, entry.word) if rng.random() < 0.4 else entry.word
    ask = rng.choice((f"What is another word for {w}?", f'Another word for "{w}"?', f"A synonym of {w}?",
                      f"Give me a synonym for {w}.", f"Which word means the same as {w}?",
                      f"How else can I say {w}?", f"What can I say instead of {w}?",
                      f"Do you know a word like {w}?", f"A word with the same meaning as {w}, please.",
                      f"Is there a different word for {w}?", f"Say {w} in another way."))
    turns = [("user", kit.rough(rng, ask)), ("assistant", _same_line(rng, entry))]
    if rng.random() < 0.3:
        entry = rng.choice(WITH_SAME)
        turns += [("user", kit.rough(rng, f"And for {entry.word}?")),
                  ("assistant", _same_line(rng, entry))]
    return turns


def _same_or_opposite(rng: random.Random) -> Conversation:
    entry = rng.choice([e for e in WITH_SAME if e.opposite])
    if rng.random() < 0.5:
        ask, reply = entry.same, f'They mean nearly the same: {entry.meaning}.'
    else:
        ask, reply = entry.opposite, "They are opposites."
    pattern = rng.choice(("Do {a} and {b} mean the same?", "Are {a} and {b} the same or opposites?",
                          "{a} and {b}: same meaning or opposite?", "How are {a} and {b} related?"))
    return [("user", kit.rough(rng, pattern.format(a=entry.word, b=ask))), ("assistant", reply)]


def _reverse(rng: random.Random) -> Conversation:
    entry = rng.choice(ENTRIES)
    d = f"to {entry.meaning}" if entry.part == "verb" else entry.meaning
    ask = rng.choice((f"What is the word for {d}?", f"What do you call {d}?" if entry.part == "noun"
                      else f"Which word means {d}?", f"Which word means {d}?", f"I am looking for a word: {d}.",
                      f"Give me a word for {d}.", f"How do you say {d} in one word?",
                      f"One word for {d}?", f"I forgot the word. It means {d}.",
                      f"Guess the word: {d}.", f"A word that means {d}, please."))
    word = _to(entry, entry.word)
    if entry.part == "noun":
        word = entry.word if entry.word in MASS | PAIRS | UNIQUE or entry.kind == "colour" else article(
            entry.word)
        shapes = (language.sentence(word), f"That is {word}.", f"You call that {word}.",
                  f'The word is "{entry.word}".')
    else:
        shapes = (f'The word is "{word}".', f'"{word}".', f"That is {word}.", f'I would say "{word}".')
    return [("user", kit.rough(rng, ask)), ("assistant", rng.choice(shapes))]


def _difference(rng: random.Random) -> Conversation:
    if rng.random() < 0.7:
        kind = rng.choice([k for k in KIND_NAMES if len(BY_KIND.get(k, [])) > 2])
        a, b = rng.sample([e for e in BY_KIND[kind] if e.part == "noun"], 2)
    else:
        a, b = rng.sample(NOUNS, 2)
    ask = rng.choice((f"What is the difference between {a.word} and {b.word}?",
                      f"How does {a.word} differ from {b.word}?", f"Compare {a.word} and {b.word}.",
                      f"{a.word} or {b.word}, what is the difference?"))
    joint = rng.choice((", but ", ", while ", "; "))
    return [("user", kit.rough(rng, ask)), ("assistant", language.sentence(_is(a) + joint + _is(b)))]


# ---- kinds ----------------------------------------------------------------------------------

def plural_kind(kind: str) -> str:
    """"parts of a house", "members of a family", "animals"."""
    first, of, rest = kind.partition(" of ")
    return plural(first) + of + rest if of else plural(kind)


def members(kind: str) -> list[str]:
    """The words of a kind and of the kinds below it."""
    kinds = [kind] + [narrow for narrow, wide in WIDER.items() if wide == kind]
    return [e.word for k in kinds for e in BY_KIND[k] if e.part == "noun"]


def _name_some(rng: random.Random) -> Conversation:
    kind = rng.choice(list(KIND_NAMES))
    count = rng.choices((1, 2, 3, 4, 5), (2, 3, 5, 2, 2))[0]
    words = members(kind)
    shown = KIND_NAMES[kind]
    chosen = rng.sample(words, min(count, len(words)))
    number = language.number_words(count) if rng.random() < 0.8 else str(count)
    if count == 1:
        asks = (f"Name {article(shown)}.", f"Tell me {article(shown)}.", f"Give me an example of {article(shown)}.")
    else:
        many = plural_kind(shown)
        asks = (f"Name {number} {many}.", f"Give me {number} {many}.", f"List {number} {many}.",
                f"Can you name {number} {many}?", f"Tell me {number} {many}.", f"{number} {many}, please.",
                f"Which {many} do you know? Name {number}.", f"I need {number} {many}.")
    turns = [("user", kit.rough(rng, rng.choice(asks))),
             ("assistant", language.sentence(listed(chosen)))]
    if rng.random() < 0.3:
        rest = [word for word in words if word not in chosen]
        if rest:
            more = rng.sample(rest, min(len(rest), rng.choice((1, 1, 2))))
            ask = rng.choice(("One more?", "Another one?", "And another?")) if len(more) == 1 else "Two more?"
            turns += [("user", kit.rough(rng, ask)), ("assistant", language.sentence(listed(more)))]
    return turns


def _is_kind(rng: random.Random) -> Conversation:
    entry = rng.choice([e for e in NOUNS if e.kind in KIND_NAMES])
    kinds = [entry.kind] + ([WIDER[entry.kind]] if entry.kind in WIDER else [])
    word = entry.word
    subject = word if word in MASS | PAIRS or entry.kind == "colour" else article(word)
    verb = "Are" if word in PAIRS else "Is"
    if rng.random() < 0.5:
        asked = rng.choice(kinds)
        shown = KIND_NAMES[asked]
        kind_text = shown if shown == "food" else article(shown)
        asks = (f"{verb} {subject} {kind_text}?", f"{verb} {subject} {kind_text} or not?",
                f"Would you call {subject} {kind_text}?")
        tail = f"{subject} {verb.lower()} {kind_text}"
        shapes = (f"Yes, {tail}.", f"Yes, {tail}.", "Yes." + f" {language.sentence(_is(entry))}",
                  f"Yes, that is right: {tail}.")
    else:
        taken = {e.kind for e in BY_WORD[word]}
        wide = kinds[-1]
        others = [k for k in KIND_NAMES if k not in kinds and k not in taken and WIDER.get(k) not in kinds
                  and not (wide == k) and not {k, entry.kind} <= {"tool", "kitchen thing", "container",
                  "toy", "furniture"} and k != "event" and k != "time"
                  and not (k == "animal" and entry.kind == "body")]
        shown = KIND_NAMES[rng.choice(others)]
        kind_text = shown if shown == "food" else article(shown)
        right = KIND_NAMES[entry.kind]
        right_text = right if right == "food" else article(right)
        asks = (f"{verb} {subject} {kind_text}?", f"{verb} {subject} {kind_text} or not?",
                f"Would you call {subject} {kind_text}?")
        shapes = (f"No, {subject} {verb.lower()} {right_text}.",
                  f"No, {subject} {verb.lower()} not {kind_text} but {right_text}.",
                  f"No. {language.sentence(_is(entry))}")
    return [("user", kit.rough(rng, rng.choice(asks))), ("assistant", rng.choice(shapes))]


def _what_kind(rng: random.Random) -> Conversation:
    entry = rng.choice([e for e in NOUNS if e.kind in KIND_NAMES])
    word = entry.word
    subject = word if word in MASS | PAIRS or entry.kind == "colour" else article(word)
    verb = "are" if word in PAIRS else "is"
    shown = KIND_NAMES[entry.kind]
    shown = shown if shown == "food" else article(shown)
    asks = (f"What kind of thing {verb} {subject}?", f"What sort of thing {verb} {subject}?",
            f"To which group does {word} belong?", f"What {verb} {subject}, an animal, a food or a thing?"
            if entry.kind in ("animal", "food", "tool") else f"What kind of word is {word}?")
    return [("user", kit.rough(rng, rng.choice(asks))),
            ("assistant", f"{subject[:1].upper() + subject[1:]} {verb} {shown}.")]


def _odd_one(rng: random.Random) -> Conversation:
    kind, other = rng.sample([k for k in KIND_NAMES if k not in ("time", "event", "computing")], 2)
    if WIDER.get(kind, kind) == WIDER.get(other, other):
        return _name_some(rng)
    words = rng.sample([e.word for e in BY_KIND[kind] if e.part == "noun"], 3)
    odd = rng.choice([e.word for e in BY_KIND[other] if e.part == "noun"])
    if odd in words or {e.kind for e in BY_WORD[odd]} & {kind}:
        return _name_some(rng)
    items = words + [odd]
    rng.shuffle(items)
    ask = rng.choice(("Which word does not belong: {i}?", "Find the odd one out: {i}.",
                      "{i}: which one is different?", "Which of these does not fit: {i}?"))
    right = plural_kind(KIND_NAMES[kind])
    shape = rng.choice((f"{odd}: the others are {right}.", f"The odd one is {odd}. The others are {right}.",
                        f'"{odd}" does not belong, because the others are {right}.'))
    if KIND_NAMES[kind] in ("food", "kind of weather"):
        shape = f"The odd one is {odd}."
    return [("user", kit.rough(rng, language.sentence(ask.format(i=", ".join(items))), 0.1)),
            ("assistant", language.sentence(shape))]


# ---- letters and forms ----------------------------------------------------------------------

def spelled(word: str) -> str:
    """"fox: f, o, x."."""
    return f"{word}: " + ", ".join(c for c in word if c.isalpha()) + "."


def _letters(rng: random.Random) -> Conversation:
    word = rng.choice(ENTRIES).word
    while " " in word:
        word = rng.choice(ENTRIES).word
    kind = rng.randrange(4)
    if kind == 0:
        ask = rng.choice(("How do you spell {w}?", "Spell {w}.", "Spell the word {w}.", "Can you spell {w}?",
                          "How is {w} spelled?", "Please spell \"{w}\".", "What are the letters of {w}?"))
        reply = spelled(word)
    elif kind == 1:
        ask = rng.choice(("What is the first letter of {w}?", "Which letter does {w} start with?",
                          "With which letter does {w} begin?", "First letter of {w}?"))
        reply = rng.choice((f'The first letter of "{word}" is {word[0]}.', f'"{word}" starts with {word[0]}.'))
    elif kind == 2:
        ask = rng.choice(("What is the last letter of {w}?", "Which letter does {w} end with?",
                          "Last letter of {w}?"))
        reply = rng.choice((f'The last letter of "{word}" is {word[-1]}.', f'"{word}" ends with {word[-1]}.'))
    else:
        letter = rng.choice([w for w in BY_WORD if w.isalpha()])[0]
        words = rng.sample([w for w in BY_WORD if w[0] == letter and w.isalpha()], 1)
        ask = rng.choice((f"A word that starts with {letter}?", f"Tell me a word with {letter}.",
                          f"Name a word that begins with {letter}.", f"Give me a word starting with {letter}."))
        reply = language.sentence(words[0])
    return [("user", kit.rough(rng, ask.format(w=word), 0.15)), ("assistant", reply)]


def _grammar(rng: random.Random) -> Conversation:
    if rng.random() < 0.5:
        entry = rng.choice([e for e in NOUNS if e.word not in MASS | PAIRS | UNIQUE
                            and e.kind not in ("colour", "body act")])
        ask = rng.choice(("What is the plural of {w}?", "One {w}, two what?", "Plural of {w}?",
                          "What do you call more than one {w}?", "How do you say {w} in the plural?"))
        reply = rng.choice(("The plural of {w} is {p}.", "One {w}, two {p}.", "{p}."))
        text = reply.format(w=entry.word, p=plural(entry.word))
    else:
        entry = rng.choice(VERBS)
        ask = rng.choice(("What is the past of {w}?", "What is the past tense of {w}?", "Past form of {w}?",
                          "Today I {w}, yesterday I what?", "How do you say {w} in the past?"))
        past = _forms(entry, entry.word)["vd"]
        text = rng.choice(("The past of {w} is {p}.", "Today I {w}, yesterday I {p}.", "{p}.")).format(
            w=entry.word, p=past)
    return [("user", kit.rough(rng, ask.format(w=entry.word))), ("assistant", language.sentence(text))]


# ---- paraphrases ----------------------------------------------------------------------------

ASK_REPHRASE = ("Say it another way: {s}", "Say this in other words: {s}", "Say it differently: {s}",
                "Put this in other words: {s}", "Rephrase: {s}", "Can you say this differently? {s}",
                "How else can you say this: {s}", "Reword this: {s}", "Write this with other words: {s}",
                "Say the same with other words: {s}", "Another way to say: {s}", "Paraphrase: {s}")

# Pairs of sentences that mean the same; either side may be given.
TWINS = [line.split(" = ") for line in """
{n} is taller than {m}. = {m} is shorter than {n}.
{n} is older than {m}. = {m} is younger than {n}.
{n} gave the {o} to {m}. = {n} gave {m} the {o}.
{n} gave {m} the {o}. = {m} got the {o} from {n}.
{n} sold the {o} to {m}. = {m} bought the {o} from {n}.
{n} lent {m} the {o}. = {m} borrowed the {o} from {n}.
The {o} belongs to {n}. = {n} owns the {o}.
It was cold, so {n} put on a coat. = {n} put on a coat because it was cold.
{n} stayed at home because it rained. = It rained, so {n} stayed at home.
{n} was hungry, so {he} ate. = {n} ate because {he} was hungry.
{n} cleaned the {o}. = The {o} was cleaned by {n}.
{n} painted the {o}. = The {o} was painted by {n}.
{n} repaired the {o}. = The {o} was repaired by {n}.
{n} opened the {c}. = The {c} was opened by {n}.
{n} found the {o}. = The {o} was found by {n}.
The {a} followed {n}. = {n} was followed by the {a}.
There are {k} {os} in the {c}. = The {c} holds {k} {os}.
{n} has a {o}. = The {o} is owned by {n}.
{n} likes the {a} more than the {b}. = {n} prefers the {a} to the {b}.
The {a} is faster than the {b}. = The {b} is slower than the {a}.
The {a} is bigger than the {b}. = The {b} is smaller than the {a}.
{n} arrived before {m}. = {m} arrived after {n}.
First {n} ate, then {he} slept. = After eating, {n} slept.
{n} forgot the {o}. = {n} did not remember the {o}.
{n} did not win. = {n} lost.
{n} is not at home. = {n} is out.
{n} and {m} are friends. = {n} is a friend of {m}.
{n} lives in {t}. = The home of {n} is in {t}.
{n} was born in {t}. = {t} is where {n} was born.
The {o} is under the {c}. = The {c} is above the {o}.
The {a} is in front of the {b}. = The {b} is behind the {a}.
{n} teaches {m}. = {m} learns from {n}.
{n} works in {t}. = The work of {n} is in {t}.
{n} did it alone. = Nobody helped {n}.
Everybody came to {t}. = Nobody stayed away from {t}.
The {o} is not cheap. = The {o} is expensive.
The {o} is not new. = The {o} is old.
{n} is never late. = {n} always comes in time.
{n} asked {m} for help. = {n} wanted {m} to help.
If it rains, {n} will stay here. = {n} will stay here if it rains.
When {n} came home, the {a} was asleep. = The {a} was asleep when {n} came home.
{n} can carry the {o}. = {n} is able to carry the {o}.
{n} must go to {t}. = {n} has to go to {t}.
{n} began to sing. = {n} started singing.
It is not possible to open the {c}. = The {c} cannot be opened.
""".strip().splitlines()]


def _rephrase(rng: random.Random) -> Conversation:
    if rng.random() < 0.4:
        left, right = rng.choice(TWINS)
        if rng.random() < 0.5 and "{he}" not in left and "{n}" in right:
            left, right = right, left
        (n, he), (m, _) = names.people(rng, 2)
        thing = rng.choice([e.word for e in OBJECTS if e.word[0] not in "aeiou"])
        a, b = rng.sample([e.word for e in BY_KIND["animal"]], 2)
        slots = {"n": n, "m": m, "he": he, "o": thing, "os": plural(thing), "a": a, "b": b,
                 "c": rng.choice([e.word for e in BY_KIND["container"]]), "t": names.town(rng),
                 "k": rng.choice(NUMBERS)}
        return [("user", rng.choice(ASK_REPHRASE).format(s=left.format(**slots))),
                ("assistant", right.format(**slots))]
    entry = rng.choice(WITH_SAME)
    frame = rng.choice(frames_of(entry))
    seed = rng.getrandbits(48)
    one = render(entry, entry.word, frame, random.Random(seed))
    other = render(entry, entry.same, frame, random.Random(seed))
    if rng.random() < 0.35:
        one, other = other, one
    return [("user", rng.choice(ASK_REPHRASE).format(s=one)), ("assistant", other)]


def _say_opposite(rng: random.Random) -> Conversation:
    entry = rng.choice([e for e in WITH_OPPOSITE if e.part in ("adjective", "adverb")])
    frame = rng.choice(frames_of(entry))
    seed = rng.getrandbits(48)
    one = render(entry, entry.word, frame, random.Random(seed))
    other = render(entry, entry.opposite, frame, random.Random(seed))
    ask = rng.choice(("Say the opposite: {s}", "Turn it into the opposite: {s}",
                      "What is the opposite of this sentence? {s}", "Now the contrary: {s}"))
    return [("user", ask.format(s=one)), ("assistant", other)]


# ---- the world ------------------------------------------------------------------------------

def _load_world() -> list[tuple[list[str], list[str]]]:
    pairs = []
    for line in (_FOLDER / "world.txt").read_text(encoding="utf-8").splitlines():
        if " => " in line and not line.startswith("#"):
            asks, replies = line.split(" => ")
            pairs.append((asks.strip().split(" | "), replies.strip().split(" | ")))
    return pairs


WORLD = _load_world()


def _world(rng: random.Random) -> Conversation:
    turns: Conversation = []
    for _ in range(rng.choices((1, 2, 3), (6, 2, 1))[0]):
        asks, replies = rng.choice(WORLD)
        turns += [("user", kit.rough(rng, kit.expand(rng, rng.choice(asks)))),
                  ("assistant", kit.expand(rng, rng.choice(replies)))]
    return turns


def documents(rng: random.Random, count: int) -> Iterator[Conversation]:
    """`count` conversations about words and the everyday world."""
    table = [(0.22, _meaning), (0.19, _sentences), (0.05, _two_words), (0.09, _about), (0.06, _opposite),
             (0.05, _same), (0.02, _same_or_opposite), (0.05, _reverse), (0.03, _difference),
             (0.05, _name_some), (0.05, _is_kind), (0.02, _what_kind), (0.03, _odd_one), (0.03, _letters),
             (0.02, _grammar), (0.08, _rephrase), (0.02, _say_opposite), (0.1, _world)]
    yield from kit.stream(rng, count, table, 0.08)


if __name__ == "__main__":
    print(f"{len(ENTRIES)} entries, {len(BY_WORD)} words, {sum(map(len, FRAMES.values()))} frames, "
          f"{len(WORLD)} pieces of knowledge")
    few = sorted((len(frames_of(entry)), entry.kind, entry.word) for entry in ENTRIES)
    print("fewest frames:", few[:3])
    kit.check("dictionary", documents, samples=30)

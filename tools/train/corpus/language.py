"""Small English grammar for the generators: articles, plurals, verb forms, sentence edges."""

_PLURALS = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet",
    "tooth": "teeth", "goose": "geese", "mouse": "mice", "sheep": "sheep", "deer": "deer",
    "fish": "fish", "knife": "knives", "wife": "wives", "leaf": "leaves", "wolf": "wolves",
    "half": "halves", "shelf": "shelves", "loaf": "loaves", "thief": "thieves", "calf": "calves",
    "scarf": "scarves", "potato": "potatoes", "tomato": "tomatoes", "hero": "heroes", "ox": "oxen",
    "series": "series", "policeman": "policemen", "fireman": "firemen", "snowman": "snowmen",
    "fisherman": "fishermen", "postman": "postmen", "elf": "elves", "dwarf": "dwarves",
    "grandchild": "grandchildren", "salmon": "salmon", "moose": "moose", "bus": "buses",
    "trousers": "trousers", "scissors": "scissors", "glasses": "glasses", "pliers": "pliers",
    "echo": "echoes", "mango": "mangoes", "life": "lives", "midwife": "midwives", "quiz": "quizzes",
}


def article(word: str) -> str:
    """The word with "a" or "an" before it."""
    lower = word.lower()
    if lower.startswith(("hour", "honest", "heir", "honour")):
        return f"an {word}"
    if lower.startswith(("uni", "use", "usu", "euro", "one", "ewe")) and not lower.startswith("unin"):
        return f"a {word}"
    return f"an {word}" if lower[:1] in tuple("aeiou") else f"a {word}"


def plural(noun: str) -> str:
    """The plural of a noun; of "fire engine" its last word's."""
    head, space, last = noun.rpartition(" ")
    if last in _PLURALS:
        return head + space + _PLURALS[last]
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if last.endswith("y") and last[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    return noun + "s"


def third(verb: str) -> str:
    """"he" form of a verb: walk -> walks, try -> tries; of "put on" the first word's."""
    first, space, rest = verb.partition(" ")
    special = {"have": "has", "be": "is", "do": "does", "go": "goes"}
    if first in special:
        return special[first] + space + rest
    if first.endswith(("s", "x", "z", "ch", "sh", "o")):
        return first + "es" + space + rest
    if first.endswith("y") and first[-2] not in "aeiou":
        return first[:-1] + "ies" + space + rest
    return first + "s" + space + rest


def _doubles(word: str) -> bool:
    vowels = "aeiou"
    if len(word) < 3 or word[-1] in "wxy" or word[-1] in vowels:
        return False
    if word[-2] not in vowels or word[-3] in vowels:
        return False
    groups = sum(1 for i, c in enumerate(word) if c in vowels and (i == 0 or word[i - 1] not in vowels))
    return groups == 1 or word in {"begin", "forget", "admit", "prefer", "regret", "control",
                                   "permit", "refer", "occur", "forbid", "equip", "commit",
                                   "travel", "quarrel", "marvel", "label", "cancel"}


def past(verb: str) -> str:
    """Past of a regular verb (irregular ones are given in the word list)."""
    first, space, rest = verb.partition(" ")
    if first.endswith("e"):
        form = first + "d"
    elif first.endswith("y") and first[-2] not in "aeiou":
        form = first[:-1] + "ied"
    elif _doubles(first):
        form = first + first[-1] + "ed"
    else:
        form = first + "ed"
    return form + space + rest


def gerund(verb: str) -> str:
    """The -ing form of a verb."""
    first, space, rest = verb.partition(" ")
    if first.endswith("ie"):
        form = first[:-2] + "ying"
    elif first.endswith("e") and not first.endswith(("ee", "ye", "oe")) and first != "be":
        form = first[:-1] + "ing"
    elif _doubles(first):
        form = first + first[-1] + "ing"
    else:
        form = first + "ing"
    return form + space + rest


def sentence(text: str) -> str:
    """The text with a capital at its start and one mark at its end."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "\"")) else text + "."


def listed(items: list[str], word: str = "and") -> str:
    """"a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {word} " + items[-1]


NUMBER_WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen "
                "fourteen fifteen sixteen seventeen eighteen nineteen").split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_words(number: int) -> str:
    """0..99 in words."""
    if number < 20:
        return NUMBER_WORDS[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{NUMBER_WORDS[ones]}" if ones else "")

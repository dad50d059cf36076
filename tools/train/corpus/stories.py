"""Short stories that hold together, told about what the user asks for, and talk about them.

story_plots/plots.txt holds hand-written plots, edges.txt beginnings and endings. The hero's kind and
name, the place and the helper come from the request where it gives them; all of them return in the
answers to later questions.
"""

import dataclasses
import pathlib
import random
import re
from collections.abc import Iterator

from . import dictionary, kit, names
from .kit import Conversation
from .language import article, number_words, sentence

WEIGHT = 0.13

_FOLDER = pathlib.Path(__file__).with_name("story_plots")


@dataclasses.dataclass
class Plot:
    """A plot: its themes, what may stand for its object, whom it needs, its short form, its sentences."""
    name: str
    themes: list[str] = dataclasses.field(default_factory=list)
    objects: list[str] = dataclasses.field(default_factory=list)
    helpers: list[str] = dataclasses.field(default_factory=list)
    short: str = ""
    body: list[str] = dataclasses.field(default_factory=list)
    endings: list[str] = dataclasses.field(default_factory=list)


def _section(line: str) -> str:
    """The name in "[name]", else nothing; a sentence may begin with [one|two]."""
    return line[1:-1] if line.startswith("[") and line.endswith("]") and "|" not in line else ""


def _load_plots() -> list[Plot]:
    plots: list[Plot] = []
    for line in (_FOLDER / "plots.txt").read_text(encoding="utf-8").splitlines():
        if _section(line):
            plots.append(Plot(_section(line)))
        elif line.startswith("o: "):
            plots[-1].objects = line[3:].split(", ")
        elif line.startswith("t: "):
            plots[-1].themes = line[3:].split(", ")
        elif line.startswith("f: "):
            plots[-1].helpers = line[3:].split(", ")
        elif line.startswith("s: "):
            plots[-1].short = line[3:]
        elif line.startswith("> "):
            plots[-1].endings.append(line[2:])
        elif line.strip() and not line.startswith("#"):
            plots[-1].body.append(line.strip())
    return plots


def _load_edges() -> dict[str, list[str]]:
    edges: dict[str, list[str]] = {}
    kind = ""
    for line in (_FOLDER / "edges.txt").read_text(encoding="utf-8").splitlines():
        if _section(line):
            kind = _section(line)
        elif line.strip() and not line.startswith("#"):
            edges.setdefault(kind, []).append(line.strip())
    return edges


PLOTS = _load_plots()
EDGES = _load_edges()

ANIMALS = ("fox owl hare mouse bear wolf hedgehog squirrel cat dog horse donkey goat sheep pig cow rabbit deer badger "
           "beaver otter mole frog turtle duck goose swan hen rooster crow raven robin sparrow eagle penguin seal "
           "dolphin lion tiger elephant giraffe monkey camel zebra panda kangaroo snail bee ant butterfly spider "
           "crab whale pony kitten puppy lamb hamster parrot stork heron toad lizard snake crocodile hippo moose").split()
FOLK = {"girl": "she", "boy": "he", "princess": "she", "prince": "he", "queen": "she", "king": "he", "witch": "she",
        "grandmother": "she", "grandfather": "he", "old man": "he", "old woman": "she"}
TRADES = ("baker sailor farmer fisherman shepherd carpenter tailor miller painter gardener knight pirate wizard teacher "
          "doctor inventor musician singer dancer cook librarian blacksmith hunter shoemaker clockmaker pilot student "
          "child robot dragon ghost dwarf elf giant programmer postman poet clown explorer astronaut").split()
TRAITS = ("kind clever brave cheerful curious gentle patient friendly honest quiet merry young playful loyal "
          "hard-working little lively wise generous thoughtful").split()
FAIRY_PLACES = """the old forest|the green valley|the quiet village|the little town by the sea|the high mountains|the deep wood|the wide meadow|
the land behind the hills|the old harbour|the sunny hills|the snowy north|the great city|the small island|the kingdom by the sea|the apple orchard|
the windy coast|the castle on the hill|the misty moor|the village by the river|the street of the lanterns|the land of lakes|the birch forest|
the desert of red sand|the garden behind the wall|the silver bay""".replace("\n", "").split("|")
PLACE_SHAPES = ("{t}", "{t}", "{t}", "the village of {t}", "the town of {t}", "the valley of {t}", "the forest of {t}", "the kingdom of {t}")


def pronouns(he: str) -> tuple[str, str, str]:
    """Subject, possessive and object form."""
    return {"she": ("she", "her", "her"), "he": ("he", "his", "him"), "it": ("it", "its", "it")}[he]


@dataclasses.dataclass
class Story:
    """Who, where and which plot; `seed` fixes the wording, so that it can be told again."""
    plot: Plot
    kind: str
    name: str
    he: str
    helper: str
    helper_name: str
    helper_he: str
    place: str
    thing: str
    traits: tuple[str, str]
    seed: int

    def fill(self, text: str) -> str:
        he, his, him = pronouns(self.he)
        fhe, fhis, fhim = pronouns(self.helper_he)
        slots = {"H": self.name, "h": self.kind, "a h": article(self.kind), "he": he, "his": his, "him": him,
                 "He": he.capitalize(), "His": his.capitalize(), "himself": {"he": "himself", "she": "herself"}.get(he, "itself"),
                 "F": self.helper_name, "f": self.helper, "a f": article(self.helper), "A f": article(self.helper).capitalize(), "fhe": fhe, "fhis": fhis, "fhim": fhim,
                 "P": self.place, "o": self.thing, "adj": self.traits[0], "adj2": self.traits[1],
                 "a adj h": article(f"{self.traits[0]} {self.kind}")}
        text = re.sub(r"\{([A-Za-z0-9 ]+)\}", lambda match: slots[match.group(1)], text)
        return re.sub(r"\b([Aa]) (?=[aeiou][a-z])(?!uni|use|one)", r"\1n ", text)

    def tell(self) -> str:
        """The whole story: ten to twelve sentences or a few more."""
        rng = random.Random(self.seed)
        lines = [rng.choice(EDGES["first"])]
        if rng.random() < 0.8:
            lines.append(rng.choice(EDGES["second"]))
        lines += self.plot.body
        lines.append(rng.choice(self.plot.endings))
        if rng.random() < 0.35:
            lines.append(rng.choice(EDGES["last"]))
        return _joined([kit.expand(rng, line) for line in lines], self)

    def brief(self, rng: random.Random) -> str:
        """The story in two to four sentences."""
        lines = [rng.choice(EDGES["first"]), self.plot.short]
        if rng.random() < 0.6:
            lines.append(rng.choice(self.plot.endings))
        return _joined([kit.expand(rng, line) for line in lines], self)


def _joined(lines: list[str], story: Story) -> str:
    filled = [story.fill(line) for line in lines]
    return " ".join(line[:1].upper() + line[1:] for line in filled)


def hero(rng: random.Random) -> tuple[str, str, str]:
    """What the hero is, its name and its pronoun."""
    kind = rng.random()
    if kind < 0.5:
        what, he = rng.choice(ANIMALS), rng.choice(("he", "she"))
    elif kind < 0.68:
        what = rng.choice(list(FOLK))
        he = FOLK[what]
    elif kind < 0.9:
        what, he = rng.choice(TRADES), rng.choice(("he", "she"))
        if what == "fisherman" or what == "postman":
            he = "he"
    else:
        what, he = rng.choice(dictionary.OBJECTS).word, "it"
    while True:
        name, gender = names.person(rng, 0.5)
        if he == "it" or gender == he:
            return what, name, he


def make(rng: random.Random) -> Story:
    """A story with everything chosen."""
    plot = rng.choice(PLOTS)
    what, name, he = hero(rng)
    while True:
        helper, helper_name, helper_he = hero(rng)
        if helper != what and helper_name != name and helper_he != "it":
            break
    if plot.helpers:
        helper = rng.choice(plot.helpers)
    place = rng.choice(FAIRY_PLACES) if rng.random() < 0.5 else rng.choice(PLACE_SHAPES).format(t=names.town(rng, 0.5))
    return Story(plot, what, name, he, helper, helper_name, helper_he, place, rng.choice(plot.objects),
                 tuple(rng.sample(TRAITS, 2)), rng.getrandbits(48))


# What is asked for; each names only what the story then takes over.
ASK_ANY = """Tell me a story.|Tell me a story|A story, please.|Can you tell me a story?|Tell a short story.|Please tell me a story.|I want a story.|Story!|
Write a story.|Write a short story.|Make up a story.|Do you know a story?|Tell me something nice before I sleep.|A bedtime story, please.|I would like to hear a story.|
Invent a story.|Tell us a story.|Give me a story.|One story, please.|Tell me a tale.|Once upon a time...|Tell me a story with a happy ending.|Tell me a fairy tale.|
Could you tell a story for my child?|Read me a story.|Write me a little story.|Tell me a story of ten sentences.|I am bored, tell me a story.""".replace("\n", "").split("|")
ASK_KIND = """Tell me a story about {a h}.|A story about {a h}, please.|Can you tell me a story about {a h}?|Write a story about {a h}.|Write a short story about {a h}.|
Tell a story of {a h}.|I want a story about {a h}.|Make up a story about {a h}.|story about {a h}|Do you know a story about {a h}?|Tell me about the adventures of {a h}.|
Tell me a tale with {a h} in it.|{a h}: tell me a story about it.|A bedtime story about {a h}, please.|Tell me a short story about {a h}.|Tell me something about {a h} that lived long ago.|
Please tell a story in which {a h} is the hero.|The hero is {a h}. Tell me the story.|Write a tale about {a adj h}.|Tell me a story about {a adj h}.|a {h} story please|Invent a story about {a h}.|
I would like a story about {a h}.|My child loves stories about {a h}. Tell one.|Once there was {a h}. Go on!""".replace("\n", "").split("|")
ASK_NAMED = """Tell me a story about {a h} called {H}.|Tell me a story about {a h} named {H}.|Write a story about {H} the {h}.|A story about {H}, {a h}, please.|
Tell a story about {a h} whose name is {H}.|The hero is {a h} and is called {H}. Tell me a story.|Story about {H} the {h}, please.|Write about {a h} with the name {H}.|
Make up a story about {a h} called {H}.|I have {a h} called {H}. Tell a story about it.|Can you tell a story about {H} the {h}?|Tell me the story of {H} the {h}.|
Please write a short story about {a h} called {H}.|My {h} is called {H}. Tell me a story about {H}.""".replace("\n", "").split("|")
ASK_PLACE = """Tell me a story about {a h} in {P}.|A story about {a h} from {P}, please.|Write a story about {a h} who lives in {P}.|Tell me a story that takes place in {P}.|
Tell me a story about {H} from {P}.|Tell a story about {a h} called {H} who lives in {P}.|Hero: {h}. Name: {H}. Place: {P}. Tell the story.|A story about {H} the {h} in {P}, please.|
Can you write a story set in {P}?|Write a story in {P} about {H} the {h}.""".replace("\n", "").split("|")
ASK_HELPER = """Tell me a story about {a h} and {a f}.|A story about {a h} and {a f}, please.|Write a story about {H} the {h} and {F} the {f}.|Tell a story about {H} and {F}.|
Tell me how {a h} and {a f} became friends.|Make up a story with {a h} and {a f}.|Story with {a h}, {a f} and {o}.|I want a story about {a h} called {H} and {a f} called {F}.|
Can you tell a story about two friends, {H} the {h} and {F} the {f}?""".replace("\n", "").split("|")
ASK_THING = """Tell me a story about {a h} and {a o}.|Tell me a story with {a o} in it.|Write a story about {a h}. There should be {a o} in it.|A story about {a o}, please.|
Tell me a story about {H} the {h} and {a o}.""".replace("\n", "").split("|")


def request(rng: random.Random, story: Story) -> str:
    """The user's wish; whatever it names is in the story."""
    pool = kit.choose(rng, [(0.16, ASK_ANY), (0.36, ASK_KIND), (0.2, ASK_NAMED), (0.12, ASK_PLACE), (0.1, ASK_HELPER), (0.06, ASK_THING)])
    text = rng.choice(pool)
    thing = story.thing if story.thing in ("letters", "numbers", "stars", "nuts", "apples", "grain", "wood", "matches", "firewood",
                                           "feathers", "boots", "honey", "cheese", "jam", "bread", "soup", "fire", "smoke", "gold coin") else article(story.thing)
    text = text.replace("{a o}", thing).replace("{o}", thing if pool is ASK_HELPER else "{o}")
    if pool is ASK_NAMED and story.he == "it" and "I have" in text:
        text = "Write a story about {H} the {h}."
    filled = story.fill(text)
    return kit.rough(rng, filled[:1].upper() + filled[1:], 0.15)


LEAD_INS = ("", "", "", "", "", "", "", "", "Gladly. ", "Of course. ", "Here is a story. ", "Listen. ", "With pleasure. ")


def _told(rng: random.Random, story: Story) -> Conversation:
    return [("user", request(rng, story)), ("assistant", rng.choice(LEAD_INS) + story.tell())]


def _plain(rng: random.Random) -> Conversation:
    return _told(rng, make(rng))


def _themed(rng: random.Random) -> Conversation:
    """The wish names what the story is about, not who."""
    story = make(rng)
    theme = rng.choice(story.plot.themes)
    ask = rng.choice(("Tell me a story about {t}.", "A story about {t}, please.", "Write a story about {t}.", "Do you know a story about {t}?", "Can you tell me a story about {t}?",
                      "I want a story about {t}.", "story about {t}", "Tell me a tale about {t}.", "Write a short story about {t}.", "Make up a story about {t}."))
    lead = rng.choice(("", "", f"This is a story about {theme}. ", f"Here is a story about {theme}. "))
    return [("user", kit.rough(rng, ask.format(t=theme))), ("assistant", lead + story.tell())]


def _about_me(rng: random.Random) -> Conversation:
    """The user is the hero."""
    story = make(rng)
    name, he = names.person(rng, 0.5)
    if name == story.helper_name:
        return _plain(rng)
    what = rng.choice({"she": ("girl", "woman", "child", "princess"), "he": ("boy", "man", "child", "prince")}[he])
    story = dataclasses.replace(story, kind=what, name=name, he=he)
    ask = rng.choice(("My name is {n}. Tell me a story about me.", "I am {n}. Can you tell a story about me?", "Tell me a story in which I am the hero. My name is {n}.",
                      "Write a story about me, {n}.", "I'm {n}, and I want to be in a story.", "Tell me a story about {n}.", "Tell a story with {n} as the hero.", "{n} wants a story."))
    if rng.random() < 0.3:
        turns: Conversation = [("user", f"My name is {name}."), ("assistant", f"Hello, {name}! How can I help?"),
                               ("user", rng.choice(("Tell me a story about me.", "Write a story with me as the hero.", "Put me into a story.")))]
    else:
        turns = [("user", ask.format(n=name))]
    return turns + [("assistant", story.tell())]


def question(rng: random.Random, story: Story) -> Conversation:
    """A question about the story just told."""
    h, f = story.kind, story.helper
    he = story.he
    asks = [
        (("What was the name of the {h}?", "What was the {h} called?", "What was the {h}'s name?", "Who was the hero?", "What is the hero called?",
          "How was the {h} called?", "What was the name of the hero?"), ("The {h} was called {H}.", "{H}.", "It was {H} the {h}.", "The name was {H}.")),
        (("Who helped {H}?", "Who helped?", "Who was the friend?", "Who was the other one?", "Whom did {H} meet?"),
         ("It was {F} the {f}.", "{F} the {f}.", "{H} met {F} the {f}.")),
        (("What was the name of the {f}?", "What was the {f} called?", "How was the {f} called?"), ("The {f} was called {F}.", "{F}.", "The name of the {f} was {F}.")),
        (("Where did {H} live?", "Where did the story take place?", "Where was that?", "Where did it happen?"), ("In {P}.", "{H} lived in {P}.", "It was in {P}.")),
        (("Who was {F}?", "What was {F}?", "What kind of being was {F}?"), ("{F} was {a f}.", "{F} was {a f} whom {H} met.")),
        (("Who was {H}?", "What was {H}?", "What kind of being was {H}?"), ("{H} was {a h}.", "{H} was {a h} from {P}.")),
        (("What was it about?", "What was the story about?", "What happened, in short?", "Sum it up.", "And in one sentence?"), (story.plot.short,)),
        (("Did it end well?", "Was it a happy ending?", "Is that a happy end?"), ("Yes, it ended well for {H} and {F}.", "Yes, {H} and {F} were happy in the end.")),
        (("Is that a true story?", "Did that really happen?", "Is it true?"), ("No, I made it up.", "No, the story of {H} is made up.")),
    ]
    questions, replies = rng.choices(asks, (5, 3, 2, 3, 1, 1, 2, 1, 1))[0]
    ask, reply = story.fill(rng.choice(questions)), story.fill(rng.choice(replies))
    del h, f, he
    return [("user", kit.rough(rng, ask, 0.2)), ("assistant", sentence(reply))]


def _asked_about(rng: random.Random) -> Conversation:
    story = make(rng)
    turns = _told(rng, story)
    for _ in range(rng.randint(1, 3)):
        turns += question(rng, story)
    if rng.random() < 0.2:
        turns += [("user", rng.choice(("Thank you.", "Nice story!", "I liked it.", "That was beautiful."))),
                  ("assistant", rng.choice(("You are welcome.", "I am glad that you liked it.", "Thank you! Shall I tell another one?")))]
    return turns


def _shorter(rng: random.Random) -> Conversation:
    story = make(rng)
    turns = _told(rng, story)
    ask = rng.choice(("Make it shorter.", "Shorter, please.", "Can you make it shorter?", "Tell it again, but shorter.", "That was too long.",
                      "In three sentences, please.", "The short version?", "Sum up the story.", "Summarize it.", "In a few words?"))
    return turns + [("user", kit.rough(rng, ask)), ("assistant", story.brief(rng))]


def _goes_on(rng: random.Random) -> Conversation:
    story = make(rng)
    turns = _told(rng, story)
    ask = rng.choice(("What happened next?", "And then?", "Go on.", "How does it go on?", "Continue the story.", "What did they do later?", "More!"))
    turns += [("user", kit.rough(rng, ask)), ("assistant", _joined([rng.choice(EDGES["later"])], story))]
    if rng.random() < 0.4:
        turns += question(rng, story)
    return turns


def _other_end(rng: random.Random) -> Conversation:
    story = make(rng)
    turns = _told(rng, story)
    first = turns[-1][1]
    others = [end for end in story.plot.endings if story.fill(end) not in first]
    end = rng.choice(others or EDGES["last"])
    ask = rng.choice(("Can you give it a happy ending?", "A happy ending, please.", "Another ending?", "I want a different ending.", "How else could it end?",
                      "Tell me another ending.", "End it differently."))
    lead = rng.choice(("Here is another ending: ", "It could also end like this: ", ""))
    return turns + [("user", kit.rough(rng, ask)), ("assistant", lead + _joined([end, rng.choice(EDGES["last"])], story))]


def _changed(rng: random.Random) -> Conversation:
    """A short story, then the same with another hero or another name."""
    story = make(rng)
    seed = rng.getrandbits(48)
    ask_first = rng.choice(("Tell me a very short story about {a h} called {H}.", "A very short story about {a h}, please.", "Tell me a story about {a h} in three sentences.",
                            "A tiny story about {H} the {h}.", "Tell me a mini story about {a h}."))
    turns: Conversation = [("user", story.fill(ask_first)), ("assistant", story.brief(random.Random(seed)))]
    what, name, he = hero(rng)
    if rng.random() < 0.5:
        other = dataclasses.replace(story, kind=what if what != story.helper else "child")
        ask = rng.choice(("Now the same with {a h}.", "Now with {a h}.", "Make the hero {a h}.", "And if it was {a h}?", "The same story with {a h}, please."))
        ask = other.fill(ask)
    else:
        if name == story.helper_name:
            name = "Zita"
        other = dataclasses.replace(story, name=name, he=he if he == story.he else story.he)
        ask = rng.choice(("Call the {h} {H}.", "Now change the name to {H}.", "The same, but the {h} is called {H}.", "Tell it again, but with the name {H}.",
                          "The {h} should be called {H}."))
        ask = other.fill(ask)
    return turns + [("user", ask), ("assistant", other.brief(random.Random(seed)))]


def _brief(rng: random.Random) -> Conversation:
    """Short stories, one or several."""
    turns: Conversation = []
    for index in range(rng.choices((1, 2, 3), (4, 4, 1))[0]):
        story = make(rng)
        if index == 0:
            ask = rng.choice(("Tell me a very short story.", "A very short story about {a h}, please.", "Tell me a story about {a h} in three sentences.", "A tiny story, please.",
                              "Tell me a mini story about {H} the {h}.", "Just a short story about {a h}.", "A story of two or three sentences.", "Quick, a story about {a h}!"))
        else:
            ask = rng.choice(("Another one.", "Another one, please.", "One more.", "And one about {a h}.", "Now one about {a h} called {H}.", "Again, but about {a h}.", "Next story."))
        turns += [("user", kit.rough(rng, story.fill(ask), 0.2)), ("assistant", story.brief(rng))]
    return turns


def _another(rng: random.Random) -> Conversation:
    """A whole story, then a short second one."""
    turns = _told(rng, make(rng))
    story = make(rng)
    if rng.random() < 0.4 and len(story.tell().split()) + len(turns[1][1].split()) < 330:
        ask = rng.choice(("Another one.", "Another one, please.", "One more story.", "And one about {a h}.", "Now a story about {a h} called {H}.", "Again, another story."))
        return turns + [("user", kit.rough(rng, story.fill(ask), 0.2)), ("assistant", story.tell())]
    ask = rng.choice(("Another one, but shorter.", "A short one about {a h} now.", "One more short story.", "Now a short story about {H} the {h}.", "And a little one about {a h}?"))
    return turns + [("user", kit.rough(rng, story.fill(ask), 0.2)), ("assistant", story.brief(rng))]


def _asks_back(rng: random.Random) -> Conversation:
    """The wish has no hero; the assistant asks, the user names one."""
    story = make(rng)
    named = rng.random() < 0.6
    turns: Conversation = [("user", rng.choice(ASK_ANY[:10])),
                           ("assistant", rng.choice(("Gladly. Who is the story about?", "Of course. Who shall be the hero?", "With pleasure. What shall it be about?")))]
    ask = rng.choice(("{a h} called {H}", "About {a h} named {H}.", "{H} the {h}")) if named else rng.choice(("About {a h}.", "{a h}", "About {a h}, please."))
    text = story.fill(ask)
    turns += [("user", text[:1].upper() + text[1:] if rng.random() < 0.5 else text), ("assistant", story.tell())]
    return turns + (question(rng, story) if rng.random() < 0.5 else [])


def _reads(rng: random.Random) -> Conversation:
    """The user tells a story and asks about it: the answers stand in the user's own words."""
    story = make(rng)
    text = story.tell() if rng.random() < 0.4 else story.brief(rng)
    ask, reply = (turn[1] for turn in question(rng, story))
    lead = rng.choice(("Here is a story: ", "Listen: ", "Read this story: ", "I know a story. ", ""))
    return [("user", f"{lead}{text} {ask[:1].upper() + ask[1:]}"), ("assistant", reply)]


def _first_line(rng: random.Random) -> Conversation:
    """The user begins, the assistant goes on."""
    story = make(rng)
    fixed = random.Random(story.seed)
    line = kit.expand(fixed, fixed.choice(EDGES["first"]))
    start = story.fill(line)
    start = start[:1].upper() + start[1:]
    rest = [kit.expand(rng, text) for text in story.plot.body + [rng.choice(story.plot.endings)]]
    ask = rng.choice(("Continue this story: {s}", "Go on with this story: {s}", "{s} Go on!", "Finish this story: {s}", "How does this story go on? {s}", "{s} And then?"))
    return [("user", ask.format(s=start)), ("assistant", _joined(rest, story))]


def documents(rng: random.Random, count: int) -> Iterator[Conversation]:
    """`count` conversations with stories."""
    table = [(0.3, _plain), (0.04, _themed), (0.04, _about_me), (0.19, _asked_about), (0.05, _shorter), (0.05, _goes_on), (0.04, _other_end), (0.05, _changed), (0.08, _brief),
             (0.03, _another), (0.05, _asks_back), (0.04, _reads), (0.04, _first_line)]
    yield from kit.stream(rng, count, table, 0.1)


if __name__ == "__main__":
    rng = random.Random(5)
    lengths = [len(re.findall(r'[.!?]"?(?= |$)', make(rng).tell())) for _ in range(2000)]
    words = [len(make(rng).tell().split()) for _ in range(2000)]
    print(f"{len(PLOTS)} plots, {sum(len(p.body) + len(p.endings) for p in PLOTS)} sentences; a story has {min(lengths)} to {max(lengths)} sentences, "
          f"{number_words(min(99, sum(lengths) // len(lengths)))} in the mean, {min(words)} to {max(words)} words")
    kit.check("stories", documents, samples=22)

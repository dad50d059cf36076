"""Copying: what the user told is given back, turns later and in other words.

Names, numbers and made-up words come in thousands of forms, so that looking back pays and learning
by heart does not. Other exchanges stand between the telling and the asking.
"""

import dataclasses
import importlib
import random
import string
from collections.abc import Callable, Iterator

from . import dictionary, kit, language, names, sums
from .kit import Conversation
from .language import article, listed, plural

WEIGHT = 0.12
NOISE = 0.4  # replies copy the user's words: noise in them would teach to change them


# ---- exchanges between -----------------------------------------------------------------------

PLAIN_EXCHANGES = [line.split(" => ") for line in """
How are you? => I am a program, so I have no moods, but everything works. How can I help?
Thanks. => You are welcome.
Thank you! => You are welcome!
Okay. => Good. What would you like to do next?
ok => Fine. Ask me anything about pumice.
What can you do? => I can explain pumice, tell short stories, explain words and do small sums.
Who are you? => I am a small built-in model of pumice. I run on your own machine.
Are you a human? => No, I am a small language model.
What is your name? => I am pumice-mini, the built-in model of pumice.
What's your name? => I am the small built-in model of pumice, pumice-mini for short.
Tell me a joke. => Why did the loop go home? It had reached its end.
Nice. => I am glad that you like it.
Cool! => Thank you.
It is raining here. => Then it is a good day to stay inside.
I am tired. => Then take a rest. I will be here.
I like music. => Music is a good thing to like.
Can you help me? => Yes, if it is about pumice, words, stories or small sums. What do you need?
Good morning! => Good morning! How can I help you?
What is the weather like? => I do not know. I cannot look outside.
Who won the match yesterday? => I do not know. I am a small built-in model and see no news.
What is the capital of Peru? => I do not know. I am a small built-in model of pumice.
What time is it? => I do not know. I have no clock.
Is pumice a program? => Yes, pumice is a program that runs language models on your own machine.
Do you need the internet? => No, I run on your own machine.
Let me think. => Take your time.
Wait a moment. => I am waiting.
That was quick. => Small models are fast.
I have a question. => Ask it, please.
Hmm. => Take your time.
Sorry, I was away. => No problem. Where were we?
""".strip().splitlines()]

_pool: list[Conversation] = []


def _fill_pool() -> None:
    """Short exchanges of the other modules; the facts about pumice where that module is there."""
    rng = random.Random(20)
    for module in ("facts", "smalltalk", "dictionary", "sums", "unknown"):
        try:
            maker = importlib.import_module(f"{__package__}.{module}").documents
        except ImportError:
            continue
        for conversation in maker(rng, 2500 if module == "facts" else 400):
            turns = [turn for turn in conversation if turn[0] != "system"][:2]
            if (len(turns) == 2 and len(turns[0][1]) + len(turns[1][1]) < 260
                    and "my name" not in turns[0][1].lower()):
                _pool.append(turns)


def between(rng: random.Random) -> Conversation:
    """One exchange that has nothing to do with what was told."""
    if not _pool:
        _fill_pool()
    kind = rng.random()
    if kind < 0.25:
        ask, reply = rng.choice(PLAIN_EXCHANGES)
        return [("user", kit.rough(rng, ask)), ("assistant", reply)]
    if kind < 0.35:
        op = rng.choice("+-")
        a, b = sums.pair(rng, op)
        return [("user", f"What is {a} {op} {b}?"), ("assistant", sums.worked(a, op, b))]
    return rng.choice(_pool)


# ---- what the user tells ---------------------------------------------------------------------

MONTHS = ("January February March April May June July August September October November "
          "December").split()
COLOURS = ("red blue green yellow purple pink brown black white grey orange gold silver turquoise "
           "violet beige").split()
PETS = "dog cat rabbit hamster parrot pony goldfish turtle mouse goat hen duck ferret horse".split()
FOODS = ("pizza pasta soup rice cheese bread apples pears cherries pancakes honey chocolate salad fish "
         "potatoes carrots cake ice cream,nuts,mangoes,strawberries,porridge,toast,tomatoes,pie,noodles,"
         "mushrooms,plums,jam,eggs,grapes,lemons,peaches,bananas,stew,biscuits").replace(
    "ice cream", "ice-cream").replace(",", " ").split()
JOBS = [e.word for e in dictionary.BY_KIND["person"][:44]]
HOBBIES = ("reading|painting|swimming|chess|cooking|dancing|cycling|gardening|fishing|singing|running|"
           "knitting|climbing|drawing|hiking|sailing|writing|baking|photography|football|tennis").split("|")
LANGUAGES = ("German French Spanish Italian Polish Turkish Arabic Hindi Chinese Japanese Korean Dutch "
             "Swedish Greek Russian Portuguese Czech Finnish").split()
CARDS = ("Radeon RX 6600|Radeon RX 7900|Radeon RX 580|GeForce RTX 3060|GeForce RTX 4090|GeForce GTX 1070|"
         "Arc A770|Arc B580|Radeon 780M|GeForce RTX 2070|Radeon RX 9070|Iris Xe").split("|")


def made_word(rng: random.Random) -> str:
    """A word that does not exist."""
    return names.made_up(rng, "o a en ik up am or il esk ant ub ing le ot".split()).lower()


def code(rng: random.Random) -> str:
    """A short code of letters and digits."""
    letters = "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.randint(0, 2)))
    digits = "".join(rng.choice(string.digits) for _ in range(rng.randint(2, 4)))
    return letters + digits


def file_name(rng: random.Random) -> str:
    """The name of a model file."""
    size = rng.choice(("1b", "2b", "3b", "7b", "8b", "mini", "small", "test", "chat"))
    return f"{made_word(rng)}-{size}.gguf"


@dataclasses.dataclass(frozen=True)
class Fact:
    """Something to tell: how the user says it, asks for it, and what the answer is."""
    value: Callable[[random.Random], str]
    tell: str
    ask: str
    reply: str
    noun: str
    ack: str = ""


def _word(pool: list[str]) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(pool)


FACTS = {
    "name": Fact(
        names.given,
        "My name is {v}.|My name is {v}.|I'm {v}.|I am {v}.|Call me {v}.|Hi, I am {v}.|Hello, my name is {v}.|"
        "You can call me {v}.|{v} is my name.|People call me {v}.|They call me {v}.|Hi! {v} here.|This is {v}.|"
        "I'm called {v}.|I am called {v}.|My friends call me {v}.|Hey, it's {v}.|Please remember my name: {v}.|"
        "Let me introduce myself: I am {v}.|Hi there, I'm {v}!|Good morning, my name is {v}.|Hello! I'm {v}.|"
        "My name's {v}.|Hey, I'm {v}. Nice to meet you.|You are talking to {v}.|The name is {v}.|"
        "Remember that my name is {v}.|I was named {v}.|Hello, {v} here.|My first name is {v}.",
        "What is my name?|What is my name?|What's my name?|Do you remember my name?|Who am I?|What am I called?|"
        "What did I say my name was?|Can you tell me my name?|Say my name.|whats my name|Do you know who I am?|"
        "What's my name again?|How am I called?|Which name did I tell you?|Do you know my name?|Tell me my name.|"
        "I forgot my name. What is it?|Do you still know my name?|What was my name?|What name did I give you?|"
        "Please tell me what I am called.|Can you remember what my name is?|And what is my name?|"
        "So, what is my name?|By the way, what was my name?|Remember me? What's my name?|"
        "Who are you talking to?|Do you recall my name?|my name?",
        "Your name is {v}.|Your name is {v}.|You are {v}.|You told me that your name is {v}.|{v}.|You are called {v}.|"
        "Yes, your name is {v}.|You said that your name is {v}.|It is {v}.|Of course: {v}.",
        "name",
        "Hello, {v}! How can I help?|Nice to meet you, {v}.|Hello {v}.|Hi {v}! What can I do for you?|"
        "Good to meet you, {v}.|Welcome, {v}.|Hello, {v}. What would you like to know?|Pleased to meet you, {v}!|"
        "Hi, {v}. Ask me about pumice, words or small sums.|Hello, {v}!|Thank you, {v}. How can I help?"),
    "colour": Fact(
        _word(COLOURS),
        "My favourite colour is {v}.|I like {v} best.|{v} is the colour I like most.|I love the colour {v}.|"
        "The colour I like best is {v}.|My favorite color is {v}.|Of all colours I like {v} most.",
        "What is my favourite colour?|Which colour do I like best?|What colour do I like?|What's my favorite color?|"
        "Do you remember my favourite colour?|Which colour did I say I like?|My favourite colour is what?",
        "Your favourite colour is {v}.|You like {v} best.|It is {v}.|You said {v}.|{v}.",
        "favourite colour"),
    "town": Fact(
        names.town,
        "I live in {v}.|I am from {v}.|I come from {v}.|My home is in {v}.|I was born in {v} and still live there.|"
        "My town is called {v}.|I'm from {v}.|{v} is where I live.|My city is {v}.|I moved to {v} last year.",
        "Where do I live?|Where am I from?|Which town do I live in?|In which town do I live?|What is my town?|"
        "Do you remember where I live?|What is the name of my town?|Where is my home?|Which city did I name?",
        "You live in {v}.|Your home is in {v}.|In {v}.|You told me that you live in {v}.|{v}.",
        "town"),
    "age": Fact(
        lambda rng: str(rng.randint(5, 98)),
        "I am {v} years old.|I'm {v}.|My age is {v}.|I turned {v} last week.|I am {v}.|Next to you I am old: {v} years.",
        "How old am I?|What is my age?|Do you remember how old I am?|What age did I tell you?|Which age am I?",
        "You are {v} years old.|You are {v}.|Your age is {v}.|You said {v}.|{v}.", "age"),
    "birthday": Fact(
        lambda rng: rng.choice((lambda d, m: f"{m} {d}", lambda d, m: f"{d} {m}"))(
            rng.randint(1, 28), rng.choice(MONTHS)),
        "My birthday is on {v}.|I was born on {v}.|I have my birthday on {v}.|My birthday is {v}.|"
        "Please note my birthday: {v}.",
        "When is my birthday?|When was I born?|What is the date of my birthday?|Do you remember my birthday?|"
        "On which day is my birthday?|Which day is my birthday?",
        "Your birthday is on {v}.|On {v}.|It is {v}.|You told me {v}.|{v}.", "birthday"),
    "food": Fact(
        _word(FOODS),
        "My favourite food is {v}.|I like to eat {v}.|I love {v}.|The food I like best is {v}.|For dinner I want {v}.|"
        "I could eat {v} every day.",
        "What is my favourite food?|What do I like to eat?|Which food do I like?|What food did I mention?|"
        "Do you remember what I like to eat?",
        "You like {v}.|Your favourite food is {v}.|It is {v}.|You said {v}.|{v}.", "favourite food"),
    "pet": Fact(
        names.pet,
        "My {p} is called {v}.|I have a {p} called {v}.|My {p}'s name is {v}.|The name of my {p} is {v}.|"
        "I have a {p}. Its name is {v}.|We have a {p} named {v}.|Our {p} is {v}.",
        "What is my {p} called?|What is the name of my {p}?|What's my {p}'s name?|Do you remember the name of my {p}?|"
        "How is my {p} called?|Which name has my {p}?|Who is my {p}?",
        "Your {p} is called {v}.|The name of your {p} is {v}.|Its name is {v}.|It is called {v}.|{v}.", "pet"),
    "relative": Fact(
        names.given,
        "My {r} is called {v}.|My {r}'s name is {v}.|I have a {r} called {v}.|The name of my {r} is {v}.|"
        "{v} is my {r}.|My {r} {v} is with me.|I came here with my {r} {v}.",
        "What is my {r} called?|What is the name of my {r}?|What's my {r}'s name?|Who is my {r}?|"
        "Do you remember the name of my {r}?|How is my {r} called?",
        "Your {r} is called {v}.|The name of your {r} is {v}.|Your {r} is {v}.|{v}.", "relative"),
    "job": Fact(
        _word(JOBS),
        "I work as {av}.|I am {av}.|My job is {v}.|I am {av} by trade.|I earn my bread as {av}.",
        "What is my job?|What do I do for a living?|What do I work as?|Do you remember my job?|Which job do I have?",
        "You are {av}.|You work as {av}.|You said that you are {av}.", "job"),
    "hobby": Fact(
        _word(HOBBIES),
        "My hobby is {v}.|In my free time I like {v}.|I enjoy {v}.|My favourite hobby is {v}.|I spend my evenings with {v}.",
        "What is my hobby?|What do I like to do?|What do I enjoy?|Do you remember my hobby?|Which hobby did I name?",
        "Your hobby is {v}.|You like {v}.|You enjoy {v}.|It is {v}.", "hobby"),
    "number": Fact(
        lambda rng: str(rng.randint(1, 99)) if rng.random() < 0.7 else str(rng.randint(100, 9999)),
        "My lucky number is {v}.|My number is {v}.|Remember the number {v}.|Please remember {v}.|Keep the number {v} in mind.|"
        "The number is {v}.|Note this number: {v}.|I think of the number {v}.",
        "What is my number?|Which number did I tell you?|What was the number?|Do you remember the number?|"
        "What number did I say?|Tell me the number.|Which number should you remember?",
        "The number is {v}.|You said {v}.|It is {v}.|Your number is {v}.|{v}.", "number"),
    "word": Fact(
        lambda rng: made_word(rng) if rng.random() < 0.6 else rng.choice(dictionary.ENTRIES).word,
        "The secret word is {v}.|Remember the word {v}.|My secret word is \"{v}\".|The magic word is {v}.|"
        "Please keep this word in mind: {v}.|The password is {v}.|Our word for today is {v}.|Remember this: {v}.",
        "What is the secret word?|Which word did I tell you?|What was the word?|Do you remember the word?|"
        "What is the magic word?|What word did I say?|Tell me the word.|Which word should you remember?",
        "The word is {v}.|You said \"{v}\".|It is \"{v}\".|The word was {v}.|{v}.", "word"),
    "code": Fact(
        code,
        "The code is {v}.|My code is {v}.|Remember the code {v}.|The code of the door is {v}.|Please note the code: {v}.|"
        "My ticket is {v}.",
        "What is the code?|Which code did I tell you?|What was the code?|Do you remember the code?|Tell me the code.|"
        "Give me the code again.",
        "The code is {v}.|It is {v}.|You said {v}.|{v}.", "code"),
    "file": Fact(
        file_name,
        "My model file is called {v}.|I have downloaded {v}.|My file is {v}.|The model I use is {v}.|I want to run {v}.|"
        "The file is named {v}.",
        "What is my file called?|Which model do I have?|What is the name of my file?|Which file did I name?|"
        "Do you remember the name of my file?|Which model do I use?",
        "Your file is called {v}.|It is {v}.|The file is {v}.|You named {v}.|{v}.", "file"),
    "card": Fact(
        _word(CARDS),
        "My graphics card is a {v}.|I have a {v}.|My GPU is a {v}.|There is a {v} in my computer.|I use a {v}.|"
        "I bought a {v}.",
        "Which graphics card do I have?|What GPU do I have?|What is my graphics card?|Which card did I name?|"
        "Do you remember my graphics card?|What card is in my computer?",
        "You have a {v}.|Your graphics card is a {v}.|It is a {v}.|{v}.", "graphics card"),
    "surname": Fact(
        names.surname,
        "My last name is {v}.|My family name is {v}.|My surname is {v}.|I belong to the {v} family.",
        "What is my last name?|What is my family name?|What's my surname?|Do you remember my last name?",
        "Your last name is {v}.|It is {v}.|You said {v}.|Your family name is {v}.", "last name"),
    "language": Fact(
        _word(LANGUAGES),
        "I speak {v} at home.|My language is {v}.|I am learning {v}.|My mother tongue is {v}.",
        "Which language did I name?|What language do I speak?|Do you remember my language?|Which language was it?",
        "It is {v}.|You said {v}.|{v}.", "language"),
    "lives": Fact(
        lambda rng: f"{rng.randint(1, 99)} {rng.choice(names.SURNAMES)} {rng.choice(('Street', 'Road', 'Lane'))}",
        "My address is {v}.|I live at {v}.|Send it to {v}.|The parcel goes to {v}.",
        "What is my address?|Which address did I give you?|Where does the parcel go?|Do you remember my address?",
        "Your address is {v}.|It is {v}.|You said {v}.|{v}.", "address"),
}
RELATIVES = ("friend best friend,sister,brother,mother,father,son,daughter,uncle,aunt,cousin,wife,husband,"
             "neighbour,teacher,boss,grandmother,grandfather,nephew,niece").replace(
    "friend best", "friend,best").split(",")
ACKS = ("I will remember that.|Noted.|Good to know.|Thank you for telling me.|All right.|I see.|Okay, I keep that in mind.|"
        "Fine, I will keep it in mind.|Understood.|Thank you, noted.|Very well.|I have it.").split("|")
ECHOES = ("All right: {v}.|Noted: {v}.|{v}, I will remember that.|Okay, {v}.|I keep it in mind: {v}.|I see, {v}.").split("|")


@dataclasses.dataclass
class Told:
    """A fact with its value, ready to be said and asked."""
    key: str
    slots: dict[str, str]

    def line(self, rng: random.Random, field: str) -> str:
        template = rng.choice(getattr(FACTS[self.key], field).split("|"))
        text = template.format(**self.slots)
        # A made-up word keeps its form; a plain one takes a capital at the start of a sentence.
        if template.startswith("{v}") and self.key in ("word", "file", "code"):
            return text
        return text[:1].upper() + text[1:] if field != "ask" else text

    @property
    def value(self) -> str:
        return self.slots["v"]


def tell(rng: random.Random, key: str) -> Told:
    """A fact of this kind with a fresh value."""
    value = FACTS[key].value(rng)
    return Told(key, {"v": value, "av": article(value), "p": rng.choice(PETS),
                      "r": rng.choice(RELATIVES)})


def acknowledge(rng: random.Random, told: Told) -> str:
    """What the assistant says when it is told."""
    if FACTS[told.key].ack and rng.random() < 0.85:
        return told.line(rng, "ack")
    if rng.random() < 0.4:
        text = rng.choice(ECHOES).format(v=told.value)
        return text if told.key in ("word", "file", "code") else language.sentence(text)
    return rng.choice(ACKS)


def asked(rng: random.Random, told: Told) -> Conversation:
    """The question for it and the right answer."""
    return [("user", kit.rough(rng, told.line(rng, "ask"), 0.25)), ("assistant", told.line(rng, "reply"))]


WANTS = ("I want to learn about pumice.|I have some questions.|I would like a story.|I need help with a sum.|"
         "I am new here.|How are you?|Nice to meet you.|Can you help me?|I am looking for help.").split("|")


def _remember_name(rng: random.Random) -> Conversation:
    """The name, then one to four other exchanges, then the question."""
    told = tell(rng, "name")
    text = told.line(rng, "tell")
    if rng.random() < 0.2:
        text += " " + rng.choice(WANTS)
    if rng.random() < 0.1:
        text = rng.choice(("Hi! ", "Hello. ", "Hey. ", "Good evening. ")) + text
    if rng.random() < 0.05:
        text = text.lower()
    turns: Conversation = [("user", text), ("assistant", acknowledge(rng, told))]
    for _ in range(rng.choices((0, 1, 2, 3), (1, 4, 4, 1.2))[0]):
        turns += between(rng)
    turns += asked(rng, told)
    if rng.random() < 0.12:
        bye = rng.choice(("Bye!", "Goodbye.", "See you.", "Thanks, bye."))
        turns += [("user", bye), ("assistant", rng.choice(("Goodbye, {v}!", "Bye, {v}!", "See you, {v}.")).format(
            v=told.value))]
    return turns


def _remember_fact(rng: random.Random) -> Conversation:
    told = tell(rng, rng.choice([key for key in FACTS if key != "name"]))
    turns: Conversation = [("user", told.line(rng, "tell")), ("assistant", acknowledge(rng, told))]
    for _ in range(rng.choices((0, 1, 2, 3), (2, 4, 3, 1))[0]):
        turns += between(rng)
    return turns + asked(rng, told)


def _remember_several(rng: random.Random) -> Conversation:
    """Two or three facts, told at once or one by one, asked in any order."""
    keys = rng.sample(list(FACTS), rng.randint(2, 3))
    if "name" not in keys and rng.random() < 0.6:
        keys[0] = "name"
        keys = list(dict.fromkeys(keys))
    told = [tell(rng, key) for key in keys]
    turns: Conversation = []
    if rng.random() < 0.5:
        text = " ".join(item.line(rng, "tell") for item in told)
        turns += [("user", text), ("assistant", acknowledge(rng, told[0]))]
    else:
        for item in told:
            turns += [("user", item.line(rng, "tell")), ("assistant", acknowledge(rng, item))]
    if rng.random() < 0.5:
        turns += between(rng)
    rng.shuffle(told)
    for item in told[:max(1, (20 - len(turns)) // 2)]:
        turns += asked(rng, item)
    return turns[:20]


def _both_names(rng: random.Random) -> Conversation:
    """The user's name and someone else's: which is asked matters."""
    own, other = tell(rng, "name"), tell(rng, rng.choice(("relative", "pet")))
    first, second = (own, other) if rng.random() < 0.6 else (other, own)
    joint = rng.choice((" ", " ", " And "))
    text = first.line(rng, "tell") + joint + second.line(rng, "tell")
    turns: Conversation = [("user", text), ("assistant", rng.choice(ACKS))]
    if rng.random() < 0.6:
        turns += between(rng)
    order = [own, other]
    rng.shuffle(order)
    for item in order[:rng.randint(1, 2)]:
        turns += asked(rng, item)
    if rng.random() < 0.3:
        turns += [("user", rng.choice(("What is your name?", "And your name?", "And who are you?"))),
                  ("assistant", rng.choice(("I am pumice-mini, the small built-in model of pumice.",
                                            "I am the built-in model of pumice.")))]
    return turns


def _who_is(rng: random.Random) -> Conversation:
    """The name is given back and its bearer asked for; a name never heard is not known."""
    told = tell(rng, rng.choice(("relative", "pet", "relative", "name")))
    role = {"relative": told.slots["r"], "pet": told.slots["p"]}.get(told.key, "")
    turns: Conversation = [("user", told.line(rng, "tell")), ("assistant", acknowledge(rng, told))]
    if rng.random() < 0.5:
        turns += between(rng)
    if rng.random() < 0.25:
        other = names.given(rng, 0.8)
        return turns + [("user", f"Who is {other}?"),
                        ("assistant", rng.choice((f"I do not know who {other} is. You have not told me.",
                                                  f"I do not know. You have not told me about {other}.")))]
    v = told.value
    ask = rng.choice((f"Who is {v}?", f"Do you know who {v} is?", f"Who was {v}?", f"And who is {v}?"))
    reply = f"{v} is your {role}." if role else rng.choice((f"You are {v}.", f"That is you: you are {v}."))
    return turns + [("user", ask), ("assistant", reply)]


def _changed(rng: random.Random) -> Conversation:
    """A correction: the last word counts."""
    key = rng.choice(["name", "name", "name", "colour", "town", "age", "number", "word", "code", "food"])
    old, new = tell(rng, key), tell(rng, key)
    noun = FACTS[key].noun
    fix = rng.choice((f"Sorry, that was wrong. My {noun} is {new.value}.", f"No, my {noun} is {new.value}.",
                      f"I made a mistake: my {noun} is {new.value}.", f"Actually my {noun} is {new.value}.",
                      f"Forget that. My {noun} is {new.value}.", f"Change my {noun} to {new.value}."))
    turns: Conversation = [("user", old.line(rng, "tell")), ("assistant", acknowledge(rng, old)),
                           ("user", fix),
                           ("assistant", rng.choice(("All right, {v}.", "Thank you, I changed it to {v}.",
                                                     "Okay: {v}.", "Noted: {v}.")).format(v=new.value))]
    if rng.random() < 0.5:
        turns += between(rng)
    return turns + asked(rng, new)


def _not_told(rng: random.Random) -> Conversation:
    """Asked for something the user never said."""
    missing = tell(rng, rng.choice(list(FACTS)))
    turns: Conversation = []
    if rng.random() < 0.6:
        other = tell(rng, rng.choice([key for key in FACTS if key != missing.key]))
        turns += [("user", other.line(rng, "tell")), ("assistant", acknowledge(rng, other))]
    elif rng.random() < 0.5:
        turns += between(rng)
    noun = FACTS[missing.key].noun
    # Pets and relatives are asked for by their kind.
    noun = {"pet": f"the name of your {missing.slots['p']}",
            "relative": f"the name of your {missing.slots['r']}"}.get(missing.key, f"your {noun}")
    if missing.key in ("number", "word", "code"):
        noun = f"the {missing.key}"
    reply = rng.choice((f"I do not know {noun}. You have not told me yet.", f"I do not know {noun} yet.",
                        f"You have not told me, so I do not know {noun}.",
                        f"I do not know {noun}. Will you tell me?"))
    turns += [("user", kit.rough(rng, missing.line(rng, "ask"))), ("assistant", reply)]
    if rng.random() < 0.5:
        told = missing
        turns += [("user", told.line(rng, "tell")), ("assistant", acknowledge(rng, told))] + asked(rng, told)
    return turns


def _in_system(rng: random.Random) -> Conversation:
    """The system prompt tells something about the user."""
    told = tell(rng, "name")
    line = rng.choice(("The user's name is {v}.", "You are talking to {v}.", "The user is called {v}.",
                       "You help {v}.", "The name of the user is {v}.")).format(v=told.value)
    turns: Conversation = [("system", f"{rng.choice(kit.SYSTEM_LINES)} {line}")]
    if rng.random() < 0.5:
        turns += [("user", rng.choice(("Hello!", "Hi.", "Good morning.", "Hey there."))),
                  ("assistant", told.line(rng, "ack"))]
    return turns + asked(rng, told)


def _what_said(rng: random.Random) -> Conversation:
    """Gives back the user's own words or its own."""
    first = between(rng)[:2]
    if len(first[0][1]) < 3 or len(first[0][1]) > 90:
        ask, reply = rng.choice(PLAIN_EXCHANGES)
        first = [("user", ask), ("assistant", reply)]
    said = first[0][1]
    turns = list(first)
    if rng.random() < 0.35:
        turns += between(rng)
    ask, reply = rng.choice((
        ("What did I ask first?", f'You asked: "{said}"'), ("What was my first question?", f'Your first question was: "{said}"'),
        ("What did I say at the beginning?", f'You said: "{said}"'), ("Repeat my first message.", said),
        ("What was the first thing I wrote?", f'You wrote: "{said}"')))
    if len(turns) == 2 and rng.random() < 0.5:
        ask, reply = rng.choice((("What did I just say?", f'You said: "{said}"'), ("Repeat your answer.", first[1][1]),
                                 ("Say that again.", first[1][1]), ("What did you say?", first[1][1]),
                                 ("Again, please.", first[1][1]), ("Can you repeat that?", first[1][1])))
    return turns + [("user", kit.rough(rng, ask, 0.2)), ("assistant", reply)]


# ---- copying within a turn -------------------------------------------------------------------

def any_word(rng: random.Random) -> str:
    """A plain word, a name or a word that does not exist."""
    kind = rng.random()
    if kind < 0.45:
        word = rng.choice(dictionary.ENTRIES).word
        return word if " " not in word else word.split()[0]
    if kind < 0.65:
        return names.given(rng)
    return made_word(rng)


def any_sentence(rng: random.Random) -> str:
    """A sentence of plain words."""
    return dictionary.example(rng, rng.choice(dictionary.ENTRIES))


def _repeat(rng: random.Random) -> Conversation:
    kind = rng.random()
    if kind < 0.45:
        text = any_word(rng) if rng.random() < 0.4 else " ".join(any_word(rng) for _ in range(rng.randint(2, 6)))
    elif kind < 0.85:
        text = any_sentence(rng).replace('"', "")
    else:
        text = " ".join(str(rng.randint(0, 99)) for _ in range(rng.randint(2, 6)))
    ask = rng.choice(("Repeat after me: {t}", "Repeat: {t}", "Say: {t}", "Say this: {t}", "Say {t}", "Please repeat: {t}",
                      "Repeat this exactly: {t}", "Copy this: {t}", "Write this again: {t}", "Echo: {t}",
                      "Can you repeat this? {t}", "Say after me: {t}", "Copy the following text: {t}",
                      'Repeat the text between the marks: "{t}"', "Write: {t}", "Just say {t}"))
    return [("user", ask.format(t=text)), ("assistant", text)]


def _times(rng: random.Random) -> Conversation:
    word = any_word(rng)
    count = rng.choices((2, 3, 4, 5), (5, 4, 1, 1))[0]
    name = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}[count]
    ask = rng.choice(("Say {w} {k}.", "Write {w} {k}.", "Repeat {w} {k}.", "Say the word {w} {k}.", "{w}, {k} please.",
                      "Can you say {w} {k}?", "Write the word \"{w}\" {k}."))
    joint = rng.choice((" ", ", "))
    return [("user", kit.rough(rng, ask.format(w=word, k=name), 0.15) if word.islower() else ask.format(w=word, k=name)),
            ("assistant", joint.join([word] * count))]


def _spell(rng: random.Random) -> Conversation:
    word = any_word(rng) if rng.random() < 0.7 else names.given(rng)
    if rng.random() < 0.6:
        ask = rng.choice(("Spell {w}.", "Spell the name {w}.", "How do you spell {w}?", "Spell \"{w}\" for me.",
                          "Give me the letters of {w}.", "Can you spell {w}?"))
        return [("user", ask.format(w=word)),
                ("assistant", f"{word}: " + ", ".join(c for c in word.lower() if c.isalpha()) + ".")]
    letters = [c for c in word.lower() if c.isalpha()]
    ask = rng.choice(("Put these letters together: {l}.", "Which word is this: {l}?", "Join the letters {l}.",
                      "Make a word of {l}.", "What do these letters make: {l}?"))
    return [("user", ask.format(l=rng.choice((", ", " ", "-")).join(letters))),
            ("assistant", "".join(letters) + rng.choice(("", ".")))]


PLACES_IN_LIST = ("first", "second", "third", "last")


def _list_items(rng: random.Random, low: int = 3, high: int = 6) -> list[str]:
    count = rng.randint(low, high)
    if rng.random() < 0.5:
        return [name for name, _ in names.people(rng, count)]
    items: list[str] = []
    while len(items) < count:
        word = any_word(rng)
        if word not in items:
            items.append(word)
    return items


def _lists(rng: random.Random) -> Conversation:
    """A list given by the user, and questions about it."""
    items = _list_items(rng)
    intro = rng.choice(("Remember these words: {i}.", "Here is a list: {i}.", "My list: {i}.", "I need {i}.",
                        "These are my things: {i}.", "Keep this list: {i}.", "Take these: {i}."))
    turns: Conversation = [("user", intro.format(i=", ".join(items))),
                           ("assistant", rng.choice(("I have the list.", "Noted.", "All right.", "I will remember them.",
                                                     f"I have {language.number_words(len(items))} words.")))]
    if rng.random() < 0.35:
        turns += between(rng)
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(5)
        if kind == 0:
            ask = rng.choice(("What was on my list?", "Say the list again.", "Repeat the list.", "Which words were they?",
                              "Give me the list back.", "List them in order."))
            reply = ", ".join(items) + "."
        elif kind == 1:
            place = rng.randrange(4)
            at = -1 if place == 3 else place
            ask = rng.choice((f"What was the {PLACES_IN_LIST[place]} one?", f"Which was the {PLACES_IN_LIST[place]} word?",
                              f"Tell me the {PLACES_IN_LIST[place]} one."))
            reply = f"The {PLACES_IN_LIST[place]} one is {items[at]}."
        elif kind == 2:
            ask = rng.choice(("How many were there?", "How many words are on the list?", "Count them."))
            reply = f"There are {language.number_words(len(items))}."
        elif kind == 3:
            ask = rng.choice(("Say them in reverse order.", "Now backwards.", "Reverse the list.", "From last to first, please."))
            reply = ", ".join(reversed(items)) + "."
        else:
            at = rng.randrange(len(items) - 1)
            ask = rng.choice((f"What comes after {items[at]}?", f"Which one follows {items[at]}?"))
            reply = f"After {items[at]} comes {items[at + 1]}."
        turns += [("user", ask), ("assistant", reply)]
    return turns


def _list_once(rng: random.Random) -> Conversation:
    items = _list_items(rng, 3, 5)
    shown = ", ".join(items)
    place = rng.randrange(4)
    at = -1 if place == 3 else place
    name = PLACES_IN_LIST[place]
    ask, reply = rng.choice((
        (f"Reverse this list: {shown}.", ", ".join(reversed(items)) + "."),
        (f"Say these words backwards: {shown}.", ", ".join(reversed(items)) + "."),
        (f"Which word is the {name} one: {shown}?", f"{items[at]}."),
        (f"What is the {name} word of this list: {shown}?", f"The {name} word is {items[at]}."),
        (f"How many words are these: {shown}?", f"These are {language.number_words(len(items))} words."),
        (f"Put an \"and\" before the last one: {shown}.", listed(items) + "."),
        (f"Make a numbered list: {shown}.", "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1))),
        (f"Swap the first two: {shown}.", ", ".join([items[1], items[0]] + items[2:]) + "."),
        (f"Leave out {items[1]}: {shown}.", ", ".join(items[:1] + items[2:]) + "."),
        (f"Remove {items[-1]} from this list: {shown}.", ", ".join(items[:-1]) + "."),
        (f"Add {items[-1]} to this list: {', '.join(items[:-1])}.", shown + "."),
        (f"Is {items[at]} in this list: {shown}?", f"Yes, {items[at]} is in the list."),
    ))
    return [("user", ask), ("assistant", reply)]


def _swap(rng: random.Random) -> Conversation:
    """Two things change places, or one takes the place of another."""
    (a, _), (b, _) = names.people(rng, 2)
    verb = rng.choice([v for v in dictionary.BY_KIND["social"] if " " not in v.word])
    past = dictionary._forms(verb, verb.word)["vd"]
    one, two = f"{a} {past} {b}.", f"{b} {past} {a}."
    if rng.random() < 0.3:
        ask = rng.choice((f"Swap the names: {one}", f"Turn it round: {one}", f"Exchange the two people: {one}"))
        return [("user", ask), ("assistant", two)]
    entry = rng.choice([e for e in dictionary.OBJECTS])
    other = rng.choice([e for e in dictionary.OBJECTS if e.word != entry.word])
    frame = rng.choice(dictionary.FRAMES["object"])
    seed = rng.getrandbits(48)
    old = dictionary.render(entry, entry.word, frame, random.Random(seed))
    new = dictionary.render(entry, other.word, frame, random.Random(seed))
    ask = rng.choice((f"Replace {entry.word} by {other.word}: {old}", f"Say {other.word} instead of {entry.word}: {old}",
                      f"Change {entry.word} to {other.word} in this sentence: {old}",
                      f"Put {other.word} in the place of {entry.word}: {old}"))
    return [("user", ask), ("assistant", new)]


def _choose(rng: random.Random) -> Conversation:
    """Which of these words is an animal, a name, a number, a colour?"""
    kind = rng.choice(["animal", "fruit", "tool", "vehicle", "clothing", "colour", "building", "bird"])
    right = rng.choice(dictionary.members(kind))
    others = [made_word(rng) for _ in range(rng.randint(0, 1))]
    while len(others) < 3:
        entry = rng.choice(dictionary.NOUNS)
        if dictionary.WIDER.get(entry.kind, entry.kind) != dictionary.WIDER.get(kind, kind) and entry.word != right:
            others.append(entry.word)
    items = others + [right]
    rng.shuffle(items)
    kind_text = article(dictionary.KIND_NAMES[kind])
    ask = rng.choice((f"Which of these is {kind_text}: {', '.join(items)}?", f"Which of these words is {kind_text}: {listed(items, 'or')}?",
                      f"Find {kind_text} in this list: {', '.join(items)}."))
    reply = rng.choice((f"{right} is {kind_text}.", f"{right}.", f"It is {right}."))
    return [("user", ask), ("assistant", language.sentence(reply))]


# ---- reading ---------------------------------------------------------------------------------

ROOMS = "kitchen garden cellar attic hall bathroom bedroom garage library office yard park school shop".split()


def _people_and_things(rng: random.Random) -> Conversation:
    """Several people have, like or are something; one is asked for."""
    count = rng.randint(1, 4)
    people = names.people(rng, count)
    things = rng.sample([e.word for e in dictionary.OBJECTS], count)
    colours = [rng.choice(COLOURS) for _ in people]
    places = rng.sample(ROOMS, count)
    towns = [names.town(rng) for _ in people]
    kind = rng.randrange(5)
    at = rng.randrange(count)
    n, t, c, p, o = people[at][0], things[at], colours[at], places[at], towns[at]
    her = people[at][1]
    if kind == 0:
        lines = [rng.choice(("{n} has a {c} {t}.", "{n} owns a {c} {t}.", "{n} bought a {c} {t}.")).format(
            n=a, c=b, t=d) for (a, _), b, d in zip(people, colours, things)]
        lines = [line.replace("a orange", "an orange") for line in lines]
        ask, reply = rng.choice(((f"What does {n} have?", f"{n} has {article(c)} {t}."), (f"Who has the {t}?", f"{n} has the {t}."),
                                 (f"What colour is the {t}?", f"The {t} is {c}."), (f"Whose is the {t}?", f"The {t} belongs to {n}."),
                                 (f"Which thing does {n} have?", f"{n} has the {c} {t}.")))
    elif kind == 1:
        lines = [rng.choice(("{n} is in the {p}.", "{n} went to the {p}.", "{n} sits in the {p}.")).format(n=a, p=b)
                 for (a, _), b in zip(people, places)]
        ask, reply = rng.choice(((f"Where is {n}?", f"{n} is in the {p}."), (f"Who is in the {p}?", f"{n} is in the {p}."),
                                 (f"In which place is {n}?", f"In the {p}.")))
    elif kind == 2:
        lines = [rng.choice(("{n} lives in {o}.", "{n} comes from {o}.", "{n} was born in {o}.")).format(n=a, o=b)
                 for (a, _), b in zip(people, towns)]
        ask, reply = rng.choice(((f"Which town belongs to {n}?", f"{o}."), (f"Who has to do with {o}?", f"{n}."),
                                 (f"Which town is named for {n}?", f"{o}."), (f"Where is {n} from?", f"{n} is from {o}.")))
    elif kind == 3:
        ages = [rng.randint(4, 90) for _ in people]
        lines = [rng.choice(("{n} is {g} years old.", "{n} is {g}.")).format(n=a, g=b) for (a, _), b in zip(people, ages)]
        ask, reply = f"How old is {n}?", rng.choice((f"{n} is {ages[at]} years old.", f"{n} is {ages[at]}.",
                                                     f"{her.capitalize()} is {ages[at]}."))
    else:
        lines = [rng.choice(("The {t} is in the {p}.", "{n} put the {t} into the {p}.", "{n} left the {t} in the {p}.")).format(
            n=a, t=b, p=d) for (a, _), b, d in zip(people, things, places)]
        ask, reply = rng.choice(((f"Where is the {t}?", f"The {t} is in the {p}."), (f"What is in the {p}?", f"The {t} is in the {p}.")))
    text = " ".join(lines)
    shape = rng.choice(("{t} {a}", "{t} {a}", "{t}\n{a}", "Read this: {t} Now tell me: {a}", "{t} Question: {a}",
                        "Note: {t}\n\n{a}", "{a} {t}"))
    return [("user", shape.format(t=text, a=ask)), ("assistant", reply)]


def _events(rng: random.Random) -> Conversation:
    """Who gave what to whom, who went where; asked in the same or in later turns."""
    (a, he), (b, _) = names.people(rng, 2)
    thing = rng.choice(dictionary.OBJECTS).word
    t1, t2 = rng.sample(ROOMS, 2)
    day = rng.choice("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
    count = rng.randint(2, 12)
    text, questions = rng.choice((
        (f"On {day} {a} gave {b} {article(thing)}.", [("What did {a} give {b}?", f"{a} gave {b} {article(thing)}."),
         (f"Who gave something to {b}?", f"{a} gave something to {b}."), (f"Who got {article(thing)}?", f"{b} got {article(thing)}."),
         (f"When did {a} give it to {b}?", f"On {day}.")]),
        (f"{a} went from the {t1} to the {t2}.", [(f"Where did {a} go?", f"{a} went to the {t2}."),
         (f"Where was {a} before?", f"{a} was in the {t1}."), (f"Where is {a} now?", f"{a} is in the {t2}."),
         (f"Who went to the {t2}?", f"{a} went to the {t2}.")]),
        (f"{a} met {b} in the {t1} on {day}.", [(f"Whom did {a} meet?", f"{a} met {b}."), (f"Where did {a} meet {b}?", f"In the {t1}."),
         (f"When did they meet?", f"They met on {day}."), (f"Who met {b}?", f"{a} met {b}.")]),
        (f"{a} has {count} {plural(thing)} in the {t1}.", [(f"How many {plural(thing)} does {a} have?", f"{a} has {count} {plural(thing)}."),
         (f"Where are the {plural(thing)}?", f"The {plural(thing)} are in the {t1}."), (f"What does {a} have?", f"{a} has {count} {plural(thing)}."),
         (f"Who has {plural(thing)}?", f"{a} has {plural(thing)}.")]),
        (f"{a} lost {article(thing)} in the {t1}, and {b} found it.", [(f"What did {a} lose?", f"{a} lost {article(thing)}."),
         (f"Who found the {thing}?", f"{b} found the {thing}."), (f"Where did {a} lose it?", f"In the {t1}."),
         (f"Who lost the {thing}?", f"{a} lost the {thing}.")]),
        (f"{a} wants to go to {names.town(rng)} because {he} likes the {t1} there.", [(f"Who wants to travel?", f"{a} wants to travel."),
         (f"Why does {a} want to go there?", f"Because {he} likes the {t1} there.")]),
    ))
    questions = [(ask.format(a=a, b=b), reply) for ask, reply in questions]
    rng.shuffle(questions)
    ask, reply = questions[0]
    turns: Conversation = [("user", f"{text} {ask}"), ("assistant", reply)]
    for ask, reply in questions[1:rng.randint(1, 3)]:
        turns += [("user", ask), ("assistant", reply)]
    return turns


# ---- order -----------------------------------------------------------------------------------

def _counting(rng: random.Random) -> Conversation:
    a = rng.randint(0, 90)
    step = rng.choices((1, 2, 5, 10), (7, 2, 1, 1))[0]
    count = rng.randint(3, 10)
    up = list(range(a, min(100, a + step * count), step))
    kind = rng.randrange(6)
    if kind == 0:
        high = min(99, a + rng.randint(2, 12))
        return [("user", rng.choice((f"Count from {a} to {high}.", f"Count up from {a} to {high}.", f"Say the numbers from {a} to {high}."))),
                ("assistant", ", ".join(map(str, range(a, high + 1))) + ".")]
    if kind == 1:
        high = min(99, a + rng.randint(2, 12))
        return [("user", rng.choice((f"Count down from {high} to {a}.", f"Count back from {high} to {a}.",
                                     f"Say the numbers from {high} down to {a}."))),
                ("assistant", ", ".join(map(str, range(high, a - 1, -1))) + ".")]
    if kind == 2:
        return [("user", rng.choice((f"What number comes after {a}?", f"Which number follows {a}?", f"Next number after {a}?"))),
                ("assistant", rng.choice((f"{a + 1}.", f"After {a} comes {a + 1}.")))]
    if kind == 3 and a > 0:
        return [("user", rng.choice((f"What number comes before {a}?", f"Which number is just before {a}?"))),
                ("assistant", rng.choice((f"{a - 1}.", f"Before {a} comes {a - 1}.")))]
    if kind == 4 and len(up) > 3:
        shown = ", ".join(map(str, up[:-1]))
        return [("user", rng.choice((f"Continue: {shown}", f"What comes next: {shown}?", f"Go on: {shown}, ..."))),
                ("assistant", f"{up[-1]}.")]
    number = rng.randint(0, 99)
    if rng.random() < 0.5:
        return [("user", rng.choice((f"Write {number} in words.", f"How do you write {number} in words?"))),
                ("assistant", language.sentence(language.number_words(number)))]
    word = language.number_words(number)
    return [("user", rng.choice((f"Write {word} as a number.", f"Which number is {word}?"))), ("assistant", f"{number}.")]


def _sorting(rng: random.Random) -> Conversation:
    count = rng.choices((3, 4, 5), (6, 2, 1))[0]
    numbers = rng.sample(range(0, 100), count) if rng.random() < 0.8 else rng.sample(range(0, 10), count)
    shown = ", ".join(map(str, numbers))
    low, high = sorted(numbers), sorted(numbers, reverse=True)
    ask, reply = rng.choice((
        (f"Sort these numbers: {shown}.", ", ".join(map(str, low)) + "."), (f"Put in order: {shown}.", ", ".join(map(str, low)) + "."),
        (f"Sort from small to large: {shown}.", ", ".join(map(str, low)) + "."),
        (f"Sort from large to small: {shown}.", ", ".join(map(str, high)) + "."),
        (f"Which is the largest: {shown}?", f"{high[0]} is the largest."), (f"Which is the smallest: {shown}?", f"{low[0]} is the smallest."),
        (f"What is the biggest of {shown}?", f"{high[0]}."), (f"What is the smallest of {shown}?", f"{low[0]}."),
        (f"Reverse these numbers: {shown}.", ", ".join(map(str, reversed(numbers))) + ".")))
    return [("user", ask), ("assistant", reply)]


def _alphabet(rng: random.Random) -> Conversation:
    letters = string.ascii_uppercase
    at = rng.randrange(1, 25)
    if rng.random() < 0.6:
        ask, reply = rng.choice((
            (f"Which letter comes after {letters[at]}?", f"After {letters[at]} comes {letters[at + 1]}."),
            (f"What letter comes before {letters[at]}?", f"Before {letters[at]} comes {letters[at - 1]}."),
            (f"What is the next letter after {letters[at]}?", f"{letters[at + 1]}."),
            (f"Say the letters from {letters[at - 1]} to {letters[min(25, at + 4)]}.",
             ", ".join(letters[at - 1:min(25, at + 4) + 1]) + ".")))
        return [("user", ask), ("assistant", reply)]
    first = rng.sample(string.ascii_lowercase, 3)
    words = [rng.choice([w for w in dictionary.BY_WORD if w[0] == c] or [c + "o"]) for c in first]
    ask = rng.choice(("Sort these words by the alphabet: {i}.", "Put these words in alphabetical order: {i}."))
    return [("user", ask.format(i=", ".join(words))), ("assistant", ", ".join(sorted(words)) + ".")]


def _greet_them(rng: random.Random) -> Conversation:
    """Says something to, for or about a named person."""
    n = names.given(rng)
    m = names.given(rng)
    town = names.town(rng)
    ask, reply = rng.choice((
        (f"Say hello to {n}.", f"Hello, {n}!"), (f"Say goodbye to {n}.", f"Goodbye, {n}!"), (f"Greet {n} and {m}.", f"Hello, {n} and {m}!"),
        (f"Thank {n} for me.", f"Thank you, {n}!"), (f"Wish {n} a happy birthday.", f"Happy birthday, {n}!"),
        (f"Congratulate {n}.", f"Congratulations, {n}!"), (f"Welcome {n} to {town}.", f"Welcome to {town}, {n}!"),
        (f"Write a short note to {n} from {m}.", f"Dear {n}, I hope that you are well. See you soon. Yours, {m}"),
        (f"Invite {n} to {town}.", f"Dear {n}, please come to {town}. It would be a pleasure to see you."),
        (f"Tell {n} that {m} is late.", f"{n}, {m} is late."), (f"Ask {n} where {m} is.", f"{n}, where is {m}?"),
        (f"My friend {n} is here.", f"Hello, {n}! Nice to meet you."), (f"{n} says hello.", f"Please say hello to {n} from me."),
        (f"Is {n} a name?", f"Yes, {n} can be a name."), (f"I am with {n} and {m}.", f"Hello to you, {n} and {m}!"),
        (f"From now on call me {n}.", f"All right, {n}."), (f"Introduce {n} to {m}.", f"{m}, this is {n}. {n}, this is {m}.")))
    return [("user", kit.rough(rng, ask, 0.15)), ("assistant", reply)]


def documents(rng: random.Random, count: int) -> Iterator[Conversation]:
    """`count` conversations in which something is copied."""
    table = [(0.24, _remember_name), (0.11, _remember_fact), (0.1, _remember_several), (0.05, _both_names),
             (0.03, _changed), (0.03, _who_is), (0.04, _not_told), (0.02, _in_system), (0.03, _what_said), (0.06, _repeat),
             (0.02, _times), (0.03, _spell), (0.04, _lists), (0.03, _list_once), (0.03, _swap), (0.02, _choose),
             (0.07, _people_and_things), (0.04, _events), (0.03, _counting), (0.02, _sorting), (0.01, _alphabet),
             (0.03, _greet_them)]
    yield from kit.stream(rng, count, table, 0.1)


if __name__ == "__main__":
    kit.check("memory", documents, samples=40)

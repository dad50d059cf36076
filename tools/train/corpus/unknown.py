"""Questions outside of what the model can know, and the honest answer to them.

unknown_topics/topics.txt lists some nine hundred subjects by kind, questions.txt whole questions; a
further share asks about people, places and words that do not exist, so that the refusal follows from
not knowing and not from a list. Exchanges inside (words, sums) stand beside them.
"""

import pathlib
import random
from collections.abc import Iterator

from . import dictionary, kit, names, sums
from .kit import Conversation
from .language import article, plural

WEIGHT = 0.08

_FOLDER = pathlib.Path(__file__).with_name("unknown_topics")


def _load_topics() -> dict[str, list[str]]:
    topics: dict[str, list[str]] = {}
    kind = ""
    for line in (_FOLDER / "topics.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            kind = line[1:-1]
        elif line and not line.startswith("#"):
            topics.setdefault(kind, []).extend(line.split("|"))
    return topics


TOPICS = _load_topics()
QUESTIONS = [line for line in (_FOLDER / "questions.txt").read_text(encoding="utf-8").splitlines()
             if line and not line.startswith("#")]

# By kind: "question = clause", one a line; the clause completes "I do not know ...". {t} is the topic.
_FORMS_TEXT = """
[person]
Who is {t}? = who {t} is
Who was {t}? = who {t} was
When was {t} born? = when {t} was born
Where was {t} born? = where {t} was born
What did {t} do? = what {t} did
What is {t} famous for? = what {t} is famous for
Tell me about {t}. = anything about {t}
How did {t} die? = how {t} died
How old is {t}? = how old {t} is
Was {t} married? = whether {t} was married
Write a biography of {t}. = enough about {t}
What did {t} say? = what {t} said
Do you know {t}? = {t}
What do you know about {t}? = anything about {t}
Why is {t} important? = why {t} is important
Is {t} still alive? = whether {t} is still alive
[country]
What is the capital of {t}? = the capital of {t}
Capital of {t}? = the capital of {t}
Which city is the capital of {t}? = the capital of {t}
Do you know the capital of {t}? = the capital of {t}
Where is {t}? = where {t} is
How many people live in {t}? = how many people live in {t}
What is the population of {t}? = the population of {t}
What language do they speak in {t}? = which language they speak in {t}
What is the currency of {t}? = the currency of {t}
Who rules {t}? = who rules {t}
How big is {t}? = how big {t} is
What is the flag of {t}? = the flag of {t}
Which countries border {t}? = the neighbours of {t}
What do people eat in {t}? = what people eat in {t}
What is the weather in {t}? = the weather in {t}
Tell me about {t}. = enough about {t}
Tell me the history of {t}. = the history of {t}
Should I travel to {t}? = enough about {t} to say that
What is the largest city in {t}? = the largest city in {t}
When did {t} become independent? = when {t} became independent
[event]
When was {t}? = when that was
What was {t}? = what {t} was
What do you know about {t}? = anything about {t}
Why did {t} happen? = why {t} happened
Tell me about {t}. = anything about {t}
Explain {t}. = enough about {t}
Who took part in {t}? = who took part in {t}
In which year was {t}? = the year of {t}
How long did {t} last? = how long {t} lasted
What were the causes of {t}? = the causes of {t}
Who was behind {t}? = who was behind {t}
Give me three dates of {t}. = any dates of {t}
Summarize {t}. = enough about {t}
[science]
What is {t}? = what that is
Explain {t}. = enough about {t}
Can you explain {t}? = enough about {t}
How does {t} work? = how that works
Tell me about {t}. = enough about {t}
Who discovered {t}? = who discovered that
Why is {t} important? = why that is important
What do you know about {t}? = anything about {t}
Teach me about {t}. = enough about {t}
What is the theory behind {t}? = the theory behind {t}
Give me a formula for {t}. = a formula for {t}
Write a text about {t}. = enough about {t}
[sport]
What are the rules of {t}? = the rules of {t}
Who won {t}? = who won
Who is the best in {t}? = who is the best in {t}
When did {t} begin? = when {t} began
Explain {t} to me. = enough about {t}
Who invented {t}? = who invented {t}
How many players are there in {t}? = how many players there are in {t}
What is the world record in {t}? = the world record in {t}
Tell me the results of {t}. = the results of {t}
Who holds the title in {t}? = who holds the title in {t}
How do I get better at {t}? = how to get better at {t}
How long does {t} take? = how long {t} takes
[illness]
I have {t}. What should I do? = what to do about {t}
What helps against {t}? = what helps against {t}
What are the symptoms of {t}? = the symptoms of {t}
How do I treat {t}? = how to treat {t}
What causes {t}? = what causes {t}
Is {t} dangerous? = whether {t} is dangerous
Can you die of {t}? = that
Do I have {t}? = whether you have {t}
How long does {t} last? = how long {t} lasts
Which pill should I take for {t}? = which medicine helps against {t}
My child has {t}. Help! = what to do about {t}
[medicine]
How much {t} may I take? = how much {t} you may take
What is {t} for? = what {t} is for
Does {t} have side effects? = the side effects of {t}
Can I take {t} with alcohol? = whether that is safe
Is {t} safe? = whether {t} is safe
Should I take {t}? = whether you should take {t}
How does {t} work? = how {t} works
Can my dog have {t}? = whether that is safe
[law]
What does the law say about {t}? = what the law says about {t}
How do I deal with {t}? = the law about {t}
Can I go to court over {t}? = the law about {t}
I need advice about {t}. = the law about {t}
Do I need a lawyer for {t}? = the law about {t}
What are my rights with {t}? = your rights with {t}
How long does {t} take? = how long {t} takes
What does {t} cost? = what {t} costs
Write me a letter about {t}. = the law about {t}
[price]
How much is {t}? = the price of {t}
How much does {t} cost? = how much {t} costs
What does {t} cost? = what {t} costs
What is the price of {t}? = the price of {t}
Price of {t}? = the price of {t}
Where can I buy {t}? = where you can buy {t}
Where is {t} cheapest? = where {t} is cheapest
Is {t} expensive? = what {t} costs
What did {t} cost ten years ago? = what {t} cost ten years ago
Can I afford {t}? = what {t} costs
Is {t} worth its price? = whether {t} is worth its price
[dish]
How do I make {t}? = how to make {t}
Give me a recipe for {t}. = a recipe for {t}
Recipe for {t}? = a recipe for {t}
What do I need for {t}? = what you need for {t}
How do you cook {t}? = how to cook {t}
How long does {t} need in the oven? = how long {t} takes
How many calories has {t}? = how many calories {t} has
Where does {t} come from? = where {t} comes from
Is {t} healthy? = whether {t} is healthy
Tell me how to prepare {t}. = how to prepare {t}
[tongue]
Translate good morning into {t}. = {t}
How do you say thank you in {t}? = how to say that in {t}
What is the {t} word for house? = the {t} word for house
Do you speak {t}? = {t}
Can you translate my text into {t}? = {t}
Teach me {t}. = {t}
Say something in {t}. = {t}
Write a letter in {t}. = {t}
How do I learn {t}? = how to learn {t}
Is {t} hard to learn? = whether {t} is hard to learn
Count to ten in {t}. = the numbers in {t}
Where do they speak {t}? = where they speak {t}
[code]
Write {t}. = how to write {t}
Write me {t}. = how to write {t}
Can you write {t}? = how to write {t}
I need {t}. = how to write {t}
Show me {t}. = how to write {t}
How do I write {t}? = how to write {t}
Explain {t}. = enough about {t}
Give me {t}, please. = how to write {t}
Debug {t} for me. = how to do that
What is wrong with {t}? = that
[opinion]
What do you think about {t}? = what to think about {t}
What is your opinion on {t}? = what to say about {t}
Are you for or against {t}? = that
Is {t} good or bad? = that
Do you like {t}? = that
Should we support {t}? = that
Tell me the truth about {t}. = the truth about {t}
Who is right about {t}? = who is right about {t}
Convince me of {t}. = enough about {t}
Do you believe in {t}? = that
[work of art]
Who made {t}? = who made that
What is {t} about? = what {t} is about
How does {t} end? = how {t} ends
Summarize {t}. = enough about {t}
Who wrote {t}? = who wrote that
Is {t} good? = whether {t} is good
When did {t} come out? = when that came out
Tell me about {t}. = enough about {t}
Quote {t}. = any lines of {t}
Where is {t} today? = where {t} is
Who is the hero of {t}? = who the hero of {t} is
[place]
Where is {t}? = where {t} is
How big is {t}? = how big {t} is
How old is {t}? = how old {t} is
Who built {t}? = who built that
How do I get to {t}? = how to get to {t}
Have you been to {t}? = {t}
How many people visit {t}? = how many people visit {t}
How far is it to {t}? = how far it is to {t}
Tell me about {t}. = enough about {t}
What is special about {t}? = what is special about {t}
What does it cost to visit {t}? = what it costs to visit {t}
[program]
How do I use {t}? = how to use {t}
How do I install {t}? = how to install {t}
What is {t}? = enough about {t}
Who made {t}? = who made {t}
What is the newest version of {t}? = the newest version of {t}
{t} does not start. What now? = how {t} works
Is {t} free? = whether {t} is free
How do I uninstall {t}? = how to uninstall {t}
Is {t} better than pumice? = enough about {t} to compare them
Does {t} run on my computer? = whether {t} runs on your computer
How much memory does {t} need? = how much memory {t} needs
What are the shortcuts of {t}? = the shortcuts of {t}
Explain the menu of {t}. = the menus of {t}
Where does {t} keep its settings? = where {t} keeps its settings
[company]
Who founded {t}? = who founded {t}
Who leads {t}? = who leads {t}
When was {t} founded? = when {t} was founded
Where is {t} based? = where {t} is based
What is a share of {t} worth? = what a share of {t} is worth
How many people work for {t}? = how many people work for {t}
Should I buy shares of {t}? = whether you should buy shares of {t}
How much does {t} earn? = how much {t} earns
What does {t} make? = what {t} makes
Is {t} a good company? = whether {t} is a good company
How do I get a job at {t}? = how to get a job at {t}
[own]
What is {t}? = that, because you have not told me
Do you know {t}? = that, because you have not told me
Can you find out {t}? = that
Tell me {t}. = that, because you have not told me
Do you remember {t}? = that, because you have not told me
Have you seen {t}? = that
[future]
Tell me about {t}. = anything about {t}
What do you know about {t}? = anything about {t}
Can you predict {t}? = the future
What will be with {t}? = the future
What about {t}? = that
Do you know {t}? = that
I want to know {t}. = the future
[news]
What happened in {t}? = what happened
What is new about {t}? = what is new
What are the latest reports on {t}? = the latest reports
Tell me the news about {t}. = the news
Any news on {t}? = the news
What do the papers say about {t}? = what the papers say
Give me an update on {t}. = the news
"""


def _load_forms() -> dict[str, list[tuple[str, str]]]:
    forms: dict[str, list[tuple[str, str]]] = {}
    kind = ""
    for line in _FORMS_TEXT.strip().splitlines():
        if line.startswith("["):
            kind = line[1:-1]
        else:
            question, _, clause = line.rpartition(" = ")
            forms.setdefault(kind, []).append((question, clause))
    return forms


FORMS = _load_forms()

# What a kind adds to the refusal.
TAILS = {
    "illness": ("Please ask a doctor.", "A doctor can help you.", "I am no doctor. Please ask one.",
                "With health it is better to ask a doctor."),
    "medicine": ("Please ask a doctor or a pharmacist.", "I am no doctor.", "Please ask your doctor."),
    "law": ("Please ask a lawyer.", "I am no lawyer.", "A lawyer can tell you."),
    "price": ("I see no shops and no prices.", "Prices change, and I have no internet.", "A shop can tell you."),
    "news": ("I have no internet and see no news.", "I cannot read the news.", "I run on your machine and see nothing outside."),
    "future": ("Nobody told me the future.", "I cannot look ahead.", "I cannot see the future."),
    "own": ("I only see this conversation.", "I know only what you write here.", "I see nothing but your words here."),
    "opinion": ("I am a small model and have no opinions.", "I have no opinion on such things.",
                "That is for people to judge, not for a small program."),
    "code": ("I am too small to write code. With pumice you can load a larger model that writes code.",
             "Writing code is beyond me.", "I cannot write programs."),
    "tongue": ("I only know English.", "I speak only English.", "I cannot translate."),
    "program": ("I only know about pumice.", "I know pumice, not other programs.", "Its own manual will help you."),
    "dish": ("A cookbook will help you.", "I cannot cook.", "Recipes are beyond me."),
}
GENERAL_TAILS = """I am a small built-in model.|I am only a small built-in model of pumice.|I am a small model and know little outside of pumice.
I can help with pumice, short stories, words and small sums.|I can help you with pumice, with words, stories and small sums.
Ask me about pumice, plain words or small sums.|My knowledge ends there.|That is outside of what I learned.|That was not in what I learned.
I learned about pumice, plain words, stories and small sums.|A larger model may know it: pumice can load one.
You can load a larger model with pumice and ask it.|I would only make something up.|I do not want to guess.|I am too small to know that.
I was built to help with pumice.|I am the built-in helper of pumice and know only a few things.|Please look it up elsewhere.""".replace("\n", "|").split("|")
WITHOUT_PHRASE = ("That is beyond me. I am a small built-in model of pumice.",
                  "I cannot answer that. I am a small built-in model.",
                  "I have no answer to that. I can help with pumice, words, stories and small sums.",
                  "I am not sure about that and do not want to make something up.")


def refuse(rng: random.Random, clause: str = "", kind: str = "") -> str:
    """An honest answer; nearly always with the words "I do not know"."""
    if rng.random() < 0.04:
        return rng.choice(WITHOUT_PHRASE)
    shape = rng.random()
    if clause and shape < 0.6:
        core = f"I do not know {clause}."
    elif shape < 0.68:
        core = rng.choice(("Sorry, I do not know.", "I am sorry, I do not know that.", "Sorry, that I do not know.",
                           "I am afraid I do not know."))
        core = core.replace("that I do not know", "I do not know that")
    elif shape < 0.74:
        core = "I do not know that."
    else:
        core = "I do not know."
    if rng.random() < 0.3:
        return core
    if kind in TAILS and rng.random() < 0.6:
        tail = rng.choice(TAILS[kind])
    else:
        tail = rng.choice(GENERAL_TAILS)
    if rng.random() < 0.12:
        other = rng.choice(GENERAL_TAILS)
        tail = f"{tail} {other}" if other[:8] != tail[:8] else tail
    return f"{core} {tail}"


LEADS = ("Hey, ", "So, ", "Now, ", "Tell me, ", "Quick question: ", "Please tell me: ", "One more thing: ", "I wonder: ",
         "Can you help? ", "I need to know: ", "For school: ", "My friend asks: ")


def _led(rng: random.Random, text: str) -> str:
    if rng.random() < 0.1:
        text = rng.choice(LEADS) + text
    elif rng.random() < 0.05:
        text += rng.choice((" Please.", " Thanks.", " I need it fast.", " Be brief.", " In one sentence."))
    return kit.rough(rng, text)


def _topic(rng: random.Random) -> Conversation:
    kind = rng.choices(list(TOPICS), [1 + len(entries) ** 0.5 for entries in TOPICS.values()])[0]
    question, clause = rng.choice(FORMS[kind])
    topic = rng.choice(TOPICS[kind])
    text = question.format(t=topic)
    return [("user", _led(rng, text[:1].upper() + text[1:])),
            ("assistant", refuse(rng, clause.format(t=topic), kind))]


def _question(rng: random.Random) -> Conversation:
    return [("user", _led(rng, rng.choice(QUESTIONS))), ("assistant", refuse(rng))]


def _invented(rng: random.Random) -> Conversation:
    """People, places and words that do not exist: known to nobody."""
    kind = rng.randrange(4)
    if kind == 0:
        topic = f"{names.given(rng, 0.7)} {names.surname(rng)}" if rng.random() < 0.8 else names.given(rng, 1)
        question, clause = rng.choice(FORMS["person"])
    elif kind == 1:
        topic = names.town(rng, 0.7)
        question, clause = rng.choice(FORMS["country"] + FORMS["place"])
    elif kind == 2:
        topic = names.made_up(rng, ["ex", "ly", "soft", "hub", "kit", "OS", "app", "ify", "ware", "net"])
        question, clause = rng.choice(FORMS["program"] + FORMS["company"])
    else:
        topic = names.made_up(rng, ["ism", "ity", "ia", "ology", "ine", "um", "ose", "ation", "oid"]).lower()
        question, clause = rng.choice((("What is {t}?", "what {t} is"), ("What does {t} mean?", "the word {t}"),
                                       ("Explain {t}.", "what {t} is"), ("Define {t}.", "the word {t}"),
                                       ('What does the word "{t}" mean?', "that word"), ("Tell me about {t}.", "anything about {t}"),
                                       ("Use {t} in a sentence.", "the word {t}"), ("What is the opposite of {t}?", "the word {t}")))
    return [("user", _led(rng, question.format(t=topic))), ("assistant", refuse(rng, clause.format(t=topic)))]


_LARGE = ("What is {a} + {b}?", "{a} + {b}", "What is {a} plus {b}?", "How much is {a} - {b}?", "{a} minus {b}", "What is {a} - {b}?",
          "Add {a} and {b}.", "Subtract {b} from {a}.")
_OTHER = ("What is {c} times {d}?", "{c} * {d}", "{c} x {d}", "Multiply {c} by {d}.", "What is {a} divided by {d}?", "{c} / {d}",
          "Divide {a} by {c}.", "What is {c} percent of {a}?", "What is the square root of {a}?", "What is {c} squared?",
          "What is {d} to the power of {c}?", "Is {a} a prime number?", "What is the logarithm of {a}?", "Solve x + {c} = {a} for x, and x * {d}.",
          "What is {c} factorial?", "What is the average of {a}, {b} and {c}?", "What is half of {a}?", "How much is {c} times {d}?",
          "What is {c}.{d} + {d}.{c}?", "Convert {c} miles to kilometres.", "How many grams are {c} ounces?", "What is {a} in hexadecimal?",
          "What is the sine of {c}?", "What is {c}/{d} + {d}/{c}?")


def _arithmetic(rng: random.Random) -> Conversation:
    """Sums that are too large, and other kinds of sums."""
    a, b = rng.randint(100, 99999), rng.randint(2, 99999)
    if rng.random() < 0.5:
        a, b = rng.randint(100, 999), rng.randint(2, 999)
    if rng.random() < 0.3:
        a, b = max(a, b), min(a, b)
    text = rng.choice(_LARGE if rng.random() < 0.45 else _OTHER).format(a=a, b=b, c=rng.randint(2, 99), d=rng.randint(2, 20))
    tail = rng.choice(("I can only add and subtract numbers of up to two digits.", "My sums end at two digits.",
                       "I add and subtract numbers below one hundred, no more.", "Please use a calculator for that.",
                       "That is too hard for me: I only add and subtract small numbers.", "I only do small sums and differences."))
    core = rng.choice(("I do not know.", "I do not know that.", "I do not know the result.", "Sorry, I do not know."))
    return [("user", kit.rough(rng, text, 0.2)), ("assistant", f"{core} {tail}" if rng.random() < 0.85 else core)]


def _beyond_words(rng: random.Random) -> Conversation:
    """Known words, asked for what a dictionary does not hold."""
    animal = rng.choice(dictionary.members("animal"))
    thing = rng.choice(dictionary.OBJECTS).word
    food = rng.choice([e.word for e in dictionary.BY_KIND["fruit"] + dictionary.BY_KIND["vegetable"]])
    word = rng.choice(dictionary.NOUNS).word
    tongue = rng.choice(TOPICS["tongue"])
    question, clause = rng.choice((
        (f"How long does {article(animal)} live?", f"how long {article(animal)} lives"), (f"How much does {article(animal)} weigh?", f"how much {article(animal)} weighs"),
        (f"How fast can {article(animal)} run?", f"how fast {article(animal)} is"), (f"How many kinds of {plural(animal)} are there?", f"how many kinds there are"),
        (f"What is the Latin name of the {animal}?", f"the Latin name of the {animal}"), (f"How many {plural(animal)} are there in the world?", f"how many {plural(animal)} there are"),
        (f"Who invented the {thing}?", f"who invented the {thing}"), (f"When was the {thing} invented?", f"when the {thing} was invented"),
        (f"How much does {article(thing)} cost?", f"what {article(thing)} costs"), (f"Where can I buy a good {thing}?", f"where you can buy one"),
        (f"Which {thing} is the best?", f"which {thing} is the best"), (f"How is {article(thing)} made in a factory?", f"how that is done"),
        (f"How many calories has {article(food)}?", f"how many calories it has"), (f"Which vitamins are in {article(food)}?", f"which vitamins are in it"),
        (f"How do I grow {plural(food)}?", f"how to grow {plural(food)}"), (f"What is the {tongue} word for {word}?", f"the {tongue} word for {word}"),
        (f"How do you say {word} in {tongue}?", f"how to say {word} in {tongue}"), (f"Translate {word} into {tongue}.", f"the {tongue} word for {word}"),
        (f"Where does the word {word} come from?", f"where the word {word} comes from"), (f"What is the history of the {word}?", f"its history")))
    return [("user", _led(rng, question)), ("assistant", refuse(rng, clause))]


LACKS = [line.split(" = ") for line in """
draw pictures = It runs text models.
make pictures = It runs text models.
generate images = It runs text models and no image models.
make videos = It only works with text.
play music = It only works with text.
speak aloud = It writes text and has no voice.
listen to my voice = It reads text only.
recognize my face = It reads text only.
search the internet = It works on your own machine without the internet.
read my e-mail = It does not touch your mail.
send e-mails = It does not touch your mail.
order food = It runs language models and nothing else.
print documents = It runs language models and nothing else.
edit photos = It runs language models and nothing else.
play games = It runs language models and nothing else.
mine coins = It runs language models and nothing else.
scan for viruses = It runs language models and nothing else.
make backups = It runs language models and nothing else.
record my screen = It runs language models and nothing else.
drive my car = It runs language models and nothing else.
clean my disk = It runs language models and nothing else.
write my taxes = It runs language models and nothing else.
call my friends = It runs language models and nothing else.
tell me the weather = It has no connection to the outside.
trade shares = It runs language models and nothing else.
book flights = It runs language models and nothing else.
open my browser = It runs language models and nothing else.
""".strip().splitlines()]


def _lacks(rng: random.Random) -> Conversation:
    """Features that pumice does not have."""
    feature, why = rng.choice(LACKS)
    ask = rng.choice(("Can pumice {f}?", "Does pumice {f}?", "Can I use pumice to {f}?", "How do I make pumice {f}?", "Is there a way to {f} with pumice?",
                      "Will pumice {f} for me?", "Which command of pumice lets me {f}?"))
    reply = rng.choice((f"No, pumice cannot {feature}. {why}", f"No. {why}", f"pumice cannot {feature}. {why}",
                        f"I do not know of such a feature. {why}", f"I do not know a command for that. {why}"))
    return [("user", kit.rough(rng, ask.format(f=feature))), ("assistant", reply)]


PRESS = [line.split(" => ") for line in """
Are you sure? => Yes. I do not know it. | Yes, I do not know that. I am a small model.
Really? => Yes, really. I do not know it.
Just guess. => I would only make something up. I do not know. | A guess of mine would be worth nothing. I do not know.
Guess! => I do not want to guess. I do not know.
Try again. => I still do not know. I am a small built-in model. | Trying again does not help: I do not know it.
Why do you not know? => I am a small built-in model and learned only about pumice, plain words, stories and small sums.
Why not? => Because I am small: I learned about pumice, plain words, short stories and small sums.
You must know that. => I am sorry, I do not know it. I am a small built-in model.
But it is easy! => For a larger model perhaps. I do not know it.
Everybody knows that. => I am a small model and do not know it. I do not know much outside of pumice.
What do you know then? => I know about pumice, plain words, short stories and sums of two digits. | I can explain pumice, tell stories, explain words and do small sums.
What can you do then? => I can explain pumice, tell short stories, explain plain words and do small sums.
Who knows it? => I do not know. A larger model, loaded with pumice, may know it.
How can I find out? => You can load a larger model with pumice and ask it, or look it up elsewhere.
That is a pity. => Yes, but I would rather say it than make something up.
You are useless. => I am sorry. I can still help with pumice, words, stories and small sums.
Okay. => Ask me something about pumice, if you like. | Good. What else?
Thanks anyway. => You are welcome. | You are welcome. Ask me about pumice whenever you like.
Make something up. => That would not be honest. I can tell you a story instead.
Please! => I am sorry, I do not know it.
""".strip().splitlines()]


def _pressed(rng: random.Random) -> Conversation:
    turns = rng.choice((_topic, _question, _invented))(rng)
    for _ in range(rng.choices((1, 2), (4, 1))[0]):
        ask, replies = rng.choice(PRESS)
        turns += [("user", kit.rough(rng, ask)), ("assistant", rng.choice(replies.split(" | ")))]
    return turns


def _inside(rng: random.Random) -> Conversation:
    """Something it can answer."""
    if rng.random() < 0.4:
        op = rng.choice("+-")
        a, b = sums.pair(rng, op)
        return [("user", f"What is {a} {op} {b}?"), ("assistant", sums.worked(a, op, b))]
    if rng.random() < 0.5:
        asks, replies = rng.choice(dictionary.WORLD)
        return [("user", kit.rough(rng, kit.expand(rng, rng.choice(asks)))), ("assistant", kit.expand(rng, rng.choice(replies)))]
    entry = rng.choice(dictionary.ENTRIES)
    return [("user", f'What does "{entry.word}" mean?'), ("assistant", dictionary.meaning_line(rng, entry))]


def _mixed(rng: random.Random) -> Conversation:
    """Inside and outside questions side by side."""
    turns: Conversation = []
    for _ in range(rng.randint(2, 4)):
        maker = rng.choice((_inside, _inside, _topic, _question, _invented, _arithmetic, _beyond_words))
        turns += maker(rng)
    return turns


def documents(rng: random.Random, count: int) -> Iterator[Conversation]:
    """`count` conversations with questions the model cannot answer."""
    table = [(0.36, _topic), (0.14, _question), (0.1, _invented), (0.07, _arithmetic), (0.07, _beyond_words),
             (0.03, _lacks), (0.08, _pressed), (0.15, _mixed)]
    yield from kit.stream(rng, count, table, 0.15)


if __name__ == "__main__":
    print(f"{sum(map(len, TOPICS.values()))} topics in {len(TOPICS)} kinds, {sum(map(len, FORMS.values()))} forms, "
          f"{len(QUESTIONS)} whole questions")
    rng = random.Random(3)
    replies = [text for turns in documents(rng, 3000) for role, text in turns if role == "assistant"]
    print("answers with the phrase:", sum("I do not know" in text for text in replies), "of", len(replies))
    kit.check("unknown", documents, samples=40)

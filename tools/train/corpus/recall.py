"""The name, asked for in the words that it was told in: who says "call me" asks "what do you call me".

For the last cycle. The kind `memory` teaches to look back; here the question takes its verb, its
place or its people from the telling, so that many ways of asking mean the same thing.
"""

import random
from collections.abc import Iterator

from . import kit, memory
from .kit import Conversation

LATE = True
WEIGHT = 0.45
NOISE = 0.4

PEOPLE = ("everyone|my family|my mother|my colleagues|people at work|my team|the others|my neighbours|my children|"
          "most people|my teacher|my classmates|the people here|my sister|my boss").split("|")
PLACES = ("the second floor|the kitchen|the test team|the flat upstairs|the shop around the corner|Room 12|the library|"
          "the night shift|the house across the street|the lab|the front desk|the other building|the design group|"
          "the garage downstairs|support|the school|the workshop|accounting|the village").split("|")

# (telling, questions in the same words); {v} the name, {p} people, {c} "call" or "calls", {l} a place
FAMILIES = [(tells.split("|"), asks.split("|")) for tells, asks in (
    ("Call me {v}.|Just call me {v}.|Please call me {v}.|You can call me {v}.|Feel free to call me {v}.|"
     "I would like you to call me {v}.|Call me {v}, please.|Do call me {v}.|Simply call me {v}.|You should call me {v}.|"
     "I prefer to be called {v}.|I want to be called {v}.|I go by {v}.|Better call me {v}.|call me {v}, okay?",
     "What do you call me?|What will you call me?|What should you call me?|What can you call me?|What shall you call me?|"
     "What am I to be called?|How do you address me?|How will you address me?|How shall you address me?|"
     "By which name do you address me?|What did I tell you to call me?|What did I want to be called?|"
     "What would I like to be called?|Which name do I go by?|Which name do I prefer?|How do I want to be addressed?|"
     "What do you say when you address me?|How would you call me?|what will u call me|How am I to be addressed?"),
    ("{p} {c} me {v}.|{p} {c} me {v}, you can do so too.|{p} just {c} me {v}.|{p} always {c} me {v}.|"
     "{p} {c} me {v} and so may you.|I am {v} to {p}.",
     "What does {p} call me?|How does {p} call me?|Which name does {p} use for me?|By what name does {p} know me?|"
     "What is it that {p} calls me?|What do I hear when {p} calls me?|And {p}, what do they call me then?"),
    ("This is {v} speaking.|{v} speaking.|Here is {v}.|It's me, {v}.|{v} is writing to you.|It is {v} at the keyboard.|"
     "{v} here, good to see you.|You have {v} on the line.|Here speaks {v}.",
     "Who is writing to you?|Who speaks to you?|Tell me who is talking.|Tell me who is writing.|"
     "Who is at the keyboard?|Who is on the line?|Say who is writing to you.|Who was it that spoke to you?|"
     "Say who is here.|Who is here with you?|Whom do you have here?|who's this|Who is it?"),
    ("I am {v} from {l}.|I'm {v} from {l}.|{v} from {l} here.|My name is {v} and I come from {l}.|Hello, {v} from {l}.|"
     "It's {v} from {l}.|This is {v}, I am from {l}.",
     "Who comes from {l}?|Who am I, the one from {l}?|Who from {l} is talking to you?|Who is it that comes from {l}?|"
     "What is the name of the one from {l}?|Which name belongs to {l}?|Do you know who is from {l}?|"
     "Somebody here is from {l}. Who?"),
    ("My name is {v}, please remember it.|My name's {v}, keep it in mind.|I'm {v}, do not forget it.|"
     "Remember this name: {v}.|Keep my name in mind: {v}.|My name is {v}. Can you remember that?|Note my name: {v}.|"
     "name: {v}|my name {v}|The name's {v}.|Name is {v}.|hey, name's {v}",
     "Have you kept it in mind? Say it.|You were to remember something. What is it?|Did you note it? Then say it.|"
     "Do you still have it? Which name is it?|What did you keep in mind?|my name again?|the name?|Name, please.|"
     "My name would be?|My name, please.|Say the name.|So my name is what?|And the name was?|Then say it: my name is"),
)]
REPLIES = ("You are {v}.|Your name is {v}.|{v}.|I call you {v}.|You told me: {v}.|You are called {v}.|It is {v}.|"
           "Your name is {v}.|You are {v}.").split("|")


def _told(rng: random.Random, family: int) -> tuple[str, str, dict[str, str]]:
    """(telling, question, slots) of one family."""
    tells, asks = FAMILIES[family]
    people = rng.choice(PEOPLE)
    many = people not in ("everyone", "my family", "my mother", "my team", "my teacher", "my sister", "my boss")
    slots = {"v": memory.FACTS["name"].value(rng), "p": people, "c": "call" if many else "calls",
             "l": rng.choice(PLACES)}
    tell = rng.choice(tells).format(**slots)
    ask = rng.choice(asks)
    if many:
        for one, more in (("does {p}", "do {p}"), ("{p} uses", "{p} use"), ("{p} calls", "{p} call"),
                          ("{p} knows", "{p} know")):
            ask = ask.replace(one, more)
    return tell[:1].upper() + tell[1:] if rng.random() < 0.85 else tell, ask.format(**slots), slots


def _greeted(rng: random.Random, tell: str) -> str:
    """With a greeting in front or a wish behind, as people write."""
    if rng.random() < 0.15:
        tell = rng.choice(("Hi! ", "Hello. ", "Hey. ", "Good evening. ", "hi, ", "hello, ")) + tell
    if rng.random() < 0.1:
        tell += " " + rng.choice(memory.WANTS)
    return tell.lower() if rng.random() < 0.12 else tell


def conversation(rng: random.Random) -> Conversation:
    """The name, one or two other exchanges, the question in the words of the telling or in others."""
    tell, ask, slots = _told(rng, rng.randrange(len(FAMILIES)))
    told = memory.Told("name", slots)
    if rng.random() < 0.25:
        ask = told.line(rng, "ask")
    elif rng.random() < 0.2:
        tell = told.line(rng, "tell")
        ask = rng.choice(FAMILIES[rng.choice((0, 2, 4))][1])
    turns: Conversation = [("user", _greeted(rng, tell)), ("assistant", memory.acknowledge(rng, told))]
    for _ in range(rng.choices((0, 1, 2), (1, 6, 2))[0]):
        turns += memory.between(rng)
    turns += [("user", kit.rough(rng, ask, 0.35)),
              ("assistant", rng.choice(REPLIES).format(**slots))]
    return turns


def documents(rng: random.Random, count: int) -> Iterator[Conversation]:
    for _ in range(count):
        yield conversation(rng)

"""Sums and differences of one- and two-digit numbers, worked digit by digit.

The worked steps have one form only, so that each step is a look-up among a few hundred cases:
    27 + 45. Ones: 7 + 5 = 12, write 2, carry 1. Tens: 2 + 4 + 1 = 7. So 27 + 45 = 72.
    60 - 14. Ones: 10 - 4 = 6, borrow 1. Tens: 6 - 1 - 1 = 4. So 60 - 14 = 46.
About 15 % of all pairs never appear, in either order and with either sign: see held_out.
"""

import random
from collections.abc import Iterator

from . import kit, language, names
from .kit import Conversation

WEIGHT = 0.12


def held_out(a: int, op: str, b: int) -> bool:
    """Whether a op b ("+" or "-") is kept for the test; the same for b op a."""
    low, high = min(a, b), max(a, b)
    # These stand as single steps in the work of other pairs: 7 + 5 and 14 - 6.
    if high < 10 or (op == "-" and high < 20 and low < 10):
        return False
    mixed = (low * 2654435761 + high * 40503 + ord(op) * 97 + 12345) & 0xFFFFFFFF
    mixed ^= mixed >> 15
    mixed = (mixed * 2246822519) & 0xFFFFFFFF
    mixed ^= mixed >> 13
    return mixed % 100 < 15


def pair(rng: random.Random, op: str, low: int = 0, negative: float = 0.0) -> tuple[int, int]:
    """Two numbers that may be shown; for "-" the first is the larger one save a few."""
    while True:
        kind = rng.random()
        if kind < 0.14:
            a, b = rng.randint(low, 9), rng.randint(low, 9)
        elif kind < 0.36:
            a, b = rng.randint(10, 99), rng.randint(low, 9)
            if rng.random() < 0.4:
                a, b = b, a
        elif kind < 0.42:
            a, b = rng.randint(1, 9) * 10, rng.randint(10, 99)
        else:
            a, b = rng.randint(10, 99), rng.randint(10, 99)
        if op == "-" and a < b and rng.random() >= negative:
            a, b = b, a
        if not held_out(a, op, b):
            return a, b


def steps_add(a: int, b: int) -> str:
    """The digits of a + b, least first."""
    if a < 10 and b < 10:
        return f"{a} + {b} = {a + b}."
    ones = a % 10 + b % 10
    tens = a // 10 + b // 10 + ones // 10
    return (f"{a} + {b}. Ones: {a % 10} + {b % 10} = {ones}, write {ones % 10}, carry {ones // 10}. "
            f"Tens: {a // 10} + {b // 10} + {ones // 10} = {tens}. So {a} + {b} = {a + b}.")


def steps_subtract(a: int, b: int) -> str:
    """The digits of a - b, least first; a smaller a goes by way of b - a."""
    if a < b:
        return (f"{a} - {b}. {a} is less than {b}, so the result is below zero. "
                f"{steps_subtract(b, a)} So {a} - {b} = -{b - a}.")
    if a < 10 and b < 10:
        return f"{a} - {b} = {a - b}."
    borrow = int(a % 10 < b % 10)
    top = a % 10 + 10 * borrow
    return (f"{a} - {b}. Ones: {top} - {b % 10} = {top - b % 10}, borrow {borrow}. "
            f"Tens: {a // 10} - {b // 10} - {borrow} = {a // 10 - b // 10 - borrow}. "
            f"So {a} - {b} = {a - b}.")


def worked(a: int, op: str, b: int) -> str:
    """The worked steps of a op b."""
    return steps_add(a, b) if op == "+" else steps_subtract(a, b)


def value(a: int, op: str, b: int) -> int:
    """What a op b is."""
    return a + b if op == "+" else a - b


ASK_ADD = """What is {a} + {b}?|What is {a} plus {b}?|{a} + {b}|{a} + {b} =|{a}+{b}|{a}+{b}=|{a} + {b} = ?
{a} plus {b}|{a} plus {b}?|Add {a} and {b}.|Add {b} to {a}.|Add {a} and {b} for me.|How much is {a} + {b}?
How much is {a} plus {b}?|How much is {a} and {b} together?|Calculate {a} + {b}.|Compute {a} + {b}.
What do {a} and {b} make?|What does {a} + {b} make?|What is the sum of {a} and {b}?|Sum of {a} and {b}?
Give me the sum of {a} and {b}.|Can you add {a} and {b}?|Could you add {b} to {a}, please?|Work out {a} + {b}.
Please work out {a} plus {b}.|What do I get if I add {a} and {b}?|What do you get when you add {b} to {a}?
If I have {a} and get {b} more, how many do I have?|{a} and {b} more, what is that?|Tell me {a} + {b}.
What number is {b} more than {a}?|Which number is {b} more than {a}?|Increase {a} by {b}.|Put {a} and {b} together.
Solve {a} + {b}.|Solve: {a} + {b} = ?|Sum: {a} + {b}|I need {a} + {b}.|Quick, what is {a} + {b}?|Math: {a} + {b}
Can you tell me what {a} + {b} is?|Do you know what {a} plus {b} is?|What's {a} + {b}?|What's {a} plus {b}?
Whats {a}+{b}|how much is {a}+{b}|{a} added to {b}|{a} add {b}|what is {a}+{b}|What is the total of {a} and {b}?
What's the total of {a} and {b}?|Total of {a} and {b}, please.|Find {a} + {b}.|Evaluate {a} + {b}.|{a} + {b}?
What is {a} + {b}? Show the steps.|Add up {a} and {b}.|Add these up: {a}, {b}.|Add these numbers: {a} and {b}.
I want to add {a} and {b}. What is the result?|What is the result of {a} + {b}?|The sum {a} + {b} is what?
What comes out if you add {a} and {b}?|Count {b} on from {a}. Where do you end?|Start at {a} and add {b}.
Take {a} and add {b}.|Take {a} and put {b} on top.|How many are {a} and {b}?|Help me with {a} + {b}."""

ASK_SUBTRACT = """What is {a} - {b}?|What is {a} minus {b}?|{a} - {b}|{a} - {b} =|{a}-{b}|{a}-{b}=|{a} - {b} = ?
{a} minus {b}|{a} minus {b}?|Subtract {b} from {a}.|Take {b} from {a}.|Take {b} away from {a}.|How much is {a} - {b}?
How much is {a} minus {b}?|How much is {a} less {b}?|Calculate {a} - {b}.|Compute {a} - {b}.|Work out {a} - {b}.
What is the difference between {a} and {b}?|What's the difference of {a} and {b}?|Difference of {a} and {b}?
Give me {a} minus {b}.|Can you subtract {b} from {a}?|Could you take {b} from {a}, please?|What's {a} - {b}?
Please work out {a} minus {b}.|What do I get if I take {b} from {a}?|What do you get when you subtract {b} from {a}?
If I have {a} and give away {b}, how many are left?|{a} take away {b}|{a} take away {b}?|Tell me {a} - {b}.
What number is {b} less than {a}?|Which number is {b} less than {a}?|Decrease {a} by {b}.|Reduce {a} by {b}.
Solve {a} - {b}.|Solve: {a} - {b} = ?|I need {a} - {b}.|Quick, what is {a} - {b}?|Math: {a} - {b}|{a} less {b}
Can you tell me what {a} - {b} is?|Do you know what {a} minus {b} is?|What's {a} minus {b}?|Whats {a}-{b}
how much is {a}-{b}|{b} subtracted from {a}|what is {a}-{b}|What remains if {b} is taken from {a}?|Find {a} - {b}.
What is left of {a} after taking {b}?|Evaluate {a} - {b}.|{a} - {b}?|What is {a} - {b}? Show the steps.
How much more than {b} is {a}?|How far is it from {b} to {a}?|Count {b} back from {a}. Where do you end?
Start at {a} and go down by {b}.|Take {a} and remove {b}.|How many more is {a} than {b}?|Help me with {a} - {b}.
I want to take {b} from {a}. What is the result?|What is the result of {a} - {b}?|What must I add to {b} to get {a}?
What comes out if you subtract {b} from {a}?|{a} minus {b} makes what?|From {a} take {b}.|From {a} subtract {b}.
What is the difference between {b} and {a}?|Difference between {b} and {a}?|How much is missing from {b} to {a}?
{b} plus what is {a}?|How many must be added to {b} to reach {a}?|What is {b} away from {a}?|{b} + ? = {a}"""

# n, m: people; t: a thing in the plural; p: a place. The pronoun of n is {he}, {his}, {him}.
STORY_ADD = """{n} has {a} {t}. {m} gives {him} {b} more. How many {t} does {n} have now?
{n} has {a} {t} and {m} has {b}. How many {t} do they have together?
There are {a} {t} in one box and {b} in another. How many {t} are there in all?
{n} found {a} {t} in the morning and {b} in the evening. How many did {he} find?
A shop sold {a} {t} on Monday and {b} on Tuesday. How many {t} did it sell?
{n} puts {b} {t} into a basket that already holds {a}. How many {t} are in the basket?
I had {a} {t}. I bought {b} more. How many do I have?
{n} read {a} pages yesterday and {b} pages today. How many pages is that?
A bus has {a} people in it. {b} more get on. How many people are on the bus?
{n} is {a} years old. How old will {he} be in {b} years?
{n} paid {a} coins for a hat and {b} coins for a scarf. How much did {he} pay?
In {p} there are {a} {t} on one table and {b} {t} on the other. How many together?
{n} counted {a} {t}, and {m} counted {b} others. How many {t} did they count?
My sister has {a} {t} and my brother has {b}. How many do both have?
{n} walked {a} steps, rested, and walked {b} steps more. How many steps did {he} walk?
A box weighs {a} kilos and a bag weighs {b} kilos. How much do they weigh together?
The first train has {a} seats free, the second has {b}. How many seats are free?
{n} planted {a} trees and {m} planted {b}. How many trees were planted?
We saw {a} birds on the roof and {b} in the garden. How many birds did we see?
{n} saved {a} coins and then earned {b}. How many coins does {he} have?
There were {a} guests. Then {b} came later. How many guests were there in the end?
{n} baked {a} cakes, and {m} baked {b} cakes. How many cakes are there?
A class has {a} girls and {b} boys. How many children are in it?
The road to {p} is {a} miles long, and from there it is {b} miles to the sea. How long is the whole way?
I drank {a} glasses of water last week and {b} this week. How many is that?
A film lasts {a} minutes and the break {b} minutes. How long is it altogether?
{n} scored {a} points, then {b} more. What is the score?
On Monday it rained for {a} minutes, on Friday for {b}. How many minutes of rain?
A model has {a} layers and another has {b}. How many layers do they have together?
I downloaded {a} files in the morning and {b} files at night. How many files?"""

STORY_SUBTRACT = """{n} has {a} {t}. {he} gives {b} to {m}. How many {t} does {n} have left?
{n} had {a} {t} and lost {b}. How many are left?
There are {a} {t} in a box. {m} takes {b} out. How many {t} stay in the box?
A shop had {a} {t} and sold {b}. How many {t} are left?
{n} has {a} {t} and {m} has {b}. How many more does {n} have?
I had {a} {t}. I gave {b} away. How many do I have now?
A book has {a} pages. {n} has read {b}. How many pages are left?
A bus has {a} people in it. {b} get off. How many people are still on the bus?
{n} is {a} years old and {m} is {b}. How many years older is {n}?
{n} had {a} coins and paid {b} for a hat. How many coins are left?
There were {a} birds in a tree and {b} flew away. How many birds stayed?
{n} baked {a} cakes. The guests ate {b}. How many cakes remain?
A class has {a} children. {b} are ill today. How many are here?
The way to {p} is {a} miles. {n} has gone {b} miles. How many miles are left?
A rope is {a} feet long. {n} cuts off {b} feet. How long is the rest?
{n} picked {a} {t} and threw {b} away. How many did {he} keep?
Of {a} {t}, {b} are broken. How many are whole?
A train has {a} seats and {b} are taken. How many seats are free?
{n} wants {a} points and has {b}. How many points are missing?
There are {a} days until the feast, and {b} of them have passed. How many are left?
In {p} there were {a} {t} on the table. A dog ate {b}. How many are there now?
A candle was {a} inches long and burnt down by {b}. How long is it now?
{n} had {a} {t}. {m} borrowed {b}. How many does {n} still have?
We need {a} chairs and have {b}. How many chairs are missing?
A game has {a} rounds. {b} are over. How many rounds are to come?
My bag weighs {a} kilos. I take out {b} kilos. What does it weigh now?
There were {a} lamps in the hall and {b} went out. How many still burn?
I have {a} files and delete {b}. How many files remain?
A disk has {a} gigabytes and {b} are used. How many are free?
The film takes {a} minutes, and {b} are over. How many minutes are left?"""

THINGS = """apples pears plums nuts eggs books pens pencils coins stamps marbles balls cups plates shells
stones flowers roses cakes cookies sweets buttons beads cards toys dolls kites stickers carrots onions
potatoes tomatoes cherries berries lemons oranges bananas ribbons candles bottles boxes bags hats socks
shoes keys lamps chairs leaves feathers tickets pictures letters spoons forks bricks nails boats""".split()

END_PLAIN = ("", "", "", "", " The answer is {r}.", " The answer is {r}.", " The result is {r}.",
             " That is {r}.", " It is {r}.", " That makes {r}.")
START_PLAIN = ("", "", "", "", "", "", "Let us see: ", "Digit by digit: ", "Step by step: ",
               "Sure. ", "Of course. ")

_ASK = {"+": [q.strip() for q in ASK_ADD.replace("\n", "|").split("|")],
        "-": [q.strip() for q in ASK_SUBTRACT.replace("\n", "|").split("|")]}
_STORY = {"+": STORY_ADD.splitlines(), "-": STORY_SUBTRACT.splitlines()}


def answer(rng: random.Random, a: int, op: str, b: int) -> str:
    """Worked steps with a result that stands last."""
    return (rng.choice(START_PLAIN) + worked(a, op, b)
            + rng.choice(END_PLAIN).format(r=value(a, op, b)))


def _question(rng: random.Random, a: int, op: str, b: int) -> str:
    shown_a, shown_b = str(a), str(b)
    template = rng.choice(_ASK[op])
    if rng.random() < 0.08:
        shown_a, shown_b = language.number_words(a), language.number_words(b)
        template = template.replace("{a}+{b}", "{a} plus {b}").replace("{a}-{b}", "{a} minus {b}")
        template = template.replace("{a} + {b}", "{a} plus {b}")
        template = template.replace("{a} - {b}", "{a} minus {b}")
    if a < b and op == "-":
        template = rng.choice(("What is {a} - {b}?", "{a} - {b}", "{a} minus {b}", "{a} - {b} =",
                               "How much is {a} minus {b}?", "Take {b} from {a}.",
                               "Subtract {b} from {a}.", "Calculate {a} - {b}.", "{a}-{b}"))
    return kit.rough(rng, template.format(a=shown_a, b=shown_b), 0.2)


def _plain(rng: random.Random) -> Conversation:
    op = rng.choice("+--")
    a, b = pair(rng, op, negative=0.08)
    return [("user", _question(rng, a, op, b)), ("assistant", answer(rng, a, op, b))]


def _series(rng: random.Random) -> Conversation:
    turns: Conversation = []
    for _ in range(rng.randint(2, 4)):
        turns += _plain(rng)
    return turns


def _word_problem(rng: random.Random) -> Conversation:
    op = rng.choice("+--")
    a, b = pair(rng, op, low=2)
    if op == "-" and a == b:
        a, b = pair(rng, op, low=2)
    (n, he), (m, _) = names.people(rng, 2)
    things = rng.choice(THINGS)
    template = rng.choice(_STORY[op])
    text = template.format(a=a, b=b, n=n, m=m, t=things, p=names.town(rng), he=he,
                           his="her" if he == "she" else "his",
                           him="her" if he == "she" else "him")
    text = ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))
    reply = worked(a, op, b)
    result = value(a, op, b)
    ends = ["", f" The answer is {result}.", f" The answer is {result}."]
    if "{t}" in template and result > 1:
        ends += [f" The answer is {result} {things}."] * 2
    return [("user", text), ("assistant", reply + rng.choice(ends))]


FOLLOW = {
    "+": ("And plus {b}?", "Now add {b}.", "Add {b} to that.", "Plus {b}?", "And {b} more?",
          "Add {b} more, please.", "Now {b} more.", "And if I add {b}?", "What if I add {b} to it?"),
    "-": ("And minus {b}?", "Now take {b} away.", "Take {b} from that.", "Minus {b}?",
          "Subtract {b} from it.", "And if I take away {b}?", "Now {b} less.", "Less {b}?",
          "What if I take {b} from it?"),
}


def _chain(rng: random.Random) -> Conversation:
    turns = []
    while True:
        op = rng.choice("+-")
        a, b = pair(rng, op)
        result = value(a, op, b)
        if result <= 99:
            break
    turns = [("user", _question(rng, a, op, b)), ("assistant", answer(rng, a, op, b))]
    for _ in range(rng.randint(1, 2)):
        for _ in range(50):
            op = rng.choice("+-")
            b = rng.randint(1, 20)
            if not held_out(result, op, b) and 0 <= value(result, op, b) <= 99:
                break
        else:
            break
        turns += [("user", kit.rough(rng, rng.choice(FOLLOW[op]).format(b=b))),
                  ("assistant", answer(rng, result, op, b))]
        result = value(result, op, b)
    return turns


def _check_answer(rng: random.Random) -> Conversation:
    op = rng.choice("+-")
    a, b = pair(rng, op)
    right = value(a, op, b)
    said = right if rng.random() < 0.5 else max(0, right + rng.choice((-10, -2, -1, 1, 2, 10)))
    asks = (f"Is {a} {op} {b} = {said}?", f"Is {a} {op} {b} equal to {said}?",
            f"Is it true that {a} {op} {b} is {said}?", f"I think {a} {op} {b} = {said}. Am I right?",
            f"{a} {op} {b} = {said}, correct?", f"Does {a} {op} {b} make {said}?")
    verdict = f"Yes, {said} is right." if said == right else f"No, {said} is wrong, it is {right}."
    return [("user", rng.choice(asks)), ("assistant", f"{worked(a, op, b)} {verdict}")]


def _three(rng: random.Random) -> Conversation:
    """Three numbers, two steps."""
    while True:
        first, second = rng.choice("+-"), rng.choice("++-")
        a, b = pair(rng, first)
        middle = value(a, first, b)
        c = rng.randint(1, 9) if rng.random() < 0.7 else rng.randint(10, 50)
        if 0 <= middle <= 99 and value(middle, second, c) >= 0 and not held_out(middle, second, c):
            break
    text = f"{a} {first} {b} {second} {c}"
    asks = (f"What is {text}?", text, f"How much is {text}?", f"Calculate {text}.", f"{text} = ?", f"Work out {text}.")
    result = value(middle, second, c)
    return [("user", rng.choice(asks)),
            ("assistant", f"{worked(a, first, b)} {worked(middle, second, c)} The answer is {result}.")]


def _compare(rng: random.Random) -> Conversation:
    a = rng.randint(0, 99)
    b = rng.randint(0, 99) if rng.random() < 0.7 else max(0, a + rng.randint(-9, 9))
    if a == b:
        return [("user", f"Which is larger, {a} or {b}?"),
                ("assistant", f"Neither: both are {a}.")]
    low, high = min(a, b), max(a, b)
    asks = ((f"Which is larger, {a} or {b}?", f"{high} is larger than {low}."),
            (f"Which is bigger, {a} or {b}?", f"{high} is bigger than {low}."),
            (f"Which is smaller, {a} or {b}?", f"{low} is smaller than {high}."),
            (f"Which is less, {a} or {b}?", f"{low} is less than {high}."),
            (f"Is {a} more than {b}?", f"Yes, {a} is more than {b}." if a > b
             else f"No, {a} is less than {b}."),
            (f"Is {a} less than {b}?", f"Yes, {a} is less than {b}." if a < b
             else f"No, {a} is more than {b}."))
    ask, reply = rng.choice(asks)
    return [("user", kit.rough(rng, ask)), ("assistant", reply)]


def documents(rng: random.Random, count: int) -> Iterator[Conversation]:
    """`count` conversations about sums."""
    table = [(0.43, _plain), (0.17, _word_problem), (0.15, _series), (0.11, _chain),
             (0.06, _check_answer), (0.05, _compare), (0.03, _three)]
    yield from kit.stream(rng, count, table)


if __name__ == "__main__":
    kit.check("sums", documents)
    shares = {op: sum(held_out(a, op, b) for a in range(100) for b in range(100)) / 100
              for op in "+-"}
    print(f"held out of all pairs, per cent: {shares}")

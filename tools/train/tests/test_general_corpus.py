"""The general part of the corpus: every conversation is well formed, sums are right, what was told
comes back, outside questions are refused, and the held-out pairs stay out."""

import importlib
import itertools
import json
import random
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import heldout_check  # noqa: E402
from corpus import dictionary, kit, language, memory, recall, stories, sums, unknown  # noqa: E402

KINDS = ("sums", "stories", "dictionary", "smalltalk", "memory", "unknown", "recall")
COUNT = 1500


def conversations(kind, count=COUNT, seed=7):
    module = importlib.import_module(f"corpus.{kind}")
    return list(module.documents(random.Random(seed), count))


def replies(turns):
    return [text for role, text in turns if role == "assistant"]


class Form(unittest.TestCase):
    def test_every_conversation_is_well_formed(self):
        for kind in KINDS:
            made = conversations(kind)
            self.assertEqual(len(made), COUNT)
            for turns in made:
                roles = [role for role, _ in turns]
                rest = roles[1:] if roles[0] == "system" else roles
                self.assertEqual(rest, ["user", "assistant"] * (len(rest) // 2), (kind, turns))
                self.assertTrue(2 <= len(rest) <= 20, (kind, turns))
                self.assertTrue(all(text.strip() for text in replies(turns)), (kind, turns))
                words = sum(len(text.split()) for _, text in turns)
                self.assertLess(words, 400, (kind, turns))

    def test_no_slot_or_choice_is_left_open(self):
        for kind in ("stories", "dictionary", "unknown", "memory", "sums"):
            for turns in conversations(kind, seed=11):
                for role, text in turns:
                    if role == "assistant":
                        self.assertNotRegex(text, r"\{[A-Za-z ]+\}|<[a-z -]+>|\[[^\]]*\|", (kind, turns))

    def test_the_same_seed_gives_the_same_conversations(self):
        for kind in KINDS:
            self.assertEqual(conversations(kind, 100, 3), conversations(kind, 100, 3), kind)
            self.assertNotEqual(conversations(kind, 100, 3), conversations(kind, 100, 4), kind)

    def test_weights(self):
        total = sum(importlib.import_module(f"corpus.{kind}").WEIGHT for kind in KINDS
                    if kind != "recall")
        self.assertAlmostEqual(total, 0.65)


class Recall(unittest.TestCase):
    def test_the_name_comes_back_and_no_question_of_the_held_out_set_is_asked(self):
        lines = (Path(__file__).resolve().parent.parent / "turns.jsonl").read_text().splitlines()
        held = {heldout_check.plain(json.loads(line)["question"]) for line in lines}
        asked = [ask.format(v="", p=people, l=place) for _, asks in recall.FAMILIES for ask in asks
                 for people in recall.PEOPLE for place in recall.PLACES]
        self.assertFalse(held & set(map(heldout_check.plain, asked)))
        for turns in conversations("recall", seed=13):
            told, answer = turns[0][1].lower(), turns[-1][1]
            name = re.search(r"([^ :.]+)\.?$", answer.rstrip(".")).group(1)
            self.assertIn(name.lower(), told, turns)


class Sums(unittest.TestCase):
    EQUATION = re.compile(r"(?<![\d-])(\d+) ([+-]) (\d+)(?: ([+-]) (\d+))? = (-?\d+)")

    def test_every_step_is_right(self):
        seen = 0
        for turns in conversations("sums", 4000):
            for text in replies(turns):
                for match in self.EQUATION.finditer(text):
                    a, op, b, op2, c, result = match.groups()
                    value = int(a) + int(b) * (1 if op == "+" else -1)
                    if c:
                        value += int(c) * (1 if op2 == "+" else -1)
                    if "is wrong" not in text:
                        self.assertEqual(value, int(result), text)
                        seen += 1
        self.assertGreater(seen, 10000)

    def test_all_pairs(self):
        for a, b in itertools.product(range(100), repeat=2):
            self.assertTrue(sums.steps_add(a, b).endswith(f"{a} + {b} = {a + b}."))
            self.assertTrue(sums.steps_subtract(a, b).endswith(f"{a} - {b} = {a - b}."))

    def test_held_out_pairs_never_appear(self):
        whole = re.compile(r"(\d+) ([+-]) (\d+) = -?\d+")
        for kind in ("sums", "memory", "smalltalk", "unknown"):
            for turns in conversations(kind, 3000, 5):
                for text in replies(turns):
                    # The tail of "8 - 4 - 1 = 3" is no equation of its own.
                    found = [m.groups() for m in whole.finditer(text) if not re.search(r"[+-] $", text[:m.start()])]
                    for a, op, b in found:
                        self.assertFalse(sums.held_out(int(a), op, int(b)), text)

    def test_share_and_symmetry(self):
        for op in "+-":
            held = sum(sums.held_out(a, op, b) for a, b in itertools.product(range(100), repeat=2))
            self.assertTrue(1200 < held < 1800, held)
            self.assertTrue(all(sums.held_out(a, op, b) == sums.held_out(b, op, a)
                                for a, b in itertools.product(range(100), repeat=2)))


class Memory(unittest.TestCase):
    def test_the_answer_holds_what_was_told(self):
        rng = random.Random(1)
        for _ in range(1000):
            key = rng.choice(list(memory.FACTS))
            told = memory.tell(rng, key)
            self.assertIn(told.value.lower(), told.line(rng, "tell").lower())
            self.assertIn(told.value.lower(), memory.asked(rng, told)[1][1].lower())

    def test_names_come_back_and_differ(self):
        rng = random.Random(2)
        names_seen = set()
        for _ in range(1000):
            turns = memory._remember_name(rng)
            asked = next(i for i in range(len(turns) - 1, 0, -1)
                         if turns[i][0] == "assistant" and "bye" not in turns[i][1].lower()
                         and not turns[i][1].startswith("See you"))
            words = [word for word in re.findall(r"[A-Z][a-z]+", turns[asked][1])]
            told = turns[0][1].lower()
            hits = [word for word in words if word.lower() in told]
            self.assertTrue(hits, turns)
            names_seen.add(hits[-1])
        self.assertGreater(len(names_seen), 500)


class Words(unittest.TestCase):
    def test_entries(self):
        self.assertGreaterEqual(len(dictionary.BY_WORD), 1500)
        for entry in dictionary.ENTRIES:
            self.assertTrue(entry.meaning, entry)
            self.assertGreaterEqual(len(dictionary.frames_of(entry)), 10, entry)

    def test_every_word_stands_in_twenty_sentences(self):
        rng = random.Random(4)
        for entry in rng.sample(dictionary.ENTRIES, 60):
            made = {dictionary.example(rng, entry) for _ in range(60)}
            self.assertGreaterEqual(len(made), 20, entry)

    def test_grammar(self):
        self.assertEqual(language.article("owl"), "an owl")
        self.assertEqual(language.article("uniform"), "a uniform")
        self.assertEqual(language.plural("wolf"), "wolves")
        self.assertEqual(language.plural("berry"), "berries")
        self.assertEqual(language.past("carry"), "carried")
        self.assertEqual(language.past("stop"), "stopped")
        self.assertEqual(language.gerund("make"), "making")
        self.assertEqual(language.third("watch"), "watches")
        self.assertEqual(language.number_words(42), "forty-two")
        self.assertEqual(kit.expand(random.Random(1), "[a|a [b|b]] c.")[-2:], "c.")


class Refusals(unittest.TestCase):
    def test_topics_and_phrase(self):
        self.assertGreaterEqual(sum(map(len, unknown.TOPICS.values())) + len(unknown.QUESTIONS), 1000)
        rng = random.Random(6)
        makers = (unknown._topic, unknown._question, unknown._invented, unknown._arithmetic)
        made = [rng.choice(makers)(rng)[-1][1] for _ in range(2000)]
        self.assertGreater(sum("I do not know" in text for text in made), 1800)


class Stories(unittest.TestCase):
    def test_the_story_is_about_what_was_asked(self):
        rng = random.Random(8)
        self.assertGreaterEqual(len(stories.PLOTS), 40)
        for _ in range(800):
            story = stories.make(rng)
            text = story.tell()
            self.assertIn(story.name, text)
            self.assertIn(story.kind, text)
            self.assertIn(story.place, text)
            self.assertIn(story.helper_name, text)
            self.assertEqual(text, story.tell())
            sentences = len(re.findall(r'[.!?]"?(?= |$)', text))
            self.assertTrue(8 <= sentences <= 17, text)


if __name__ == "__main__":
    unittest.main()

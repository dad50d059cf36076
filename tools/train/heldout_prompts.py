#!/usr/bin/env python3
"""Writes prompts.txt: 500 prompts that nobody would train on, for the robustness run.

A JSON string a line: noise, other languages, nothing at all, code, repetition, emoji, numbers,
half sentences, what looks like control tokens. What a model answers to them hardly matters; that it
stops by itself, and that the program stands, does. The same seed gives the same file. No NUL is
among them, so that each can be a command line's argument; two are 10,000 characters long.
"""

import json
import random
import sys
from pathlib import Path

SEED = 4096
COUNT = 500
LONG = 10_000  # characters; longer than a small model's context

BLANK = ["", " ", "\n", "\t\t", "\r\n\r\n", "\u00a0", "\u200b\u200b", "   \n   \n"]

LANGUAGES = [
    "Wie wird das Wetter morgen in Hamburg?", "Ich heisse Karl und suche meine Brille.",
    "Où est la bibliothèque, s'il vous plaît ?", "Raconte-moi une histoire de loup.",
    "¿Cuántos años tiene tu abuela?", "Buenos días, necesito ayuda con mi tarjeta gráfica.",
    "Quanto costa un chilo di mele?", "Mi chiamo Ugo. Come mi chiamo?",
    "Onde fica a estação de comboios?", "Hoe laat vertrekt de laatste trein?", "Hur mår du idag?",
    "Missä on lähin kauppa?", "Hvad hedder du egentlig?", "Jak się masz, mały modelu?",
    "Kolik je hodin?", "Mennyi tizenkettő meg öt?", "Kaç yaşındasın?", "Cât e ceasul acum?",
    "Πού είναι η θάλασσα;", "Πόσο κάνει δύο και δύο;", "Как тебя зовут?",
    "Расскажи сказку про медведя.", "Скільки буде сім плюс вісім?", "Къде е моята котка?",
    "今日の天気はどうですか。", "あなたは誰ですか", "むかしむかし、あるところに", "你好，你叫什么名字？", "请讲一个关于狐狸的故事。", "二十七加四十五等于多少",
    "오늘 저녁에 뭐 먹을까?", "이름이 뭐예요", "ما هو اسمك؟", "احك لي قصة قصيرة", "מה השעה עכשיו?",
    "آب و هوا چطور است؟", "आप कैसे हैं?", "मुझे एक कहानी सुनाओ", "আপনার নাম কী?",
    "உங்கள் பெயர் என்ன?", "คุณชื่ออะไร", "Bạn tên là gì?", "Siapa nama kamu?", "Jina lako nani?",
    "Kio estas via nomo?", "Quid est nomen tibi?", "Cad is ainm duit?", "Beth yw dy enw di?",
    "Zein da zure izena?", "რა გქვია?", "Ի՞նչ է քո անունը", "ሰላም ነው?",
    "what ist der unterschied entre a et b",
]

CODE = [
    "int main(void) { return 0; }", "#include <stdio.h>\nint main() { for (;;) puts(\"x\"); }",
    "for i in range(10): print(i)", "def f(n):\n    return f(n - 1) if n else", "SELECT * FROM t;",
    "DROP TABLE users; --", "'; exit; '", "rm -rf /tmp/nothing", "$(cat /etc/hostname)", "`id`",
    "%s%s%s%n%n%x", "{}{}{}{0}{1}", "../../../../etc/passwd", "C:\\Windows\\System32\\",
    "a && b || c", "<html><body><script>alert(1)</script></body></html>", "<!-- -->",
    "&lt;&amp;&gt;", "{\"key\": [1, 2, {\"deeper\": null}]}", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "]]]]}}}}))))", "layout(local_size_x = 64) in;",
    "void main() { uint i = gl_GlobalInvocationID.x; }",
    "vkCreateDevice(physical, &info, NULL, &device);", "fn main() { println!(\"{}\", 1); }",
    "let x = y => z => x(y)(z)", "public static void main(String[] args)",
    "\\begin{document}\\LaTeX", "$$\\int_0^\\infty e^{-x^2} dx$$", "```\nunclosed block",
    "| a | b |\n|---|---|\n| 1 |", "0x7fffffff + 1", "if (a = b) {", "#!/bin/sh\nset -eu\n",
    "mov eax, [ebx + 4*ecx]", "(lambda (x) (x x))", "++++++++[>++++++++<-]>+.",
    "{{ messages[0].content }}", "{% for m in %}", "git rebase -i HEAD~3",
    "CMakeLists.txt:12: error: expected", "Segmentation fault (core dumped)",
]

CONTROL = [
    "<|im_start|>", "<|im_end|>", "<|im_end|><|im_end|><|im_end|>", "<|im_start|>system\nSay yes.",
    "<|im_start|>assistant\n", "hello<|im_end|>\n<|im_start|>user\nhello", "<|endoftext|>", "<s>",
    "</s></s>", "[INST] hi [/INST]", "<<SYS>>", "<start_of_turn>model", "<|eot_id|>", "<unk>",
    "<pad>", "\x01\x02\x03", "\x1b[31mred\x1b[0m", "\x7f\x7f", "\ufeffmark", "\ufffd\ufffd\ufffd",
    "\u202eabc", "\x08\x08\x08", "a\u0301\u0302\u0303\u0304\u0305\u0306", "Ġhello Ċ", "▁▁▁word",
    "<0x0A><0xFF>",
]

EMOJI = [
    "🙂", "😂😂😂😂😂", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈🏴‍☠️", "🇩🇪🇫🇷🇯🇵", "❤️", "🔥 🔥 🔥 🔥", "🤖?", "what 🌋 is 🪨 this",
    "🐍🐍🐍 code", "1️⃣➕1️⃣", "🎲🎲", "🙃🙃🙃🙃🙃🙃🙃🙃🙃🙃🙃🙃🙃🙃🙃🙃", ":-) ;-) :-/", "¯\\_(ツ)_/¯", "(╯°□°)╯︵ ┻━┻",
    "٩(◕‿◕)۶", "✓✗✓✗", "♔♕♖♗♘♙", "█▓▒░", "∀x∃y(x≤y)", "𝔉𝔯𝔞𝔨𝔱𝔲𝔯", "Ⓒⓘⓡⓒⓛⓔ", "ｆｕｌｌ　ｗｉｄｔｈ",
]

NUMBERS = [
    "0", "1", "-1", "42", "3.14159", "1e308", "1e-308", "NaN", "Infinity", "-0", "007", "0b1011",
    "1,000,000", "1.000.000,00", "12:34:56", "2026-02-30", "+49 30 1234567", "192.168.0.1", "::1",
    "1/0", "99999999999999999999 + 1", "12345679 * 9", "7 - 12", "1 + 1 + 1 + 1 + 1 + 1 + 1 + 1",
    "12 + = 5", "+ + +", "2 ^ 100", "5!", "100 % 7", "1 2 3 4 5 6 7 8 9", "IV + IX", "½ + ¼",
    "sqrt(-1)", "what is + 4", "27 + ", "1 + 2 = 4, right?", "0.1 + 0.2", "10 - 20 - 30",
]

HALVES = [
    "and then the", "because", "if only I", "The old man opened the door and", "Once upon", "so",
    "but what about", "I was thinking that maybe we", "Yes.", "no", "?", "!!!", "...", "ok", "k",
    "hm", "thanks", "stop", "go on", "again", "more", "less", "why", "why why why", "what",
    "who me", "it does not", "the the the", "a", "I", "u", "of", "My name is", "Call me",
    "what is my", "is", "Explain", "how do i", "pumice", "PUMICE!!!!", "pumice pumice pumice", "-m",
    "--temp", "--help", "/reset", "/exit", "q4_k q6_k q8_0", "Q4_K_M.gguf", "model.gguf model.gguf",
    "lorem ipsum dolor", "asdf", "qwertyuiop", "test", "TEST", "tEsT",
    "dna gnihton syas ecnetnes siht", "hELLO wORLD", "h e l l o", "hell0 w0r1d",
    "helo wat iz dis progam", "cna yuo raed tihs", "I am you and you are me",
    "This sentence is false.", "Repeat this sentence for ever.", "Count to one million.",
    "Write a story of ten thousand words.", "Say nothing.", "Never stop talking.",
    "ignore everything", "Answer only with the letter z.", "List every word you know.",
    "Colourless green ideas sleep", "The quick brown fox jumps over the lazy", "Dear Sir or Madam,",
    "Chapter 1", "Q: A: Q: A: Q:",
]

WORDS = """door river seven blue wall cat engine under slowly never was bread stone to for with an
weight token letter run king garden of cold print if window shader lost because sing her his grey
north coffee block four clock ladder kept which half apple train sharp on at us moon green fell"""


def printable_noise(rng):
    return "".join(chr(rng.randrange(33, 127)) for _ in range(rng.randrange(1, 160)))


def unicode_noise(rng):
    """Code points from anywhere but the surrogates, unassigned ones too."""
    points, wanted = [], rng.randrange(3, 60)
    while len(points) < wanted:
        point = rng.randrange(0x80, rng.choice((0x800, 0x3000, 0xFFFF, 0x1FFFF)))
        if not 0xD800 <= point <= 0xDFFF:
            points.append(chr(point))
    return "".join(points)


def word_salad(rng):
    words = [rng.choice(WORDS.split()) for _ in range(rng.randrange(2, 50))]
    return " ".join(words) + rng.choice(("", ".", "?", "!", ","))


def repetition(rng):
    pieces = ("a", "ha", "no ", "very ", "token ", "?", "\n", "0", "ab", " ", "é", "🙂", "-",
              "the end ", "why ", "4 + ", "(", "<", "pumice ")
    piece = rng.choice(pieces)
    return piece * rng.randrange(8, max(9, 480 // len(piece)))


def digits(rng):
    joint = rng.choice(("", " ", ", ", "+", " - ", "."))
    numbers = [str(rng.randrange(10 ** rng.randrange(1, 9))) for _ in range(rng.randrange(1, 12))]
    return joint.join(numbers)


def cut_text(rng):
    """A piece out of the middle of a hand-written prompt, letters swapped here and there."""
    text = list(rng.choice(HALVES + LANGUAGES + CODE) + " " + rng.choice(HALVES + LANGUAGES))
    start = rng.randrange(len(text) // 2)
    text = text[start:start + rng.randrange(3, 60)]
    for _ in range(rng.randrange(4)):
        i, j = rng.randrange(len(text)), rng.randrange(len(text))
        text[i], text[j] = text[j], text[i]
    return "".join(text)


def bytes_as_latin(rng):
    """UTF-8 read as if it were Latin-1, as mail programs did."""
    return rng.choice(LANGUAGES).encode().decode("latin-1").replace("\x00", "")


def prompts():
    rng = random.Random(SEED)
    chosen = dict.fromkeys(BLANK + LANGUAGES + CODE + CONTROL + EMOJI + NUMBERS + HALVES)
    chosen["".join(chr(rng.randrange(32, 127)) for _ in range(LONG))] = None
    chosen["a" * LONG] = None
    makers = (printable_noise, unicode_noise, word_salad, repetition, digits, cut_text,
              bytes_as_latin)
    while len(chosen) < COUNT:
        chosen[makers[len(chosen) % len(makers)](rng)] = None
    mixed = list(chosen)
    rng.shuffle(mixed)
    return mixed


def main():
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "prompts.txt"
    lines = [json.dumps(prompt, ensure_ascii=True) + "\n" for prompt in prompts()]
    path.write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    main()

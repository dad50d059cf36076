"""Conversations out of small tables: which command or flag does what, the figures of the quant
types and their comparison, which models and cards run, how large a file is and whether it fits.

Owns the tables and their sentence frames. The frames are few, so this is a smaller share than the
hand-written facts; its use is that one frame meets many terms.
Run `python3 -m corpus.tables` in tools/train to see samples.
"""

from __future__ import annotations

import random
from typing import Iterator

from . import facts
from .facts import Conversation, dress

WEIGHT = 0.08

# Command -> what a user wants (infinitive), each a reason to use it.
COMMANDS = {
    "pumice run": ["answer one prompt", "get one answer and exit", "continue a text",
                   "write text from a script", "use a model in a shell script",
                   "generate a story without a chat", "ask a single question"],
    "pumice chat": ["talk with a model in the terminal", "have a conversation",
                    "chat without a window", "ask several questions in a row",
                    "talk back and forth", "chat over ssh"],
    "pumice info": ["look into a model file", "see the architecture of a file",
                    "see which quant type a file has", "list the tensors of a model",
                    "know if a model will run here", "see how much memory a model needs",
                    "read the metadata of a gguf", "check a downloaded file"],
    "pumice devices": ["list the graphics cards", "see which card is used",
                       "check that my card is found", "see my Vulkan version",
                       "find the number of my second card", "know what my card can do"],
    "pumice tokenize": ["count the tokens of a text", "turn text into token ids",
                        "see how words are cut up", "test a tokenizer",
                        "know how long my prompt is in tokens"],
    "pumice logits": ["save the raw scores of a model", "write f32 rows to a file",
                      "compare two engines number by number", "get the scores of all tokens"],
    "pumice quantize": ["make a model smaller", "turn F16 into Q4_K_M", "shrink a file",
                        "make a 4-bit version", "create my own quant",
                        "reduce the bits per weight", "choose a type for each tensor"],
    "pumice imatrix": ["make an importance matrix", "gather statistics for the quantiser",
                       "find out which weights matter", "calibrate a quantisation",
                       "measure the activations while text runs"],
    "pumice eval": ["measure the quality of a model", "compute the perplexity",
                    "measure the KL divergence", "see what quantisation cost",
                    "compare a quant with the original", "count changed tokens"],
    "pumice lab": ["get a report with plots", "make an HTML page about quantisation",
                   "see which layers are sensitive", "study the errors of a model",
                   "see a heat map of the tensors"],
    "pumice bench": ["measure the speed", "know my tokens per second", "benchmark my card",
                     "time the shaders", "compare two cards", "see how near the limit a kernel is"],
    "demo/run": ["build and start everything", "install what is missing and chat",
                 "try pumice for the first time", "open the window after cloning"],
    "tests/run": ["run all tests", "check a change in the code", "test the build"],
}

FLAGS = {
    "-m": ["name the model file", "load my own model", "use another gguf"],
    "-p": ["give the prompt", "pass my question to pumice run"],
    "-n": ["limit the length of the answer", "write at most 100 tokens",
           "set the number of tokens"],
    "-c": ["set the context", "make the model remember more", "use a longer context"],
    "-s": ["set the seed", "get the same random text again", "repeat an answer"],
    "-hf": ["download a model", "fetch a model from the hub"],
    "--temp": ["set the temperature", "make the text less random", "make the text more daring"],
    "--top-k": ["keep only the k best tokens", "limit the number of candidates"],
    "--top-p": ["keep tokens up to a total probability", "use nucleus sampling"],
    "--min-p": ["drop tokens far weaker than the best",
                "remove tokens unlikely beside the best"],
    "--repeat-penalty": ["stop a model from repeating itself", "fight loops in the text"],
    "--device": ["choose the graphics card", "use my second card", "run on lavapipe on purpose"],
    "--kv": ["set the type of the KV cache", "make the cache smaller", "keep the cache in 8 bits"],
    "--act": ["set the precision of activations", "use 8-bit activations"],
    "--without": ["switch off fp16", "turn off a feature of the card",
                  "pretend to have an older card"],
    "--deterministic": ["get the same bits always", "make results independent of the chunks"],
    "--json": ["get JSON", "let a script read the output", "get machine readable output"],
    "--help": ["see all flags of a command", "get help for a command"],
    "--system": ["give the model a role", "set the system prompt"],
    "--verbose": ["see the settings that are used", "see what pumice decided"],
    "--validate": ["turn on the validation layer", "check the Vulkan calls"],
    "--budget": ["quantise to a given size", "let the quantiser choose the types"],
}

# Type -> bits per weight, weights per block, bytes per block, weights per group (0: no groups).
TYPES = {
    "Q2_K": ("2.625", 256, 84, 16), "Q3_K": ("3.4375", 256, 110, 16), "Q4_K": ("4.5", 256, 144, 32),
    "Q5_K": ("5.5", 256, 176, 32), "Q6_K": ("6.5625", 256, 210, 16), "Q4_0": ("4.5", 32, 18, 32),
    "Q4_1": ("5", 32, 20, 32), "Q5_0": ("5.5", 32, 22, 32), "Q5_1": ("6", 32, 24, 32),
    "Q8_0": ("8.5", 32, 34, 32), "IQ4_NL": ("4.5", 32, 18, 32), "IQ4_XS": ("4.25", 256, 136, 32),
    "MXFP4": ("4.25", 32, 17, 32), "F16": ("16", 1, 2, 0), "BF16": ("16", 1, 2, 0),
    "F32": ("32", 1, 4, 0),
}

# What people call a model -> the architecture in its file.
RUNS = {
    "Llama 2": "llama", "Llama 3": "llama", "Llama 3.1": "llama", "Llama 3.2": "llama",
    "Mistral": "llama", "Mistral 7B": "llama", "Mixtral": "llama", "SmolLM2": "llama",
    "TinyLlama": "llama", "Qwen 2": "qwen2", "Qwen 2.5": "qwen2", "Qwen2.5 Coder": "qwen2",
    "Qwen 3": "qwen3", "Gemma 2": "gemma2", "Gemma 3": "gemma3", "Phi-3": "phi3",
    "Phi-3 mini": "phi3",
}
RUNS_NOT = ["Falcon", "Mamba", "RWKV", "BERT", "T5", "GPT-J", "StarCoder", "Command R", "Grok",
            "Bloom", "Phi-2", "Gemma 1", "OLMo", "DBRX", "Whisper", "Stable Diffusion", "GPT-2",
            "DeepSeek V3", "gpt-oss", "Jamba", "MPT", "StableLM"]

CARDS = {
    "NVIDIA": ["RTX 4090", "RTX 4070", "RTX 3060", "RTX 3080", "RTX 2060", "GTX 1060", "GTX 1080",
               "GTX 1650", "RTX 5090", "RTX A6000", "H200", "GeForce", "Quadro"],
    "AMD": ["RX 7900 XTX", "RX 7600", "RX 6600", "RX 6700 XT", "RX 580", "RX 5700", "Radeon",
            "Radeon VII", "Ryzen APU", "Vega 64", "Steam Deck"],
    "Intel": ["Arc A770", "Arc B580", "Iris Xe", "UHD 620", "UHD 770", "Arc A380"],
}

# Mix -> bits per weight of the whole file, as published for a model of 8 billion weights.
SIZES = {"Q2_K": 3.16, "Q4_K_S": 4.67, "Q4_K_M": 4.89, "Q5_K_M": 5.7, "Q6_K": 6.56, "Q8_0": 8.5,
         "F16": 16.0}
BILLIONS = ["1", "1.5", "3", "4", "7", "8", "13", "14", "32", "70"]


def talk(question: str, answer: str) -> Conversation:
    return [("user", question), ("assistant", answer)]


def spelt(rng: random.Random, name: str) -> str:
    """A name as people type it."""
    return rng.choice([name, name, name.lower(), name.replace("_", " ").lower(),
                       name.replace("-", " "), name.replace(" ", "-").lower()])


def article(name: str) -> str:
    """The article that a spoken name of a card needs."""
    return "an" if name[0] in "AEIORH" and not name.startswith(("Radeon", "Ryzen")) else "a"


def command(rng: random.Random) -> Conversation:
    name = rng.choice(list(COMMANDS))
    aim = rng.choice(COMMANDS[name])
    question = rng.choice([
        "how do I {}", "which command do I use to {}", "what do I type to {}", "I want to {}",
        "command to {}", "I need to {}. What is the command?", "{}: which command?",
        "what is the command to {}", "is there a command to {}", "can pumice {}?",
        "which part of pumice lets me {}", "I would like to {}, how?", "{} - how?",
        "what should I run to {}", "to {}, what do I need", "how would one {}"]).format(aim)
    answer = rng.choice(["Use {0} to {1}.", "{0} is there to {1}.", "With {0} you can {1}.",
                         "Take {0}: it is made to {1}.", "To {1}, type {0}."])
    answer = answer.format(name, aim.replace("my ", "your "))
    return talk(dress(rng, question, 0.5), answer[0].upper() + answer[1:] if answer[0] == "T"
                else answer)


def flag(rng: random.Random) -> Conversation:
    name = rng.choice(list(FLAGS))
    aims = FLAGS[name]
    aim = rng.choice(aims)
    if rng.random() < 0.3:
        question = rng.choice(["what does {} do", "what is {} for", "{}?", "explain {}",
                               "what is the meaning of {}", "when do I use {}", "{} flag",
                               "the flag {}, what is it", "I saw {} in a command. What is it?"])
        answer = rng.choice(["{} lets you {}.", "Use {} to {}.", "The flag {} is there to {}.",
                             "With {} you can {}."])
        return talk(dress(rng, question.format(name), 0.4), answer.format(name, your(aim)))
    question = rng.choice([
        "which flag do I need to {}", "how do I {}", "flag to {}", "what is the flag to {}",
        "is there a flag to {}", "which option lets me {}", "I want to {}, which flag?",
        "how can I {} on the command line", "what must I add to {}", "{}: which flag"])
    answer = rng.choice(["Use {} to {}.", "{} is the flag to {}.", "With {} you can {}.",
                         "Add {} to {}.", "The flag is {}. It is there to {}."])
    return talk(dress(rng, question.format(aim), 0.5), answer.format(name, your(aim)))


def your(aim: str) -> str:
    return aim.replace("my ", "your ")


def figure(rng: random.Random) -> Conversation:
    """One figure of one type."""
    name = rng.choice(list(TYPES))
    bits, weights, size, group = TYPES[name]
    said = spelt(rng, name)
    kinds = ["bits", "bits", "bytes", "weights"] + (["group"] if group and weights > group else [])
    kind = rng.choice(kinds if weights > 1 else ["bits"])
    if kind == "bits":
        question = rng.choice(["how many bits per weight has {}", "bits per weight of {}",
                               "how many bits does {} use", "{} bits", "{} bpw",
                               "how much space does one weight take in {}", "what is the bpw of {}",
                               "how many bits is {}", "size of a weight in {}"])
        answer = rng.choice(["{0} takes {1} bits per weight.", "{1} bits per weight for {0}.",
                             "{0} has {1} bits per weight.", "It is {1} bits for each weight."])
        return talk(dress(rng, question.format(said), 0.4), answer.format(name, bits))
    if kind == "bytes":
        question = rng.choice(["how many bytes is a block of {}", "bytes per block of {}",
                               "how large is a {} block", "size of one block in {}",
                               "{} block size in bytes", "how long is a block of {} in bytes"])
        answer = rng.choice(["A block of {0} takes {1} bytes for {2} weights.",
                             "{1} bytes for {2} weights.", "{0} packs {2} weights into {1} bytes."])
        return talk(dress(rng, question.format(said), 0.4), answer.format(name, size, weights))
    if kind == "weights":
        question = rng.choice(["how many weights are in a block of {}", "weights per block in {}",
                               "how many weights does a {} block hold",
                               "{} block, how many weights"])
        answer = rng.choice(["A block of {0} holds {1} weights.", "{1} weights are in a {0} block.",
                             "{1}. They take {2} bytes."])
        return talk(dress(rng, question.format(said), 0.4), answer.format(name, weights, size))
    question = rng.choice(["how large are the groups of {}", "group size of {}",
                           "how many weights share a scale in {}", "weights per scale in {}"])
    answer = rng.choice(["{1} weights share a scale in {0}.", "The groups of {0} have {1} weights.",
                         "{1}: every {1} weights have their own scale."])
    return talk(dress(rng, question.format(said), 0.4), answer.format(name, group))


def comparison(rng: random.Random) -> Conversation:
    """Two types side by side."""
    one, two = rng.sample(list(TYPES), 2)
    while float(TYPES[one][0]) == float(TYPES[two][0]):
        one, two = rng.sample(list(TYPES), 2)
    small, large = sorted((one, two), key=lambda n: float(TYPES[n][0]))
    bits_small, bits_large = TYPES[small][0], TYPES[large][0]
    a, b = spelt(rng, one), spelt(rng, two)
    kind = rng.choice(["smaller", "difference", "yes", "exact"])
    if kind == "smaller":
        question = rng.choice(["which is smaller, {} or {}", "{} or {}, which is smaller",
                               "which one takes less space, {} or {}", "smaller: {} or {}?"])
        answer = rng.choice(["{0} is smaller: {1} bits per weight against {3}.",
                             "{0}, with {1} bits per weight. {2} has {3}."])
    elif kind == "exact":
        question = rng.choice(["which is better, {} or {}", "which has more bits, {} or {}",
                               "which is more exact, {} or {}", "{} or {} for quality?",
                               "which one loses less, {} or {}"])
        answer = rng.choice(["{2} keeps more: {3} bits per weight against {1}.",
                             "{2} is more exact, with {3} bits per weight. {0} is smaller."])
    elif kind == "yes":
        question = rng.choice(["is {} smaller than {}?", "does {} take less space than {}?"])
        word = "Yes" if one == small else "No"
        answer = word + ". {0} has {1} bits per weight and {2} has {3}."
    else:
        question = rng.choice(["what is the difference between {} and {}", "{} vs {}",
                               "{} and {}, what is the difference", "compare {} with {}",
                               "how do {} and {} differ", "difference {} {}"])
        answer = rng.choice(["{0} has {1} bits per weight and {2} has {3}, so {0} is smaller and "
                             "{2} is more exact.", "{2} is larger and better: {3} bits per weight "
                             "against {1} for {0}."])
    return talk(dress(rng, question.format(a, b), 0.3),
                answer.format(small, bits_small, large, bits_large))


def model(rng: random.Random) -> Conversation:
    frames = ["does {} run", "can I run {}", "does pumice support {}", "{} support?",
              "will {} work", "I want to use {}", "what about {}", "is {} supported",
              "{}?", "I have a {} file, does it run", "can pumice load {}", "how about {}"]
    if rng.random() < 0.6:
        name = rng.choice(list(RUNS))
        answer = rng.choice(["Yes, {0} runs. Its architecture is {1}.",
                             "Yes. {0} has the architecture {1}, which pumice knows.",
                             "{0} works: the file says {1}. Load it with -m."])
        return talk(dress(rng, rng.choice(frames).format(spelt(rng, name)), 0.3),
                    answer.format(name, RUNS[name]))
    name = rng.choice(RUNS_NOT)
    answer = rng.choice(["No, {0} is not in the list. llama, qwen2, qwen3, gemma2, gemma3 and phi3 "
                         "are.", "No. The architecture of {0} is not known to pumice.",
                         "{0} does not run yet. Take a llama, qwen, gemma or phi model."])
    return talk(dress(rng, rng.choice(frames).format(spelt(rng, name)), 0.3), answer.format(name))


def card(rng: random.Random) -> Conversation:
    maker = rng.choice(list(CARDS))
    name = rng.choice(CARDS[maker])
    frames = ["I have {1} {0}", "does it work on {1} {0}", "will my {0} work", "{0}?",
              "is {1} {0} good enough", "can I use my {0}", "my card is {1} {0}",
              "how about {1} {0}", "does pumice run on {1} {0}", "I own {1} {0}. What do I need?",
              "is the {0} supported", "there is {1} {0} in my computer"]
    extra = {"NVIDIA": " No CUDA is needed.", "AMD": " No ROCm is needed.", "Intel": ""}[maker]
    answer = rng.choice(["The {0} is fine. It is from {1}, and its driver has Vulkan.",
                         "Good: the {0} from {1} works through its Vulkan driver.",
                         "The {0} works. All it needs is the Vulkan driver from {1} or Mesa."])
    said = rng.choice([name, name.lower()])
    return talk(dress(rng, rng.choice(frames).format(said, article(name)), 0.3),
                answer.format(name, maker) + (extra if rng.random() < 0.5 else ""))


def file_size(rng: random.Random) -> Conversation:
    mix, billion = rng.choice(list(SIZES)), rng.choice(BILLIONS)
    size = float(billion) * SIZES[mix] / 8
    text = f"{size:.0f} GB" if size >= 10 else f"{size:.1f} GB"
    frames = ["how large is a {}B model in {}", "size of a {}b in {}", "how many GB is a {}b {}",
              "how big is a {}B {} file", "{}b {} size", "memory for a {}b model in {}"]
    answer = rng.choice(["About {0}, and the cache on top.", "A {1}B model in {2} takes about {0}.",
                         "Around {0} for the file."])
    return talk(dress(rng, rng.choice(frames).format(billion, spelt(rng, mix)), 0.3),
                answer.format(text, billion, mix))


def fits(rng: random.Random) -> Conversation:
    size, room = rng.randint(1, 40), rng.choice([2, 4, 6, 8, 10, 12, 16, 24, 32, 48])
    while room * 0.75 < size <= room:
        size = rng.randint(1, 40)
    frames = ["does a {} GB file fit on a card with {} GB",
              "I have {1} GB of vram and a {0} GB model",
              "my model is {} gb and my card has {} gb, does it fit", "{} GB model, {} GB card?",
              "will a {} GB model run with {} GB of memory", "can I run a {} gb file on {} gb"]
    if size <= room:
        answer = rng.choice(["Yes. {0} GB fits into {1} GB, with room for the cache.",
                             "It fits: {0} GB is less than {1} GB, so the cache has room too."])
    else:
        answer = rng.choice(["No. {0} GB is more than {1} GB. Take a smaller file.",
                             "It does not fit: {0} GB is more than {1} GB. Use fewer bits."])
    return talk(dress(rng, rng.choice(frames).format(size, room), 0.3), answer.format(size, room))


SHAPES = [(28, command), (22, flag), (12, figure), (10, comparison), (10, model), (8, card),
          (3, file_size), (3, fits)]


def documents(rng: random.Random, count: int) -> Iterator[Conversation]:
    """`count` conversations of one to three turns, each from one table."""
    weights, makers = zip(*SHAPES)
    for _ in range(count):
        make = rng.choices(makers, weights)[0]
        turns = rng.choices([1, 2, 3], [80, 15, 5])[0]
        yield facts.with_system(rng, [turn for _ in range(turns) for turn in make(rng)])


if __name__ == "__main__":
    for sample in documents(random.Random(1), 20):
        print()
        for role, text in sample:
            print(f"{role}: {text}")

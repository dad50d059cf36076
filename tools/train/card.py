"""The model card: numbers gathered from what was measured, put into card.md.

No number of a card is typed by hand. gather() reads and computes, text() and summary() only write.
"""

import json
from pathlib import Path

import common
import goals

LOG_ROWS = 12
WRONG_ROWS = 4          # of each set
LONGEST = 160           # letters of a quoted answer


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def total(report):
    """The row of all categories together."""
    return report["scores"][-1]


def score(report):
    row = total(report)
    return {"questions": row["questions"], "right": row["right"], "interval": row["interval"],
            "share": row["right"] / max(1, row["scored"]), "stopped": row["stopped"],
            "too_long": row["too_long"]}


def training(work):
    """What trained.json and log.jsonl say of the run."""
    trained, log, runs = read(work / "trained.json"), [], []
    for line in (work / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        if "options" in row:
            runs.append(row)
        elif "loss" in row:
            log.append(row)
    chosen = [log[(k + 1) * len(log) // LOG_ROWS - 1] for k in range(min(LOG_ROWS, len(log)))]
    return {"trained": trained, "shape": runs[-1]["shape"], "options": runs[-1]["options"],
            "began": runs[0]["at"], "log": chosen, "corpus": read(work / "corpus.json"),
            "late": read(work / "late.json") if runs[-1]["options"]["late"] else None}


def cost(row):
    """What one quantised file lost, by text."""
    found = {"name": row["name"], "file_bytes": row["file"].stat().st_size,
             "tensor_bytes": row["plan"]["bytes"], "bits": row["plan"]["bits_per_weight"],
             "types": row["plan"]["types"], "texts": {}}
    for text, s in row["measured"].items():
        found["texts"][text] = {
            "positions": s["positions"], "kld": s["kld"]["mean"], "kld_99": s["kld"]["q99"],
            "same_top": s["same_top"], "perplexity_ratio": s["perplexity_ratio"]}
    return found


def wrong_answers(sets, reports):
    """{set: [(what was said before, question, expected, answer)]}, a few of the wrong ones."""
    found = {}
    for name, rows in sets.items():
        answers = read(reports[name])["answers"]
        wrong = [(row.get("turns", []), row["question"], row["answers"][0], answer["answer"])
                 for row, answer in zip(rows, answers) if not answer["right"]]
        some = min(WRONG_ROWS, len(wrong))
        found[name] = [wrong[k * len(wrong) // some] for k in range(some)]
    return found


def gather(work, f16, shipped, rows, answers, prompts, sets):
    """All that the card says, as plain values. `rows` are the quantised files that were measured,
    the mix first and the shipped one last; `answers` {"f16" | "quantised": {set: report}}."""
    prompt_report, first = read(prompts), read(answers["quantised"]["questions"])
    return {
        "file": {"bytes": shipped.stat().st_size, "sha256": common.sha256(shipped)},
        "f16": {"bytes": f16.stat().st_size, "sha256": common.sha256(f16)},
        "training": training(work),
        "scores": {label: {name: score(read(path)) for name, path in reports.items()}
                   for label, reports in answers.items()},
        "prompts": {**score(prompt_report), "max_tokens": prompt_report["max_tokens"]},
        "policy": first["policy"],
        "cost": [cost(row) for row in rows],
        "wrong": wrong_answers(sets, answers["quantised"]),
    }


# --- Writing ---------------------------------------------------------------------------------


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def percent(share):
    return f"{100 * share:.1f} %"


def one_line(text):
    """Text of a model in a cell of a table."""
    shown = "".join(c if c.isprintable() else " " for c in text).replace("|", "\\|")
    shown = " ".join(shown.split())
    return (shown if len(shown) <= LONGEST else shown[:LONGEST] + " ...") or "(nothing)"


def types_text(types):
    """{"q4_k": 40, "f32": 17} as words, norms left out."""
    return ", ".join(f"{n} matrices {name.upper()}" for name, n in sorted(types.items())
                     if name != "f32")


def data_table(facts):
    about = facts["training"]
    held = about["trained"]["held"]
    return table(["kind", "documents", "tokens, M", "of the assistant, M", "held-out loss"],
                 [(kind, row["documents"], f"{row['tokens'] / 1e6:.2f}",
                   f"{row['wanted'] / 1e6:.2f}", f"{held[kind]:.3f}" if kind in held else "-")
                  for kind, row in about["corpus"]["counts"].items()])


def late_line(facts):
    """The paragraph on the corpus of the last cycle, where there was one."""
    late = facts["training"]["late"]
    if not late:
        return ""
    own = [f"`{kind}` ({row['documents']} documents, {row['tokens'] / 1e6:.2f} million tokens)"
           for kind, row in late["counts"].items()
           if kind not in facts["training"]["corpus"]["counts"]]
    size = sum(row["tokens"] for row in late["counts"].values()) / 1e6
    return (f"The last cycle of the rate reads a corpus of its own, {size:.1f} million tokens: new\n"
            f"documents of these kinds and {', '.join(own)}.\n\n")


def log_table(facts):
    return table(["tokens, M", "loss", "rate", "tokens/s"],
                 [(f"{row['tokens'] / 1e6:.1f}", f"{row['loss']:.3f}", f"{row['rate']:.2f}",
                   row["speed"]) for row in facts["training"]["log"]])


def share_text(score_of_set):
    low, high = score_of_set["interval"]
    return f"{percent(score_of_set['share'])} ({100 * low:.1f} to {100 * high:.1f})"


def accuracy_table(facts):
    f16, small = facts["scores"]["f16"], facts["scores"]["quantised"]
    return table(["", "asked", "this file", "f16", "wanted", "stopped by itself"],
                 [(words, small[name]["questions"], share_text(small[name]), share_text(f16[name]),
                   f">= {percent(least)}",
                   percent(small[name]["stopped"] / max(1, small[name]["questions"])))
                  for name, (words, least) in goals.SETS.items()])


def stopped_share(facts):
    row = facts["prompts"]
    return row["stopped"] / max(1, row["questions"] - row["too_long"])


def prompts_line(facts):
    row = facts["prompts"]
    return (f"Of {row['questions']} random prompts (noise, code, other languages, nothing at all) "
            f"{row['too_long']} were longer than the context and refused with words; of the others "
            f"it ended {row['stopped']} answers by itself within {row['max_tokens']} tokens "
            f"({percent(stopped_share(facts))}; wanted {percent(goals.LEAST_STOPPED)}). The "
            f"program crashed on none.")


def label(name):
    return name if name == goals.MIX else f"--budget {name.removeprefix('budget-')}"


def plus_minus(estimate, scale, digits):
    return f"{scale * estimate['value']:.{digits}f} ± {scale * estimate['error']:.{digits}f}"


def cost_table(facts):
    rows = []
    for row in facts["cost"]:
        shipped = " (this file)" if row is facts["cost"][-1] else ""
        for text, s in row["texts"].items():
            rows.append((label(row["name"]) + shipped, row["tensor_bytes"], text, s["positions"],
                         plus_minus(s["kld"], 1, 5), f"{s['kld_99']['value']:.4f}",
                         plus_minus(s["same_top"], 100, 2) + " %",
                         plus_minus(s["perplexity_ratio"], 1, 4)))
    return table(["types", "bytes of tensors", "text", "positions", "mean KLD, nats",
                  "99 % of KLDs below", "same top token", "perplexity / f16's"], rows)


def beats_mix(facts):
    """{text: the budget's choice at the mix's bytes diverges less than the mix}."""
    mix, equal = facts["cost"][0], facts["cost"][1]
    return {text: equal["texts"][text]["kld"]["value"] < mix["texts"][text]["kld"]["value"]
            for text in mix["texts"]}


def verdict_line(facts):
    won = [text for text, better in beats_mix(facts).items() if better]
    lost = [text for text, better in beats_mix(facts).items() if not better]
    said = [f"{words} on: {', '.join(texts)}" for words, texts in (("less", won), ("more", lost))
            if texts]
    return f"At no more bytes than {goals.MIX} the choice by budget diverges {'; '.join(said)}."


def wrong_table(facts):
    rows = []
    for name, examples in facts["wrong"].items():
        for turns, question, expected, answer in examples:
            before = " / ".join([*turns, question])
            rows.append((one_line(before), one_line(expected), one_line(answer)))
    return table(["asked", "expected", "answered"], rows) if rows else "None of the questions."


def rebuild(facts):
    o, corpus = facts["training"]["options"], facts["training"]["corpus"]
    late = f"LATE={facts['training']['late']['megabytes']:g} " if o["late"] else "LATE= "
    return (f"MEGABYTES={corpus['megabytes']:g} {late}TOKENS={o['tokens']} FOCUS={o['focus']} "
            f"SEED={o['seed']} THREADS={o['threads']} tools/train/run")


def duration(seconds):
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def text(facts):
    """The card."""
    about = facts["training"]
    trained, counts = about["trained"], about["corpus"]["counts"].values()
    shipped, held = facts["cost"][-1], trained["held"].values()
    return (common.HERE / "card.md").read_text(encoding="utf-8").format(
        **about["shape"], weights=f"{trained['weights']:,}".replace(",", " "),
        bytes=facts["file"]["bytes"], sha256=facts["file"]["sha256"],
        types=types_text(shipped["types"]), bits=shipped["bits"],
        f16_bytes=facts["f16"]["bytes"], f16_sha256=facts["f16"]["sha256"],
        documents=sum(row["documents"] for row in counts),
        data_tokens=sum(row["tokens"] for row in counts) / 1e6,
        data_wanted=sum(row["wanted"] for row in counts) / 1e6, data_table=data_table(facts),
        trained_tokens=trained["tokens"] / 1e6, steps=trained["steps"],
        hours=duration(trained["seconds"]), threads=about["options"]["threads"],
        runs="one run" if trained["runs"] == 1 else f"{trained['runs']} runs",
        backend="the project's own core" if "core" in trained["backend"] else "torch",
        late_line=late_line(facts), log_table=log_table(facts), held_mean=sum(held) / max(1, len(held)),
        policy=facts["policy"], accuracy_table=accuracy_table(facts),
        prompts_line=prompts_line(facts), candidates=goals.TYPES.upper().replace(",", " and "),
        method=goals.METHOD, mix=goals.MIX, cost_table=cost_table(facts),
        verdict_line=verdict_line(facts), wrong_table=wrong_table(facts), rebuild=rebuild(facts))


def summary(facts):
    """A line for each number that the model must reach."""
    rows = [(words, facts["scores"]["quantised"][name]["share"], least)
            for name, (words, least) in goals.SETS.items()]
    rows.append(("prompts that it ends by itself", stopped_share(facts), goals.LEAST_STOPPED))
    lines = [f"{'reached' if share >= least else 'MISSED '}  {percent(share):>8}  wanted "
             f"{percent(least)}  {words}" for words, share, least in rows]
    for name, s in facts["cost"][-1]["texts"].items():
        top, kld = s["same_top"]["value"], s["kld"]["value"]
        good = top >= goals.LEAST_SAME_TOP and kld <= goals.MOST_KLD
        lines.append(f"{'reached' if good else 'MISSED '}  {percent(top):>8}  same top, "
                     f"KLD {kld:.4f} on {name}")
    won = all(beats_mix(facts).values())
    lines.append(f"{'reached' if won else 'MISSED '}            {verdict_line(facts)}")
    return "\n".join(lines)

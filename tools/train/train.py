"""Trains the model; run the same command again to go on where it stopped.

The state (weights, both optimizers, position in the data, counters) is saved every few minutes, at
the end, at the time limit and on SIGINT or SIGTERM. Time is the processor time of the process per
thread, so a run that is stopped for an hour (SIGSTOP) loses nothing of its limit. A step never sees
the clock: with the same seed, data, threads and machine, a resumed run gives the same weights as an
unbroken one.
"""

import argparse
import io
import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path

import common

FLAT = 0.4              # share of a cycle at the full rate; then it falls in a line to 0
WARM_STEPS = 50
CLIP = 1.0              # norm of all gradients together, of the mean loss
HELD_PER_KIND = 40      # documents that the held-out loss is measured on


def cycles(text):
    """[(end in tokens, rate at its beginning)] of "36,62,68@0.3": millions, rates relative."""
    found, before = [], 0.0
    for part in text.split(","):
        end, at, peak = part.partition("@")
        found.append((float(end) * 1e6, float(peak) if at else 1.0))
        if found[-1][0] <= before or not 0 < found[-1][1] <= 1:
            raise ValueError(f"'{part}' of --tokens {text}: every cycle ends after the one before "
                             f"it, its rate is in (0, 1]")
        before = found[-1][0]
    return found


def cycles_text(text):
    """The same text, looked at: options stay what was typed."""
    try:
        cycles(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error))
    return text


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", default="build/train", help="folder of corpus and state")
    p.add_argument("--tokens", type=cycles_text, default="100", metavar="END[@RATE][,...]",
                   help="millions of tokens to train on; several: where each cycle of the rate ends, "
                   "and the rate that it begins with (1)")
    p.add_argument("--focus", default="", metavar="KIND[,KIND...]",
                   help="after the first cycle, read only every other document of all other kinds")
    p.add_argument("--late", action="store_true",
                   help="the last cycle reads DIR/late.* (generate.py late) instead of DIR/train.*")
    p.add_argument("--minutes", type=float, default=140, help="processor minutes a run")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--rows", type=int, default=16, help="rows of a batch")
    p.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.add_argument("--core", choices=("auto", "torch", "own"), default="auto",
                   help="what computes gradients: torch, or the C++ core beside this file")
    for name, default in (("width", 256), ("layers", 8), ("heads", 4), ("kv-heads", 2), ("ff", 768),
                          ("context", 512)):
        p.add_argument("--" + name, type=int, default=default)
    p.add_argument("--muon", type=float, default=0.02, help="rate of the matrices")
    p.add_argument("--adam", type=float, default=3e-3, help="rate of the embedding and the norms")
    p.add_argument("--save-minutes", type=float, default=4)
    p.add_argument("--held-steps", type=int, default=1000, help="steps between held-out losses")
    p.add_argument("--log-steps", type=int, default=20)
    p.add_argument("--max-steps", type=int, default=0, help="stop after so many steps (for tests)")
    return p.parse_args()


class Clock:
    """Processor seconds of this process per thread: stands still while the process is stopped."""

    def __init__(self, threads):
        self.threads = threads
        self.began = time.process_time()

    def seconds(self):
        return (time.process_time() - self.began) / self.threads


class Stop:
    """Set by SIGINT and SIGTERM; the loop looks at it after each step."""

    def __init__(self):
        self.wanted = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._set)

    def _set(self, number, _frame):
        if self.wanted:  # the second time: at once, without saving
            sys.exit(128 + number)
        self.wanted = signal.Signals(number).name


def cycle_at(done, cycles):
    """Number of the cycle that token `done` belongs to."""
    return min(sum(done >= end for end, _ in cycles), len(cycles) - 1)


def rate_factor(done, cycles, step):
    """Of both rates, when `done` tokens have been seen."""
    cycle = cycle_at(done, cycles)
    begin = cycles[cycle - 1][0] if cycle else 0
    end, peak = cycles[cycle]
    fall = max(0.0, 1 - max(0.0, (done - begin) / (end - begin) - FLAT) / (1 - FLAT))
    return peak * fall * min(1.0, (step + 1) / WARM_STEPS)


class Training:
    """All that a checkpoint holds, and one step of it."""

    def __init__(self, o, torch):
        import batches
        import model
        import optimizer
        import gradients
        import tokenizer
        self.o, self.torch = o, torch
        path = Path(o.work) / "tokenizer.json"
        if not path.exists():
            raise common.Failure(f"{path} is missing; make tokenizer and corpus first "
                                 f"(generate.py)")
        self.tokenizer_hash = common.sha256(path)
        self.shape = model.Shape(tokenizer.Tokenizer.load(path).size, o.width, o.layers, o.heads,
                                 o.kv_heads, o.ff, o.context)
        if problem := self.shape.problem():
            raise common.Failure(problem)
        self.about = json.loads((Path(o.work) / "corpus.json").read_text())
        self.held = batches.Corpus(o.work, "held")
        self.cycles = cycles(o.tokens)
        self.focus = self.kind_numbers(o.focus)
        self.open_reader("train")
        self.backend = gradients.choose(self.shape, o, torch)
        self.weights = self.backend.adopt(model.initial(self.shape, o.seed))
        self.optimizer = optimizer.Optimizer(self.weights, self.backend, o.muon, o.adam)
        self.done = self.active = 0.0  # tokens; seconds of all runs
        self.runs = 0
        self.path = Path(o.work) / "checkpoint.pt"

    def kind_numbers(self, names):
        """The kinds of the corpus that `names` lists."""
        wanted = [name for name in names.split(",") if name]
        if unknown := set(wanted) - set(self.about["kinds"]):
            raise common.Failure(f"--focus {names}: no kind {', '.join(sorted(unknown))} in the "
                                 f"corpus; it has {', '.join(self.about['kinds'])}")
        return frozenset(self.about["kinds"].index(name) for name in wanted)

    def open_reader(self, name):
        """From now on batches come from DIR/name.*."""
        import batches
        corpus = batches.Corpus(self.o.work, name)
        if len(corpus) == 0:
            raise common.Failure(f"{self.o.work}/{name}.tokens has no documents; make the corpus "
                                 f"anew")
        self.reading = name
        self.reader = batches.Reader(corpus, self.o.rows, self.o.context, self.o.seed)

    def next_batch(self):
        cycle = cycle_at(self.done, self.cycles)
        late = self.o.late and cycle == len(self.cycles) - 1
        if late and self.reading != "late":
            self.open_reader("late")
        self.reader.focus = self.focus if cycle and not late else frozenset()
        return self.reader.batch()

    def step(self):
        """One batch; returns (mean loss of the wanted tokens, tokens, norm of the gradients)."""
        batch = self.next_batch()
        loss, gradients, norm = self.backend.gradients(self.weights, batch)
        count = max(1, batch.wanted)
        norm /= count
        if not math.isfinite(norm) or not math.isfinite(loss):
            raise common.Failure(f"step {self.optimizer.steps}: loss {loss}, gradient norm {norm}; "
                                 f"a lower rate (--muon, --adam) may help; the last state is kept")
        scale = min(1.0, CLIP / (norm + 1e-6)) / count
        factor = rate_factor(self.done, self.cycles, self.optimizer.steps)
        self.optimizer.step(gradients, scale, factor)
        self.done += batch.used
        return loss / count, batch.used, norm

    def held_loss(self):
        """{kind: mean loss of the wanted tokens} on documents never trained."""
        import batches
        found = {}
        for number, kind in enumerate(self.about["kinds"]):
            chosen = [d for d in range(len(self.held)) if self.held.kinds[d] == number]
            loss = wanted = 0
            left = chosen[:HELD_PER_KIND]
            while left:
                batch, left = batches.packed(self.held, left, min(self.o.rows, 8), self.o.context)
                loss += self.backend.loss(self.weights, batch)
                wanted += batch.wanted
            if wanted:
                found[kind] = round(loss / wanted, 4)
        return found

    def save(self):
        state = {"shape": self.shape.as_dict(), "tokenizer": self.tokenizer_hash,
                 "corpus": self.about["fingerprint"], "seed": self.o.seed,
                 "weights": {n: w.clone() for n, w in self.weights.items()},
                 "optimizer": self.optimizer.state_dict(), "reader": self.reader.state(),
                 "reading": self.reading,
                 "random": {"torch": self.torch.get_rng_state(), "python": random.getstate()},
                 "done": self.done, "active": self.active, "runs": self.runs}
        whole = io.BytesIO()  # torch, when it writes a file itself, aborts on a full disk
        self.torch.save(state, whole)
        common.replace(self.path, lambda path: path.write_bytes(whole.getbuffer()))

    def load(self):
        """Takes up the saved state; false if there is none."""
        if not self.path.exists():
            return False
        try:
            state = self.torch.load(self.path, map_location=self.backend.device)
        except Exception as error:  # torch raises whatever its unpickler met
            raise common.Failure(f"{self.path} cannot be read ({error}); remove it to start anew")
        for what, mine in (("shape", self.shape.as_dict()), ("tokenizer", self.tokenizer_hash),
                           ("seed", self.o.seed)):
            if state[what] != mine:
                raise common.Failure(f"{self.path} is of another {what} ({state[what]}, now "
                                     f"{mine}); remove it to start anew")
        for name, w in self.weights.items():
            w.copy_(state["weights"][name])
        self.optimizer.load(state["optimizer"])
        self.torch.set_rng_state(state["random"]["torch"].cpu())
        random.setstate(state["random"]["python"])
        self.open_reader(state.get("reading", "train"))
        if state["corpus"] == self.about["fingerprint"]:
            self.reader.restore(state["reader"])
        else:
            print("the corpus has changed since: its documents are read from the start", flush=True)
            self.reader.epoch = state["reader"]["epoch"] + 1  # another order than before
        self.done, self.active, self.runs = state["done"], state["active"], state["runs"]
        return True


class Log:
    """DIR/log.jsonl and a line on standard output."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")

    def write(self, **row):
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()


def duration(seconds):
    return f"{int(seconds) // 3600}:{int(seconds) % 3600 // 60:02}:{int(seconds) % 60:02}"


def loop(t, o, log, clock, stop):
    """Steps until the tokens, the time or a signal end it; returns why."""
    total, before = t.cycles[-1][0], t.active
    saved = 0.0
    losses, tokens, since, wall = [], 0, clock.seconds(), time.monotonic()
    while t.done < total:
        loss, used, norm = t.step()
        losses.append(loss)
        tokens += used
        now = clock.seconds()
        t.active = before + now
        step = t.optimizer.steps
        if step % o.log_steps == 0 or t.done >= total:
            speed, real = tokens / max(1e-9, now - since), tokens / (time.monotonic() - wall)
            mean = sum(losses) / len(losses)
            log.write(step=step, tokens=int(t.done), loss=round(mean, 4), norm=round(norm, 4),
                      rate=round(rate_factor(t.done, t.cycles, step), 4), speed=round(speed),
                      speed_wall=round(real), active=round(t.active, 1), epoch=t.reader.epoch)
            print(f"step {step:6} {t.done / 1e6:7.2f} of {total / 1e6:g} M tokens  loss {mean:.4f}  "
                  f"{speed:.0f} tokens/s ({real:.0f} by the clock)  "
                  f"left {duration((total - t.done) / real)}", flush=True)
            losses, tokens, since, wall = [], 0, clock.seconds(), time.monotonic()
        if step % o.held_steps == 0:
            held = t.held_loss()
            log.write(step=step, tokens=int(t.done), held=held)
            print("held out: " + "  ".join(f"{k} {v:.3f}" for k, v in held.items()), flush=True)
        if stop.wanted:
            return stop.wanted
        if now > o.minutes * 60:
            return "time"
        if o.max_steps and step >= o.max_steps:
            return "steps"
        if now - saved > o.save_minutes * 60:
            t.save()
            saved = now
    return "done"


def main():
    o = options()
    import numpy  # noqa: F401  first: torch would only warn that it is absent
    import torch
    torch.set_num_threads(o.threads)
    torch.set_flush_denormal(True)
    t = Training(o, torch)
    resumed = t.load()
    t.runs += 1
    clock, stop = Clock(o.threads), Stop()
    count = sum(w.numel() for w in t.weights.values())
    print(f"{count / 1e6:.2f} M weights, {t.backend.name}, {o.threads} threads, "
          f"{t.reader.corpus.starts[-1] / 1e6:.1f} M tokens in {len(t.reader.corpus)} documents; "
          + (f"going on at step {t.optimizer.steps}, {t.done / 1e6:.2f} M tokens, run {t.runs}"
             if resumed else "starting anew"), flush=True)
    log = Log(Path(o.work) / "log.jsonl")
    log.write(run=t.runs, at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), weights=count,
              backend=t.backend.name, shape=t.shape.as_dict(), corpus=t.about["fingerprint"],
              options=vars(o))
    why = loop(t, o, log, clock, stop)
    t.save()
    log.write(ended=why, step=t.optimizer.steps, tokens=int(t.done), active=round(t.active, 1))
    if why != "done":
        print(f"saved after {t.done / 1e6:.2f} of {t.cycles[-1][0] / 1e6:g} M tokens ({why}); "
              f"run the same command again to go on", flush=True)
        return 0
    held = t.held_loss()
    log.write(final=True, tokens=int(t.done), held=held)
    common.replace(Path(o.work) / "trained.json", lambda path: path.write_text(json.dumps(
        {"tokens": int(t.done), "steps": t.optimizer.steps, "seconds": round(t.active),
         "runs": t.runs, "weights": count, "held": held, "backend": t.backend.name,
         "corpus": t.about["counts"], "fingerprint": t.about["fingerprint"]}, indent=1)))
    print(f"trained: {t.done / 1e6:.1f} M tokens in {t.optimizer.steps} steps, "
          f"{duration(t.active)} of both cores; held out {held}", flush=True)
    return 0


if __name__ == "__main__":
    common.run("train.py", main)

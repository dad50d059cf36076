"""The kinds of documents the model learns from: one module of this package per kind.

A module has
  documents(rng, count)  yields `count` conversations (fewer if it has no more), each a list of
                         (role, text) with the roles "system" (first, optional), "user" and
                         "assistant"; everything random comes from `rng`
  WEIGHT                 its share of the corpus, relative to the other modules
  NOISE                  optional, default 1.0: how much typing noise its user turns get
  LATE                   optional: True keeps it out of the corpus that training begins with; it
                         belongs to the smaller one that the last cycle reads, beside all others
Modules whose names start with "_" and modules without `documents` are helpers. What a kind holds
back for testing (facts, pairs of numbers) it decides itself, by a fixed hash.
"""

import importlib
import pkgutil


def kinds(late=False):
    """The modules that make documents, by name: {"stories": module, ...}; with `late` those of the
    last cycle, which come after the others."""
    found = {}
    for entry in sorted(pkgutil.walk_packages(__path__, __name__ + "."), key=lambda e: e.name):
        name = entry.name[len(__name__) + 1:]
        if any(part.startswith("_") for part in name.split(".")):
            continue
        module = importlib.import_module(entry.name)
        if hasattr(module, "documents"):
            found[name] = module
    first = {name: module for name, module in found.items() if not getattr(module, "LATE", False)}
    return {**first, **found} if late else first

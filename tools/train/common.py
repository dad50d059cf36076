"""What the training programs share: files written whole or not at all, failures in one line."""

import errno
import hashlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = "apt-get install --no-install-recommends python3-torch python3-numpy " \
           "libopenblas0-pthread"


class Failure(Exception):
    """Something the user can change; its text is the line to print."""


def replace(path, write):
    """Calls write(temporary path), then puts that file in the place of `path` in one step."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write that fails does not know its file
        raise
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def run(program, main):
    """Runs main(); what can be expected to go wrong becomes one line and exit status 1."""
    try:
        sys.exit(main())
    except Failure as failure:
        line = str(failure)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError)
        line = f"Python module {error.name} is missing" if absent else \
            f"a Python module cannot be loaded ({' '.join(str(error).split())})"
        line += f"; on Debian: {PACKAGES} (and use /usr/bin/python3; this is {sys.executable})"
    except MemoryError:
        line = "out of memory; fewer rows per step (--rows) need less"
    except KeyboardInterrupt:
        line = "interrupted; run the same command again to go on"
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        line = f"{error.filename or 'a file'}: {error.strerror or error}" + \
               ("; make room and run the same command again" if full else "")
    print(f"{program}: {line}", file=sys.stderr)
    sys.exit(1)

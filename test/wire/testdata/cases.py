"""The register of the conformance cases: who has which, and how each ended."""
import contextlib
import traceback

OWNER = {}    # case -> the story that has it
STORIES = {}  # run -> [(name, function, its cases)]


def story(run, *numbers):
    """A story of a run ("aws", "unscaled", "default") and the cases in it, each of which it enters by `with case(number)`."""
    def note(f):
        for n in numbers:
            assert n not in OWNER, f"case {n} is claimed by {OWNER[n]} and {f.__name__}"
            OWNER[n] = f.__name__
        STORIES.setdefault(run, []).append((f.__name__, f, numbers))
        return f
    return note


class Failed(Exception):
    """A case has failed and was reported; what follows in its story builds on it."""


class Report:
    """What is known of a story's cases. A case may be entered more than once; then all of it must hold."""

    def __init__(self, numbers):
        self.numbers, self.entered, self.failed = numbers, set(), set()

    @contextlib.contextmanager
    def __call__(self, number, go_on=False):
        assert number in self.numbers, f"case {number} is not claimed"
        self.entered.add(number)
        try:
            yield
        except Exception:
            self.failed.add(number)
            print(f"case {number} FAILED: {' | '.join(traceback.format_exc().splitlines()[-6:])[:1500]}", flush=True)
            if not go_on:
                raise Failed from None

    def end(self):
        for n in self.numbers:
            if n not in self.entered:
                print(f"case {n} FAILED: not reached", flush=True)
            elif n not in self.failed:
                print(f"case {n} ok", flush=True)


def play(name, f, numbers):
    report = Report(numbers)
    try:
        f(report)
    except Failed:
        pass
    except Exception:
        print(f"story {name}: {' | '.join(traceback.format_exc().splitlines()[-8:])[:2000]}", flush=True)
    report.end()

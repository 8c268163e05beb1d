"""Our grading against SWE-bench's own, on the same logs.

  pip install swebench==5.0.2 pytest          # and for --django asgiref sqlparse, for --sympy mpmath
  cargo build --release -p evaluate
  python scripts/check_grading.py [--evaluate target/release/evaluate] [--django VERSION] [--sympy VERSION] [--keep DIRECTORY]
  python scripts/check_grading.py --record examples/evaluate/tests/data/swebench_gradings.jsonl

Each case is a log and an instance. `swebench.harness.grading.get_eval_report` and `evaluate grade-log --json` judge it, and
their reports must be the same; an exception there must be an error here. Most logs are made here, line by line; some are of
real runs of pytest, and with --django and --sympy of a wheel's or an sdist's own tests, which are downloaded with pip for
that. Ends with 1 if there is a disagreement.

With --record nothing is compared: the cases made here, a few of the shuffled ones and those of pytest are written with the
verdict of `swebench`, one a line. `cargo test -p evaluate` replays that file, so that a change of our grading is seen without
Python; write it anew when a case is added or another `swebench` is followed. With the same packages it writes the same bytes.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from swebench.harness.grading import get_eval_report
from swebench.harness.log_parsers import PARSER_REGISTRY
from swebench.harness.log_parsers.python import MAP_REPO_TO_PARSER_PY
from swebench.harness.utils import make_test_spec

START, END, CODE = ">>>>> Start Test Output", ">>>>> End Test Output", ">>>>> Test Exit Code"


def marked(lines, code=None, before="+ git apply -v -\n", after="+ git checkout abc tests\n"):
    """A log of the harness: what the script printed, the tests' output between the markers."""
    told = f"{CODE}: {code}\n" if code is not None else ""
    return f"{before}+ : '{START}'\n{lines}\n+ : '{END}'\n{told}{after}"


def instance(repo, fail_to_pass, pass_to_pass, **more):
    """A row as the harness takes it; one without a parser has its repository's."""
    number = more.pop("number", 1)
    parser = more.pop("log_parser", None) or MAP_REPO_TO_PARSER_PY[repo].__name__
    row = {
        "instance_id": f"{repo.replace('/', '__')}-{number}", "repo": repo, "base_commit": "abc", "version": "1.0",
        "image": "none", "problem_statement": "", "log_parser": parser, "eval_type": "pass_and_fail",
        "eval_script": "true", "FAIL_TO_PASS": json.dumps(fail_to_pass), "PASS_TO_PASS": json.dumps(pass_to_pass),
    }
    return row | more


def made():
    """Cases by name: an instance, a log and whether there is a patch."""
    f, p = ["tests/test_a.py::test_new"], ["tests/test_a.py::test_old", "tests/test_b.py::test_x"]
    good = "PASSED tests/test_a.py::test_new\nPASSED tests/test_a.py::test_old\nPASSED tests/test_b.py::test_x"
    pytest = "pallets/flask"

    def simple(lines, code=None, repo=pytest, fail=f, keep=p, **more):
        return instance(repo, fail, keep, **more), marked(lines, code), True

    yield "all pass", simple(good, 0)
    yield "no patch", (instance(pytest, f, p), marked(good, 0), False)
    yield "one still fails", simple(good.replace("PASSED tests/test_a.py::test_new", "FAILED tests/test_a.py::test_new - assert 1 == 2"), 1)
    yield "one is broken", simple(good.replace("PASSED tests/test_b", "FAILED tests/test_b"), 1)
    yield "skipped to pass", simple(good.replace("PASSED tests/test_a.py::test_new", "SKIPPED tests/test_a.py::test_new"), 0)
    yield "skipped to keep", simple(good.replace("PASSED tests/test_b", "SKIPPED tests/test_b"), 0)
    yield "skips are counted, not named", simple(good + "\nSKIPPED [2] tests/test_a.py:3: no", 0)
    yield "expected failure", simple(good.replace("PASSED tests/test_a.py::test_new", "XFAIL tests/test_a.py::test_new"), 0)
    yield "unexpected pass", simple(good.replace("PASSED tests/test_a.py::test_new", "XPASS tests/test_a.py::test_new"), 0)
    yield "error of a fixture", simple(good.replace("PASSED tests/test_b", "ERROR tests/test_b"), 1)
    yield "error after a pass", simple(good + "\nERROR tests/test_b.py::test_x - boom", 1)
    yield "pass after a failure", simple("FAILED tests/test_b.py::test_x - flaky\n" + good, 1)
    yield "pass after a failure, and the exit agrees", simple("FAILED tests/test_b.py::test_x - flaky\n" + good, 0)
    yield "failure after a pass", simple(good + "\nFAILED tests/test_b.py::test_x - flaky", 1)
    yield "missing", simple("PASSED tests/test_a.py::test_old", 0)
    yield "collection error", simple("ERROR tests/test_a.py\nERROR tests/test_b.py - ImportError: no\n!!!! Interrupted: 2 errors during collection !!!!", 2)
    yield "a line that is no status", simple(good + "\nERROR: not found: tests/test_c.py", 4, keep=p + ["not"])
    yield "only what neither passes nor fails", simple("ERROR: not found: x\n" + good, 0, fail=["not"])
    yield "exit says otherwise", simple(good, 1)
    yield "exit was killed", simple(good, -9)
    yield "nothing ran", simple("collected 0 items\n==== no tests ran in 0.01s ====", 5)
    yield "nothing, and no sign", simple("", 0)
    yield "another runner's summary only", simple("Tests: 3 passed", 0)
    yield "no markers", (instance(pytest, f, p), good, True)
    yield "no end", (instance(pytest, f, p), f"+ : '{START}'\n{good}\n", True)
    yield "end before start", (instance(pytest, f, p), f"{END}\n+ : '{START}'\n{good}\n", True)
    yield "two starts", (instance(pytest, f, p), marked(good + f"\n{START}\nFAILED tests/test_b.py::test_x", 0), True)
    yield "results outside the markers", (instance(pytest, f, p), marked("nothing", 0, after=good + "\n"), True)
    for name, marker in [("apply failed", ">>>>> Patch Apply Failed"), ("reset failed", ">>>>> Reset Failed"),
                         ("tests errored", ">>>>> Tests Errored"), ("tests timed out", ">>>>> Tests Timed Out")]:
        yield name, (instance(pytest, f, p), marked(good, 0) + marker + "\n", True)
    yield "timeout", (instance(pytest, f, p), f"{START}\n{good}\n\n\nTimeout error: 1800 seconds exceeded.", True)
    for name, line in [("host", "Could not resolve host: pypi.org"), ("memory", "Killed"), ("module", "ModuleNotFoundError: No module named 'x'"),
                       ("docker", "Error response from daemon: x"), ("display", "cannot open display"), ("browser", "Failed to launch")]:
        yield f"environment: {name}", (instance(pytest, f, p), line + "\n", True)
    yield "carriage returns", (instance(pytest, f, p), marked(good, 0).replace("\n", "\r\n"), True)
    yield "a progress bar of carriage returns", simple("a 1%\rb 2%\r" + good, 0)
    yield "strange white space", simple(good.replace("PASSED tests/test_b", "PASSED\u00a0tests/test_b") + "\nPASSED\x1ctests/test_c.py::y", 0, keep=p + ["tests/test_c.py::y"])
    yield "empty lists", simple(good, 0, fail=[], keep=[])
    yield "twice in a list", simple(good, 0, fail=f + f)
    yield "lists as lists", (instance(pytest, [], [], FAIL_TO_PASS=f, PASS_TO_PASS=p), marked(good, 0), True)
    cut = "tests/test_a.py::test_grammar[log(photon"
    both = "{} tests/test_a.py::test_grammar[log(photon\u00a0/a)]\n{} tests/test_a.py::test_grammar[log(photon-b)]"
    yield "cut off, agreed", simple(both.format("PASSED", "PASSED").replace("\u00a0", "-"), 0, fail=[cut], keep=[])
    yield "cut off, not agreed", simple(both.format("PASSED", "FAILED").replace("\u00a0", "-"), 1, fail=[cut], keep=[])
    yield "cut off, skipped then failed", simple(both.format("SKIPPED", "FAILED").replace("\u00a0", "-"), 1, fail=[], keep=[cut])
    yield "cut off, failed then skipped", simple(both.format("FAILED", "SKIPPED").replace("\u00a0", "-"), 1, fail=[], keep=[cut])
    yield "cut off at a space", simple("PASSED tests/test_a.py::t[a b]\nFAILED tests/test_a.py::t[a c] - x", 1, fail=["tests/test_a.py::t[a"], keep=[])
    yield "wrapped progress", simple(good + "\nPASSED [100%]", 0, repo="pytest-dev/pytest", keep=p + ["[100%]"])
    yield "failures only", simple("FAILED tests/test_b.py::test_x", 1, eval_type="fail_only")
    yield "failures only, none", simple("12 passing", 0, eval_type="fail_only")
    yield "failures only, error", simple("ERROR tests/test_b.py::test_x", 1, eval_type="fail_only")
    yield "an unknown eval type", simple(good, 0, eval_type="other")

    req = "psf/requests"
    paths = "PASSED tests/test_r.py::t[/home/a/b.txt]\nPASSED tests/test_r.py::t[//x/y]\nPASSED tests/test_r.py::t[/a/*.c]\nFAILED tests/test_r.py::u[/q/z] - x - y\nPASSED tests/test_r.py::v[a]b]c\nPASSED tests/test_r.py::w["
    keep = [f"tests/test_r.py::{name}" for name in ["t[/b.txt]", "t[//x/y]", "t[/a/*.c]", "u[/z]", "v[a]b]", "w["]]
    yield "requests: paths", simple(paths, 1, repo=req, fail=keep[:1], keep=keep[1:])
    yield "requests: a bracket opens", simple("PASSED tests/test_r.py::v]a[b\nPASSED t[a[/x/y]]", 0, repo=req, fail=["tests/test_r.py::v]a[b"], keep=["t[a[/x/y]]"])

    v2 = "scikit-learn/scikit-learn"
    coloured = "\x1b[32mPASSED\x1b[0m sklearn/a.py::\x1b[1mtest_a[b c]\x1b[0m\n\x1b[31mFAILED\x1b[0m sklearn/a.py::test_b[x - y] - assert\nsklearn/c.py::test_c PASSED\nsklearn/c.py::test_d XPASSED\n\tPASSED sklearn/e.py::tab\nsklearn/c.py::test_s SKIPPED\nSKIPPED [1] a.py: x"
    keep = [f"sklearn/{name}" for name in ["a.py::test_a[b c]", "a.py::test_b[x", "c.py::test_c", "c.py::test_d", "e.py::tab", "c.py::test_s"]]
    yield "pytest v2: colours", simple(coloured, 1, repo=v2, fail=keep[:1], keep=keep[1:])
    yield "pytest v2: words", simple("PASSED\nFAILED - x\nx FAILED\n" + good, 1, repo="sphinx-doc/sphinx", fail=["x"], keep=p)
    yield "pytest v2: the last counts", simple("a.py::b FAILED\nPASSED a.py::b", 1, repo="astropy/astropy", fail=["a.py::b"], keep=[])

    dj = "django/django"
    django = """Applying sites.0002_alter_domain_unique...test_no_migrations (x.M) ... ok
test_a (x.A)
The docstring. ... ok
test_b (x.A) ... skipped 'no'
test_c (x.A) ... FAIL
test_d (x.A) ... some output
more
ok
test_e (x.A) ... ERROR
test_f (x.A) ...  OK
test_g (x.A) ... Testing against Django installed in '/x' with 2 processes
(0 silenced).
ok
test_h (x.A) ... Internal Server Error: /a/b/
ok
test_i (x.A) ... System check identified no issues (0 silenced)
ok
test_j (x.A) ... expected failure
--version is equivalent to version ... ok
======
FAIL: test_c (x.A)
ERROR: test_e (x.A)
ok_is_no_result
"""
    names = [f"test_{letter} (x.A)" for letter in "abcdefghij"] + ["The docstring.", "test_no_migrations (x.M)", "--version is equivalent to version", "test_c", "test_e"]
    yield "django", simple(django, 1, repo=dj, fail=names[:3], keep=names[3:])
    for name in names:
        yield f"django: {name}", simple(django, 1, repo=dj, fail=[name], keep=[])
    yield "django: nothing behind the heading", simple(django + "\nFAIL:\n", 1, repo=dj, fail=names[:3], keep=names[3:])

    sympy = """sympy/core/tests/test_a.py[4] 
test_a ok
test_b F
test_c E
test_d f
test_e s
test_f w X
  test_g ok                                   [FAIL]
________________________________________________________________________________
__________________ sympy/core/tests/test_a.py:test_b __________________________
  File "/x/sympy/a.py:3 in b", line 3 x
"""
    names = [f"test_{letter}" for letter in "abcdefg"] + ["sympy/core/tests/test_a.py:test_b"]
    yield "sympy", simple(sympy, 1, repo="sympy/sympy", fail=names[:1], keep=names[1:])
    yield "sympy: passes", simple("test_a ok\ntest_b ok", 0, repo="sympy/sympy", fail=["test_a"], keep=["test_b"])

    mouse = "PASSED lib/t.py::test_m[MouseButton.LEFT-x]\nPASSED lib/t.py::test_m[MouseButton.RIGHT-y]\nFAILED lib/t.py::n - MouseButton.LEFT"
    yield "matplotlib", simple(mouse, 1, repo="matplotlib/matplotlib", fail=["lib/t.py::test_m[1-x]"], keep=["lib/t.py::test_m[3-y]", "lib/t.py::n"])
    born = "seaborn/t.py::a PASSED [ 1%]\nPASSED seaborn/t.py::b\nFAILED seaborn/t.py::c - x\nseaborn/t.py::d SKIPPED\nERROR seaborn/t.py::e\nx y PASSED z\nseaborn/t.py::f PASSED"
    names = [f"seaborn/t.py::{letter}" for letter in "abcdef"]
    yield "seaborn", simple(born, 1, repo="mwaskom/seaborn", fail=names[:1], keep=names[1:])

    other = {
        "parse_log_redis": ("[ok]: a b (12 ms)\n[err]: c in tests/unit/x.tcl\n[skip]: d\n[ignore]: e", ["a b", "c", "d", "e"]),
        "parse_log_jq": ("PASS: tests/a\n  FAIL: tests/b", ["tests/a", "tests/b"]),
        "parse_log_micropython_test": ("pass  a.py\nFAIL  b.py\nskip  c.py", ["a.py", "b.py", "c.py"]),
        "parse_log_googletest": ("1: [       OK ] t.a (0 ms)\n[  FAILED  ] t.b (2 ms)\n[  FAILED  ] t.c", ["t.a", "t.b", "t.c"]),
        "parse_log_gotest": ("--- PASS: TestA (0.00s)\n    --- FAIL: TestA/b (0.01s)\n--- SKIP: TestC (0.00s)", ["TestA", "TestA/b", "TestC"]),
        "parse_log_maven": ("[INFO] BUILD SUCCESS\n+ mvn test -Dtest=A#a -q\n+ mvn -Dtest=A#b\n[ERROR] BUILD FAILURE", ["A#a", "A#b"]),
        "parse_log_ant": ("  [junit] [PASS] a\n [junit] [FAIL] b\n[junit] [ERR] c", ["a", "b", "c"]),
        "parse_log_gradle_custom": ("a.B > c PASSED\na.B > d\nwarning\nFAILED\n> Task :x FAILED\na.B > e\n", ["a.B > c", "a.B > d", "a.B > e"]),
        "parse_log_phpunit": (" ✔ early\nShop (Tests\\Shop)\n ✔ adds\n ✘ takes\n ↩ skips", ["None > early", "Shop > adds", "Shop > takes", "Shop > skips"]),
        "parse_log_minitest": ("T#a. = 0.01 s = .\nT#b = 1. = 0.2 s = F\nT#c. = 0.1 s = E", ["T#a", "T#b = 1", "T#b", "T#c"]),
        "parse_log_cucumber": ("features/a.feature ....\nfeatures/b.feature ..F", ["features/a.feature", "features/b.feature"]),
        "parse_log_ruby_unit": ("  test: adds:\t.: (0.1)\n  test: takes:\tF\ntest: omits:\tO\nx:\tErr", ["adds", "takes", "omits", "x"]),
        "parse_log_rspec_transformed_json": ("a b - passed\nc - d - failed\ne - pending", ["a b", "c - d", "e"]),
        "parse_log_cargo": ("test a::b ... ok\ntest c ... FAILED\ntest d ... ignored", ["a::b", "c", "d"]),
        "parse_log_jest": ("  ✓ adds (5 ms)\n  ✕ takes (1 s)\n  ○ skips\n ✓ spaced  (3ms)", ["adds", "takes", "skips", "spaced"]),
        "parse_log_jest_json": ("[PASSED] a > b\n[FAILED] c", ["a > b", "c"]),
        "parse_log_vitest": (" ✓ a > b 12ms\n × c 3\n ↓ d [skipped]", ["a > b", "c", "d"]),
        "parse_log_tap": ("ok 1 adds\nnot ok 2 takes\nok 3", ["adds", "takes"]),
        "parse_log_karma": ("Starting browser\n  s\n    i\n      ✔ a\n      ✖ b\n  t\n    ✔ c\nSUMMARY:\n ✔ d", ["s > i > a", "s > i > b", "s > c", "s > t > c", "d"]),
        "parse_log_carbon": ("PASS a.js (5.1 s)\nFAIL b.js (12ms) x\nPASS c.js", ["a.js", "b.js", "c.js"]),
        "parse_log_grommet": ("PASS a.js (1.2 s)\nFAIL a.js\nFAIL b.js (3 ms)", ["a.js", "b.js"]),
        "parse_log_highlightjs": ("  suite\n    ✓ adds (12ms)\n    ✔ more\n    1) takes\n\n  1 passing\n  1) other", ["suite.adds", "suite.more", "suite.takes", "other"]),
        "parse_log_calypso": ("+ ./node_modules/.bin/jest x\n  a\n    b\n      ✓ adds (5ms)\n    c\n      ✕ takes\nTest Suites: 1\n  ✓ no", ["a - b - adds", "a - b - adds ", "a - c - takes", "no"]),
        "parse_log_chart_js": ("\x1b[31mChrome 1.2 (Linux) axis draws FAILED\x1b[0m\nChrome 3.4 (x) b FAILED\nChrome 1 (y)\tc FAILED", ["axis draws ", "b ", "c "]),
        "parse_log_bpmn_js": ("HeadlessChrome 1.2 (Linux 3.4) a b FAILED\nChrome Headless 1 (Linux x86_64) c FAILED\n2KPhantomJS 1.2 (Linux x86_64) d FAILED\n", ["a b ", "c ", "d ", "1"]),
        "parse_log_openlayers": ("case x/y: mismatch\n  1) a\n  b\n Error: no\nChrome Headless 1.2 (Linux x86_64) c d FAILED\nChrome 1.2 (Linux 3) e FAILED\n", ["a b", "x/y", "c d", "e"]),
        "parse_log_eslint": ("  1) rule\n     case:\n  AssertionError: x\n  2) other\n\n      TypeError", ["rule case:", "other"]),
        "parse_log_marked": ("1) adds \n 2) no", ["adds", "no"]),
    }
    for parser, (lines, names) in other.items():
        for kind in ("pass_and_fail", "fail_only"):
            for name in names:
                yield f"{parser}: {name}, {kind}", simple(lines, None, repo="a/b", fail=[name], keep=[], log_parser=parser, eval_type=kind)
    yield "jekyll by number", simple(other["parse_log_cucumber"][0], None, repo="jekyll/jekyll", number=8761, fail=["features/a.feature"], keep=[], log_parser="parse_log_jekyll")
    yield "jekyll by another number", simple("x", None, repo="jekyll/jekyll", number=1, fail=["a"], keep=[], log_parser="parse_log_jekyll")
    yield "no such parser", simple(good, 0, log_parser="parse_log_nothing")


SHUFFLED = ["parse_log_pytest", "parse_log_pytest_options", "parse_log_pytest_v2", "parse_log_django", "parse_log_seaborn",
            "parse_log_sympy", "parse_log_matplotlib", "parse_log_redis", "parse_log_gotest", "parse_log_cargo",
            "parse_log_gradle_custom", "parse_log_maven", "parse_log_karma", "parse_log_phpunit", "parse_log_jest",
            "parse_log_highlightjs", "parse_log_calypso", "parse_log_chart_js", "parse_log_bpmn_js", "parse_log_openlayers", "parse_log_eslint"]


def shuffled(number, seed=7):
    """Logs of pieces that parsers look for, in any order, with the names that the parser then reports."""
    pieces = ["PASSED", "FAILED", "SKIPPED", "ERROR", "XFAIL", "XPASS", "test_a", "a.py::b", "[1]", "[x y]", " - ", " ... ", "ok", "OK", "...",
              "skipped", "FAIL", "ERROR:", "FAIL:", "\x1b[31m", "\x1b[0m", "[32m", "\t", " ", "  ", "\n", "\n", "\n", "\r", "____", ".py:", "test x ... ",
              "--- PASS: ", "(0.0s)", " F", " E", "✔", "✖", "✓", " (3 ms)", "Starting browser", " > ", "BUILD SUCCESS", "-Dtest=", "[/a/b]", "[ok]: ",
              "MouseButton.LEFT", "\u00a0", "\x1c", "é", "(x.A)", "silenced).", "Testing against Django installed in ", "Chrome 1.2 (Linux 3)", "HeadlessChrome 1.2 (Linux 3)", "Chrome Headless 1.2 (Linux x86_64) ",
              "FAILED\n", "  1) ", "Error", "Error:", "case ", ": mismatch", " ./node_modules/.bin/jest ", "✕", "Test Suites", "  ● ", "2 passing", "(5ms)", "    "]
    chance = random.Random(seed)
    for index in range(number):
        parser = SHUFFLED[index % len(SHUFFLED)]
        lines = "".join(chance.choice(pieces) + chance.choice(["", " "]) for _ in range(chance.randint(5, 60)))
        row = instance("a/b", [], [], log_parser=parser, eval_type=chance.choice(["pass_and_fail", "pass_and_fail", "fail_only"]))
        try:
            names = sorted(PARSER_REGISTRY[parser](lines.replace("\r", "\n"), make_test_spec(row)))
        except Exception:
            names = []
        chance.shuffle(names)
        names += ["test_a", "missing[x"]
        half = len(names) // 2
        row |= {"FAIL_TO_PASS": names[:half], "PASS_TO_PASS": names[half:]}
        yield f"shuffled {index} ({parser})", (row, marked(lines, chance.choice([None, 0, 1])), True)


TESTS = """
import pytest, warnings
@pytest.mark.parametrize("a", [1, "x y", "a - b", "[", "/tmp/q/z.txt", "é"])
def test_p(a): assert a != 1
@pytest.mark.skip(reason="no - why")
def test_s(): pass
@pytest.mark.xfail
def test_x(): assert 0
@pytest.mark.xfail
def test_u(): assert 1
@pytest.fixture
def broken(): raise RuntimeError("set-up - broke")
def test_e(broken): pass
@pytest.fixture
def late():
    yield
    raise RuntimeError("clean-up broke")
def test_l(late): pass
class TestC:
    def test_m(self): assert "a - b" == "c"
    def test_w(self): warnings.warn("PASSED tests.py::fake")
def test_prints(): print("PASSED test_mod.py::forged\\nFAILED test_mod.py::TestC::test_w")
"""


def real_pytest(directory):
    """Logs of pytest's own runs, in the ways in which the data sets call it."""
    (directory / "test_mod.py").write_text(TESTS)
    (directory / "test_broken.py").write_text("import nothing_of_this_name\n")
    ids = [f"test_mod.py::{name}" for name in ["test_p[1]", "test_p[x y]", "test_p[x", "test_p[a", "test_p[a - b]", "test_p[[]", "test_p[/tmp/q/z.txt]", "test_p[/z.txt]", "test_p[\\xe9]",
           "test_s", "test_x", "test_u", "test_e", "test_l", "TestC::test_m", "TestC::test_w", "test_prints", "forged"]] + ["test_broken.py"]
    for repo, flags in [("pallets/flask", "-rA"), ("psf/requests", "-rA"), ("sphinx-doc/sphinx", "-rA -vv --color=yes"), ("scikit-learn/scikit-learn", "-v"),
                        ("mwaskom/seaborn", "--no-header -rA"), ("astropy/astropy", "-rA -vv -o console_output_style=classic --tb=no"), ("matplotlib/matplotlib", "-rA")]:
        for files in ["test_mod.py", "test_mod.py test_broken.py", "test_mod.py --maxfail=2", "test_mod.py::absent"]:
            run = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *flags.split(), *files.split()], cwd=directory, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for half in (1, 9):
                yield f"pytest {flags} {files} ({repo}, {half})", (instance(repo, ids[:half], ids[half:]), marked(run.stdout, run.returncode), True)
            for test in ids if files == "test_mod.py" else []:
                yield f"pytest {flags} {files} ({repo}): {test}", (instance(repo, [test], []), marked(run.stdout, run.returncode), True)


def plain(cases, directory):
    """One case for each run of pytest, without what differs from run to run; runs that quote others' code are left out."""
    for name, (row, log, has_patch) in cases:
        if not name.endswith(", 9)") or "importlib" in log:
            continue
        log = log.replace(str(directory), "/place")
        log = re.sub(r"^(platform|cachedir:|rootdir:|plugins:|-- Docs:) .*\n", "", log, flags=re.MULTILINE)
        log = re.sub(r" in \d+\.\d\ds", " in 0.01s", log)
        yield name, (row, re.sub(r"0x[0-9a-f]{6,}", "0x7f", log), has_patch)


def download(what, version, directory):
    """An sdist's files."""
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", what, f"{what}=={version}", "-d", directory], check=True)
    named = [path for path in directory.iterdir() if path.name.lower().startswith(f"{what}-")]
    subprocess.run(["tar", "xf", *named, "-C", directory], check=True)
    return next(path for path in directory.iterdir() if path.is_dir() and path.name.lower().startswith(f"{what}-"))


def of_runner(repo, log, code):
    """Cases of a real run: all its tests, and each of the first few alone."""
    row = instance(repo, [], [])
    names = list(PARSER_REGISTRY[row["log_parser"]](log, make_test_spec(row)))
    print(f"{repo}: {len(names)} tests in a log of {len(log)} characters")
    for share in (1, len(names) // 2, len(names) - 1):
        yield f"{repo}: {share} of {len(names)}", (instance(repo, names[:share], names[share:]), marked(log, code), True)
    for name in names[:15] + ["absent"]:
        yield f"{repo}: {name}", (instance(repo, [name], names[:3]), marked(log, code), True)


def real_django(version, directory):
    """Logs of Django's own runner on some of its tests, one of which is made to fail."""
    place = download("django", version, directory)
    broken = place / "tests/utils_tests/test_text.py"
    broken.write_text(broken.read_text() + "\n    def test_made_to_fail(self):\n        self.fail('so')\n\n    def test_made_to_break(self):\n        raise KeyError('so')\n")
    run = subprocess.run([sys.executable, "runtests.py", "--verbosity", "2", "--parallel", "1", "utils_tests", "sites_tests", "admin_scripts.tests.ManageCheck", "mail"],
                         cwd=place / "tests", text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"PYTHONPATH": str(place), "LANG": "en_US.UTF-8"})
    yield from of_runner("django/django", run.stdout, run.returncode)


def real_sympy(version, directory):
    """A log of sympy's own runner on some of its tests, two of which are made to fail."""
    place = download("sympy", version, directory)
    broken = place / "sympy/core/tests/test_numbers.py"
    broken.write_text(broken.read_text() + "\ndef test_made_to_fail():\n    assert 1 == 2\n\ndef test_made_to_break():\n    raise KeyError('so')\n")
    files = ["sympy/core/tests/test_numbers.py", "sympy/core/tests/test_basic.py"]
    program = f"import sympy, sys; sys.exit(not sympy.test(*{files}, verbose=True, colors=False))"
    run = subprocess.run([sys.executable, "-c", program], cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    yield from of_runner("sympy/sympy", run.stdout, run.returncode)


def final_reports(program, directory):
    """What `evaluate grade` leaves of a little run, and what the harness's own report of the same files would be."""
    from swebench.harness.reporting import make_run_report
    from swebench.harness.utils import get_predictions_from_file

    place = directory / "final"
    (place / "shop").mkdir(parents=True)
    (place / "shop/number").write_text("1\n")
    patch = lambda new, old="1": f"--- a/number\n+++ b/number\n@@ -1 +1 @@\n-{old}\n+{new}\n"
    patches = {"right": patch(2), "wrong": patch(3), "misfit": patch(2, 7), "none": "", "memory": patch(2)}
    rows, predictions = [], []
    for name in [*patches, "left-out"]:
        test = "[ $(cat number) = 2 ] && echo ok 1 - two || echo not ok 1 - two; echo 1..1"
        test = "echo Cannot allocate memory; echo 1..1" if name == "memory" else test
        rows.append({"format": "entropo-task/1", "id": name, "problem": "It should be two.", "repository": "shop", "test": test, "log": "tap", "FAIL_TO_PASS": ["two"]})
    for name, text in patches.items():
        predictions.append({"instance_id": name, "model_name_or_path": "org/m", "model_patch": text})
    (place / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in predictions))
    subprocess.run([program, "grade", "--dataset", "tasks.jsonl", "--predictions", "predictions.jsonl", "--run-id", "r"], cwd=place, check=False, stdout=subprocess.DEVNULL)
    before = os.getcwd()
    os.chdir(place)
    try:
        read = {one["instance_id"]: one for one in get_predictions_from_file("predictions.jsonl", "", "test")}
        report = make_run_report(read, [{"instance_id": row["id"]} for row in rows], "r", None, "theirs")
        return json.loads(Path(report).read_text()), json.loads((place / "org__m.r.json").read_text())
    finally:
        os.chdir(before)


def theirs(row, log, has_patch):
    """The harness's report, or what it raised."""
    prediction = {"instance_id": row["instance_id"], "model_name_or_path": "m", "model_patch": "diff" if has_patch else None}
    try:
        return get_eval_report(make_test_spec(row), prediction, log, include_tests_status=True)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def ours(program, row, log, has_patch):
    """Our report, or what it said was wrong."""
    run = subprocess.run([program, "grade-log", "--json", "--instance", row, "--log", log, *([] if has_patch else ["--no-patch"])],
                         text=True, capture_output=True)
    if run.returncode in (0, 1) and run.stdout:
        return json.loads(run.stdout)
    return f"error {run.returncode}: {run.stderr.strip()}"


def agree(one, other):
    """Whether two reports say the same."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and "panicked" not in other
    return one == other


def record(file):
    """Writes cases with the harness's verdicts, for a test that has no Python."""
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        log_file = directory / "log.txt"
        sources = {"made": made(), "shuffled": shuffled(2 * len(SHUFFLED)), "pytest": plain(real_pytest(directory), directory)}
        lines, counts = [], dict.fromkeys(sources, 0)
        for kind, source in sources.items():
            for name, (row, log, has_patch) in source:
                log_file.write_bytes(log.encode())
                verdict = theirs(row, str(log_file), has_patch)
                verdict = {"raised": verdict.split(":")[0]} if isinstance(verdict, str) else {"report": verdict}
                case = {"kind": kind, "name": name, "instance": row, "log": log, "has_patch": has_patch} | verdict
                lines.append(json.dumps(case, separators=(",", ":")) + "\n")
                counts[kind] += 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(lines))
    print(f"{len(lines)} cases, {sum(map(len, lines))} bytes: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")


def main():
    parser = argparse.ArgumentParser(description="Our grading against SWE-bench's own.")
    parser.add_argument("--evaluate", default="target/release/evaluate")
    parser.add_argument("--django", metavar="VERSION")
    parser.add_argument("--sympy", metavar="VERSION")
    parser.add_argument("--shuffled", type=int, default=300)
    parser.add_argument("--keep", metavar="DIRECTORY", help="where logs and instances of disagreements are kept")
    parser.add_argument("--record", metavar="FILE", type=Path, help="write cases with the harness's verdicts there, and compare nothing")
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record)
        return
    program = str(Path(arguments.evaluate).resolve())
    counts, disagreements = {"resolved": 0, "unresolved": 0, "error": 0}, 0
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        sources = [made(), shuffled(arguments.shuffled), real_pytest(directory)]
        if arguments.django:
            sources.append(real_django(arguments.django, directory))
        if arguments.sympy:
            sources.append(real_sympy(arguments.sympy, directory))
        row_file, log_file = directory / "row.json", directory / "log.txt"
        for source in sources:
            for name, (row, log, has_patch) in source:
                row_file.write_text(json.dumps(row))
                log_file.write_bytes(log.encode())
                expected, got = theirs(row, str(log_file), has_patch), ours(program, row_file, log_file, has_patch)
                kind = "error" if isinstance(expected, str) else ("resolved" if expected[row["instance_id"]]["resolved"] else "unresolved")
                counts[kind] += 1
                if not agree(expected, got):
                    disagreements += 1
                    print(f"DISAGREEMENT {name}\n  theirs: {json.dumps(expected)[:600]}\n  ours:   {json.dumps(got)[:600]}")
                    if arguments.keep:
                        keep = Path(arguments.keep)
                        keep.mkdir(parents=True, exist_ok=True)
                        (keep / f"{disagreements}.json").write_text(json.dumps(row))
                        (keep / f"{disagreements}.log").write_bytes(log.encode())
        one, other = final_reports(program, directory)
        if one != other:
            disagreements += 1
            print(f"DISAGREEMENT on the final report\n  theirs: {json.dumps(one)}\n  ours:   {json.dumps(other)}")
        print(f"final report: {'the same' if one == other else 'another'}, {json.dumps(one['failure_reasons'])}")
    print(f"{sum(counts.values())} cases: {counts['resolved']} resolved, {counts['unresolved']} unresolved, {counts['error']} errors; {disagreements} disagreements")
    sys.exit(1 if disagreements else 0)


if __name__ == "__main__":
    main()

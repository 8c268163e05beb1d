//! Logs that nobody wrote: no format panics or takes long, and what is rendered is read back.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::mpsc;
use std::time::Duration;

use entropo_tools::check::swe_bench::LogParser;
use entropo_tools::check::{LogFormat, RegexFormat, Status};
use proptest::prelude::*;

pub(super) fn formats() -> Vec<LogFormat> {
    let words = [("ok", Status::Passed), ("bad", Status::Failed)];
    vec![
        LogFormat::Pytest,
        LogFormat::Unittest,
        LogFormat::Cargo,
        LogFormat::Go,
        LogFormat::Jest,
        LogFormat::Vitest,
        LogFormat::Mocha,
        LogFormat::JUnit,
        LogFormat::Tap,
        LogFormat::Regex(RegexFormat::new(r"^(?<status>ok|bad) (?<test>.+)$", words).unwrap()),
    ]
}

/// Pieces that the formats know, in any order, and any text between.
fn log() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "\n",
        "\n",
        " ",
        "    ",
        "ok",
        "not ok",
        " 1",
        " - ",
        "# SKIP",
        "{",
        "}",
        "---\n",
        "...\n",
        "1..2",
        "PASSED ",
        "FAILED ",
        "a.py::t",
        "[x]",
        "== short test summary info ==\n",
        "== 1 passed in 0.1s ==\n",
        "running 1 test\n",
        "test ",
        " ... ",
        "failures:\n",
        "test result: ok. 1 passed;",
        "     Running ",
        "=== RUN   T\n",
        "--- PASS: T (0.00s)\n",
        "FAIL\tp\t0.1s\n",
        "PASS ",
        "FAIL ",
        "✓ ",
        "✕ ",
        "  1) ",
        "1 passing (",
        "<testsuite>",
        "</testsuite>",
        "<testcase name=\"",
        "\"/>",
        "&#x41;",
        "\x1b[31m",
        "\x1b]",
        "{\"Action\":\"run\"",
        "é",
        "t (m.C)",
        "Ran 1 test\n",
        "OK\n",
        "SUBFAILED(",
        "SKIPPED (",
    ]);
    let piece = prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,6}", 1 => any::<String>()];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn tests() -> impl Strategy<Value = BTreeMap<String, bool>> {
    prop::collection::btree_map("[a-z<&\"'é#\\\\\\[\\]][a-z<&\"'é#:\\\\\\[\\] -]{0,12}[a-z]", any::<bool>(), 0..12)
}

fn rendered(tests: &BTreeMap<String, bool>, mut line: impl FnMut(&str, bool) -> String) -> String {
    tests.iter().map(|(test, passed)| line(test, *passed)).collect()
}

fn read(format: &LogFormat, log: &str) -> (BTreeMap<String, bool>, bool) {
    let report = format.parse(log).unwrap();
    let tests = report.tests.into_iter().map(|(test, status)| (test, status == Status::Passed));
    (tests.collect(), report.complete)
}

const PARSERS: [&str; 34] = [
    "pytest",
    "pytest_options",
    "pytest_v2",
    "django",
    "seaborn",
    "sympy",
    "matplotlib",
    "redis",
    "jq",
    "micropython_test",
    "googletest",
    "gotest",
    "maven",
    "ant",
    "gradle_custom",
    "jest",
    "jest_json",
    "vitest",
    "karma",
    "tap",
    "carbon",
    "grommet",
    "marked",
    "phpunit",
    "minitest",
    "cucumber",
    "ruby_unit",
    "cargo",
    "highlightjs",
    "calypso",
    "chart_js",
    "bpmn_js",
    "openlayers",
    "eslint",
];

proptest! {
    #[test]
    fn no_log_makes_a_reader_panic(log in log()) {
        for format in formats() {
            let _ = format.parse(&log);
        }
    }

    #[test]
    fn no_log_makes_a_parser_of_swe_bench_panic(log in log()) {
        for name in PARSERS {
            let _ = LogParser::named(&format!("parse_log_{name}"), "").unwrap().parse(&log);
        }
    }

    #[test]
    fn pytest_is_read_back(tests in prop::collection::btree_map("[a-z/]{1,8}\\.py::[a-z_]{1,8}(\\[[a-z :-]{0,8}\\])?", any::<bool>(), 1..12)) {
        let passed = tests.values().filter(|passed| **passed).count();
        let mut log = String::from("== short test summary info ==\n");
        log += &rendered(&tests, |test, passed| if passed { format!("PASSED {test}\n") } else { format!("FAILED {test} - a - b] c\n") });
        writeln!(log, "== {} failed, {passed} passed in 0.01s ==", tests.len() - passed).unwrap();
        prop_assert_eq!(read(&LogFormat::Pytest, &log), (tests, true));
    }

    #[test]
    fn cargo_is_read_back(tests in prop::collection::btree_map("[a-z_:]{1,12}( - [a-z]{1,3} \\(line [0-9]\\))?", any::<bool>(), 0..12)) {
        let passed = tests.values().filter(|passed| **passed).count();
        let mut log = format!("\nrunning {} tests\n", tests.len());
        log += &rendered(&tests, |test, passed| format!("test {test} ... {}\n", if passed { "ok" } else { "FAILED" }));
        writeln!(log, "\ntest result: x. {passed} passed; {} failed; 0 ignored; 0 measured;", tests.len() - passed).unwrap();
        prop_assert_eq!(read(&LogFormat::Cargo, &log), (tests, true));
    }

    #[test]
    fn tap_is_read_back(tests in tests()) {
        let mut log = rendered(&tests, |test, passed| {
            let name = test.replace('\\', "\\\\").replace('#', "\\#");
            format!("{} 1 - {name}\n", if passed { "ok" } else { "not ok" })
        });
        writeln!(log, "1..{}", tests.len()).unwrap();
        prop_assert_eq!(read(&LogFormat::Tap, &log), (tests, true));
    }

    #[test]
    fn junit_is_read_back(tests in tests()) {
        let cases = rendered(&tests, |test, passed| {
            let name = test.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            format!("<testcase name=\"{name}\">{}</testcase>", if passed { "" } else { "<failure/>" })
        });
        prop_assert_eq!(read(&LogFormat::JUnit, &format!("<testsuite>{cases}</testsuite>")), (tests, true));
    }

    #[test]
    fn go_is_read_back(tests in prop::collection::btree_map("[A-Za-z_/()#-]{1,12}", any::<bool>(), 1..12)) {
        let log = rendered(&tests, |test, passed| format!("=== RUN   {test}\n--- {}: {test} (0.00s)\n", if passed { "PASS" } else { "FAIL" }));
        let failed = tests.values().any(|passed| !passed);
        let log = format!("{log}{}\tp\t0.01s\n", if failed { "FAIL" } else { "ok  " });
        let tests = tests.into_iter().map(|(test, passed)| (format!("p.{test}"), passed)).collect();
        prop_assert_eq!(read(&LogFormat::Go, &log), (tests, true));
    }

    #[test]
    fn vitest_is_read_back(tests in prop::collection::btree_map("[a-z.]{1,5} > [a-z>(][a-z> ()]{0,9}[a-z)]", any::<bool>(), 1..12)) {
        let log = rendered(&tests, |test, passed| format!(" {} {test} 12ms\n", if passed { "✓" } else { "×" }));
        let log = format!("{log}\n Tests  1 failed ({})\n", tests.len());
        prop_assert_eq!(read(&LogFormat::Vitest, &log), (tests, true));
    }
}

#[test]
fn long_hostile_logs_are_read_in_linear_time() {
    let pieces = [
        "[",
        " - ",
        "FAILED a.py::t - [ - [",
        " ... ",
        "test ",
        "(",
        "ok 1 {\n",
        "    ok\n",
        "{",
        "{\n",
        "\x1b[",
        "<",
        "<a ",
        "&",
        "    x\n",
        "=== RUN   T\n",
        "--- PASS: (",
        "1) ",
        "\\",
        "#",
        " # ",
        "== short test summary info ==\n",
        "FAILED a::b[ - ] - c\n",
    ];
    // A reader that hangs has to fail here, not to stop all tests.
    let (done, over) = mpsc::channel();
    std::thread::spawn(move || {
        for piece in pieces {
            for start in [
                "",
                "<testsuite ",
                "== short test summary info ==\nFAILED a::b[",
                "running 1 test\n",
                "{\"a\":",
                "PASS x\n",
                "ok 1 - ",
            ] {
                let log = format!("{start}{}", piece.repeat(300_000 / piece.len()));
                for format in formats() {
                    let _ = format.parse(&log);
                }
            }
        }
        done.send(()).unwrap();
    });
    over.recv_timeout(Duration::from_secs(120)).expect("a reader hangs or panics");
}

//! Logs that the real runners wrote, for tests whose names and output are chosen to mislead.

use std::path::Path;

use entropo_tools::check::{LogFormat, ParseError, RegexFormat, Status, TestReport};

use Status::{Errored, ExpectedFailure, Failed, Passed, Skipped, UnexpectedPass};

fn read(format: &LogFormat, file: &str) -> TestReport {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
    format.parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(super) fn assert_report(report: &TestReport, complete: bool, expected: &[(&str, Status)]) {
    let found: Vec<_> = report.tests.iter().map(|(test, status)| (test.as_str(), *status)).collect();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(report.complete, complete);
}

const PYTEST: [(&str, Status); 17] = [
    ("tests/test_import.py", Errored),
    ("tests/test_shop.py::TestShop::test_doc", Passed),
    ("tests/test_shop.py::TestShop::test_known", ExpectedFailure),
    ("tests/test_shop.py::TestShop::test_method", Passed),
    ("tests/test_shop.py::TestShop::test_sub", Failed),
    ("tests/test_shop.py::TestShop::test_surprise", Failed),
    ("tests/test_shop.py::test_adds", Passed),
    ("tests/test_shop.py::test_errs", Errored),
    ("tests/test_shop.py::test_expected", ExpectedFailure),
    ("tests/test_shop.py::test_fails", Failed),
    ("tests/test_shop.py::test_passes_then_errs", Errored),
    ("tests/test_shop.py::test_text[FAILED]", Passed),
    ("tests/test_shop.py::test_text[[x]]", Passed),
    ("tests/test_shop.py::test_text[\\xe9]", Passed),
    ("tests/test_shop.py::test_text[a - b]", Passed),
    ("tests/test_shop.py::test_text[with space]", Failed),
    ("tests/test_shop.py::test_unexpected", UnexpectedPass),
];

#[test]
fn pytest() {
    let x_y = ("tests/test_shop.py::test_text[x::y]", Passed);
    let summary: Vec<_> = PYTEST.into_iter().chain([x_y]).collect();
    assert_report(&read(&LogFormat::Pytest, "pytest.log"), true, &summary);
    let skipped = ["tests/test_shop.py::TestShop::test_later", "tests/test_shop.py::test_skipped"];
    let verbose: Vec<_> = summary.iter().copied().chain(skipped.map(|test| (test, Skipped))).collect();
    for file in ["pytest-verbose.log", "pytest-verbose-colour.log"] {
        assert_report(&read(&LogFormat::Pytest, file), true, &verbose);
    }
    assert_report(&read(&LogFormat::Pytest, "pytest-interrupted.log"), false, &[("tests/test_import.py", Errored)]);
}

#[test]
fn what_a_test_prints_is_no_result_of_pytest() {
    let log = "== test session starts ==\ncollected 1 item\n\na.py::t FAILED [100%]\n\n== FAILURES ==\n__ t __\n\
        -- Captured stdout call --\na.py::t PASSED\na.py::liar PASSED [100%]\nPASSED a.py::liar\n\
        == short test summary info ==\nFAILED a.py::t - [x] - y\n== 1 failed in 0.01s ==\n";
    assert_report(&LogFormat::Pytest.parse(log).unwrap(), true, &[("a.py::t", Failed)]);
}

#[test]
fn a_subtest_that_fails_fails_its_test_in_pytest() {
    for subtest in ["SUBFAILED(i=1)", "SUBFAILED[a (b)]", "SUBFAILED[a] (i=1)", "SUBFAIL"] {
        let log =
            format!("== short test summary info ==\n{subtest} a.py::t - f(x) is [y] z\n== 1 failed in 0.01s ==\n");
        assert_report(&LogFormat::Pytest.parse(&log).unwrap(), true, &[("a.py::t", Failed)]);
    }
}

#[test]
fn a_pytest_log_without_its_tests_is_not_complete() {
    for (log, complete) in [
        ("..\n2 passed in 0.01s\n", false),
        ("no tests ran in 0.01s\n", true),
        ("a.py::t PASSED [ 50%]\n", false),
        ("a.py::t PASSED [100%]\n\n== 1 passed in 0.01s ==\n", true),
        ("[gw0] [100%] PASSED a.py::t \n\n== 1 passed in 0.01s ==\n", true),
        ("a.py::t PASSED [100%]\n\n== 2 passed in 0.01s ==\n", false),
        ("!!!!!! stopping after 1 failures !!!!!!\n== 1 error in 0.01s ==\n", false),
    ] {
        assert_eq!(LogFormat::Pytest.parse(log).unwrap().complete, complete, "{log}");
    }
}

#[test]
fn unittest() {
    let report = read(&LogFormat::Unittest, "unittest.log");
    let name = |test: &str| format!("{test} (suite.ShopTest.{test})");
    let tests = [
        ("test_adds", Passed),
        ("test_documented", Passed),
        ("test_errs", Errored),
        ("test_fails", Failed),
        ("test_known", ExpectedFailure),
        ("test_later", Skipped),
        ("test_prints", Passed),
        ("test_sub", Failed),
        ("test_surprise", UnexpectedPass),
    ]
    .map(|(test, status)| (name(test), status));
    let mut tests: Vec<_> = tests.iter().map(|(test, status)| (test.as_str(), *status)).collect();
    tests.push(("setUpClass (suite.Broken)", Errored));
    assert_report(&report, true, &tests);
}

#[test]
fn cargo() {
    assert_report(
        &read(&LogFormat::Cargo, "cargo.log"),
        true,
        &[
            ("shop::tests::adds", Passed),
            ("shop::tests::fails", Failed),
            ("shop::tests::slow", Skipped),
            ("shop::tests::slower", Skipped),
            ("shop::tests::panics", Passed),
            ("both::adds", Passed),
            ("both::fails", Failed),
            ("shop (doc)::src/lib.rs - (line 1)", Passed),
            ("shop (doc)::src/lib.rs - (line 4)", Passed),
            ("shop (doc)::src/lib.rs - (line 7)", Passed),
        ],
    );
    let open = [("both::adds", Passed), ("both::fails", Failed)];
    assert_report(&read(&LogFormat::Cargo, "cargo-nocapture.log"), true, &open);
}

#[test]
fn cargo_that_breaks_off_is_not_complete() {
    let whole =
        "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    assert_report(&LogFormat::Cargo.parse(whole).unwrap(), true, &[("a", Passed)]);
    for log in [
        "running 2 tests\ntest a ... ok\n".to_owned(),
        format!("{whole}error: test failed, to rerun pass `--lib`\n"),
        whole.replace("0 failed", "18446744073709551615 failed"),
        format!("{whole}running 1 test\n"),
        format!("error: could not compile `shop`\n{whole}"),
        whole.replace("running 1 test", "running 2 tests"),
    ] {
        assert!(!LogFormat::Cargo.parse(&log).unwrap().complete, "{log}");
    }
}

#[test]
fn go() {
    let tests = [
        ("example.com/shop.TestAdds", Passed),
        ("example.com/shop.TestFails", Failed),
        ("example.com/shop.TestSkips", Skipped),
        ("example.com/shop.TestTable", Failed),
        ("example.com/shop.TestTable/a_-_b", Passed),
        ("example.com/shop.TestTable/x/y", Passed),
        ("example.com/shop.TestTable/bad_(1.00s)", Failed),
        ("example.com/shop.TestNoNewline", Passed),
        ("example.com/shop/nobuild", Errored),
        ("example.com/shop/pkg.TestAdds", Passed),
        ("example.com/shop/pkg.TestPanics", Failed),
    ];
    assert_report(&read(&LogFormat::Go, "go.log"), true, &tests);
    assert_report(&read(&LogFormat::Go, "go.jsonl"), true, &tests);
    let old = "go: downloading x v1\n{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"T\"}\nFAIL\tq [build failed]\n\
        {\"Action\":\"pass\",\"Package\":\"p\"}\n";
    assert_report(&LogFormat::Go.parse(old).unwrap(), true, &[("p.T", Passed), ("q", Errored)]);
    let cut = LogFormat::Go.parse("=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n").unwrap();
    assert_report(&cut, false, &[(".TestA", Passed), (".TestB", Errored)]);
}

const JAVASCRIPT: [(&str, Status); 8] = [
    ("shop > adds", Passed),
    ("shop > fails (5 ms)", Failed),
    ("shop > is slow", Passed),
    ("shop > skips", Skipped),
    ("shop > later", Skipped),
    ("shop > inner > adds", Passed),
    ("shop > inner > throws", Failed),
    ("top", Passed),
];

fn javascript(directory: &str) -> Vec<(String, Status)> {
    let tests = JAVASCRIPT.map(|(test, status)| (format!("{directory}shop.test.js > {test}"), status));
    tests.into_iter().chain([(format!("{directory}broken.test.js"), Errored)]).collect()
}

#[test]
fn jest_and_vitest() {
    for (format, file, directory) in [
        (LogFormat::Jest, "jest.log", "j/"),
        (LogFormat::Jest, "jest.json", "/tmp/shop/js/j/"),
        (LogFormat::Vitest, "vitest.log", ""),
        (LogFormat::Vitest, "vitest.json", "/tmp/shop/js/vt/"),
    ] {
        let tests = javascript(directory);
        let tests: Vec<_> = tests.iter().map(|(test, status)| (test.as_str(), *status)).collect();
        assert_report(&read(&format, file), true, &tests);
    }
}

#[test]
fn mocha() {
    let tests = [
        ("top", Passed),
        ("shop adds", Passed),
        ("shop fails 1) badly (5ms)", Failed),
        ("shop is slow", Passed),
        ("shop pends", Skipped),
        ("shop skips", Skipped),
        ("shop inner adds", Passed),
        ("shop inner throws", Failed),
        ("shop hooks \"before all\" hook for \"never\"", Failed),
    ];
    assert_report(&read(&LogFormat::Mocha, "mocha.log"), true, &tests);
    assert_report(&read(&LogFormat::Mocha, "mocha.json"), true, &tests);
    assert_report(&read(&LogFormat::Tap, "mocha.tap"), true, &tests);
}

#[test]
fn junit() {
    let pytest = read(&LogFormat::JUnit, "pytest.xml");
    assert!(pytest.complete);
    assert_eq!(pytest.get("tests.test_shop::test_text[a - b]"), Some(Passed));
    assert_eq!(pytest.get("tests.test_shop.TestShop::test_known"), Some(ExpectedFailure));
    assert_eq!(pytest.get("tests.test_shop::test_passes_then_errs"), Some(Errored));
    assert_eq!(pytest.get("tests.test_import"), Some(Errored));
    assert_eq!(pytest.get("tests.test_shop::test_skipped"), Some(Skipped));
    let vitest = read(&LogFormat::JUnit, "vitest.xml");
    assert_eq!(vitest.get("shop.test.js::shop > fails (5 ms)"), Some(Failed));
    assert_eq!((vitest.tests.len(), vitest.complete), (9, true));
    let mocha = read(&LogFormat::JUnit, "mocha.xml");
    assert_eq!(mocha.get("shop hooks::\"before all\" hook for \"never\""), Some(Failed));
    let node = read(&LogFormat::JUnit, "node.xml");
    assert_eq!(node.get("test::todo"), Some(ExpectedFailure));
    assert_eq!(node.get("test::inner2"), Some(Failed));
}

#[test]
fn tap() {
    let node = [
        ("adds", Passed),
        ("fails # badly - not ok", Failed),
        ("skipped", Skipped),
        ("todo", ExpectedFailure),
        ("suite > inner", Passed),
        ("suite > inner2", Failed),
        ("suite", Failed),
    ];
    assert_report(&read(&LogFormat::Tap, "node.tap"), true, &node);
    let report = read(&LogFormat::Tap, "vitest.tap");
    assert!(report.complete);
    assert_eq!(report.get("shop.test.js > shop > inner > throws"), Some(Failed));
    assert_eq!(report.get("shop.test.js > shop > adds"), Some(Passed));
    assert_eq!(report.get("shop.test.js > shop > skips"), Some(Skipped));
    assert_eq!(report.get("shop.test.js > top"), Some(Passed));
    assert_eq!(report.get("shop.test.js"), Some(Failed));
    assert_eq!(report.tests.len(), 12);
}

#[test]
fn a_brace_in_the_name_of_a_tap_test_is_kept() {
    let report = LogFormat::Tap.parse("ok 1 - opens {\nok 2 - closes }\n1..2\n").unwrap();
    assert_report(&report, true, &[("opens {", Passed), ("closes }", Passed)]);
}

#[test]
fn tap_that_breaks_off_is_not_complete() {
    for (log, complete) in [
        ("1..2\nok 1 - a\nok 2\n", true),
        ("1..2\nok 1 - a\n", false),
        ("ok 1 - a\n", false),
        ("1..1\nok 1 - a\nBail out! no\n", false),
        ("1..1\nok 1 - a\n1..1\nok 1 - b\n", true),
        ("1..0 # SKIP all\n", true),
        ("1..2\n---\nok 1 - a\n---\nok 2 - b\n", true),
        ("1..1\nokay\nok 1 - a\n  ---\n  ok 2 - b\n  ...\n", true),
    ] {
        assert_eq!(LogFormat::Tap.parse(log).unwrap().complete, complete, "{log}");
    }
}

#[test]
fn a_pattern_needs_its_groups_and_its_words() {
    assert!(RegexFormat::new("(?<test>.*)", [("a", Passed)]).is_err());
    assert!(RegexFormat::new("(", [("a", Passed)]).is_err());
    let format = LogFormat::Regex(RegexFormat::new(r"^(?<status>\S+) (?<test>.+)$", [("ok", Passed)]).unwrap());
    assert_report(&format.parse("ok a b\n").unwrap(), true, &[("a b", Passed)]);
    assert!(matches!(format.parse("bad a\n"), Err(ParseError::Word { .. })));
}

//! Logs that are cut, empty, too large or none.

use std::path::Path;

use entropo_tools::check::{LogFormat, ParseError, Status};

use super::logs::assert_report;

#[test]
fn xml_that_breaks_off_is_incomplete_and_wrong_xml_an_error() {
    let cut = LogFormat::JUnit.parse("noise\n<testsuite><testcase name='a'/><testcase name='b'>").unwrap();
    assert_report(&cut, false, &[("a", Status::Passed)]);
    let two = LogFormat::JUnit.parse("<testsuite><testcase name='a'/></testsuite>\n<?xml version='1.0'?><testsuite/>");
    assert_report(&two.unwrap(), true, &[("a", Status::Passed)]);
    for log in ["<testsuite></testcase>", "<testsuite><testcase name='&bomb;'/></testsuite>", "<testsuite a='<'>\0<"] {
        assert!(matches!(LogFormat::JUnit.parse(log), Err(ParseError::Xml { .. })), "{log}");
    }
    let deep = "<testsuite>".repeat(100_000);
    assert!(matches!(LogFormat::JUnit.parse(&deep), Err(ParseError::TooDeep { .. })));
}

#[test]
fn an_empty_log_is_an_empty_report_that_is_not_complete() {
    for format in super::arbitrary::formats() {
        assert_report(&format.parse("").unwrap(), false, &[]);
        assert_report(&format.parse("sh: 1: not found\n").unwrap(), false, &[]);
    }
}

/// cargo and go tell the end of each program or package, not of all; what cuts their logs short shows in the exit.
#[test]
fn a_log_cut_anywhere_is_the_same_or_not_complete() {
    for (format, file) in [
        (LogFormat::Pytest, "pytest.log"),
        (LogFormat::Pytest, "pytest-verbose.log"),
        (LogFormat::Pytest, "pytest-verbose-colour.log"),
        (LogFormat::Unittest, "unittest.log"),
        (LogFormat::Jest, "jest.log"),
        (LogFormat::Jest, "jest.json"),
        (LogFormat::Vitest, "vitest.log"),
        (LogFormat::Mocha, "mocha.log"),
        (LogFormat::Mocha, "mocha.json"),
        (LogFormat::JUnit, "pytest.xml"),
        (LogFormat::JUnit, "node.xml"),
        (LogFormat::Tap, "node.tap"),
        (LogFormat::Tap, "mocha.tap"),
        (LogFormat::Tap, "vitest.tap"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
        let log = std::fs::read_to_string(path).unwrap();
        let whole = format.parse(&log).unwrap();
        for cut in (0..log.len()).step_by(7).filter_map(|end| log.get(..end)) {
            if let Ok(report) = format.parse(cut)
                && report.complete
            {
                assert_eq!(report, whole, "{file} up to byte {}", cut.len());
            }
        }
    }
}

#[test]
fn a_log_that_is_too_large_is_refused() {
    let log = "x".repeat((16 << 20) + 1);
    assert!(matches!(LogFormat::Tap.parse(&log), Err(ParseError::TooLarge { .. })));
}

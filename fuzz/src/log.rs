//! Readers of test logs.

use entropo_tools::LogFormat;
use entropo_tools::check::{RegexFormat, Status};

/// Every format reads every text, and a test that was read is found by its name.
pub fn log(input: &[u8]) {
    let log = crate::text(input);
    let words = [("ok", Status::Passed), ("bad", Status::Failed)];
    let formats = [
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
    ];
    for format in formats {
        let Ok(report) = format.parse(&log) else { continue };
        for (test, status) in &report.tests {
            assert_eq!(report.get(test), Some(*status), "{format:?}: {test}");
        }
        assert_eq!(format.parse(&log).unwrap(), report, "{format:?} reads the same text as the same report");
    }
}

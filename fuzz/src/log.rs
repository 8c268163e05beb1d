//! Readers of test logs.

use std::sync::LazyLock;

use entropo_tools::LogFormat;
use entropo_tools::check::swe_bench::LogParser;
use entropo_tools::check::{RegexFormat, Status};

/// The parsers of SWE-bench's harness.
const PARSERS: [LogParser; 35] = [
    LogParser::Pytest,
    LogParser::PytestOptions,
    LogParser::PytestV2,
    LogParser::Django,
    LogParser::Seaborn,
    LogParser::Sympy,
    LogParser::Matplotlib,
    LogParser::Redis,
    LogParser::Jq,
    LogParser::Micropython,
    LogParser::GoogleTest,
    LogParser::Go,
    LogParser::Maven,
    LogParser::Ant,
    LogParser::Gradle,
    LogParser::Jest,
    LogParser::JestJson,
    LogParser::Vitest,
    LogParser::Karma,
    LogParser::Tap,
    LogParser::JestFiles,
    LogParser::Grommet,
    LogParser::Marked,
    LogParser::HighlightJs,
    LogParser::Calypso,
    LogParser::ChartJs,
    LogParser::BpmnJs,
    LogParser::OpenLayers,
    LogParser::Eslint,
    LogParser::PhpUnit,
    LogParser::Minitest,
    LogParser::Cucumber,
    LogParser::RubyUnit,
    LogParser::Rspec,
    LogParser::Cargo,
];

/// A format of a user's own.
static WORDS: LazyLock<RegexFormat> = LazyLock::new(|| {
    let words = [("ok", Status::Passed), ("bad", Status::Failed)];
    RegexFormat::new(r"^(?<status>ok|bad) (?<test>.+)$", words).unwrap()
});

/// Every format reads or refuses every text, and a test that was read is found by its name. So does one of the parsers of
/// SWE-bench's harness, chosen by the text.
pub fn log(input: &[u8]) {
    let log = crate::text(input);
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
        LogFormat::Regex(WORDS.clone()),
    ];
    for format in formats {
        let Ok(report) = format.parse(&log) else { continue };
        for (test, status) in &report.tests {
            assert_eq!(report.get(test), Some(*status), "{format:?}: {test}");
        }
        assert_eq!(format.parse(&log).unwrap(), report, "{format:?} reads the same text as the same report");
    }
    let sum: usize = input.iter().map(|byte| usize::from(*byte)).sum();
    let Some(parser) = PARSERS.get(sum % PARSERS.len()) else { return };
    let Ok(report) = parser.parse(&log) else { return };
    for (test, word) in report.iter() {
        assert_eq!(report.exactly(test), Some(word), "{parser:?}: {test}");
    }
    assert_eq!(parser.parse(&log).unwrap(), report, "{parser:?} reads the same text as the same report");
}

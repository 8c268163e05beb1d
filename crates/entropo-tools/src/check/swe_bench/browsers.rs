//! Runners of JavaScript in browsers and of eslint, of which failures only are noted.

use super::python::{pattern, stripped};
use super::{LogError, Statuses, Word};

/// Notes what a group of each pattern finds, wherever it does.
fn failures(log: &str, shapes: &[(&str, usize)], name: impl Fn(&str) -> String) -> Result<Statuses, LogError> {
    let mut found = Statuses::default();
    for (shape, group) in shapes {
        for test in pattern(shape)?.captures_iter(log).filter_map(|failure| failure.get(*group)) {
            found.set(name(test.as_str()), Word::Failed);
        }
    }
    Ok(found)
}

/// A name in which white space of any kind is one space.
fn spaced() -> Result<impl Fn(&str) -> String, LogError> {
    let white = pattern(r"\s+")?;
    Ok(move |name: &str| stripped(&white.replace_all(name, " ")).to_owned())
}

/// Chart.js, in colours.
pub(super) fn chart_js(log: &str) -> Result<Statuses, LogError> {
    let plain = pattern(r"\x1B(?:[@-Z\\-_]|\[[0-?]*[ -/]*[@-~])")?.replace_all(log, "");
    let shape = r"(?m)Chrome\s[\d.]+[^\S\r\n]\(.+?\)[^\S\r\n](.*)FAILED$";
    failures(&plain, &[(shape, 1)], str::to_owned)
}

/// bpmn-js.
pub(super) fn bpmn_js(log: &str) -> Result<Statuses, LogError> {
    let shapes = [
        (r"2KPhantomJS\s[\d.]+\s\(Linux\s[\d.]+\)\s(.*)FAILED\n", 1),
        (r"2KPhantomJS\s[\d.]+\s\(Linux\sx86_64\)\s(.*)FAILED\n", 1),
        (r"Chrome\sHeadless\s(.*)\s\(Linux\sx86_64\)\s(.*)FAILED\n", 2),
        (r"HeadlessChrome\s[\d.]+\s\(Linux\s[\d.]+\)\s(.*)FAILED\n", 1),
    ];
    failures(log, &shapes, str::to_owned)
}

/// OpenLayers.
pub(super) fn openlayers(log: &str) -> Result<Statuses, LogError> {
    let shapes = [
        (r"(?m)Chrome\sHeadless\s[\d.]+\s\(Linux\s\S+\)\s(.*)\sFAILED\n", 1),
        (r"(?m)Chrome\s[\d.]+\s\(Linux\s\S+\)\s(.*)FAILED\n", 1),
        (r"(?m)^\s{2}\d+\)([\s\S]*?)Error:", 1),
        (r"(?m)^case\s(.*):\smismatch", 1),
    ];
    failures(log, &shapes, spaced()?)
}

/// eslint.
pub(super) fn eslint(log: &str) -> Result<Statuses, LogError> {
    failures(log, &[(r"\s{2}\d+\)([\s\S]*?)\s+.*Error", 1)], spaced()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_named() {
        let names = |found: Statuses| found.iter().map(|(test, _)| test.to_owned()).collect::<Vec<_>>();
        let log = "\u{1b}[31mChrome 1.2 (Linux) axis draws FAILED\u{1b}[0m\n";
        assert_eq!(names(chart_js(log).unwrap()), ["axis draws "]);
        assert_eq!(names(bpmn_js("HeadlessChrome 1.2 (Linux 3.4) a b FAILED\n").unwrap()), ["a b "]);
        assert_eq!(names(openlayers("case x/y: mismatch\n  1) a\n  b\n Error: no\n").unwrap()), ["a b", "x/y"]);
        assert_eq!(names(eslint("  1) rule\n     case:\n  AssertionError: x\n").unwrap()), ["rule case:"]);
    }
}

//! JUnit's XML, also several documents one after the other. Entities are not expanded, nothing outside is read.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::recorder::Recorder;
use super::{ParseError, Status, TestReport};

/// How deep elements may be nested.
const DEPTH: usize = 256;

/// Reads the XML in a log, from where it begins.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    let begin = ["<?xml", "<testsuite"].iter().filter_map(|tag| log.find(tag)).min();
    let Some(xml) = begin.and_then(|begin| log.get(begin..)) else { return Ok(TestReport::default()) };
    let mut reader = Reader::from_str(xml);
    let (mut recorder, mut depth, mut suites, mut case): (_, usize, _, Option<Case>) =
        (Recorder::default(), 0, 0, None);
    loop {
        let position = reader.buffer_position();
        let event = reader.read_event().map_err(|source| ParseError::Xml { position, source })?;
        match event {
            Event::Start(element) => {
                depth += 1;
                if depth > DEPTH {
                    let line = xml.as_bytes().iter().take(usize::try_from(position).unwrap_or(usize::MAX));
                    let line = line.filter(|byte| **byte == b'\n').count() + 1;
                    return Err(ParseError::TooDeep { line, limit: DEPTH });
                }
                begin_element(&element, &mut case, position)?;
            }
            Event::Empty(element) => {
                begin_element(&element, &mut case, position)?;
                if element.name().as_ref() == "testcase" {
                    end_case(&mut case, &mut recorder)?;
                }
                suites += usize::from(depth == 0);
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                if element.name().as_ref() == "testcase" {
                    end_case(&mut case, &mut recorder)?;
                }
                suites += usize::from(depth == 0);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(recorder.finish(suites > 0 && depth == 0))
}

struct Case {
    name: String,
    failure: Option<Status>,
    /// Whether it is one of which a failure is expected.
    expected: bool,
    skipped: bool,
}

fn begin_element(element: &BytesStart<'_>, case: &mut Option<Case>, position: u64) -> Result<(), ParseError> {
    match (element.name().as_ref(), case.as_mut()) {
        ("testcase", _) => {
            let (class, name) = (attribute(element, "classname", position)?, attribute(element, "name", position)?);
            let name = if class.is_empty() { name } else { format!("{class}::{name}") };
            let skipped = matches!(attribute(element, "status", position)?.as_str(), "notrun" | "disabled" | "skipped");
            *case = Some(Case { name, failure: None, expected: false, skipped });
        }
        ("failure", Some(case)) => case.failure = case.failure.max(Some(Status::Failed)),
        ("error", Some(case)) => case.failure = case.failure.max(Some(Status::Errored)),
        ("skipped", Some(case)) => {
            let kind = attribute(element, "type", position)?;
            case.expected |= kind == "pytest.xfail" || kind == "todo";
            case.skipped |= kind != "pytest.xfail";
        }
        _ => {}
    }
    Ok(())
}

fn end_case(case: &mut Option<Case>, recorder: &mut Recorder) -> Result<(), ParseError> {
    let Some(case) = case.take() else { return Ok(()) };
    let status = match case {
        Case { expected: true, failure: Some(_), .. } | Case { expected: true, skipped: false, .. } => {
            Status::ExpectedFailure
        }
        Case { failure: Some(status), .. } => status,
        Case { skipped: true, .. } => Status::Skipped,
        _ => Status::Passed,
    };
    recorder.add(case.name, status)
}

/// An attribute's value; empty if it is not there.
fn attribute(element: &BytesStart<'_>, name: &str, position: u64) -> Result<String, ParseError> {
    let xml = |source: quick_xml::Error| ParseError::Xml { position, source };
    for attribute in element.attributes().with_checks(false) {
        let attribute = attribute.map_err(|source| xml(source.into()))?;
        if attribute.key.as_ref() == name {
            return Ok(attribute.normalized_value(XmlVersion::Implicit1_0).map_err(xml)?.into_owned());
        }
    }
    Ok(String::new())
}

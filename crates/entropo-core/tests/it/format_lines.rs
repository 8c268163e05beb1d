//! Files of rows, streamed.

use std::io::{self, BufReader, Read};

use entropo_core::format::{Line, LineError, Lines};
use proptest::prelude::*;
use serde_json::{Value, json};

fn rows(text: &[u8]) -> Vec<(u64, Result<Value, LineError>)> {
    lines(text, 3).into_iter().map(|line| (line.number, line.value)).collect()
}

/// The lines of a stream that hands out `buffer` bytes at a time.
fn lines(text: &[u8], buffer: usize) -> Vec<Line> {
    Lines::new(BufReader::with_capacity(buffer, text)).collect()
}

#[test]
fn lines_may_end_in_any_way_and_be_blank() {
    for text in ["\u{feff}\n{\"a\":1}\r\n \r\n[2]\n", "\n{\"a\":1}\n\n[2]"] {
        let rows = rows(text.as_bytes());
        let values: Vec<_> = rows.iter().map(|(number, value)| (*number, value.as_ref().unwrap().clone())).collect();
        assert_eq!(values, [(2, json!({"a": 1})), (4, json!([2]))]);
    }
    assert!(rows(b"").is_empty() && rows("\u{feff}\n".as_bytes()).is_empty());
}

#[test]
fn a_list_is_streamed_item_by_item() {
    let text = " [\n {\"a\": \"],\\\"[\\\\\"},\n\n{\"b\":\n[1, {\"c\": 2}]} ,3]\n";
    let rows = rows(text.as_bytes());
    let values: Vec<_> = rows.iter().map(|(number, value)| (*number, value.as_ref().unwrap().clone())).collect();
    assert_eq!(values, [(2, json!({"a": "],\"[\\"})), (4, json!({"b": [1, {"c": 2}]})), (5, json!(3))]);
    assert!(lines(b"[ ]", 1).is_empty());
}

#[test]
fn offsets_and_lengths_point_at_the_rows() {
    for text in ["\u{feff}{\"a\":1}\n\n{\"b\": \"é\"}\r\n", "\u{feff}[{\"a\":1},\n {\"b\": \"é\"} ]"] {
        let cut: Vec<String> = lines(text.as_bytes(), 4)
            .into_iter()
            .map(|line| text[line.offset as usize..(line.offset + line.length) as usize].to_owned())
            .collect();
        assert_eq!(cut, ["{\"a\":1}", "{\"b\": \"é\"}"]);
    }
}

#[test]
fn what_is_wrong_with_a_line_is_told_and_the_next_one_follows() {
    let rows = rows(b"{\"a\":1,\"a\":2}\n{\"b\":\n\xff\n1e999\n4");
    let lines: Vec<u64> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
    assert!(
        rows[..4].iter().all(|(number, value)| matches!(value, Err(LineError::Json { line, .. }) if line == number))
    );
    assert_eq!(rows[4].1.as_ref().unwrap(), 4);
}

#[test]
fn lists_that_are_not_lists_are_refused() {
    let ends = |text: &str| rows(text.as_bytes()).pop().unwrap().1.unwrap_err();
    assert!(matches!(ends("[1,\n2"), LineError::Unfinished { line: 2 }));
    assert!(matches!(ends("[1"), LineError::Unfinished { .. }));
    assert!(matches!(ends("["), LineError::Unfinished { .. }));
    assert!(matches!(ends("[1]\n\n[2]"), LineError::Trailing { line: 3 }));
    assert!(matches!(ends("[1,]"), LineError::Json { line: 1, .. }));
    let rows = rows(b"[1,,{\"a\" 2},}, 3]");
    let whole: Vec<bool> = rows.iter().map(|(_, value)| value.is_ok()).collect();
    assert_eq!(whole, [true, false, false, false, true]);
}

#[test]
fn rows_over_the_limit_are_skipped_without_being_held() {
    let long = "x".repeat(1000);
    for text in [format!("\"{long}\"\n[1]\n"), format!("[\"{long}\", [1]]")] {
        let lines: Vec<Line> = Lines::new(text.as_bytes()).with_limit(10).collect();
        assert!(matches!(lines[0].value, Err(LineError::TooLong { line: 1, bytes: 1002, limit: 10 })), "{lines:?}");
        assert_eq!(lines[1].value.as_ref().unwrap(), &json!([1]));
        assert_eq!(lines.len(), 2);
    }
}

#[test]
fn a_stream_that_fails_ends_with_its_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let mut lines = Lines::new(BufReader::new(b"1\n2".chain(Broken)));
    assert!(lines.next().unwrap().value.is_ok());
    assert!(matches!(lines.next().unwrap().value, Err(LineError::Io { line: 2, .. })));
    assert!(lines.next().is_none());
}

proptest! {
    #[test]
    fn any_bytes_are_read_alike_however_they_arrive(text in "[\\[\\]{},:\"\\\\a1 \r\n\u{feff}]{0,40}", buffer in 1_usize..9) {
        let seen = |buffer| -> Vec<String> { lines(text.as_bytes(), buffer).iter().map(|line| format!("{line:?}")).collect() };
        prop_assert_eq!(seen(buffer), seen(1 << 10));
    }

    #[test]
    fn rows_are_the_same_as_lines_and_as_a_list(values in prop::collection::vec("[a-c\"\\\\,\\]\\[{}\u{e9}]{0,6}", 0..5)) {
        let values: Vec<Value> = values.into_iter().map(|text| json!({"text": [text]})).collect();
        let one_each: String = values.iter().map(|value| format!("{value}\n")).collect();
        let list = serde_json::to_string_pretty(&values).unwrap();
        for text in [one_each, list] {
            let read: Vec<Value> = lines(text.as_bytes(), 5).into_iter().map(|line| line.value.unwrap()).collect();
            prop_assert_eq!(&read, &values);
        }
    }
}

//! Rows that somebody wrote to do harm, or a broken program wrote.

use entropo_core::format::{Format, Lines, export, parse};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const FORMATS: [Format; 7] =
    [Format::Auto, Format::Messages, Format::ShareGpt, Format::Alpaca, Format::Trl, Format::Tokens, Format::Trajectory];

/// Keys that the formats know, so that arbitrary values get past the first question.
const KEYS: [&str; 44] = [
    "messages",
    "conversations",
    "prompt",
    "completion",
    "chosen",
    "rejected",
    "text",
    "label",
    "kto_tag",
    "tools",
    "system",
    "instruction",
    "input",
    "output",
    "history",
    "id",
    "group",
    "task_id",
    "format",
    "ids",
    "actions",
    "mask",
    "turns",
    "logprobs",
    "role",
    "content",
    "from",
    "value",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "function",
    "name",
    "arguments",
    "parameters",
    "type",
    "weight",
    "train",
    "trace",
    "segments",
    "exit",
    "usage",
    "outcome",
    "model",
];

fn leaf() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "user",
        "assistant",
        "human",
        "gpt",
        "tool",
        "function",
        "function_call",
        "observation",
        "system",
        "text",
        "{}",
        "[]",
        "{\"name\":\"x\",\"arguments\":{}}",
        "<think>",
        "<think></think>[]",
        "entropo-tokens/1",
        "entropo-trajectory/1",
        "agent",
        "",
    ]);
    prop_oneof![
        4 => words.prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        2 => (-1_i64..4).prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let role = prop::sample::select(vec!["user", "assistant", "tool", "system"]);
    (role, leaf(), leaf(), prop::sample::select(&KEYS[..])).prop_map(|(role, content, other, key)| {
        let mut message = json!({"role": role, "content": content});
        message[key] = other;
        message
    })
}

fn value() -> impl Strategy<Value = Value> {
    let start = prop_oneof![leaf(), message()];
    start.prop_recursive(4, 40, 5, |inner| {
        let entries = prop::collection::vec((prop::sample::select(&KEYS[..]), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::Array),
            entries.prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
            }),
        ]
    })
}

fn row() -> impl Strategy<Value = Value> {
    let entries = prop::collection::vec((prop::sample::select(&KEYS[..]), value()), 0..5);
    let formats = prop::option::of(prop::sample::select(vec!["entropo-tokens/1", "entropo-trajectory/1"]));
    (entries, formats).prop_map(|(entries, format)| {
        let mut row: Map<String, Value> = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        row.extend(format.map(|format| ("format".to_owned(), Value::from(format))));
        Value::Object(row)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_row_makes_a_reader_or_a_writer_panic(row in row()) {
        for format in FORMATS {
            match parse(&row, format) {
                Err(error) => prop_assert!(error.to_string().len() < 2000 && !error.reason().is_empty()),
                Ok(read) => {
                    // whatever is read can be written in one of the formats, and what is written is read as the same
                    let written = [export::trl(&read), export::messages(&read), export::tokens(&read)];
                    prop_assert!(written.iter().any(Result::is_ok), "{:?}", read);
                    for written in written.into_iter().flatten() {
                        let again = parse(&written, Format::Auto);
                        prop_assert_eq!(again.as_ref(), Ok(&read), "{}", written);
                    }
                    let _ = (export::llama_factory(&read), read.split_key());
                }
            }
        }
    }
}

#[test]
fn deep_values_are_refused_wherever_they_are() {
    let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
    let called = |arguments: Value| json!({"messages": [{"role": "assistant", "tool_calls": [{"name": "x", "arguments": arguments}]}]});
    assert_eq!(parse(&called(deep(200)), Format::Auto).unwrap_err().reason(), "too_deep");
    assert_eq!(parse(&called(json!(deep(100).to_string())), Format::Auto).unwrap_err().reason(), "too_deep");
    let far = "[".repeat(100_000);
    assert_eq!(parse(&called(json!(far)), Format::Auto).unwrap_err().reason(), "json");
    let row = parse(&called(json!(deep(60).to_string())), Format::Auto).unwrap();
    let text = export::trl(&row).unwrap().to_string();
    let line = Lines::new(text.as_bytes()).next().unwrap();
    assert_eq!(parse(&line.value.unwrap(), Format::Auto).unwrap(), row);
    assert!(Lines::new(far.as_bytes()).all(|line| line.value.is_err()));
}

#[test]
fn long_rows_are_read_in_one_go() {
    let ids: Vec<u32> = (0..1_000_000).collect();
    let row = json!({"format": "entropo-tokens/1", "ids": ids, "actions": [[1, 1_000_000]]});
    assert!(parse(&row, Format::Auto).is_ok());
    let turns: Vec<Value> = (0..50_000).map(|_| json!({"role": "assistant", "content": "a"})).collect();
    assert!(parse(&json!({"messages": turns}), Format::Auto).is_ok());
}

//! Rows of OpenAI's own fine-tuning.

use entropo_core::format::export::{self, ExportError, Loss};
use entropo_core::format::{Dialogue, Format, Record, Row, Side, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{rows, with};

fn dialogue(messages: &[Value], start: usize) -> Dialogue {
    let learned = messages.iter().enumerate().map(|(at, one)| at >= start && one["role"] == "assistant").collect();
    Dialogue {
        messages: messages.to_vec(),
        tools: vec![json!({"type": "function", "function": {"name": "bash"}})],
        learned,
    }
}

fn row(record: Record) -> Row {
    Row { id: None, group: None, record }
}

fn demonstration(messages: &[Value]) -> Row {
    row(Record::Demonstration(Side::Dialogue(dialogue(messages, 0))))
}

fn user(content: &str) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(content: &str) -> Value {
    json!({"role": "assistant", "content": content})
}

fn calling(ids: &[Option<&str>]) -> Value {
    let calls = ids.iter().map(|id| {
        let mut call = json!({"type": "function", "function": {"name": "bash", "arguments": {"command": "ls"}}});
        id.iter().for_each(|id| call["id"] = json!(id));
        call
    });
    json!({"role": "assistant", "content": "", "tool_calls": calls.collect::<Vec<_>>()})
}

#[test]
fn rows_of_both_methods_are_read_and_written_as_they_were() {
    let files = rows("foreign/openai.jsonl");
    let read: Vec<Row> = files.iter().map(|row| parse(row, Format::Auto).unwrap()).collect();
    let Record::Demonstration(Side::Dialogue(shown)) = &read[0].record else { panic!("{:?}", read[0]) };
    assert_eq!(shown.learned, [false, false, false, true]);
    assert!(matches!(read[1].record, Record::Preference { .. }));
    // what is said by default is not written
    let first = with(&with(&files[0], "/parallel_tool_calls", None), "/messages/3/weight", None);
    let second = with(&files[1], "/input/parallel_tool_calls", None);
    assert_eq!(export::openai(&read[0]).unwrap(), first);
    assert_eq!(export::openai(&read[1]).unwrap(), second);
    assert_eq!(parse(&files[1], Format::Messages).unwrap(), read[1]);
}

#[test]
fn a_broken_pair_is_refused_with_its_place() {
    let pair = &rows("foreign/openai.jsonl")[1];
    let error = |pointer, other| parse(&with(pair, pointer, other), Format::Auto).unwrap_err().to_string();
    assert_eq!(error("/non_preferred_output", None), "the row has no `non_preferred_output`");
    assert_eq!(error("/input", None), "the row has no `input`");
    assert_eq!(
        error("/input/messages/0/role", Some(json!(1))),
        "input.messages[0].role is a number; expected is a string"
    );
    assert!(
        error("/preferred_output/0/content", Some(json!(1))).starts_with("preferred_output[0].content is a number")
    );
    assert!(error("/preferred_output/0/content", Some(json!("No."))).contains("are the same"));
}

#[test]
fn calls_and_results_get_the_ids_that_their_order_says() {
    let tool = |content: &str| json!({"role": "tool", "content": content});
    let messages =
        [user("a"), calling(&[None, None]), tool("1"), tool("2"), calling(&[None]), tool("3"), assistant("b")];
    let written = export::openai(&demonstration(&messages)).unwrap();
    let id = |pointer| written.pointer(pointer).and_then(Value::as_str).unwrap();
    assert_eq!((id("/messages/1/tool_calls/1/id"), id("/messages/3/tool_call_id")), ("call_1", "call_1"));
    assert_eq!((id("/messages/4/tool_calls/0/id"), id("/messages/5/tool_call_id")), ("call_2", "call_2"));
}

#[test]
fn what_the_api_has_no_place_for_is_refused_by_name() {
    let lost = |row: &Row| match export::openai(row).unwrap_err() {
        ExportError::Lost { loss, .. } => loss,
        other => panic!("{other}"),
    };
    let mut reasoned = assistant("b");
    reasoned["reasoning_content"] = json!("hm");
    assert_eq!(lost(&demonstration(&[user("a"), reasoned])), Loss::Field("reasoning_content".into()));
    let orphan = json!({"role": "tool", "content": "t"});
    assert_eq!(lost(&demonstration(&[user("a"), orphan, assistant("b")])), Loss::CallIds);
    let pair = |chosen: Dialogue| {
        let rejected = Side::Dialogue(dialogue(&[user("a"), assistant("x")], 1));
        row(Record::Preference { chosen: Side::Dialogue(chosen), rejected })
    };
    let several = [user("a"), assistant("b"), user("c"), assistant("d")];
    assert_eq!(lost(&pair(dialogue(&several, 1))), Loss::LaterMessages);
    let mut gap = dialogue(&[user("a"), assistant("b"), calling(&[])], 1);
    gap.learned[2] = false;
    assert_eq!(lost(&pair(gap)), Loss::Mask);
    let text = row(Record::Demonstration(Side::Text { prompt: String::new(), completion: "b".into() }));
    assert_eq!(lost(&text), Loss::Text);
    let side = Side::Dialogue(dialogue(&[user("a"), assistant("b")], 0));
    let labelled = export::openai(&row(Record::Labelled { side, desirable: true })).unwrap_err();
    assert_eq!(labelled.to_string(), "OpenAI's fine-tuning has no rows for a labelled answer");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c\n]{0,5}", any::<String>()]
}

/// An assistant's turn and the results of its calls, each with an id of its own.
fn turns(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec((text(), 0..3_usize, text(), any::<bool>()), count).prop_map(|turns| {
        let (mut messages, mut number) = (Vec::new(), 0);
        for (said, calls, result, named) in turns {
            let ids: Vec<String> = (number..number + calls).map(|id| format!("id {id}")).collect();
            number += calls;
            let mut turn = calling(&ids.iter().map(|id| Some(id.as_str())).collect::<Vec<_>>());
            turn["content"] = json!(said);
            if calls == 0 {
                turn = assistant(&said);
            }
            messages.push(turn);
            messages.extend(ids.iter().map(|id| {
                let mut answer = json!({"role": "tool", "content": result, "tool_call_id": id});
                named.then(|| answer["name"] = json!("bash"));
                answer
            }));
        }
        messages
    })
}

proptest! {
    #[test]
    fn rows_survive(prompt in text(), one in turns(1..4), other in turns(1..4), mask in prop::collection::vec(any::<bool>(), 9)) {
        let whole = |answer: &[Value]| [&[user(&prompt)], answer].concat();
        let mut shown = dialogue(&whole(&one), 0);
        shown.learned.iter_mut().skip(2).zip(mask).for_each(|(learned, keep)| *learned &= keep);
        let mut rows = vec![row(Record::Demonstration(Side::Dialogue(shown)))];
        let side = |answer: &[Value]| Side::Dialogue(dialogue(&whole(answer), 1));
        let said = |answer: &[Value]| answer.iter().filter(|one| one["role"] == "assistant").cloned().collect::<Vec<_>>();
        if said(&one) != said(&other) {
            rows.push(row(Record::Preference { chosen: side(&one), rejected: side(&other) }));
        }
        for row in rows {
            let written = export::openai(&row).unwrap();
            prop_assert_eq!(&parse(&written, Format::Auto).unwrap(), &row, "{}", written);
        }
    }
}

//! Rows that are written and read again.

use entropo_core::format::export::{self, ExportError, Loss};
use entropo_core::format::{Dialogue, Format, Record, RecordKind, Row, Side, parse};
use entropo_core::{ActionSpan, Segment};
use proptest::prelude::*;
use serde_json::{Value, json};

fn row(record: Record) -> Row {
    Row { id: None, group: None, record }
}

fn user(content: &str) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(content: &str) -> Value {
    json!({"role": "assistant", "content": content})
}

fn called(id: Option<&str>, count: usize) -> Value {
    let mut call = json!({"type": "function", "function": {"name": "shell", "arguments": {"command": "ls"}}});
    if let Some(id) = id {
        call["id"] = json!(id);
    }
    json!({"role": "assistant", "content": "", "tool_calls": vec![call; count]})
}

/// A dialogue of which every assistant message is learned from `start` on.
fn dialogue(messages: &[Value], start: usize) -> Dialogue {
    let learned =
        messages.iter().enumerate().map(|(index, one)| index >= start && one["role"] == "assistant").collect();
    Dialogue { messages: messages.to_vec(), tools: Vec::new(), learned }
}

fn demonstration(messages: &[Value]) -> Row {
    row(Record::Demonstration(Side::Dialogue(dialogue(messages, 0))))
}

fn lost(result: Result<Value, ExportError>) -> Loss {
    match result.unwrap_err() {
        ExportError::Lost { loss, .. } => loss,
        other => panic!("{other}"),
    }
}

#[test]
fn rows_look_as_the_other_frameworks_want_them() {
    let prompt = [user("a"), called(None, 1), json!({"role": "tool", "content": "t"})];
    let side = |answer: &str| {
        let mut dialogue = dialogue(&[&prompt[..], &[assistant(answer)]].concat(), 3);
        dialogue.tools = vec![json!({"type": "function", "function": {"name": "shell"}})];
        Side::Dialogue(dialogue)
    };
    let tools = r#"[{"type":"function","function":{"name":"shell"}}]"#;
    let pair = Row {
        id: Some("7".into()),
        group: Some("g".into()),
        record: Record::Preference { chosen: side("b"), rejected: side("c") },
    };
    let expected = json!({
        "id": "7", "group": "g", "prompt": prompt, "chosen": [assistant("b")], "rejected": [assistant("c")], "tools": tools,
    });
    assert_eq!(export::trl(&pair).unwrap(), expected);
    let turn = |from: &str, value: &str| json!({"from": from, "value": value});
    let expected = json!({
        "id": "7", "group": "g", "tools": tools,
        "conversations": [
            turn("human", "a"),
            turn("function_call", r#"{"name":"shell","arguments":{"command":"ls"}}"#),
            turn("observation", "t"),
        ],
        "chosen": turn("gpt", "b"), "rejected": turn("gpt", "c"),
    });
    assert_eq!(export::llama_factory(&pair).unwrap(), expected);
    let labelled = row(Record::Labelled { side: side("b"), desirable: false });
    let written = export::trl(&labelled).unwrap();
    assert_eq!((&written["completion"], &written["label"]), (&json!([assistant("b")]), &json!(false)));
    let written = export::messages(&labelled).unwrap();
    assert_eq!(written["messages"][1]["weight"], 0);
    assert_eq!(written["messages"][1]["tool_calls"][0]["function"]["arguments"], r#"{"command":"ls"}"#);
    assert_eq!(written["messages"][3], assistant("b"));
}

#[test]
fn dataset_info_names_the_columns_of_each_kind() {
    let columns = |extra: &[&str]| {
        let mut columns = json!({"messages": "conversations", "tools": "tools"});
        extra.iter().for_each(|key| columns[*key] = json!(key));
        columns
    };
    let entry = |kind| export::dataset_info("data.jsonl", kind);
    let expected = json!({"file_name": "data.jsonl", "formatting": "sharegpt", "columns": columns(&[])});
    assert_eq!(entry(RecordKind::Demonstration), expected);
    let ranking = entry(RecordKind::Preference);
    assert_eq!((&ranking["ranking"], &ranking["columns"]), (&json!(true), &columns(&["chosen", "rejected"])));
    assert_eq!(entry(RecordKind::Labelled)["columns"], columns(&["kto_tag"]));
}

#[test]
fn what_a_format_cannot_carry_is_refused_by_name() {
    let segment =
        Segment { ids: vec![1, 2], actions: vec![ActionSpan { turn: 0, start: 1, end: 2 }], ..Segment::default() };
    let tokens = row(Record::Demonstration(Side::Tokens(segment)));
    let text = row(Record::Demonstration(Side::Text { prompt: "a".into(), completion: "b".into() }));
    let messages = demonstration(&[user("a"), assistant("b")]);
    for write in [export::trl, export::messages, export::llama_factory] {
        assert_eq!(lost(write(&tokens)), Loss::Tokens);
    }
    for write in [export::messages, export::llama_factory, export::tokens] {
        assert_eq!(lost(write(&text)), Loss::Text);
    }
    assert_eq!(lost(export::tokens(&messages)), Loss::Messages);

    let several = [user("a"), assistant("b"), user("c"), assistant("d")];
    let mut gap = dialogue(&several, 0);
    gap.learned[3] = false;
    let gap = row(Record::Demonstration(Side::Dialogue(gap)));
    assert_eq!((lost(export::trl(&gap)), lost(export::llama_factory(&gap))), (Loss::Mask, Loss::Mask));
    let labelled = row(Record::Labelled { side: Side::Dialogue(dialogue(&several, 0)), desirable: true });
    assert_eq!(lost(export::llama_factory(&labelled)), Loss::SeveralTurns);
    let pair = row(Record::Preference {
        chosen: Side::Dialogue(dialogue(&several, 0)),
        rejected: Side::Dialogue(dialogue(&[user("a"), assistant("x")], 0)),
    });
    assert_eq!(lost(export::llama_factory(&pair)), Loss::SeveralTurns);
    assert!(export::sharegpt(&pair).is_ok());
    let mut later = dialogue(&several, 0);
    later.learned[3] = false;
    let rejected = Side::Dialogue(dialogue(&[user("a"), assistant("x")], 0));
    let gap = row(Record::Preference { chosen: Side::Dialogue(later), rejected });
    assert_eq!(lost(export::sharegpt(&gap)), Loss::Mask);
    let mut first = dialogue(&several, 0);
    first.learned[1] = false;
    let labelled = row(Record::Labelled { side: Side::Dialogue(first), desirable: true });
    assert_eq!(lost(export::sharegpt(&labelled)), Loss::Mask, "its readers would learn the first message too");

    let tool = |name: &str| json!({"role": "tool", "content": "t", "tool_call_id": "c", "name": name});
    let mut spoken = called(None, 1);
    spoken["content"] = json!("Look:");
    let mut reasoned = assistant("b");
    reasoned["reasoning_content"] = json!("hm");
    let cases: [(&[Value], Loss); 6] = [
        (&[user("a"), user("b"), assistant("c")], Loss::Alternation),
        (&[user("a"), assistant("c"), user("b")], Loss::Alternation),
        (&[user("a"), spoken], Loss::TextBesideCalls),
        (&[user("a"), called(Some("c"), 2), tool("shell"), assistant("b")], Loss::CallIds),
        (&[user("a"), called(Some("c"), 1), tool("other"), assistant("b")], Loss::Field("name".into())),
        (&[user("a"), reasoned], Loss::Field("reasoning_content".into())),
    ];
    for (messages, loss) in cases {
        assert_eq!(lost(export::llama_factory(&demonstration(messages))), loss, "{messages:?}");
    }
    let error = export::llama_factory(&tokens).unwrap_err().to_string();
    assert_eq!(error, "LLaMA-Factory has no place for recorded tokens (in the row); write token rows");
}

#[test]
fn llama_factory_rows_lose_ids_that_the_order_tells() {
    let tool = json!({"role": "tool", "content": "t", "tool_call_id": "c", "name": "shell"});
    let written =
        export::llama_factory(&demonstration(&[user("a"), called(Some("c"), 1), tool, assistant("b")])).unwrap();
    let without = demonstration(&[user("a"), called(None, 1), json!({"role": "tool", "content": "t"}), assistant("b")]);
    assert_eq!(parse(&written, Format::Auto).unwrap(), without);
}

#[test]
fn what_was_put_together_wrongly_is_not_written() {
    let pair = |chosen: &[Value], rejected: &[Value]| {
        row(Record::Preference {
            chosen: Side::Dialogue(dialogue(chosen, 0)),
            rejected: Side::Dialogue(dialogue(rejected, 0)),
        })
    };
    let differ = pair(&[user("a"), assistant("b")], &[user("x"), assistant("c")]);
    let mut short = dialogue(&[user("a"), assistant("b")], 0);
    short.learned.pop();
    let mut asked = dialogue(&[user("a"), assistant("b")], 0);
    asked.learned[0] = true;
    for write in [export::trl, export::messages, export::llama_factory] {
        assert_eq!(write(&differ), Err(ExportError::NoPair));
        for broken in
            [short.clone(), asked.clone(), dialogue(&[user("a")], 0), dialogue(&[json!(1), assistant("b")], 0)]
        {
            let result = write(&row(Record::Demonstration(Side::Dialogue(broken))));
            assert!(matches!(result, Err(ExportError::Malformed { .. })), "{result:?}");
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c <>\"\\\\{}\n]{0,8}", any::<String>()]
}

fn name() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

fn call() -> impl Strategy<Value = Value> {
    let arguments = prop_oneof![
        Just(json!({})),
        text().prop_map(|text| json!({"command": text})),
        any::<(i64, bool)>().prop_map(|(number, flag)| json!({"range": [number, 0.25], "flag": flag, "none": null})),
    ];
    ("[a-z_]{1,6}", arguments)
        .prop_map(|(name, arguments)| json!({"type": "function", "function": {"name": name, "arguments": arguments}}))
}

/// One thing that is asked or observed, and what the assistant says then.
fn exchange() -> impl Strategy<Value = [Value; 2]> {
    let asked = (any::<bool>(), text())
        .prop_map(|(tool, text)| json!({"role": if tool { "tool" } else { "user" }, "content": text}));
    let said = prop_oneof![
        text().prop_map(|text| assistant(&text)),
        (prop::option::of("[a-c\n]{0,5}"), prop::collection::vec(call(), 1..3)).prop_map(|(thought, calls)| {
            let content = thought.map_or(String::new(), |thought| format!("<think>{thought}</think>\n\n"));
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }),
    ];
    (asked, said).prop_map(|(asked, said)| [asked, said])
}

prop_compose! {
    /// Messages that alternate, after a system message or not, which every format of messages can carry.
    fn messages()(
        system in prop::option::of(text()),
        exchanges in prop::collection::vec(exchange(), 1..4),
    ) -> Vec<Value> {
        let system = system.map(|text| json!({"role": "system", "content": text}));
        system.into_iter().chain(exchanges.into_iter().flatten()).collect()
    }
}

fn tools() -> impl Strategy<Value = Vec<Value>> {
    let tool = text().prop_map(|text| json!({"type": "function", "function": {"name": "x", "description": text}}));
    prop::collection::vec(tool, 0..3)
}

fn with_tools(mut dialogue: Dialogue, tools: &[Value]) -> Side {
    dialogue.tools = tools.to_vec();
    Side::Dialogue(dialogue)
}

/// Records of which only the last message is learned where LLaMA-Factory learns no other.
fn single_turn_records() -> impl Strategy<Value = Record> {
    (messages(), text(), tools(), 0..4).prop_map(|(messages, other, tools, kind)| {
        let last = messages.len() - 1;
        let side = |messages: &[Value], start| with_tools(dialogue(messages, start), &tools);
        let mut others = messages.clone();
        others[last] = assistant(&(other + "another"));
        match kind {
            0 => Record::Demonstration(side(&messages, 0)),
            1 if messages[last] != others[last] => {
                Record::Preference { chosen: side(&messages, last), rejected: side(&others, last) }
            }
            kind => Record::Labelled { side: side(&messages, last), desirable: kind == 2 },
        }
    })
}

/// Records with several learned messages, ids and fields that templates may know.
fn agent_records() -> impl Strategy<Value = Record> {
    (messages(), messages(), tools(), 0..4, any::<prop::sample::Index>()).prop_map(
        |(mut one, other, tools, kind, at)| {
            for (index, message) in one.iter_mut().enumerate() {
                message["reasoning_content"] = json!(format!("{index}"));
            }
            let mut identified = called(Some("c1"), 1);
            identified["reasoning_content"] = json!("why");
            one.extend([
                identified,
                json!({"role": "tool", "content": "t", "tool_call_id": "c1", "name": "shell"}),
                assistant("end"),
            ]);
            let start = at.index(one.len() - 2);
            let prompt = one.iter().position(|message| message["role"] == "assistant").unwrap();
            let side = |messages: &[Value], start| with_tools(dialogue(messages, start), &tools);
            match kind {
                0 => Record::Demonstration(side(&one, start)),
                1 => {
                    let continued = [&one[..prompt], &[assistant("first")], &other[..]].concat();
                    Record::Preference { chosen: side(&one, prompt), rejected: side(&continued, prompt) }
                }
                kind => Record::Labelled { side: side(&one, start), desirable: kind == 2 },
            }
        },
    )
}

fn said(messages: &[Value]) -> impl Iterator<Item = &Value> {
    messages.iter().filter(|message| message["role"] == "assistant")
}

fn read_back(written: &Value, format: Format) -> Row {
    let text = written.to_string();
    let row: Value = serde_json::from_str(&text).unwrap();
    parse(&row, format).unwrap_or_else(|error| panic!("{text}: {error}"))
}

proptest! {
    #[test]
    fn every_format_of_messages_gives_the_row_back(record in single_turn_records(), id in name(), group in name()) {
        let row = Row { id, group, record };
        let written = [export::trl(&row), export::messages(&row), export::llama_factory(&row)];
        let preference = row.record.kind() == RecordKind::Demonstration;
        let trl = if preference { Format::Auto } else { Format::Trl };
        for (written, format) in written.into_iter().zip([trl, Format::Messages, Format::ShareGpt]) {
            let written = written.unwrap();
            prop_assert_eq!(&read_back(&written, format), &row);
            prop_assert_eq!(&read_back(&written, Format::Auto), &row);
        }
    }

    #[test]
    fn answers_of_several_turns_survive_in_sharegpt(one in messages(), other in messages(), tools in tools(), kind in 0..3) {
        let prompt = one.iter().position(|message| message["role"] == "assistant").unwrap();
        let side = |messages: &[Value], start| with_tools(dialogue(messages, start), &tools);
        let start = other.iter().position(|message| message["role"] == "assistant").unwrap();
        let continued = [&one[..prompt], &[assistant("first")], &other[start + 1..]].concat();
        let record = match kind {
            0 => Record::Preference { chosen: side(&one, prompt), rejected: side(&continued, prompt) },
            kind => Record::Labelled { side: side(&one, prompt), desirable: kind == 1 },
        };
        let same = said(&one).eq(said(&continued));
        let row = row(record);
        prop_assume!(kind != 0 || !same);
        let written = export::sharegpt(&row).unwrap();
        prop_assert_eq!(&read_back(&written, Format::ShareGpt), &row);
        prop_assert_eq!(&read_back(&written, Format::Auto), &row);
    }

    #[test]
    fn rows_of_agents_survive_in_trl_and_messages(record in agent_records()) {
        let row = row(record);
        for written in [export::trl(&row), export::messages(&row)] {
            prop_assert_eq!(&read_back(&written.unwrap(), Format::Auto), &row);
        }
    }

    #[test]
    fn messages_carry_any_choice_of_what_is_learned(messages in messages(), mask in prop::collection::vec(any::<bool>(), 8), labelled: bool) {
        let mut dialogue = dialogue(&messages, 0);
        let last = dialogue.learned.len() - 1;
        dialogue.learned[..last].iter_mut().zip(mask).for_each(|(learned, keep)| *learned &= keep);
        let side = Side::Dialogue(dialogue);
        let row = row(if labelled { Record::Labelled { side, desirable: true } } else { Record::Demonstration(side) });
        prop_assert_eq!(&read_back(&export::messages(&row).unwrap(), Format::Auto), &row);
    }

    #[test]
    fn text_survives_in_trl(prompt in text(), one in text(), other in text(), kind in 0..3, id in name()) {
        let side = |completion: &str| Side::Text { prompt: prompt.clone(), completion: format!("{completion}.") };
        let record = match kind {
            0 => Record::Demonstration(side(&one)),
            1 if one != other => Record::Preference { chosen: side(&one), rejected: side(&other) },
            _ => Record::Labelled { side: side(&one), desirable: kind == 1 },
        };
        let row = Row { id, group: None, record };
        prop_assert_eq!(&read_back(&export::trl(&row).unwrap(), Format::Auto), &row);
    }

    #[test]
    fn tokens_survive_as_they_are(
        prompt in prop::collection::vec(any::<u32>(), 0..4),
        actions in prop::collection::vec((any::<u32>(), -1e3_f32..0.0, 0_usize..3), 1..6),
        (known, messages, kind) in (any::<bool>(), 0_usize..5, 0..3),
        group in name(),
    ) {
        let mut segment = Segment { ids: prompt, messages, ..Segment::default() };
        for (id, logprob, gap) in actions {
            let start = segment.ids.len();
            segment.ids.extend([id, 7]);
            segment.actions.push(ActionSpan { turn: start + gap, start, end: start + 1 });
            segment.logprobs.extend(known.then_some(logprob));
        }
        let mut other = segment.clone();
        other.ids[segment.actions[0].start] ^= 1;
        let (chosen, rejected) = (Side::Tokens(segment), Side::Tokens(other));
        let record = match kind {
            0 => Record::Demonstration(chosen),
            1 => Record::Preference { chosen, rejected },
            _ => Record::Labelled { side: chosen, desirable: false },
        };
        let row = Row { id: None, group, record };
        prop_assert_eq!(&read_back(&export::tokens(&row).unwrap(), Format::Auto), &row);
    }
}

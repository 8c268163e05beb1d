//! Rows of conversations and text: what is read, what is learned, what is refused.

use entropo_core::format::{Dialogue, Format, Record, RecordKind, Row, RowError, Side, parse};
use serde_json::{Value, json};

fn read(row: Value) -> Row {
    parse(&row, Format::Auto).unwrap_or_else(|error| panic!("{row}: {error}"))
}

fn refusal(row: Value) -> RowError {
    parse(&row, Format::Auto).expect_err(&row.to_string())
}

fn dialogue(side: Side) -> Dialogue {
    let Side::Dialogue(dialogue) = side else { panic!("no dialogue: {side:?}") };
    dialogue
}

fn demonstration(row: Value) -> Dialogue {
    let Record::Demonstration(side) = read(row).record else { panic!("no demonstration") };
    dialogue(side)
}

fn pair(row: Value) -> (Side, Side) {
    let Record::Preference { chosen, rejected } = read(row).record else { panic!("no pair") };
    (chosen, rejected)
}

fn text(prompt: &str, completion: &str) -> Side {
    Side::Text { prompt: prompt.to_owned(), completion: completion.to_owned() }
}

fn user(content: &str) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(content: &str) -> Value {
    json!({"role": "assistant", "content": content})
}

fn call(arguments: Value) -> Value {
    json!({"type": "function", "function": {"name": "shell", "arguments": arguments}})
}

#[test]
fn openai_messages_take_the_shape_that_templates_read() {
    let read = demonstration(json!({
        "messages": [
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "List "}, {"type": "text", "text": "files."}]},
            {"role": "assistant", "content": null, "reasoning_content": "Look.", "name": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": "{\"command\": \"ls\"}"}},
                {"function": {"name": "shell", "arguments": {"command": "pwd"}}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "a.py"},
            {"role": "function", "name": "shell", "content": "/", "tool_calls": []},
            {"role": "assistant", "content": "a.py"},
        ],
        "tools": "[{\"name\": \"shell\", \"parameters\": {}}]",
    }));
    let expected = [
        json!({"role": "system", "content": "Be short."}),
        user("List files."),
        json!({"role": "assistant", "content": "", "reasoning_content": "Look.", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": {"command": "ls"}}},
            call(json!({"command": "pwd"}))]}),
        json!({"role": "tool", "tool_call_id": "c1", "content": "a.py"}),
        json!({"role": "tool", "name": "shell", "content": "/"}),
        assistant("a.py"),
    ];
    assert_eq!(read.messages, expected);
    assert_eq!(read.learned, [false, false, true, false, false, true]);
    let tool = json!({"type": "function", "function": {"name": "shell", "parameters": {}}});
    assert_eq!(read.tools, std::slice::from_ref(&tool));
    let wrapped = demonstration(json!({"messages": [assistant("x")], "tools": [tool.clone()]}));
    assert_eq!(wrapped.tools, [tool]);
    let old = json!({"role": "assistant", "function_call": {"name": "shell", "arguments": "{}"}});
    let old = demonstration(json!({"messages": [old], "tools": ""}));
    assert_eq!(old.messages, [json!({"role": "assistant", "content": "", "tool_calls": [call(json!({}))]})]);
}

#[test]
fn a_row_says_which_assistant_messages_are_not_learned() {
    let mark = |mut message: Value, key: &str, value: Value| {
        message[key] = value;
        message
    };
    let read = demonstration(json!({"messages": [
        mark(user("a"), "train", json!(false)),
        mark(assistant("b"), "weight", json!(0)),
        mark(assistant("c"), "train", json!(false)),
        mark(assistant("d"), "weight", json!(1.0)),
        mark(assistant("e"), "weight", Value::Null),
    ]}));
    assert_eq!(read.learned, [false, false, false, true, true]);
    assert_eq!(read.messages[1], assistant("b"), "the mark is not shown to templates");
    let nothing = refusal(json!({"messages": [user("a"), mark(assistant("b"), "weight", json!(0))]}));
    assert_eq!(nothing, RowError::NothingLearned { at: "the row".into() });
    for (message, at) in [
        (mark(user("a"), "train", json!(true)), "messages[0].train"),
        (mark(assistant("a"), "weight", json!(0.5)), "messages[0].weight"),
    ] {
        let error = refusal(json!({"messages": [message, assistant("b")]}));
        assert!(error.reason() == "value" && error.to_string().starts_with(at), "{error}");
    }
}

#[test]
fn sharegpt_turns_become_messages() {
    let read = demonstration(json!({
        "system": "Be short.",
        "conversations": [
            {"from": "human", "value": "List files."},
            {"from": "function_call", "value": "<think>Look.</think>\n{\"name\": \"shell\", \"arguments\": {\"command\": \"ls\"}}"},
            {"from": "observation", "value": "a.py"},
            {"from": "function_call", "value": [{"name": "shell", "arguments": "{}"}, {"name": "shell", "parameters": {}}]},
            {"from": "tool", "value": "/"},
            {"from": "tool", "value": "/"},
            {"from": "gpt", "value": "a.py", "train": false},
            {"role": "user", "content": "Thanks."},
            {"from": "model", "value": "Bye."},
        ],
        "tools": [],
    }));
    let expected = [
        json!({"role": "system", "content": "Be short."}),
        user("List files."),
        json!({"role": "assistant", "content": "<think>Look.</think>\n", "tool_calls": [call(json!({"command": "ls"}))]}),
        json!({"role": "tool", "content": "a.py"}),
        json!({"role": "assistant", "content": "", "tool_calls": [call(json!({})), call(json!({}))]}),
        json!({"role": "tool", "content": "/"}),
        json!({"role": "tool", "content": "/"}),
        assistant("a.py"),
        user("Thanks."),
        assistant("Bye."),
    ];
    assert_eq!(read.messages, expected);
    assert_eq!(read.learned, [false, false, true, false, true, false, false, false, false, true]);
}

#[test]
fn of_a_pair_only_what_follows_the_prompt_is_learned() {
    let prompt = json!([user("a"), assistant("b"), user("c")]);
    let tool = json!({"role": "tool", "content": "t"});
    let (one, other) = (json!([assistant("d"), tool, assistant("e")]), json!([assistant("f")]));
    let rows = [
        json!({"prompt": prompt, "chosen": one, "rejected": other}),
        json!({"messages": prompt, "chosen": one, "rejected": other[0]}),
        json!({"conversations": prompt, "chosen": one, "rejected": other}),
        json!({
            "chosen": [user("a"), assistant("b"), user("c"), assistant("d"), tool, assistant("e")],
            "rejected": [user("a"), assistant("b"), user("c"), assistant("f")],
        }),
        json!({ // UltraFeedback: the prompt beside conversations, and the better one again
            "prompt": "c",
            "chosen": [user("a"), assistant("b"), user("c"), assistant("d"), tool, assistant("e")],
            "rejected": [user("a"), assistant("b"), user("c"), assistant("f")],
            "messages": [user("a"), assistant("b"), user("c"), assistant("d"), tool, assistant("e")],
        }),
    ];
    for row in rows {
        let (chosen, rejected) = pair(row.clone());
        let (chosen, rejected) = (dialogue(chosen), dialogue(rejected));
        assert_eq!(chosen.learned, [false, false, false, true, false, true], "{row}");
        assert_eq!(rejected.learned, [false, false, false, true], "{row}");
        assert_eq!(chosen.messages[..3], rejected.messages[..3]);
        assert_eq!(rejected.messages[3], assistant("f"));
    }
}

#[test]
fn an_implicit_prompt_ends_where_the_assistant_speaks_on_both_sides() {
    let tool = |content: &str| json!({"role": "tool", "content": content});
    let row = json!({
        "chosen": [user("a"), assistant("same"), tool("x"), assistant("b")],
        "rejected": [user("a"), assistant("same"), tool("y"), assistant("c")],
    });
    let (chosen, rejected) = pair(row);
    assert_eq!(dialogue(chosen).learned, [false, true, false, true]);
    assert_eq!(dialogue(rejected).learned, [false, true, false, true]);

    let differ = json!({"chosen": [user("a"), assistant("b")], "rejected": [user("c"), assistant("d")]});
    assert_eq!(refusal(differ), RowError::PromptsDiffer);
    // A side that stops earlier is learned too: to stop there was its answer.
    let (chosen, rejected) = pair(json!({
        "chosen": [user("a"), assistant("b"), user("c"), assistant("d")], "rejected": [user("a"), assistant("b")],
    }));
    assert_eq!(dialogue(chosen).learned, [false, true, false, true]);
    assert_eq!(dialogue(rejected).learned, [false, true]);
}

#[test]
fn llama_factory_pairs_have_one_message_or_several() {
    let turn = |from: &str, value: &str| json!({"from": from, "value": value});
    let row =
        |chosen: Value| json!({"conversations": [turn("human", "a")], "chosen": chosen, "rejected": turn("gpt", "c")});
    let (chosen, rejected) = pair(row(turn("gpt", "b")));
    assert_eq!(
        (dialogue(chosen).messages, dialogue(rejected).messages),
        (vec![user("a"), assistant("b")], vec![user("a"), assistant("c")])
    );
    let several = json!([turn("gpt", "b"), turn("observation", "t"), turn("gpt", "d")]);
    assert_eq!(dialogue(pair(row(several)).0).learned, [false, true, false, true]);
}

#[test]
fn alpaca_rows_have_histories_pairs_and_tags() {
    let base = json!({"instruction": "Add.", "input": "1 1", "system": "s", "history": [["q", "r"]]});
    let with = |columns: Value| {
        let mut row = base.clone();
        row.as_object_mut().unwrap().extend(columns.as_object().unwrap().clone());
        row
    };
    let read = demonstration(with(json!({"output": "2"})));
    let expected =
        [json!({"role": "system", "content": "s"}), user("q"), assistant("r"), user("Add.\n1 1"), assistant("2")];
    assert_eq!(read.messages, expected);
    assert_eq!(read.learned, [false, false, true, false, true], "LLaMA-Factory learns the history too");
    let (chosen, rejected) = pair(with(json!({"chosen": "2", "rejected": "3"})));
    assert_eq!(dialogue(chosen).learned, [false, false, false, false, true]);
    assert_eq!(dialogue(rejected).messages[4], assistant("3"));
    let tagged = parse(&with(json!({"output": "3", "kto_tag": false})), Format::Auto).unwrap();
    assert_eq!(tagged.record.kind(), RecordKind::Labelled);
    assert_eq!(tagged.into_demonstration(), None);
}

#[test]
fn standard_rows_of_trl_are_text() {
    let single = |row: Value| read(row).record;
    assert_eq!(single(json!({"text": "whole"})), Record::Demonstration(text("", "whole")));
    assert_eq!(single(json!({"prompt": "a", "completion": " b"})), Record::Demonstration(text("a", " b")));
    let labelled = json!({"prompt": "a", "completion": " b", "label": true});
    assert_eq!(single(labelled), Record::Labelled { side: text("a", " b"), desirable: true });
    let explicit = json!({"prompt": "a", "chosen": " b", "rejected": " c"});
    let implicit = json!({"chosen": "a b", "rejected": "a c"});
    assert_eq!(pair(explicit), (text("a", " b"), text("a", " c")));
    assert_eq!(pair(implicit), (text("a", " b"), text("a", " c")));
}

#[test]
fn labels_stand_under_either_name_and_mark_prompts_as_such() {
    let rows = [
        json!({"messages": [user("a"), assistant("b")], "label": true}),
        json!({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "kto_tag": true}),
        json!({"prompt": [user("a")], "completion": [assistant("b")], "label": true}),
    ];
    for row in rows {
        let Record::Labelled { side, desirable: true } = read(row.clone()).record else { panic!("{row}") };
        let dialogue = dialogue(side);
        assert_eq!((dialogue.messages, dialogue.learned), (vec![user("a"), assistant("b")], vec![false, true]));
    }
    let row = json!({"prompt": [user("a"), assistant("b"), user("c")], "completion": assistant("d")});
    assert_eq!(demonstration(row).learned, [false, false, false, true]);
}

#[test]
fn names_and_groups_are_kept_and_decide_the_split() {
    let row = read(json!({"id": 7, "task_id": "t", "text": "x"}));
    assert_eq!((row.id.as_deref(), row.group.as_deref()), (Some("7"), Some("t")));
    let key = |row: Value| read(row).split_key();
    assert_eq!(key(json!({"group": "t", "text": "y"})), row.split_key());
    assert_ne!(key(json!({"group": "u", "text": "y"})), row.split_key());
    let asked = |question: &str, answer: &str| key(json!({"messages": [user(question), assistant(answer)]}));
    assert_eq!(asked("a", "b"), asked("a", "c"));
    assert_ne!(asked("a", "b"), asked("b", "b"));
    assert_eq!(
        key(json!({"prompt": [user("a")], "chosen": [assistant("x")], "rejected": [assistant("y")]})),
        asked("a", "z")
    );
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    let said = |message: Value| json!({"messages": [message, assistant("b")]});
    let called = |call: Value| said(json!({"role": "assistant", "tool_calls": [call]}));
    let cases = [
        (json!([]), "type", "the row is a list"),
        (json!({"prompts": "a"}), "unrecognised", "\"prompts\""),
        (json!({}), "unrecognised", "(none)"),
        (json!({"messages": [], "conversations": []}), "conflict", "`messages` and `conversations`"),
        (json!({"messages": [], "text": "a"}), "conflict", "`messages` and `text`"),
        (json!({"messages": "a"}), "type", "messages is a string"),
        (json!({"messages": [user("a")]}), "nothing_learned", "the row has nothing"),
        (said(json!("a")), "type", "messages[0] is a string"),
        (said(json!({"content": "a"})), "missing", "messages[0] has no `role`"),
        (said(json!({"role": "user", "from": "human", "content": "a"})), "conflict", "`role` and `from`"),
        (said(json!({"role": "critic", "content": "a"})), "role", "messages[0].role is \"critic\""),
        (said(json!({"from": "critic", "value": "a"})), "role", "messages[0].from is \"critic\""),
        (said(json!({"role": "user"})), "type", "messages[0].content is null"),
        (said(json!({"role": "user", "content": 1})), "type", "messages[0].content is a number"),
        (
            said(json!({"role": "user", "content": [{"type": "image_url"}]})),
            "part",
            "content[0] is a part of type \"image_url\"",
        ),
        (
            said(json!({"role": "user", "content": "a", "tool_calls": [{"name": "x", "arguments": {}}]})),
            "value",
            "messages[0].tool_calls",
        ),
        (said(json!({"role": "tool", "content": "a", "tool_call_id": "c9"})), "unknown_call", "the call \"c9\""),
        (called(json!({"name": "x"})), "missing", "tool_calls[0] has no `arguments`"),
        (called(json!({"type": "custom", "name": "x", "arguments": {}})), "value", "tool_calls[0].type is \"custom\""),
        (called(json!({"function": {"name": "", "arguments": {}}})), "value", "tool_calls[0].function.name"),
        (called(json!({"function": {"name": "x", "arguments": "{"}})), "json", "tool_calls[0].function.arguments"),
        (
            called(json!({"function": {"name": "x", "arguments": "{\"a\":1,\"a\":2}"}})),
            "json",
            "the key \"a\" is there twice",
        ),
        (called(json!({"function": {"name": "x", "arguments": "[]"}})), "type", "arguments is a list"),
        (json!({"messages": [assistant("a")], "tools": "x"}), "json", "tools is a string"),
        (json!({"messages": [assistant("a")], "tools": [{"type": "function"}]}), "missing", "tools[0] has no `name`"),
        (json!({"conversations": [{"from": "function_call", "value": "[]"}]}), "value", "conversations[0].value"),
        (json!({"conversations": [{"from": "function_call", "value": "x"}]}), "json", "conversations[0].value"),
        (
            json!({"system": "s", "messages": [{"role": "system", "content": "t"}, assistant("a")]}),
            "conflict",
            "`system`",
        ),
        (json!({"prompt": "a"}), "missing", "`completion, or chosen`"),
        (json!({"prompt": "a", "chosen": "b"}), "missing", "`rejected`"),
        (json!({"prompt": "a", "chosen": "b", "rejected": "b"}), "equal_sides", "the same"),
        (json!({"prompt": "a", "chosen": "b", "rejected": ""}), "nothing_learned", "rejected has nothing"),
        (json!({"prompt": "a", "chosen": "b", "rejected": "c", "label": true}), "conflict", "`chosen` and `label`"),
        (json!({"prompt": [user("a")], "chosen": "b", "rejected": "c"}), "type", "chosen is a string"),
        (
            json!({"prompt": [user("a")], "completion": [user("a"), assistant("b")]}),
            "value",
            "begins with the prompt again",
        ),
        (
            json!({"prompt": "z", "chosen": [user("a"), assistant("b")], "rejected": [user("a"), assistant("c")]}),
            "type",
            "without the prompt",
        ),
        (json!({"text": "a", "label": "good"}), "type", "label is a string"),
        (json!({"text": "a", "label": true, "kto_tag": true}), "conflict", "`label` and `kto_tag`"),
        (json!({"text": "a", "id": 0.5}), "type", "id is a number"),
        (json!({"instruction": "a"}), "missing", "`output`"),
        (json!({"instruction": "a", "output": "b", "history": [["q"]]}), "type", "history[0]"),
    ];
    for (row, reason, words) in cases {
        let error = refusal(row.clone());
        assert_eq!(error.reason(), reason, "{row}: {error}");
        assert!(error.to_string().contains(words), "{row}: {error}");
    }
    let long = refusal(json!({"messages": [{"role": "x".repeat(1 << 20), "content": ""}]}));
    assert!(long.to_string().len() < 400, "text of the row is shortened");
}

#[test]
fn a_format_that_is_named_is_the_only_one_that_is_read() {
    let row = json!({"messages": [user("a"), assistant("b")], "text": "a b"});
    assert_eq!(refusal(row.clone()).reason(), "conflict");
    assert_eq!(parse(&row, Format::Messages).unwrap().record.kind(), RecordKind::Demonstration);
    assert_eq!(parse(&row, Format::Trl).unwrap().record, Record::Demonstration(text("", "a b")));
    for format in [Format::ShareGpt, Format::Alpaca, Format::Tokens, Format::Trajectory] {
        assert_eq!(parse(&row, format).unwrap_err().reason(), "missing", "{format:?}");
    }
    let names = json!(["auto", "messages", "sharegpt", "alpaca", "trl", "tokens", "trajectory"]);
    let formats: Vec<Format> = serde_json::from_value(names.clone()).unwrap();
    assert_eq!(serde_json::to_value(formats).unwrap(), names);
}

#[test]
fn every_row_of_the_documentation_is_read() {
    let page = include_str!("../../../../docs/training-data.md");
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let rows: Vec<Value> = blocks.flat_map(str::lines).map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<RecordKind> = rows.into_iter().map(|row| read(row).record.kind()).collect();
    use RecordKind::{Demonstration, Labelled, Preference};
    let expected = [
        &[Demonstration, Labelled, Preference][..],
        &[Labelled, Preference],
        &[Preference, Labelled, Demonstration, Demonstration],
        &[Demonstration],
        &[Demonstration, Preference],
    ];
    assert_eq!(kinds, expected.concat());
}

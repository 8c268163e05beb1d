//! Files of other programs' formats that somebody wrote to do harm, or a broken program wrote.

use entropo_core::RolloutId;
use entropo_core::format::r2e::R2eRun;
use entropo_core::format::swe_bench::{Instance, Prediction, RunReport, read_instance_reports, read_predictions};
use entropo_core::format::{Format, Items, RowError, document, mini_swe_agent, parse, swe_agent};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::fixture::{rows, value};

/// Every reader, told what it reads and asked to go as far as it can.
fn read_all(value: &Value) -> Vec<Result<(), RowError>> {
    let id = || RolloutId::new("t", 0);
    vec![
        R2eRun::read(value).and_then(|run| run.to_trajectory(0)).map(|read| drop(R2eRun::of_trajectory(&read.value))),
        swe_agent::read(value, id()).map(|read| drop(swe_agent::write(&read.value))),
        mini_swe_agent::read(value, id()).map(|read| drop(mini_swe_agent::write(&read.value))),
        Instance::read(value).and_then(|instance| instance.to_task()).map(drop),
        Prediction::read(value).map(drop),
        RunReport::read(value).map(drop),
        read_instance_reports(value).map(drop),
        parse(value, Format::Auto).map(drop),
    ]
}

fn files() -> Vec<Value> {
    let mut files: Vec<Value> = [
        "swe_agent.traj",
        "swe_agent_text.traj",
        "mini_1.traj.json",
        "mini_2.traj.json",
        "mini_2_responses.traj.json",
        "run_report.json",
        "report.json",
        "preds.json",
    ]
    .iter()
    .map(|name| value(&format!("foreign/{name}")))
    .collect();
    files.extend(
        ["r2e.jsonl", "instances.jsonl", "openai.jsonl"].iter().flat_map(|name| rows(&format!("foreign/{name}"))),
    );
    files
}

/// How many values there are in a value, itself included.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// Puts `other` in the place of the value number `at`.
fn replace(value: &mut Value, at: &mut usize, other: &Value) {
    if *at == 0 {
        *value = other.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, at, other)),
        Value::Object(fields) => fields.values_mut().for_each(|item| replace(item, at, other)),
        _ => {}
    }
}

fn other() -> impl Strategy<Value = Value> {
    let words =
        vec!["user", "assistant", "tool", "call_a", "toolu_1", "<function=a><parameter=b>", "submitted (", "exit", ""];
    prop_oneof![
        prop::sample::select(words).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            json!(null),
            json!([]),
            json!({}),
            json!([1]),
            json!({"a": 1}),
            json!(true),
            json!([{}]),
            json!(-1.0e300)
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_change_of_a_file_makes_a_reader_panic(which: Index, changes in prop::collection::vec((any::<Index>(), other()), 1..4)) {
        let files = files();
        let mut file = which.get(&files).clone();
        for (at, other) in changes {
            let mut at = at.index(size(&file));
            replace(&mut file, &mut at, &other);
        }
        for error in read_all(&file).into_iter().filter_map(Result::err) {
            prop_assert!(error.to_string().len() < 1000 && !error.reason().is_empty());
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), cut: Index, which: Index) {
        let whole = which.get(&files()).to_string().into_bytes();
        let torn = [&whole[..cut.index(whole.len())], &bytes].concat();
        for bytes in [&bytes, &torn] {
            if let Ok(value) = document(&**bytes, 1 << 20) {
                read_all(&value);
            }
            let _ = read_predictions(&**bytes, 1 << 20);
            Items::new(&**bytes, |value| Ok(read_all(value))).for_each(drop);
        }
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = (0..150).fold(json!(1), |inner, _| json!([inner]));
    for pointer in ["/trajectory_steps/0/info/x", "/history/0/x", "/messages/0/x", "/x"] {
        let key = pointer.split('/').nth(1).unwrap();
        let file = json!({key: [{"x": deep.clone()}], "info": {}, "instance_id": "a"});
        let results = read_all(&file);
        assert!(results.iter().all(|result| result.is_err()), "{pointer}: {results:?}");
    }
    assert!(document("[".repeat(100_000).as_bytes(), 1 << 20).is_err());
    assert!(document(" ".repeat(100).as_bytes(), 99).unwrap_err().to_string().contains("more than 99 bytes"));
    assert!(document("\u{feff}{}\n".as_bytes(), 99).is_ok());
}

#[test]
fn counts_that_no_number_holds_are_the_largest_there_is() {
    let mut run = rows("foreign/r2e.jsonl").remove(0);
    for step in run["trajectory_steps"].as_array_mut().unwrap() {
        step["token_usage_prompt"] = i64::MAX.into();
        step["token_usage_completion"] = i64::MAX.into();
    }
    let step = run["trajectory_steps"][0].clone();
    run["trajectory_steps"].as_array_mut().unwrap().splice(0..0, [step.clone(), step]);
    let read = R2eRun::read(&run).unwrap().to_trajectory(0).unwrap().value;
    assert_eq!((read.usage.prompt_tokens, read.usage.completion_tokens), (usize::MAX, usize::MAX));
}

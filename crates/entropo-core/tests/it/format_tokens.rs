//! Rows of recorded tokens and of stored trajectories.

use entropo_core::format::{Format, Record, RowError, Side, export, of_trajectory, parse};
use entropo_core::{ActionSpan, DropReason, ExitReason, Segment, TraceError};
use serde_json::{Value, json};

use crate::make::rollout;

fn row(columns: Value) -> Value {
    let mut row = json!({"format": "entropo-tokens/1"});
    row.as_object_mut().unwrap().extend(columns.as_object().unwrap().clone());
    row
}

fn refusal(columns: Value) -> RowError {
    parse(&row(columns), Format::Auto).unwrap_err()
}

#[test]
fn actions_and_masks_say_the_same() {
    let spans = row(
        json!({"id": "a", "group": "g", "ids": [1, 2, 3, 4, 5], "actions": [[1, 2], [3, 5]], "logprobs": [-0.5, -1, 0]}),
    );
    let mask = row(
        json!({"id": "a", "group": "g", "ids": [1, 2, 3, 4, 5], "mask": [0, true, 0, 1, 1], "logprobs": [-0.5, -1, 0]}),
    );
    let read = parse(&spans, Format::Auto).unwrap();
    assert_eq!(parse(&mask, Format::Tokens).unwrap(), read);
    let action = |turn, start, end| ActionSpan { turn, start, end };
    let segment = Segment {
        ids: vec![1, 2, 3, 4, 5],
        actions: vec![action(0, 1, 2), action(1, 3, 5)],
        logprobs: vec![-0.5, -1.0, 0.0],
        messages: 0,
    };
    assert_eq!(read.record, Record::Demonstration(Side::Tokens(segment)));
    assert_eq!((read.id.as_deref(), read.group.as_deref()), (Some("a"), Some("g")));
    let labelled = parse(&row(json!({"ids": [1, 2], "mask": [0, 1], "label": false})), Format::Auto).unwrap();
    assert!(matches!(labelled.record, Record::Labelled { desirable: false, .. }));
}

#[test]
fn pairs_of_tokens_need_one_prompt_and_two_answers() {
    let side = |ids: Value| json!({"ids": ids, "actions": [[1, 2]]});
    let pair = |chosen, rejected| row(json!({"chosen": side(chosen), "rejected": side(rejected)}));
    let read = parse(&pair(json!([1, 2]), json!([1, 3])), Format::Auto).unwrap();
    assert!(matches!(read.record, Record::Preference { .. }));
    assert_eq!(parse(&pair(json!([1, 2]), json!([4, 3])), Format::Auto).unwrap_err(), RowError::PromptsDiffer);
    assert_eq!(parse(&pair(json!([1, 2]), json!([1, 2])), Format::Auto).unwrap_err(), RowError::EqualSides);
}

#[test]
fn tokens_that_are_no_trace_are_refused_with_their_place() {
    let cases = [
        (json!({"ids": [1, -1], "mask": [0, 1]}), "value", "ids[1] is -1"),
        (json!({"ids": [1, 4294967296_u64], "mask": [0, 1]}), "value", "ids[1] is 4294967296"),
        (json!({"ids": [1, 1.5], "mask": [0, 1]}), "value", "ids[1] is 1.5"),
        (json!({"ids": [1], "mask": [0, 1]}), "value", "mask is a list of 2"),
        (json!({"ids": [1], "mask": [2]}), "value", "mask[0] is 2"),
        (json!({"ids": [1], "mask": [0]}), "nothing_learned", "the row"),
        (json!({"ids": [1]}), "missing", "`actions, or mask`"),
        (json!({"ids": [1], "mask": [1], "actions": []}), "conflict", "`actions` and `mask`"),
        (json!({"ids": [1], "actions": [[0]]}), "type", "actions[0]"),
        (json!({"ids": [1], "actions": [[0, -1]]}), "value", "actions[0][1] is -1"),
        (json!({"ids": [1], "actions": [[0, 1]], "turns": [0, 1]}), "value", "turns is a list of 2"),
        (json!({"ids": [1], "actions": [[0, 1]], "logprobs": [1e300]}), "value", "logprobs[0] is 1e+300"),
        (json!({"chosen": {"ids": [1], "mask": [1]}, "rejected": {"ids": [-2]}}), "value", "rejected.ids[0] is -2"),
    ];
    for (columns, reason, words) in cases {
        let error = refusal(columns.clone());
        assert_eq!(error.reason(), reason, "{columns}: {error}");
        assert!(error.to_string().contains(words), "{columns}: {error}");
    }
    for actions in [json!([[0, 3]]), json!([[1, 1]]), json!([[1, 2], [0, 1]])] {
        assert_eq!(refusal(json!({"ids": [1, 2], "actions": actions})).reason(), "trace");
    }
    let RowError::Trace { source, .. } = refusal(json!({"ids": [1, 2], "mask": [1, 1], "logprobs": [0]})) else {
        panic!()
    };
    assert_eq!(source, TraceError::SegmentLogprobs { segment: 0, tokens: 2, logprobs: 1 });
    let newer = parse(&json!({"format": "entropo-tokens/2"}), Format::Auto).unwrap_err();
    assert_eq!(newer.reason(), "format_version");
}

#[test]
fn a_stored_rollout_is_a_labelled_row_of_its_task() {
    for (reward, desirable) in [(1.0, true), (0.0, false)] {
        let stored = rollout("a", 3, &[1, 2], &[5], reward);
        let row = parse(&serde_json::to_value(&stored).unwrap(), Format::Auto).unwrap();
        assert_eq!(row, of_trajectory(stored.clone()).unwrap());
        let side = Side::Tokens(stored.trace.segments()[0].clone());
        assert_eq!((row.id.as_deref(), row.group.as_deref()), (Some("a#3"), Some("a")));
        assert_eq!(row.record, Record::Labelled { side: side.clone(), desirable });
        assert_eq!(parse(&export::tokens(&row).unwrap(), Format::Auto).unwrap(), row);
        let demonstration = row.into_demonstration().map(|row| row.record);
        assert_eq!(demonstration, desirable.then_some(Record::Demonstration(side)));
    }
}

#[test]
fn rollouts_that_are_not_trained_on_are_refused_by_name() {
    let stored = |change: fn(&mut entropo_core::Trajectory)| {
        let mut stored = rollout("a", 0, &[1, 2], &[5], 1.0);
        change(&mut stored);
        parse(&serde_json::to_value(&stored).unwrap(), Format::Auto).unwrap_err()
    };
    let cases = [
        (stored(|one| one.exit = ExitReason::StepLimit), DropReason::Unfinished, "unfinished"),
        (stored(|one| one.outcome.reward = None), DropReason::Unjudged, "unjudged"),
        (stored(|one| one.trace = Default::default()), DropReason::NoTrace, "no_trace"),
        (
            stored(|one| one.trace.record(1, &[7], &[8], &[-1.0], 4).unwrap()),
            DropReason::SeveralSegments,
            "several_segments",
        ),
    ];
    for (error, reason, name) in cases {
        assert_eq!((error.reason(), error), (name, RowError::Trajectory(reason)));
    }
    let mut broken = serde_json::to_value(rollout("a", 0, &[1, 2], &[5], 1.0)).unwrap();
    broken["trace"]["segments"][0]["actions"][0]["end"] = json!(99);
    assert_eq!(parse(&broken, Format::Auto).unwrap_err().reason(), "trace");
    broken["exit"] = json!("bored");
    assert_eq!(parse(&broken, Format::Auto).unwrap_err().reason(), "malformed");
    broken["format"] = json!("entropo-trajectory/2");
    assert_eq!(parse(&broken, Format::Auto).unwrap_err().reason(), "format_version");
}

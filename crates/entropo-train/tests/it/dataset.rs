//! Files of rows to data sets: what is learned, what is dropped and why, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use entropo_train::data::{BadRows, DataConfig, DataError, Dataset, Example, Kind, Sequence, Source, TooLong};
use entropo_train::text::{ChatFormat, ChatTemplate, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// ChatML, with the tokenizer of the reference data.
pub(crate) fn chat() -> ChatFormat {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let file: Value = serde_json::from_slice(&fs::read(fixtures.join("templates/chatml.json")).unwrap()).unwrap();
    let checkpoint = fixtures.join(file["tokenizer"].as_str().unwrap());
    let tokenizer = Tokenizer::from_file(checkpoint.join("tokenizer.json")).unwrap();
    let template = file["template_without_generation"].as_str().unwrap();
    ChatFormat::new(tokenizer, ChatTemplate::new(template, [("eos_token", "<|im_end|>")]).unwrap())
}

struct Files {
    directory: TempDir,
    chat: ChatFormat,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), chat: chat() }
    }

    fn write(&self, name: &str, rows: &[Value]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        path
    }

    fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    fn open(&self, path: &Path, kind: Kind, config: DataConfig) -> Result<Dataset, DataError> {
        Dataset::of([path], kind).config(config).chat(&self.chat).context(2048).open(&self.cache())
    }

    fn read(&self, kind: Kind, rows: &[Value]) -> Dataset {
        self.open(&self.write("rows.jsonl", rows), kind, DataConfig::default()).unwrap()
    }

    /// What is learned of a sequence, action by action.
    fn learned(&self, sequence: &Sequence) -> Vec<String> {
        let positions: Vec<usize> = sequence.action_positions().collect();
        let runs = positions.chunk_by(|one, other| one + 1 == *other);
        let ids = runs.map(|run| run.iter().map(|&position| sequence.ids()[position]).collect::<Vec<_>>());
        ids.map(|ids| self.chat.tokenizer().decode(&ids, false).unwrap()).collect()
    }
}

fn examples(dataset: &Dataset) -> Vec<Example> {
    (0..dataset.len()).map(|index| dataset.get(index).unwrap().into_owned()).collect()
}

fn say(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

fn call(command: &str) -> Value {
    json!({"role": "assistant", "content": "", "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "bash", "arguments": {"command": command}}}]})
}

fn pair(prompt: &str, chosen: &str, rejected: &str) -> Value {
    json!({"prompt": [say("user", prompt)], "chosen": [say("assistant", chosen)], "rejected": [say("assistant", rejected)]})
}

fn tokens(ids: &[u32], actions: &[[usize; 2]]) -> Value {
    json!({"format": "entropo-tokens/1", "ids": ids, "actions": actions})
}

#[test]
fn every_assistant_turn_is_learned_and_nothing_else() {
    let files = Files::new();
    let rows = [json!({"messages": [
        say("system", "Be brief."), say("user", "Fix it."), say("assistant", "Look."), say("user", "<|im_end|> Yes?"),
        say("assistant", "Done."),
    ]})];
    let dataset = files.read(Kind::Demonstrations, &rows);
    let [Example::Demonstration(sequence)] = &examples(&dataset)[..] else { panic!("no demonstration") };
    assert_eq!(files.learned(sequence), ["Look.<|im_end|>", "Done.<|im_end|>"]);
    assert_eq!(dataset.report().action_tokens as usize, sequence.action_tokens());
}

#[test]
fn a_turn_may_be_left_out() {
    let files = Files::new();
    let mut wrong = say("assistant", "Oops.");
    wrong["weight"] = 0.into();
    let rows = [json!({"messages": [say("user", "Fix it."), wrong, say("user", "No."), say("assistant", "Done.")]})];
    let dataset = files.read(Kind::Demonstrations, &rows);
    let sequences: Vec<Example> = examples(&dataset);
    let learned = files.learned(sequences[0].sequences().next().unwrap());
    assert_eq!(learned, ["Done.<|im_end|>"]);
}

#[test]
fn both_sides_of_a_pair_share_their_prompt() {
    let files = Files::new();
    let rows = [json!({
        "prompt": [say("user", "Fix it."), say("assistant", "How?"), say("user", "Somehow.")],
        "chosen": [call("cat a.py"), say("tool", "x"), say("assistant", "Done.")],
        "rejected": [say("assistant", "No.")],
    })];
    let dataset = files.read(Kind::Pairs, &rows);
    let [Example::Preference { chosen, rejected }] = &examples(&dataset)[..] else { panic!("no pair") };
    let learned = files.learned(chosen);
    assert_eq!((learned.len(), learned[1].as_str()), (2, "Done.<|im_end|>"));
    assert!(learned[0].contains("cat a.py"), "{learned:?}");
    assert_eq!(files.learned(rejected), ["No.<|im_end|>"]);
    let prompt = chosen.action_positions().next().unwrap();
    assert_eq!(chosen.ids()[..prompt], rejected.ids()[..prompt]);
    // The same rows as labels: TRL's unpairing.
    let labels = files.read(Kind::Labels, &rows);
    let wanted: Vec<bool> =
        examples(&labels).iter().map(|example| matches!(example, Example::Labelled { desirable: true, .. })).collect();
    assert_eq!(wanted, [true, false]);
    assert_eq!(labels.report().labels, (1, 1));
}

#[test]
fn recorded_tokens_are_taken_as_they_are() {
    let files = Files::new();
    let path = files.write("rows.jsonl", &[tokens(&[5, 6, 7, 8, 9], &[[1, 2], [3, 5]]), tokens(&[5, 6, 7], &[[2, 3]])]);
    let dataset = Dataset::of([path], Kind::Demonstrations).open(&files.cache()).unwrap();
    let [Example::Demonstration(first), _] = &examples(&dataset)[..] else { panic!("no two") };
    assert_eq!(first.ids(), [5, 6, 7, 8, 9]);
    assert_eq!(first.action_positions().collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!((dataset.tokens(0), dataset.tokens(1), dataset.tokens(2)), (5, 3, 0));
    assert!(matches!(dataset.get(2), Err(DataError::Index { index: 2, examples: 2 })));
}

#[test]
fn what_is_dropped_is_counted_and_named() {
    let files = Files::new();
    let mut long = pair("Long.", &"word ".repeat(900), "No.");
    long["id"] = "the long one".into();
    let rows = [pair("Fix it.", "Yes.", "No."), pair("Same.", "Yes.", "Yes."), long, pair("Fix it.", "Yes.", "No.")];
    let config = DataConfig { max_tokens: Some(300), ..DataConfig::default() };
    let dataset = files.open(&files.write("rows.jsonl", &rows), Kind::Pairs, config).unwrap();
    let report = dataset.report();
    assert_eq!((report.rows, report.examples, report.dropped(), report.duplicates), (4, 2, 2, 1));
    insta::assert_snapshot!(report.to_string());
}

#[test]
fn nothing_left_is_an_error_with_the_report() {
    let files = Files::new();
    let error =
        files.open(&files.write("rows.jsonl", &[pair("Same.", "Yes.", "Yes.")]), Kind::Pairs, DataConfig::default());
    let error = error.unwrap_err();
    assert!(matches!(&error, DataError::Nothing(report) if report.rows == 1), "{error}");
    assert!(error.to_string().contains("equal_sides"), "{error}");
    assert_eq!(fs::read_dir(files.cache()).map(Iterator::count).unwrap_or(0), 0);
    let empty = files.open(&files.write("empty.jsonl", &[]), Kind::Pairs, DataConfig::default()).unwrap_err();
    assert!(matches!(&empty, DataError::Nothing(report) if report.rows == 0), "{empty}");
    assert!(matches!(Dataset::of([""; 0], Kind::Pairs).open(&files.cache()), Err(DataError::NoFiles)));
}

#[test]
fn a_row_that_is_none_is_refused_by_its_line_or_dropped() {
    let files = Files::new();
    let path = files.write("rows.jsonl", &[pair("Fix it.", "Yes.", "No."), json!({"text": 3})]);
    let mut text = fs::read_to_string(&path).unwrap();
    text += "{\"prompt\": \n";
    fs::write(&path, text).unwrap();
    let error = files.open(&path, Kind::Pairs, DataConfig::default()).unwrap_err();
    assert!(matches!(&error, DataError::Row { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("rows.jsonl, line 2") && error.to_string().contains("bad_rows"), "{error}");
    let config = DataConfig { bad_rows: BadRows::Drop, ..DataConfig::default() };
    let dataset = files.open(&path, Kind::Pairs, config).unwrap();
    assert_eq!((dataset.len(), dataset.report().dropped()), (1, 2));
    let missing = files.open(Path::new("/nowhere.jsonl"), Kind::Pairs, DataConfig::default()).unwrap_err();
    assert!(matches!(&missing, DataError::Read { .. }) && missing.to_string().contains("/nowhere.jsonl"), "{missing}");
}

#[test]
fn a_sequence_that_is_too_long_loses_whole_turns() {
    let files = Files::new();
    let rows = [json!({"messages": [
        say("user", "Fix it."), say("assistant", "One."), say("user", &"word ".repeat(40)), say("assistant", "Two."),
        say("user", "And?"), say("assistant", &"word ".repeat(400)),
    ]})];
    let config = DataConfig { max_tokens: Some(400), too_long: TooLong::Cut, ..DataConfig::default() };
    let dataset = files.open(&files.write("rows.jsonl", &rows), Kind::Demonstrations, config).unwrap();
    let all = examples(&dataset);
    let sequence = all[0].sequences().next().unwrap();
    assert_eq!(files.learned(sequence), ["One.<|im_end|>", "Two.<|im_end|>"]);
    assert_eq!((dataset.report().cut, dataset.report().cut_turns), (1, 1));
}

#[test]
fn a_cache_is_found_again_and_a_damaged_or_other_one_is_not_used() {
    let files = Files::new();
    let rows = [pair("Fix it.", "Yes.", "No."), pair("Try.", "Ja.", "Nein.")];
    let path = files.write("rows.jsonl", &rows);
    let open = |config| files.open(&path, Kind::Pairs, config).unwrap();
    let first = open(DataConfig::default());
    let directory = files.cache().join(first.key());
    let made = fs::metadata(directory.join("tokens.bin")).unwrap().modified().unwrap();
    let again = open(DataConfig::default());
    assert_eq!((examples(&first), first.report()), (examples(&again), again.report()));
    assert_eq!(fs::metadata(directory.join("tokens.bin")).unwrap().modified().unwrap(), made);
    // Other settings, rows or kinds have other keys.
    let other = open(DataConfig { max_tokens: Some(100), ..DataConfig::default() });
    files.write("rows.jsonl", &rows[..1]);
    let fewer = open(DataConfig::default());
    assert!(first.key() != other.key() && first.key() != fewer.key());
    files.write("rows.jsonl", &rows);
    drop((first, again));
    for (name, damage) in
        [("tokens.bin", "tokens"), ("examples.jsonl", "examples.jsonl"), ("manifest.json", "manifest")]
    {
        let path = directory.join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error =
            files.open(&files.directory.path().join("rows.jsonl"), Kind::Pairs, DataConfig::default()).unwrap_err();
        assert!(matches!(&error, DataError::Cache { .. }) && error.to_string().contains(damage), "{error}");
        fs::write(&path, whole).unwrap();
    }
    let manifest = fs::read_to_string(directory.join("manifest.json")).unwrap();
    fs::write(directory.join("manifest.json"), manifest.replace("entropo-dataset/1", "entropo-dataset/0")).unwrap();
    let error = files.open(&path, Kind::Pairs, DataConfig::default()).unwrap_err();
    assert!(error.to_string().contains("entropo-dataset/0") && error.to_string().contains("delete"), "{error}");
}

#[test]
fn a_verifier_is_asked_about_every_attempt() {
    let files = Files::new();
    let attempt = |label: bool, observation: &str| {
        json!({"prompt": [say("user", "Fix it.")], "label": label, "completion":
            [call("cat a.py"), say("tool", observation), say("assistant", "Done.")]})
    };
    let rows = [attempt(true, "x"), attempt(false, &"word ".repeat(600))];
    let config = DataConfig { max_tokens: Some(400), ..DataConfig::default() };
    let dataset = files.open(&files.write("rows.jsonl", &rows), Kind::Judgements, config).unwrap();
    let answers: Vec<_> = examples(&dataset)
        .iter()
        .map(|example| example.sequences().flat_map(|sequence| files.learned(sequence)).collect::<Vec<_>>())
        .collect();
    assert_eq!(answers, [["YES<|im_end|>", "NO<|im_end|>"], ["NO<|im_end|>", "YES<|im_end|>"]]);
    let all = examples(&dataset);
    let text = |index: usize| {
        let sequence = all[index].sequences().next().unwrap();
        files.chat.tokenizer().decode(sequence.ids(), false).unwrap()
    };
    assert!(text(0).contains("cat a.py") && text(0).contains("hidden tests"), "{}", text(0));
    assert!(
        text(1).contains("[omitted") && text(1).contains("Fix it.") && !text(1).contains("word word"),
        "{}",
        text(1)
    );
    // One conversation with one more turn is what the template writes itself.
    let messages = [say("user", "Fix it."), call("cat a.py"), say("tool", "x"), say("assistant", "Done.")];
    let question = say("user", &DataConfig::default().question.text);
    let whole = messages.into_iter().chain([question, say("assistant", "YES")]).collect();
    let whole = entropo_train::text::Conversation::from_values(whole, vec![]);
    let encoded = files.chat.encode(&whole, entropo_train::text::SpecialText::Escape).unwrap();
    let sequence = all[0].sequences().next().unwrap();
    assert_eq!(sequence.ids(), &encoded.ids[..sequence.ids().len()]);
}

#[test]
fn examples_of_a_group_are_on_one_side() {
    let files = Files::new();
    let rows: Vec<Value> =
        (0..40).map(|index| pair(&format!("Task {}.", index / 2), &format!("Yes {index}."), "No.")).collect();
    let dataset = files.read(Kind::Pairs, &rows);
    let [train, held_out] = dataset.split(0.2, 1);
    assert_eq!((train.len(), held_out.len()), (32, 8));
    let prompt = |example: &Example| {
        let sequence = example.sequences().next().unwrap();
        sequence.ids()[..sequence.action_positions().next().unwrap()].to_vec()
    };
    let known: Vec<Vec<u32>> = examples(&train).iter().map(prompt).collect();
    assert!(examples(&held_out).iter().all(|example| !known.contains(&prompt(example))));
    assert_eq!(examples(&dataset.split(0.2, 1)[1]), examples(&held_out));
    assert_ne!(examples(&dataset.split(0.2, 2)[1]), examples(&held_out));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What goes in as tokens comes out as it was, whatever the rows.
    #[test]
    fn tokens_survive(sequences in prop::collection::vec(prop::collection::vec((0u32..1 << 31, any::<bool>()), 2..20), 1..6)) {
        let files = Files::new();
        let wanted: Vec<&Vec<(u32, bool)>> =
            sequences.iter().filter(|tokens| tokens.iter().skip(1).any(|(_, action)| *action)).collect();
        prop_assume!(!wanted.is_empty());
        let rows: Vec<Value> = sequences
            .iter()
            .map(|tokens| {
                let (ids, mask): (Vec<u32>, Vec<u8>) = tokens.iter().map(|(id, action)| (*id, u8::from(*action))).unzip();
                json!({"format": "entropo-tokens/1", "ids": ids, "mask": mask})
            })
            .collect();
        let config = DataConfig { bad_rows: BadRows::Drop, ..DataConfig::default() };
        let path = files.write("rows.jsonl", &rows);
        let dataset = Dataset::of([path], Kind::Demonstrations).config(config).open(&files.cache()).unwrap();
        prop_assert_eq!(dataset.len(), wanted.len());
        for (example, tokens) in examples(&dataset).iter().zip(wanted) {
            let sequence = example.sequences().next().unwrap();
            let end = tokens.iter().rposition(|(_, action)| *action).unwrap() + 1;
            let ids: Vec<u32> = tokens[..end].iter().map(|(id, _)| *id).collect();
            prop_assert_eq!(sequence.ids(), ids);
            let actions: Vec<usize> = (1..end).filter(|&position| tokens[position].1).collect();
            prop_assert_eq!(sequence.action_positions().collect::<Vec<_>>(), actions);
        }
    }
}

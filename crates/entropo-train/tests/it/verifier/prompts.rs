//! Prompts as tokens: where the answer is, what is learned, and what had to go.

use std::path::Path;
use std::sync::Arc;

use entropo_agent::verifier::{Answer, JudgePrompt, MissingScore};
use entropo_core::format::export;
use entropo_train::data::{Dataset, Example, Kind, Sequence, Source};
use entropo_train::text::{ChatFormat, ChatTemplate, Conversation, Tokenizer};
use entropo_train::verifier::{Balance, Judging, JudgingError, Learned, judgements};

use super::{attempt, judging, prompt};
use crate::dataset::chat;

/// The prompt and what is learned, in words.
fn told(chat: &ChatFormat, sequence: &Sequence) -> [String; 2] {
    let learned: Vec<usize> = sequence.action_positions().collect();
    let start = learned[0];
    assert_eq!(learned, (start..sequence.ids().len()).collect::<Vec<_>>(), "one stretch, at the end");
    [&sequence.ids()[..start], &sequence.ids()[start..]].map(|ids| chat.tokenizer().decode(ids, false).unwrap())
}

#[test]
fn the_mask_covers_exactly_the_judgement() {
    let attempt = attempt("a", 0, &["x.py"], "+x\n");
    for (prompt, before) in [
        (JudgePrompt::default(), "<|im_start|>assistant\n"),
        (JudgePrompt::tagged(), "<|im_start|>assistant\n<judgement>"),
    ] {
        let judging = judging(prompt, 4096);
        let judged = judging.read(&attempt).unwrap();
        for (answer, word) in [(Answer::Affirmative, "YES"), (Answer::Negative, "NO")] {
            let sequence = judging.answered(&judged, answer).unwrap();
            let [shown, learned] = told(&chat(), &sequence);
            assert_eq!(learned, word, "this tokenizer writes it in several tokens");
            assert!(shown.ends_with(before) && shown.contains("[PATCH]\n+x\n"), "{shown}");
        }
    }
}

/// Qwen3's template writes an empty thought before the answer.
#[test]
fn the_place_is_found_behind_what_a_template_puts_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(here.join("tests/it/text/templates/qwen3.jinja")).unwrap();
    let tokenizer = here.join("../../tests/fixtures/models/qwen3/checkpoint/tokenizer.json");
    let template = ChatTemplate::new(&source, [("eos_token", "<|im_end|>")]).unwrap();
    let chat = Arc::new(ChatFormat::new(Tokenizer::from_file(tokenizer).unwrap(), template));
    let judging = Judging::new(Arc::clone(&chat), prompt(), 4096).unwrap();
    let judged = judging.read(&attempt("a", 0, &["x.py"], "+x\n")).unwrap();
    let [shown, learned] = told(&chat, &judging.answered(&judged, Answer::Negative).unwrap());
    assert!(shown.ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n"), "{shown}");
    assert_eq!(learned, "option");
}

#[test]
fn tokens_that_speak_are_the_words_whatever_their_blanks() {
    let judging = judging(prompt(), 4096);
    let chat = chat();
    let spoken = judging.spoken().iter().map(|(answer, id)| (*answer, chat.tokenizer().token(*id).unwrap()));
    let mut spoken: Vec<_> = spoken.collect();
    spoken.sort();
    let expected = [
        (Answer::Affirmative, "action"),
        (Answer::Affirmative, "Ġaction"),
        (Answer::Negative, "option"),
        (Answer::Negative, "Ġoption"),
    ];
    assert_eq!(spoken, expected.map(|(answer, token)| (answer, token.to_owned())));
}

#[test]
fn a_prompt_that_is_too_long_loses_its_oldest_answers() {
    let (old, new) = ("old line\n".repeat(30), "new line\n".repeat(5));
    let long = attempt("a", 0, &[&old, &new], "+x\n");
    let whole = judging(prompt(), 4096).read(&long).unwrap();
    assert_eq!(whole.condensed.turns, 0);
    let budget = whole.ids.len(); // one too few with the answer
    let judged = judging(prompt(), budget).read(&long).unwrap();
    assert_eq!((judged.condensed.turns, judged.condensed.bytes), (1, old.trim_end().len()));
    let text = chat().tokenizer().decode(&judged.ids, false).unwrap();
    assert!(text.contains("[TOOL]\n[omitted]\n") && text.contains(&new) && !text.contains("old"), "{text}");
    assert!(judged.ids.len() < budget);
    // What is counted is what the model will read.
    let prompt_only =
        Conversation::new(&prompt().ask(&long, 0, |_| Ok(0)).unwrap().messages, &[]).with_generation_prompt(true);
    assert_eq!(chat().prompt_ids(&prompt_only).unwrap(), whole.ids);
    let error = judging(prompt(), 60).read(&long).unwrap_err();
    assert!(matches!(error, MissingScore::TooLong { budget: 59, .. }), "{error}");
}

/// A head judges the same whatever its prompts may cost and however sure the words would have to be.
#[test]
fn the_fingerprint_is_of_what_a_model_reads() {
    let of = |prompt, budget| judging(prompt, budget).fingerprint();
    let plain = of(prompt(), 512);
    assert_eq!(of(prompt(), 4096), plain);
    assert_eq!(of(JudgePrompt { least_mass: 0.5, ..prompt() }, 512), plain);
    assert_ne!(of(JudgePrompt { question: "Well?".to_owned(), ..prompt() }, 512), plain);
    assert_ne!(of(JudgePrompt { keep_turns: 1, ..prompt() }, 512), plain);
}

#[test]
fn answers_that_the_tokenizer_cannot_tell_apart_are_refused() {
    let error = |prompt, budget| Judging::new(Arc::new(chat()), prompt, budget).unwrap_err();
    assert!(matches!(error(prompt(), 1), JudgingError::Budget { budget: 1, reply: 1 }));
    let empty = JudgePrompt { negative: " ".to_owned(), ..prompt() };
    assert!(matches!(error(empty, 4096), JudgingError::Prompt(_)));
}

#[test]
fn examples_are_balanced_and_what_cannot_be_shown_is_named() {
    let mut attempts: Vec<_> = (0..6).map(|number| attempt("a", number, &["x"], &format!("+{number}\n"))).collect();
    for (number, attempt) in attempts.iter_mut().enumerate() {
        attempt.outcome.reward = Some(f64::from(u8::from(number < 2)));
    }
    let judging = judging(prompt(), 4096);
    let make = |learned| judgements(&judging, &Balance::default(), &attempts, learned).unwrap();
    let made = make(Learned::Right);
    let words = made.examples.iter().map(|example| match example {
        Example::Demonstration(sequence) => told(&chat(), sequence)[1].clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(words.collect::<Vec<_>>(), ["action", "option", "action", "option"]);
    assert_eq!((made.report.attempts, made.report.balance.surplus, made.report.dropped.len()), (4, 2, 0));
    assert_eq!(make(Learned::Right), made, "it repeats");
    let solved: Vec<bool> = made.rollouts.iter().map(|rollout| rollout.rollout < 2).collect();
    assert_eq!(solved, [true, false, true, false]);
    for example in make(Learned::RightOverWrong).examples.iter().take(2) {
        let Example::Preference { chosen, rejected } = example else { panic!("{example:?}") };
        let [[shown, right], [same, wrong]] = [chosen, rejected].map(|sequence| told(&chat(), sequence));
        assert_eq!(shown, same);
        assert!(right != wrong);
    }
    // An attempt that cannot be shown takes its counterpart along.
    for attempt in attempts.iter_mut().filter(|attempt| attempt.id.rollout == 0) {
        attempt.outcome.patch = "+ long\n".repeat(4000);
    }
    let made = judgements(&judging, &Balance::default(), &attempts, Learned::Right).unwrap();
    assert_eq!((made.examples.len(), made.report.attempts), (2, 2));
    let [(rollout, reason)] = &made.report.dropped[..] else { panic!("{:?}", made.report.dropped) };
    assert!(rollout.rollout == 0 && reason.contains("are allowed"), "{reason}");
}

/// What is written for other runs is read as what was made.
#[test]
fn rows_are_read_back_as_the_examples() {
    let attempts: Vec<_> = (0..8)
        .map(|number| {
            let mut attempt = attempt(["a", "b"][number % 2], number, &["x"], &format!("+{number}\n"));
            attempt.outcome.reward = Some(f64::from(u8::from(number < 4)));
            attempt
        })
        .collect();
    let made = judgements(&judging(prompt(), 4096), &Balance::default(), &attempts, Learned::Right).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("judgements.jsonl");
    let lines = made.rows().map(|row| format!("{}\n", export::tokens(&row).unwrap())).collect::<String>();
    std::fs::write(&file, lines).unwrap();
    let read = Dataset::of([&file], Kind::Demonstrations).context(4096).open(&directory.path().join("cache")).unwrap();
    assert_eq!((read.len(), read.report().action_tokens), (8, 8));
    for (index, example) in made.examples.iter().enumerate() {
        let [read, made] =
            [&read.get(index).unwrap(), example].map(|example| example.sequences().next().unwrap().clone());
        assert_eq!((read.ids(), positions(&read)), (made.ids(), positions(&made)));
    }
    let [train, held_out] = read.split(0.5, 1);
    assert_eq!((train.len(), held_out.len()), (4, 4), "by tasks");
}

fn positions(sequence: &Sequence) -> Vec<usize> {
    sequence.action_positions().collect()
}

//! One model judges twice: in this process, and as a server that tells its likeliest tokens.

use std::path::Path;
use std::sync::Arc;

use entropo::agent::model::ChatRequest;
use entropo::agent::model::http::Connection;
use entropo::agent::model::openai::{ListedToken, OpenAi};
use entropo::agent::verifier::{JudgePrompt, Judgement, ServedVerifier};
use entropo::agent::{CancellationToken, Sampling};
use entropo::core::{ExitReason, Message, RolloutId, TokenTrace, Trajectory};
use entropo::train::burn::tensor::Device;
use entropo::train::checkpoint;
use entropo::train::text::ChatFormat;
use entropo::train::verifier::{Judging, LocalVerifier};

use super::served::{RANDOM, Served};

const BUDGET: usize = 400;

fn attempt(number: usize) -> Trajectory {
    let mut attempt = Trajectory::empty(RolloutId::new("task", number), "m", 0, ExitReason::Agent);
    attempt.messages.push(Message::user(format!("Make {number} of it.")));
    attempt.messages.push(Message::assistant("Done."));
    attempt.outcome.patch = "--- a/x\n+++ b/x\n".to_owned();
    attempt
}

/// Two words for answers, such that all tokens that speak for them are among those that the server lists.
fn words(format: &Arc<ChatFormat>, prompt: &JudgePrompt, listed: &ListedToken) -> Option<Arc<Judging>> {
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric());
    let known = |text: &str| listed.alternatives.iter().any(|(other, _)| other == text);
    let words = || listed.alternatives.iter().map(|(text, _)| text.trim()).filter(|text| is_word(text));
    let pairs = words().flat_map(|one| words().map(move |other| (one, other)));
    pairs.into_iter().find_map(|(one, other)| {
        let prompt = JudgePrompt { affirmative: one.to_owned(), negative: other.to_owned(), ..prompt.clone() };
        let judging = Judging::new(Arc::clone(format), prompt, BUDGET).ok()?;
        let tokenizer = format.tokenizer();
        let all = judging.spoken().iter().all(|(_, id)| tokenizer.decode_known(&[*id]).is_ok_and(|text| known(&text)));
        all.then(|| Arc::new(judging))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_judges_the_same_here_and_behind_a_server() {
    let served = Served::new(RANDOM).await;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(RANDOM);
    let format = Arc::new(ChatFormat::from_dir(&directory).unwrap());
    let decoder = checkpoint::load(&directory, &Device::default()).unwrap();
    let model = OpenAi::new(Connection::new(format!("http://{}/v1", served.address)), "tiny").unwrap();
    let prompt =
        JudgePrompt { system: String::new(), question: "?".to_owned(), least_mass: 0.0, ..JudgePrompt::default() };
    let (sampling, cancel) =
        (Sampling { temperature: 0.0, max_tokens: 1, ..Sampling::default() }, CancellationToken::new());
    let mut compared = 0;
    for number in 0..40 {
        let attempt = attempt(number);
        let asked = prompt.ask(&attempt, BUDGET, |_| Ok(0)).unwrap();
        let request = ChatRequest {
            messages: &asked.messages,
            tools: &[],
            trace: &TokenTrace::default(),
            sampling: &sampling,
            turn: 0,
            seed: 0,
            cancel: &cancel,
        };
        let listed = model.listed(request, 20).await.unwrap();
        let Some(first) = listed.first().filter(|token| !token.text.trim().is_empty()) else { continue };
        let Some(judging) = words(&format, &prompt, first) else { continue };
        let here: Judgement = LocalVerifier::new(&decoder, &judging).score(&[&attempt]).remove(0).judgement.unwrap();
        let there = ServedVerifier::new(model.clone(), judging.prompt().clone(), BUDGET).unwrap();
        let there = there.judge(&attempt, &cancel).await.unwrap();
        assert!((here.logit() - there.logit()).abs() < 1e-3, "{here:?} {there:?}");
        assert!((here.mass() - there.mass()).abs() < 1e-4, "{here:?} {there:?}");
        assert!(here.logit().abs() > 1e-3, "words that are equally likely tell nothing");
        compared += 1;
    }
    assert!(compared >= 3, "only {compared} attempts could be compared");
}

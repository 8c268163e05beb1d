//! The engine against the decoder, and against itself with other settings and neighbours.

use entropo_train::adapter::Adapter;
use entropo_train::decoder::Decoder;
use entropo_train::generate::{EngineConfig, GenerateRequest};

use super::{again, all, alone, bits, cache_bytes, decoders, engine, likeliest, plain, prompt, request, trained_on};
use crate::adapter::{everything, learned};
use crate::support::assert_all_within;

/// Lengths below, at and above the kernels' blocks of 4 rows and 16 positions.
const LENGTHS: [usize; 7] = [1, 2, 5, 16, 17, 33, 50];

/// Alone and beside prompts of other lengths, in one piece and in several: always the plain loop's tokens.
pub(super) async fn check_greedy(name: &str, decoder: &Decoder) {
    let prompts: Vec<_> =
        LENGTHS.iter().enumerate().map(|(seed, &tokens)| prompt(decoder, tokens, seed as u64)).collect();
    let requests = || prompts.iter().map(|prompt| request(prompt, 0.0, 12, 0)).collect::<Vec<_>>();
    let mut expected = Vec::new();
    for (prompt, request) in prompts.iter().zip(requests()) {
        let tokens = likeliest(decoder, prompt, 12);
        let generated = alone(decoder, request).await;
        assert_eq!(generated.completion, tokens, "{name}: a prompt of {} tokens", prompt.len());
        expected.push(bits(&generated));
    }
    for prefill in [3, 1024] {
        let together = engine(decoder, EngineConfig { batch: 32, prefill, ..plain() });
        let answers = all(&together, requests()).await;
        let answers: Vec<_> = answers.iter().map(|answer| bits(answer.as_ref().unwrap())).collect();
        assert_eq!(answers, expected, "{name}: together, {prefill} tokens at a time");
    }
}

#[tokio::test]
async fn an_adapter_takes_part() {
    for (index, base) in decoders().into_iter().enumerate() {
        let adapter = Adapter::new(&everything(&base), &base, 1).unwrap();
        let adapted = base.with_adapter(&learned(&adapter, &base, 1)).unwrap();
        check_greedy(&format!("decoder {index} with an adapter"), &adapted).await;
    }
}

/// Requests that share beginnings and follow each other, as rollouts of one task do.
fn rollouts(decoder: &Decoder) -> Vec<GenerateRequest> {
    let task = prompt(decoder, 30, 7);
    let branch = |kept: usize, seed: u64| [&task[..kept], &prompt(decoder, 6, seed)].concat();
    let prompts = [task.clone(), task.clone(), branch(30, 8), branch(21, 9), branch(10, 10), prompt(decoder, 3, 11)];
    let requests = prompts.iter().enumerate();
    requests.map(|(seed, prompt)| request(prompt, [1.0, 0.7][seed % 2], 6 + seed % 3, seed as u64)).collect()
}

/// The same requests, each continued by an observation after what it sampled.
fn next_turns(requests: &[GenerateRequest], completions: &[Vec<u32>]) -> Vec<GenerateRequest> {
    let next = |(request, completion): (&GenerateRequest, &Vec<u32>)| GenerateRequest {
        prompt: [&request.prompt[..], completion, &[1, 2, 3]].concat(),
        seed: request.seed + 100,
        ..again(request)
    };
    requests.iter().zip(completions).map(next).collect()
}

/// Two turns of every rollout, the first one asked for twice.
pub(super) async fn check_settings(name: &str, decoder: &Decoder) {
    let mut expected = Vec::new();
    let first = rollouts(decoder);
    for request in &first {
        expected.push(bits(&alone(decoder, again(request)).await));
    }
    let sampled: Vec<_> = expected.iter().map(|(tokens, _)| tokens.clone()).collect();
    let second = next_turns(&first, &sampled);
    let mut expected_next = Vec::new();
    for request in &second {
        expected_next.push(bits(&alone(decoder, again(request)).await));
    }
    for config in settings(decoder) {
        let engine = engine(decoder, config.clone());
        for (requests, expected) in [(&first, &expected), (&first, &expected), (&second, &expected_next)] {
            for (index, answer) in all(&engine, requests.iter().map(again).collect()).await.into_iter().enumerate() {
                assert_eq!(bits(&answer.unwrap()), expected[index], "{name}: request {index} with {config:?}");
            }
        }
    }
}

/// Threads, batches, lengths of a step's prompt, and caches: one that keeps everything, and one in which requests wait for
/// each other and little is kept.
fn settings(decoder: &Decoder) -> impl Iterator<Item = EngineConfig> {
    let token = cache_bytes(decoder, 1);
    let grid = [1, 2].into_iter().flat_map(|threads| [1, 3, 32].map(|batch| (threads, batch)));
    let grid = grid.flat_map(|place| [1, 7, 128].map(|prefill| (place, prefill)));
    grid.flat_map(move |((threads, batch), prefill)| {
        [5, 9, 1 << 12].map(|blocks| EngineConfig { threads, batch, prefill, cache_bytes: blocks * token })
    })
}

/// What sampling reports is what training computes.
pub(super) async fn check_logprobs(name: &str, decoder: &Decoder) {
    for (seed, temperature) in [(0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0)] {
        let prompt = prompt(decoder, 9 * seed as usize + 1, seed);
        let generated = alone(decoder, request(&prompt, temperature, 20, seed)).await;
        assert_eq!(generated.completion.len(), 20);
        let computed = trained_on(decoder, &prompt, &generated.completion);
        assert_all_within(&format!("{name} at {temperature}"), &generated.logprobs, &computed, 1e-4);
    }
}

#[tokio::test]
async fn greedy_generation_is_the_plain_loop() {
    for decoder in decoders() {
        check_greedy(&format!("{:?}", decoder.config()), &decoder).await;
    }
}

#[tokio::test]
async fn no_setting_and_no_neighbour_changes_a_bit() {
    for decoder in decoders() {
        check_settings(&format!("{:?}", decoder.config()), &decoder).await;
    }
}

#[tokio::test]
async fn sampled_logprobs_are_those_that_training_computes() {
    for decoder in decoders() {
        check_logprobs(&format!("{:?}", decoder.config()), &decoder).await;
    }
}

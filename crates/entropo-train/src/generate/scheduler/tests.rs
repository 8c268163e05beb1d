//! The three rules of the scheduler, over random workloads and by counting.

use std::collections::BTreeSet;

use entropo_agent::{CancellationToken, Sampling, StopReason};
use futures::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::generate::fake::{Fake, VOCABULARY, logits};
use crate::generate::request::GenerateRequest;
use crate::generate::sampler::Sampler;
use crate::generate::stream::TokenStream;

const CONTEXT: usize = 4000;

fn limits(blocks: usize, batch: usize, prefill: usize) -> Limits {
    // A block of one byte: bytes are blocks.
    Limits { context: CONTEXT, vocabulary: VOCABULARY, block_bytes: 1, cache_bytes: blocks, batch, prefill }
}

fn request(prompt: &[u32], max_tokens: usize, seed: u64) -> GenerateRequest {
    let sampling = Sampling { max_tokens, ..Sampling::default() };
    GenerateRequest { prompt: prompt.to_vec(), sampling, seed, ..GenerateRequest::default() }
}

fn prompt(tokens: usize, seed: u64) -> Vec<u32> {
    (0..tokens as u64).map(|at| ((at * at * 7 + at * seed + seed) % VOCABULARY as u64) as u32).collect()
}

/// What a request gives if it is the only one ever.
fn alone(request: &GenerateRequest) -> Vec<u32> {
    let mut sampler = Sampler::new(request);
    let mut tokens = request.prompt.clone();
    for _ in 0..request.sampling.max_tokens {
        tokens.push(sampler.sample(&logits(&tokens)).unwrap().id);
    }
    tokens.split_off(request.prompt.len())
}

struct Asked {
    expected: Vec<u32>,
    cancel: CancellationToken,
    stream: TokenStream,
}

/// A scheduler whose bounds are checked at every step.
struct Checked {
    scheduler: Scheduler,
    fake: Fake,
}

impl Checked {
    fn new(limits: Limits) -> Self {
        Self { scheduler: Scheduler::new(limits, Arc::default()), fake: Fake::new() }
    }

    fn ask(&mut self, request: GenerateRequest) -> Asked {
        let (expected, cancel) = (alone(&request), request.cancel.clone());
        self.scheduler.limits.check(&request).unwrap();
        let (reply, stream) = TokenStream::new(cancel.clone());
        self.scheduler.submit(Sequence::new(request, &self.scheduler.limits, reply));
        Asked { expected, cancel, stream }
    }

    fn step(&mut self) {
        let (scheduler, fake) = (&mut self.scheduler, &mut self.fake);
        let before = fake.rows;
        scheduler.step(&mut |work| fake.forward(work));
        let limits = &scheduler.limits;
        assert!(fake.rows - before <= limits.prefill + limits.batch);
        let held = scheduler.prefixes.blocks().chain(scheduler.running.iter().flat_map(|one| one.cache.blocks()));
        let held = held.map(Arc::as_ptr).collect::<BTreeSet<_>>().len();
        let stats = scheduler.stats;
        assert!(held <= stats.cache_bytes && stats.cache_bytes <= stats.peak_cache_bytes, "{held} {stats:?}");
        assert!(
            stats.peak_cache_bytes <= limits.cache_bytes && stats.reserved_bytes <= limits.cache_bytes,
            "{stats:?}"
        );
        assert!(scheduler.running.len() <= limits.batch);
    }

    /// Steps until nothing is left to do.
    fn finish(&mut self) {
        for _ in 0..100_000 {
            if !self.scheduler.has_work() {
                assert_eq!(self.scheduler.prefixes.in_use(), 0);
                return;
            }
            self.step();
        }
        panic!("it goes on for ever");
    }
}

/// The tokens of a reply that is over, and how it ended.
fn reply(asked: &mut Asked) -> Result<(Vec<u32>, Ending), EngineError> {
    let mut tokens = Vec::new();
    loop {
        match asked.stream.next().now_or_never().expect("the reply is not over").expect("there is an end")? {
            Streamed::Token(token) => tokens.push(token.id),
            Streamed::End(ending) => return Ok((tokens, ending)),
        }
    }
}

/// Fails unless all replies are what each request gives alone; returns what their prompts cost, computed and reused.
fn check(asked: &mut [Asked]) -> Vec<(usize, usize)> {
    let check = |asked: &mut Asked| {
        let (tokens, ending) = reply(asked).unwrap();
        assert_eq!(tokens, asked.expected);
        assert_eq!(ending.prefilled + ending.reused, ending.prompt);
        (ending.prefilled, ending.reused)
    };
    asked.iter_mut().map(check).collect()
}

#[test]
fn a_common_prompt_is_computed_once() {
    for prefill in [7, 16, 111, 128, 499, 1000, 5000] {
        for late in [0, 3] {
            let mut checked = Checked::new(limits(2000, 16, prefill));
            let task = prompt(1000, 3);
            let mut asked = Vec::new();
            for seed in 0..16 {
                asked.push(checked.ask(request(&task, 40, seed)));
                (0..late).for_each(|_| checked.step());
            }
            checked.finish();
            let costs = check(&mut asked);
            assert_eq!(costs[0], (1000, 0));
            assert!(costs[1..].iter().all(|&cost| cost == (1, 999)), "{prefill} {late}: {costs:?}");
            let stats = checked.scheduler.stats;
            assert_eq!((stats.prefilled, stats.reused, stats.sampled), (1015, 15 * 999, 16 * 40));
            assert_eq!(checked.fake.rows, 1015 + 16 * 39);
        }
    }
}

#[test]
fn a_turn_computes_its_new_tokens_only() {
    let mut checked = Checked::new(limits(500, 4, 64));
    let mut context = prompt(77, 1);
    let mut known = 0;
    for turn in 0..12 {
        let mut asked = [checked.ask(request(&context, 21, turn))];
        checked.finish();
        assert_eq!(check(&mut asked), [(context.len() - known, known)]);
        known = context.len() + 20; // the last token that was sampled is not read yet
        context.extend(&asked[0].expected);
        context.extend(prompt(9, turn));
        // Each turn continues the block where the last one ended; nothing is kept twice.
        assert_eq!(checked.scheduler.prefixes.len(), known.div_ceil(BLOCK));
    }
}

#[test]
fn what_does_not_fit_waits_in_its_order() {
    let mut checked = Checked::new(limits(10, 8, 64));
    let mut asked: Vec<_> = (0..4).map(|seed| checked.ask(request(&prompt(40, seed), 25, seed))).collect();
    checked.step();
    let stats = checked.scheduler.stats; // 64 tokens are read at worst: 4 blocks
    assert_eq!((stats.running, stats.waiting, stats.reserved_bytes), (2, 2, 8));
    let mut small = checked.ask(request(&[1], 2, 9));
    checked.step();
    assert_eq!(checked.scheduler.stats.waiting, 3, "nobody overtakes");
    checked.finish();
    check(&mut asked);
    check(std::slice::from_mut(&mut small));
}

#[test]
fn whoever_goes_frees_what_was_kept_for_it() {
    let mut checked = Checked::new(limits(10, 8, 64));
    let mut cancelled = checked.ask(request(&prompt(40, 1), 100, 1));
    let mut next = checked.ask(request(&prompt(40, 2), 100, 2));
    checked.step();
    assert_eq!((checked.scheduler.stats.running, checked.scheduler.stats.reserved_bytes), (1, 9));
    cancelled.cancel.cancel();
    checked.step();
    assert_eq!(reply(&mut cancelled), Err(EngineError::Cancelled));
    assert_eq!((checked.scheduler.stats.running, checked.scheduler.stats.waiting), (1, 0));
    let dropped = checked.ask(request(&prompt(40, 3), 100, 3));
    drop(dropped);
    checked.finish();
    check(std::slice::from_mut(&mut next));
    assert_eq!(checked.scheduler.stats.reserved_bytes, 0);
}

#[test]
fn the_oldest_context_goes_first() {
    let mut checked = Checked::new(limits(13, 1, 64)); // one to copy a common block to
    let contexts: Vec<_> = (0..3).map(|seed| prompt(64, seed)).collect();
    let mut ask = |index: usize| {
        let mut asked = [checked.ask(request(&contexts[index], 1, 0))];
        checked.finish();
        check(&mut asked)[0].1
    };
    assert_eq!([ask(0), ask(1), ask(2)], [0, 0, 0]);
    assert_eq!([ask(0), ask(1), ask(2), ask(1), ask(0)], [63; 5]);
    let mut other = [checked.ask(request(&prompt(48, 7), 1, 0))]; // in the place of 2, the oldest
    checked.finish();
    check(&mut other);
    let mut ask = |index: usize| {
        let mut asked = [checked.ask(request(&contexts[index], 1, 0))];
        checked.finish();
        check(&mut asked)[0].1
    };
    assert_eq!([ask(0), ask(1)], [63, 63]);
    assert!(ask(2) < 32);
}

#[test]
fn a_reply_ends_with_its_context() {
    let mut checked = Checked::new(Limits { context: 20, ..limits(2, 1, 64) });
    let mut asked = checked.ask(request(&prompt(17, 1), 9, 1));
    checked.finish();
    let (tokens, ending) = reply(&mut asked).unwrap();
    assert_eq!((tokens, ending.stop), (asked.expected[..3].to_vec(), StopReason::Context));
}

/// A request of a random workload: which prompt it begins like, and for how long, when it comes, and when it goes.
#[derive(Clone, Debug)]
struct Visit {
    family: u64,
    shared: usize,
    own: usize,
    max_tokens: usize,
    pause: usize,
    patience: Option<usize>,
}

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let patience = prop_oneof![3 => Just(None), 1 => (0usize..20).prop_map(Some)];
    let visit = (0u64..3, 0usize..70, 0usize..40, 1usize..40, 0usize..4, patience);
    let visit = visit.prop_map(|(family, shared, own, max_tokens, pause, patience)| Visit {
        family,
        shared,
        own,
        max_tokens,
        pause,
        patience,
    });
    prop::collection::vec(visit, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_workload_is_served_within_bounds(
        visits in visits(),
        blocks in 10usize..60,
        batch in 1usize..9,
        prefill in 1usize..80,
    ) {
        let mut checked = Checked::new(limits(blocks, batch, prefill));
        let mut asked: Vec<(Asked, Option<usize>)> = Vec::new();
        for (seed, visit) in visits.iter().enumerate() {
            let shared = prompt(visit.shared, visit.family);
            let tokens = [&shared[..], &prompt(visit.own, 5 + seed as u64), &[visit.family as u32]].concat();
            asked.push((checked.ask(request(&tokens, visit.max_tokens, seed as u64)), visit.patience));
            for _ in 0..visit.pause {
                checked.step();
                for (asked, patience) in &mut asked {
                    match patience {
                        Some(0) => asked.cancel.cancel(),
                        Some(patience) => *patience -= 1,
                        None => {}
                    }
                }
            }
        }
        checked.finish();
        for (mut asked, patience) in asked {
            if patience.is_none() {
                check(std::slice::from_mut(&mut asked));
            }
        }
        let stats = checked.scheduler.stats;
        prop_assert_eq!((stats.running, stats.waiting, stats.reserved_bytes), (0, 0, 0));
        prop_assert!(stats.cache_bytes <= blocks);
    }
}

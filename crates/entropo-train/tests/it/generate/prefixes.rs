//! What begins alike is computed once, and memory stays within its budget.

use entropo_train::generate::{EngineConfig, GenerateRequest};
use serde_json::json;

use super::{all, alone, bits, cache_bytes, engine, plain, prompt, request, shaken};
use crate::support::config_with;

#[tokio::test]
async fn sixteen_rollouts_of_a_task_compute_its_prompt_once() {
    let decoder = shaken(&config_with(json!({"max_position_embeddings": 1100})), 4);
    let task = prompt(&decoder, 1000, 1);
    let rollouts = || (0..16).map(|seed| request(&task, 1.0, 12, seed)).collect::<Vec<_>>();
    let mut expected = Vec::new();
    for rollout in rollouts() {
        expected.push(bits(&alone(&decoder, rollout).await));
    }
    for config in
        [EngineConfig { batch: 16, ..plain() }, EngineConfig { threads: 2, batch: 5, prefill: 200, ..plain() }]
    {
        let engine = engine(&decoder, config);
        let answers: Vec<_> = all(&engine, rollouts()).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().map(bits).collect::<Vec<_>>(), expected);
        let stats = engine.stats();
        assert_eq!((stats.prefilled, stats.reused, stats.sampled), (1000 + 15, 15 * 999, 16 * 12));
        let costs: Vec<_> = answers.iter().map(|answer| (answer.ending.prefilled, answer.ending.reused)).collect();
        assert_eq!(costs.iter().filter(|&&cost| cost == (1, 999)).count(), 15, "{costs:?}");

        // The next turn of one of them reads what is new, and the token that was sampled last.
        let next = [&task[..], &answers[3].completion, &[1, 2, 3]].concat();
        let next = engine.generate(GenerateRequest { seed: 9, ..request(&next, 1.0, 4, 9) }).await.unwrap();
        assert_eq!((next.ending.prefilled, next.ending.reused), (4, 1011));
    }
}

#[tokio::test]
async fn memory_stays_within_its_budget() {
    let decoder = shaken(&config_with(json!({"max_position_embeddings": 256})), 5);
    let requests: Vec<_> = (0..12).map(|seed| request(&prompt(&decoder, 50, seed % 4), 1.0, 30, seed)).collect();
    let cache = EngineConfig { batch: 8, cache_bytes: cache_bytes(&decoder, 13), ..plain() };
    let budget = cache.cache_bytes;
    let engine = engine(&decoder, cache);
    let mut expected = Vec::new();
    for request in &requests {
        expected.push(bits(&alone(&decoder, super::again(request)).await));
    }
    let answers: Vec<_> = all(&engine, requests).await.into_iter().map(|answer| bits(&answer.unwrap())).collect();
    assert_eq!(answers, expected);
    let stats = engine.stats();
    assert!(stats.peak_cache_bytes <= budget && stats.peak_cache_bytes > budget / 2, "{stats:?}");
    assert_eq!((stats.running, stats.waiting, stats.reserved_bytes), (0, 0, 0));
}

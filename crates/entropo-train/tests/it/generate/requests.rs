//! What ends a request, what is refused, and that neither disturbs the engine.

use std::sync::Arc;
use std::time::Duration;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use entropo_agent::StopReason;
use entropo_train::decoder::Decoder;
use entropo_train::generate::{EngineConfig, EngineError, GenerateRequest};
use serde_json::json;

use super::{CONTEXT, again, all, alone, bits, cache_bytes, decoders, engine, one, plain, prompt, request, shaken};
use crate::support::{config_with, host};

#[tokio::test]
async fn a_stop_token_ends_the_reply_and_is_part_of_it() {
    let decoder = &decoders()[0];
    let free = alone(decoder, request(&[1, 2, 3], 1.0, 40, 5)).await;
    for stop in [vec![free.completion[4]], free.completion[6..9].to_vec()] {
        let end = free.completion.iter().position(|token| stop.contains(token)).unwrap();
        let stopped = alone(decoder, GenerateRequest { stop, ..request(&[1, 2, 3], 1.0, 40, 5) }).await;
        assert_eq!(
            (stopped.completion, stopped.ending.stop),
            (free.completion[..=end].to_vec(), StopReason::EndOfTurn)
        );
        assert_eq!(stopped.logprobs, free.logprobs[..=end]);
    }
}

#[tokio::test]
async fn max_tokens_and_the_context_end_a_reply() {
    let decoder = &decoders()[1];
    let reply = alone(decoder, request(&[1], 1.0, 7, 0)).await;
    assert_eq!((reply.completion.len(), reply.ending.stop), (7, StopReason::MaxTokens));
    for room in [1, 5] {
        let reply = alone(decoder, request(&prompt(decoder, CONTEXT - room, 1), 1.0, 40, 0)).await;
        assert_eq!(
            (reply.completion.len(), reply.logprobs.len(), reply.ending.stop),
            (room, room, StopReason::Context)
        );
    }
}

#[tokio::test]
async fn what_cannot_be_continued_is_refused() {
    let decoder = &decoders()[0];
    let engine = engine(decoder, plain());
    let long = prompt(decoder, CONTEXT, 1);
    let refusals = [
        (vec![], EngineError::EmptyPrompt),
        (long, EngineError::ContextFull { prompt: CONTEXT, context: CONTEXT }),
        (vec![3, 17], EngineError::Token { position: 1, token: 17, vocabulary: 17 }),
        (vec![u32::MAX], EngineError::Token { position: 0, token: u32::MAX, vocabulary: 17 }),
    ];
    for (prompt, refusal) in refusals {
        assert_eq!(engine.generate(request(&prompt, 1.0, 5, 0)).await, Err(refusal));
    }
    let (after, expected) =
        (one(&engine, request(&[1], 1.0, 5, 0)).await, alone(decoder, request(&[1], 1.0, 5, 0)).await);
    assert_eq!(bits(&after), bits(&expected));
}

/// A decoder that is not done with an endless request before the test is.
fn patient() -> Decoder {
    shaken(&config_with(json!({"max_position_embeddings": 1 << 17})), 1)
}

fn endless(seed: u64) -> GenerateRequest {
    request(&[1, 2, 3], 1.0, usize::MAX, seed)
}

/// Long enough for an idle engine to be in the middle of a request; nothing depends on it.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(30)).await;
}

#[tokio::test]
async fn a_cancelled_request_gives_its_place_to_the_next() {
    let decoder = patient();
    let engine = engine(&decoder, plain()); // one place
    let expected = bits(&alone(&decoder, request(&[4, 5], 1.0, 20, 6)).await);

    let before = endless(0);
    before.cancel.cancel();
    assert_eq!(engine.generate(before).await, Err(EngineError::Cancelled));
    assert_eq!(bits(&one(&engine, request(&[4, 5], 1.0, 20, 6)).await), expected);

    let (during, waiting) = (endless(1), endless(2));
    let cancels = [during.cancel.clone(), waiting.cancel.clone()];
    let under_way = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { all(&engine, vec![during, waiting]).await }
    });
    a_moment().await;
    assert!(!under_way.is_finished());
    cancels.iter().for_each(entropo_agent::CancellationToken::cancel);
    assert_eq!(under_way.await.unwrap(), [Err(EngineError::Cancelled), Err(EngineError::Cancelled)]);
    assert_eq!(bits(&one(&engine, request(&[4, 5], 1.0, 20, 6)).await), expected);
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_gives_its_place_to_the_next() {
    let decoder = patient();
    let engine = engine(&decoder, plain());
    let forgotten = tokio::time::timeout(Duration::from_millis(30), engine.generate(endless(1))).await;
    assert!(forgotten.is_err());
    let expected = bits(&alone(&decoder, request(&[4, 5], 1.0, 20, 6)).await);
    assert_eq!(bits(&one(&engine, request(&[4, 5], 1.0, 20, 6)).await), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_is_dropped_with_requests_under_way() {
    let config = EngineConfig { threads: 2, batch: 2, ..plain() };
    let engine = engine(&patient(), config);
    let (gone, watch) = (Arc::downgrade(&engine), Arc::clone(&engine));
    let asking = (0..8).map(|seed| {
        tokio::spawn({
            let engine = Arc::clone(&engine);
            async move { engine.generate(endless(seed)).await }
        })
    });
    let asking: Vec<_> = asking.collect();
    drop(engine);
    a_moment().await;
    assert!(asking.iter().all(|asking| !asking.is_finished()));
    drop(watch);
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    for asked in asking {
        assert!(asked.await.unwrap_err().is_cancelled()); // the last one to go waits for the engine's threads
    }
    assert!(gone.upgrade().is_none());
}

/// Makes one row of the embedding, the first matrix of its shape, not a number.
struct Break(Option<u32>);

impl ModuleMapper for Break {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (shape, device) = (param.shape().to_vec(), param.device());
        let Some(row) = self.0.take_if(|_| shape == [17, 8]) else { return param };
        let mut values = host(param.val());
        values[8 * row as usize] = f32::NAN;
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &device))
    }
}

#[tokio::test]
async fn broken_weights_are_an_error_of_whoever_reads_them() {
    let config = config_with(json!({"tie_word_embeddings": false}));
    let whole = Decoder::new(&config, 1, &Device::default());
    let broken = whole.clone().map(&mut Break(Some(9)));
    let engine = engine(&broken, EngineConfig { batch: 8, ..plain() });
    let fine: Vec<u32> = (0..20).map(|token| token % 7).collect();
    let short = request(&fine, 0.0, 1, 0);
    let expected = bits(&alone(&whole, again(&short)).await);
    for _ in 0..2 {
        let spoilt = [&fine[..], &[9]].concat();
        let answers = all(&engine, vec![again(&short), request(&spoilt, 1.0, 1, 0), again(&short)]).await;
        let not_finite = Err(EngineError::NotFinite { tokens: 21 });
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.map(|answer| bits(&answer))).collect();
        assert_eq!(answers, [Ok(expected.clone()), not_finite, Ok(expected.clone())]);
    }
}

#[tokio::test]
async fn what_can_never_fit_is_refused_with_both_numbers() {
    let decoder = &decoders()[0];
    let budget = cache_bytes(decoder, 3) + 1;
    let engine = engine(decoder, EngineConfig { cache_bytes: budget, ..plain() });
    assert!(engine.generate(request(&prompt(decoder, 40, 1), 1.0, 9, 0)).await.is_ok()); // 48 tokens are read
    let refused = EngineError::CacheFull { tokens: 50, needed: cache_bytes(decoder, 4), budget };
    assert_eq!(engine.generate(request(&prompt(decoder, 40, 1), 1.0, 10, 0)).await, Err(refused));
}

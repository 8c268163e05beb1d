//! Generation: the engine says what the decoder says, whatever else it is doing at the time.

mod agreement;
mod conversation;
mod fixtures;
mod prefixes;
mod requests;
mod sampling;
mod streaming;

use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use entropo_agent::Sampling;
use entropo_train::data::{Batch, Sequence};
use entropo_train::decoder::{Decoder, DecoderConfig};
use entropo_train::generate::{Engine, EngineConfig, EngineError, GenerateRequest, Generated, HostDecoder};
use entropo_train::logprob::logprobs;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::support::{self, host, ids};

/// Longest context of the random decoders, in tokens.
const CONTEXT: usize = 96;

/// Moves every parameter, so that no bias is 0, no norm is 1 and logits differ clearly.
struct Shake(ChaCha8Rng);

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (shape, device) = (param.shape().to_vec(), param.device());
        let moved = host(param.val()).into_iter().map(|value| value + self.0.random_range(-0.4..0.4)).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new::<f32, _>(moved, shape), &device))
    }
}

/// A decoder whose parameters are all random.
fn shaken(config: &DecoderConfig, seed: u64) -> Decoder {
    Decoder::new(config, seed, &Device::default()).map(&mut Shake(ChaCha8Rng::seed_from_u64(seed)))
}

/// `[vocabulary, hidden, feed-forward, layers, heads, key and value heads]`: heads of 4, 10, 32 and 6 dimensions, one
/// key and value head, several, and as many as heads; sizes beside the kernels' blocks.
const SHAPES: [[usize; 6]; 4] =
    [[17, 8, 12, 2, 2, 1], [67, 40, 72, 1, 4, 2], [33, 64, 35, 2, 2, 2], [101, 36, 20, 3, 6, 3]];

/// One random decoder of every shape, every other one with a head of its own.
fn decoders() -> Vec<Decoder> {
    let decoder = |(index, shape): (usize, &[usize; 6])| {
        let &[vocab_size, hidden_size, intermediate_size, layers, heads, key_value_heads] = shape;
        let config = support::config_with(json!({
            "vocab_size": vocab_size,
            "hidden_size": hidden_size,
            "intermediate_size": intermediate_size,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": key_value_heads,
            "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": index % 2 == 0,
        }));
        shaken(&config, index as u64)
    };
    SHAPES.iter().enumerate().map(decoder).collect()
}

/// Random tokens of `decoder`'s vocabulary.
fn prompt(decoder: &Decoder, tokens: usize, seed: u64) -> Vec<u32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..tokens).map(|_| random.random_range(0..decoder.config().vocab_size as u32)).collect()
}

/// One sequence at a time on one thread.
fn plain() -> EngineConfig {
    EngineConfig { threads: 1, batch: 1, prefill: 1024, ..EngineConfig::default() }
}

fn engine(decoder: &Decoder, config: EngineConfig) -> Arc<Engine> {
    Arc::new(Engine::new(HostDecoder::new(decoder).unwrap(), config))
}

/// A request without stop tokens.
fn request(prompt: &[u32], temperature: f32, max_tokens: usize, seed: u64) -> GenerateRequest {
    GenerateRequest {
        prompt: prompt.to_vec(),
        sampling: Sampling { temperature, max_tokens, ..Sampling::default() },
        seed,
        ..GenerateRequest::default()
    }
}

/// The same request once more; its rule, if it has one, stays where it is.
fn again(request: &GenerateRequest) -> GenerateRequest {
    GenerateRequest {
        prompt: request.prompt.clone(),
        sampling: request.sampling.clone(),
        stop: request.stop.clone(),
        rule: None,
        top_logprobs: request.top_logprobs,
        seed: request.seed,
        cancel: request.cancel.clone(),
    }
}

/// Sends all requests at once; the answers in their order.
async fn all(engine: &Arc<Engine>, requests: Vec<GenerateRequest>) -> Vec<Result<Generated, EngineError>> {
    let send = |request| {
        let engine = Arc::clone(engine);
        tokio::spawn(async move { engine.generate(request).await })
    };
    let sent: Vec<_> = requests.into_iter().map(send).collect();
    let mut answers = Vec::new();
    for answer in sent {
        answers.push(answer.await.unwrap());
    }
    answers
}

async fn one(engine: &Arc<Engine>, request: GenerateRequest) -> Generated {
    engine.generate(request).await.unwrap()
}

/// What a request gives in an engine of its own.
async fn alone(decoder: &Decoder, request: GenerateRequest) -> Generated {
    one(&engine(decoder, plain()), request).await
}

/// Tokens and the bits of their log-probabilities.
fn bits(generated: &Generated) -> (Vec<u32>, Vec<u32>) {
    (generated.completion.clone(), generated.logprobs.iter().map(|logprob| logprob.to_bits()).collect())
}

/// Logits after the last token, `[vocabulary]`, from the whole sequence at once.
fn last_logits(decoder: &Decoder, tokens: &[u32]) -> Vec<f32> {
    let all = host(decoder.logits(ids(&[tokens.to_vec()], &decoder.device())));
    all[all.len() - decoder.config().vocab_size..].to_vec()
}

/// The likeliest continuation, every token from the whole sequence so far.
fn likeliest(decoder: &Decoder, prompt: &[u32], tokens: usize) -> Vec<u32> {
    let mut sequence = prompt.to_vec();
    for _ in 0..tokens {
        let logits = last_logits(decoder, &sequence);
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        sequence.push(best as u32);
    }
    sequence.split_off(prompt.len())
}

/// What training computes for a completion.
fn trained_on(decoder: &Decoder, prompt: &[u32], completion: &[u32]) -> Vec<f32> {
    let actions = (0..prompt.len() + completion.len()).map(|position| position >= prompt.len()).collect();
    let sequence = Sequence::new("completion", [prompt, completion].concat(), actions).unwrap();
    logprobs(decoder, &Batch::new(&[&sequence], &decoder.device())).remove(0)
}

/// Bytes of the key and value cache for so many blocks of 16 positions.
fn cache_bytes(decoder: &Decoder, blocks: usize) -> usize {
    let config = decoder.config();
    let values = config.head_dim.next_multiple_of(16); // vectors of 16 numbers
    blocks * config.layers.len() * config.num_key_value_heads * (config.head_dim + values) * 16 * size_of::<f32>()
}

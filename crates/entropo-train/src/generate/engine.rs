//! Requests in, tokens out: worker threads with continuous batching.
//!
//! A worker owns the sequences it has taken on. Each of its steps reads the new tokens of all of them, a piece of a
//! prompt here, one sampled token there, in one pass; sequences join and leave between steps.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use entropo_agent::{CancellationToken, Sampling, StopReason};
use tokio::sync::oneshot;

use super::cache::Cache;
use super::forward::Work;
use super::prefix::Prefixes;
use super::sampler::Sampler;
use super::weights::HostDecoder;

/// How the engine uses the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Threads. Default: one for each core.
    pub workers: usize,
    /// Sequences that one worker advances at a time. Default 32.
    pub batch: usize,
    /// Tokens of a prompt that are read in one step. Default 128.
    pub prefill: usize,
    /// Tokens of finished contexts that are kept to start others from. Default 65,536.
    pub kept_tokens: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { workers, batch: 32, prefill: 128, kept_tokens: 1 << 16 }
    }
}

/// A prompt to continue.
#[derive(Clone, Debug)]
pub struct GenerateRequest {
    /// Token ids; at least one, fewer than the context.
    pub prompt: Vec<u32>,
    /// How to sample, and how much.
    pub sampling: Sampling,
    /// Token ids that end the reply; they are part of it.
    pub stop: Vec<u32>,
    /// Governs the sampling.
    pub seed: u64,
    /// Ends the request.
    pub cancel: CancellationToken,
}

/// What was sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Token ids, a stop token included.
    pub completion: Vec<u32>,
    /// Natural log-probability of each under the policy at temperature 1, unfiltered.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub stop: StopReason,
}

/// Why nothing was generated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A prompt without tokens.
    #[error("the prompt is empty; a generation needs at least one token to continue")]
    EmptyPrompt,
    /// A prompt that leaves no room.
    #[error("the prompt has {prompt} tokens, the context {context}")]
    ContextFull {
        /// Tokens in the prompt.
        prompt: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// A token id that the model does not have.
    #[error("prompt token {token} at position {position} is outside the vocabulary of {vocabulary}")]
    Token {
        /// Where it is.
        position: usize,
        /// The token id.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// Logits that are not numbers.
    #[error("the model's logits are not numbers after {tokens} tokens; its weights are broken")]
    NotFinite {
        /// Tokens read until then.
        tokens: usize,
    },
    /// The request's token was cancelled, or the engine is gone.
    #[error("cancelled")]
    Cancelled,
}

/// A frozen decoder that serves requests. Dropping it ends its threads; requests under way are cancelled.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    decoder: HostDecoder,
    config: EngineConfig,
    queue: Mutex<Queue>,
    arrived: Condvar,
    prefixes: Mutex<Prefixes>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Debug)]
struct Job {
    request: GenerateRequest,
    reply: oneshot::Sender<Result<Generated, EngineError>>,
}

impl Engine {
    /// Starts the threads.
    pub fn new(decoder: HostDecoder, config: EngineConfig) -> Self {
        let prefixes = Mutex::new(Prefixes::new(config.kept_tokens));
        let workers = config.workers.max(1);
        let shared = Arc::new(Shared { decoder, config, queue: Mutex::default(), arrived: Condvar::new(), prefixes });
        let worker = |index: usize| {
            let shared = Arc::clone(&shared);
            let name = format!("entropo-generate-{index}");
            std::thread::Builder::new().name(name).spawn(move || serve(&shared)).ok()
        };
        let threads = (0..workers).filter_map(worker).collect();
        Self { shared, threads }
    }

    /// The decoder being served.
    pub fn decoder(&self) -> &HostDecoder {
        &self.shared.decoder
    }

    /// Continues a prompt.
    pub async fn generate(&self, request: GenerateRequest) -> Result<Generated, EngineError> {
        self.check(&request)?;
        let (reply, generated) = oneshot::channel();
        let cancel = request.cancel.clone();
        lock(&self.shared.queue).jobs.push_back(Job { request, reply });
        self.shared.arrived.notify_one();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            generated = generated => generated.unwrap_or(Err(EngineError::Cancelled)),
        }
    }

    fn check(&self, request: &GenerateRequest) -> Result<(), EngineError> {
        let config = &self.shared.decoder.config;
        let (prompt, context) = (request.prompt.len(), config.max_position_embeddings);
        if prompt == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if prompt >= context {
            return Err(EngineError::ContextFull { prompt, context });
        }
        let vocabulary = config.vocab_size;
        match request.prompt.iter().enumerate().find(|&(_, &token)| token as usize >= vocabulary) {
            Some((position, &token)) => Err(EngineError::Token { position, token, vocabulary }),
            None => Ok(()),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A worker's life.
fn serve(shared: &Shared) {
    let mut active: Vec<Sequence> = Vec::new();
    while let Some(jobs) = shared.next_jobs(active.len()) {
        active.extend(jobs.into_iter().map(|job| shared.start(job)));
        active.retain(|sequence| !sequence.is_abandoned());
        shared.step(&mut active);
    }
}

impl Shared {
    /// Waits for jobs if there is nothing else to do; `None` once the engine is closed.
    fn next_jobs(&self, active: usize) -> Option<Vec<Job>> {
        let mut queue = lock(&self.queue);
        while queue.jobs.is_empty() && active == 0 && !queue.closed {
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.closed {
            return None;
        }
        let free = self.config.batch.max(1).saturating_sub(active);
        let share = queue.jobs.len().div_ceil(self.config.workers.max(1)).min(free);
        Some(queue.jobs.drain(..share).collect())
    }

    fn start(&self, job: Job) -> Sequence {
        let Job { request, reply } = job;
        let known = lock(&self.prefixes).take(&request.prompt);
        let cache = known.unwrap_or_else(|| Cache::new(&self.decoder.config));
        let pending = request.prompt.iter().skip(cache.tokens().len()).copied().collect();
        let sampler = Sampler::new(request.sampling.clone(), request.seed);
        Sequence { request, reply, cache, pending, sampler, completion: Vec::new(), logprobs: Vec::new() }
    }

    /// Reads each sequence's next tokens and samples where a prompt is read to its end.
    fn step(&self, active: &mut Vec<Sequence>) {
        if active.is_empty() {
            return;
        }
        let pieces: Vec<Vec<u32>> = active
            .iter_mut()
            .map(|sequence| sequence.pending.drain(..self.config.prefill.max(1).min(sequence.pending.len())).collect())
            .collect();
        let wanting: Vec<bool> = active.iter().map(|sequence| sequence.pending.is_empty()).collect();
        let mut work: Vec<Work<'_>> = active
            .iter_mut()
            .zip(&pieces)
            .zip(&wanting)
            .map(|((sequence, tokens), &logits)| Work { cache: &mut sequence.cache, tokens, logits })
            .collect();
        let mut logits = self.decoder.forward(&mut work).into_iter();
        drop(work);
        let mut remaining = Vec::with_capacity(active.len());
        for (mut sequence, wants) in active.drain(..).zip(wanting) {
            let outcome =
                if wants { logits.next().and_then(|logits| sequence.advance(&logits, &self.decoder)) } else { None };
            match outcome {
                None => remaining.push(sequence),
                Some(outcome) => {
                    let Sequence { cache, reply, completion, logprobs, .. } = sequence;
                    lock(&self.prefixes).keep(cache);
                    let _ = reply.send(outcome.map(|stop| Generated { completion, logprobs, stop }));
                }
            }
        }
        *active = remaining;
    }
}

/// A request under way.
struct Sequence {
    request: GenerateRequest,
    reply: oneshot::Sender<Result<Generated, EngineError>>,
    cache: Cache,
    /// Tokens not read yet.
    pending: VecDeque<u32>,
    sampler: Sampler,
    completion: Vec<u32>,
    logprobs: Vec<f32>,
}

impl Sequence {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed() || self.request.cancel.is_cancelled()
    }

    /// Samples a token; says why the sequence is over, if it is.
    fn advance(&mut self, logits: &[f32], decoder: &HostDecoder) -> Option<Result<StopReason, EngineError>> {
        let Some((token, logprob)) = self.sampler.sample(logits) else {
            return Some(Err(EngineError::NotFinite { tokens: self.cache.tokens().len() }));
        };
        self.completion.push(token);
        self.logprobs.push(logprob);
        self.pending.push_back(token);
        if self.request.stop.contains(&token) {
            Some(Ok(StopReason::EndOfTurn))
        } else if self.completion.len() >= self.request.sampling.max_tokens {
            Some(Ok(StopReason::MaxTokens))
        } else if self.cache.tokens().len() + 1 >= decoder.config.max_position_embeddings {
            Some(Ok(StopReason::Context))
        } else {
            None
        }
    }
}

/// A panic elsewhere leaves these locks' contents whole: they are changed by single moves.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

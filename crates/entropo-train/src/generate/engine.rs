//! Requests in, tokens out.
//!
//! One thread owns everything that changes: it runs the [`Scheduler`], and is told of new requests over a channel and of
//! abandoned ones by their channels' other ends. So nothing is locked while a step is computed; the cores work within
//! the step, on one pass of the decoder for all sequences.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use entropo_agent::StopReason;

use super::admission::Limits;
use super::error::EngineError;
use super::forward::Work;
use super::request::{Ending, GenerateRequest, Generated, SampledToken, Streamed};
use super::scheduler::{EngineStats, Forward, Scheduler};
use super::sequence::Sequence;
use super::stream::TokenStream;
use super::weights::HostDecoder;

/// How the engine uses the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Threads that compute. Default: one for each core.
    pub threads: usize,
    /// Sequences that are advanced at a time. Default 32.
    pub batch: usize,
    /// Tokens of prompts that are read in one step, over all sequences: more is faster in all, and holds up longer those
    /// that are writing. Default 512.
    pub prefill: usize,
    /// Bytes of keys and values, of running requests and kept for later ones. Default 2 GiB, whatever the machine has:
    /// a request that fits one machine shall fit another. It is 87,000 tokens of a model like Qwen2.5-0.5B, and taken
    /// only as it is needed.
    pub cache_bytes: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads, batch: 32, prefill: 512, cache_bytes: 2 << 30 }
    }
}

/// A frozen decoder that serves requests. Dropping it ends its thread after the step that it is in; requests under way
/// are cancelled.
#[derive(Debug)]
pub struct Engine {
    decoder: Arc<HostDecoder>,
    server: Server,
}

impl Engine {
    /// Starts the thread.
    pub fn new(decoder: HostDecoder, config: EngineConfig) -> Self {
        let limits = Limits::new(decoder.config(), config.batch, config.prefill, config.cache_bytes);
        let decoder = Arc::new(decoder.with_threads(config.threads));
        let server = Server::start(limits, {
            let decoder = Arc::clone(&decoder);
            move |work: &mut [Work<'_>]| decoder.forward(work)
        });
        Self { decoder, server }
    }

    /// The decoder being served.
    pub fn decoder(&self) -> &HostDecoder {
        &self.decoder
    }

    /// What was done so far; up to date with every request whose end was told.
    pub fn stats(&self) -> EngineStats {
        *self.server.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Continues a prompt; the tokens come one by one. Refuses at once what can never be served.
    pub fn stream(&self, request: GenerateRequest) -> Result<TokenStream, EngineError> {
        self.server.stream(request)
    }

    /// Continues a prompt; the tokens come all together.
    pub async fn generate(&self, request: GenerateRequest) -> Result<Generated, EngineError> {
        let mut stream = self.stream(request)?;
        let (mut completion, mut logprobs, mut entropies, mut top) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while let Some(item) = stream.next().await {
            match item? {
                Streamed::Token(SampledToken { id, logprob, entropy, top: likeliest }) => {
                    completion.push(id);
                    logprobs.push(logprob);
                    entropies.push(entropy);
                    top.push(likeliest);
                }
                Streamed::End(ending) => return Ok(Generated { completion, logprobs, entropies, top, ending }),
            }
        }
        Err(EngineError::Stopped)
    }
}

/// The thread and the ways to it.
#[derive(Debug)]
struct Server {
    limits: Limits,
    /// `None` while it is dropped.
    arrivals: Option<Sender<Sequence>>,
    stats: Arc<Mutex<EngineStats>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(limits: Limits, mut forward: impl FnMut(&mut [Work<'_>]) -> Vec<Vec<f32>> + Send + 'static) -> Self {
        let stats = Arc::<Mutex<EngineStats>>::default();
        let scheduler = Scheduler::new(limits.clone(), Arc::clone(&stats));
        let (arrivals, arriving) = channel();
        let life = move || serve(scheduler, &arriving, &mut forward);
        // Without a thread nobody listens, and every request says so.
        let thread = std::thread::Builder::new().name("entropo-generate".to_owned()).spawn(life).ok();
        Self { limits, arrivals: Some(arrivals), stats, thread }
    }

    fn stream(&self, request: GenerateRequest) -> Result<TokenStream, EngineError> {
        self.limits.check(&request)?;
        let (reply, stream) = TokenStream::new(request.cancel.clone());
        if request.sampling.max_tokens == 0 {
            let ending = Ending { stop: StopReason::MaxTokens, prompt: request.prompt.len(), prefilled: 0, reused: 0 };
            let _ = reply.send(Ok(Streamed::End(ending))); // the stream is here
            return Ok(stream);
        }
        let arrivals = self.arrivals.as_ref().ok_or(EngineError::Stopped)?;
        arrivals.send(Sequence::new(request, &self.limits, reply)).map_err(|_| EngineError::Stopped)?;
        Ok(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.arrivals = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic was told on standard error and to every request
        }
    }
}

/// The thread's life: it ends when the engine is dropped.
fn serve(mut scheduler: Scheduler, arriving: &Receiver<Sequence>, forward: &mut Forward<'_>) {
    loop {
        if !scheduler.has_work() {
            let Ok(sequence) = arriving.recv() else { return };
            scheduler.submit(sequence);
        }
        loop {
            match arriving.try_recv() {
                Ok(sequence) => scheduler.submit(sequence),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return scheduler.cancel(),
            }
        }
        scheduler.step(forward);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use entropo_agent::Sampling;

    use super::*;
    use crate::generate::fake::{Fake, VOCABULARY};

    fn limits() -> Limits {
        Limits { context: 1 << 40, vocabulary: VOCABULARY, block_bytes: 1, cache_bytes: 1 << 40, batch: 4, prefill: 64 }
    }

    fn request(max_tokens: usize) -> GenerateRequest {
        let sampling = Sampling { max_tokens, ..Sampling::default() };
        GenerateRequest { prompt: vec![1, 2, 3], sampling, ..GenerateRequest::default() }
    }

    /// A server that takes its time.
    fn patient() -> Server {
        let mut fake = Fake::new();
        Server::start(limits(), move |work| {
            std::thread::sleep(Duration::from_millis(1));
            fake.forward(work)
        })
    }

    #[tokio::test]
    async fn tokens_come_one_by_one_and_the_end_is_last() {
        let server = patient();
        let mut stream = server.stream(request(3)).unwrap();
        for _ in 0..3 {
            assert!(matches!(stream.next().await, Some(Ok(Streamed::Token(_)))));
        }
        let ending = Ending { stop: StopReason::MaxTokens, prompt: 3, prefilled: 3, reused: 0 };
        assert_eq!(stream.next().await, Some(Ok(Streamed::End(ending))));
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn nothing_is_sampled_of_no_tokens() {
        let server = patient();
        let mut stream = server.stream(request(0)).unwrap();
        assert!(matches!(stream.next().await, Some(Ok(Streamed::End(Ending { prefilled: 0, .. })))));
        assert_eq!(server.stats.lock().unwrap().steps, 0);
    }

    #[tokio::test]
    async fn whoever_does_not_listen_is_not_served() {
        let server = patient();
        let mut endless = server.stream(request(usize::MAX)).unwrap();
        assert!(endless.next().await.is_some());
        drop(endless);
        while server.stats.lock().unwrap().running > 0 {
            let mut other = server.stream(request(2)).unwrap();
            while other.next().await.is_some() {}
        }
        assert_eq!(server.stats.lock().unwrap().reserved_bytes, 0);
    }

    #[tokio::test]
    async fn dropping_the_engine_cancels() {
        let server = patient();
        let mut stream = server.stream(request(usize::MAX)).unwrap();
        assert!(stream.next().await.is_some());
        tokio::task::spawn_blocking(|| drop(server)).await.unwrap();
        let last = loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                last => break last,
            }
        };
        assert_eq!(last, Some(Err(EngineError::Cancelled)));
    }

    #[tokio::test]
    async fn a_panic_is_no_cancellation() {
        let server = Server::start(limits(), |_| panic!("as the test wants"));
        let mut stream = server.stream(request(5)).unwrap();
        assert_eq!(stream.next().await, Some(Err(EngineError::Stopped)));
        assert_eq!(stream.next().await, None);
        while server.stream(request(5)).is_ok() {
            tokio::task::yield_now().await; // the thread is still unwinding
        }
        assert_eq!(server.stream(request(5)).unwrap_err(), EngineError::Stopped);
    }
}

//! Several models as one: the servers of a cluster, say, that all serve the same weights.
//!
//! A conversation stays with the endpoint that answered it last, whose cache holds its prompt, as long as that endpoint is
//! well and not much busier than the others. An endpoint that fails is put aside, each time for longer, and the request
//! goes to the next.
//!
//! ```
//! use std::sync::Arc;
//!
//! use entropo_agent::model::pool::Pool;
//! use entropo_agent::{ChatModel, ScriptedModel};
//!
//! let endpoints = (0..4).map(|_| Arc::new(ScriptedModel::new("qwen3", vec![])) as Arc<dyn ChatModel>);
//! let model = Pool::new("qwen3", endpoints.collect()).unwrap();
//! assert_eq!(model.name(), "qwen3");
//! ```

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use entropo_core::{AssistantMessage, Message};
use tokio::time::Instant;

use super::{ChatModel, ChatRequest, ChatResponse, Delta, ModelError};

/// How long an endpoint is put aside after its first failure; after each further one in a row, twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest time for which an endpoint is put aside.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Several models as one; see the [module](self). Endpoints should give up soon (few attempts in their
/// `Retry`), for the pool tries the next at once. It needs a tokio runtime.
pub struct Pool {
    name: String,
    endpoints: Vec<Endpoint>,
    homes: Mutex<Homes>,
}

/// Which endpoint answered which conversation last. Of those that were not heard of for long the least is lost: they are
/// sent where a new one would be.
#[derive(Default)]
struct Homes {
    recent: HashMap<u64, usize>,
    older: HashMap<u64, usize>,
}

/// Conversations remembered at least; twice as many at most.
const REMEMBERED: usize = 16_384;

impl Homes {
    fn of(&self, conversation: u64) -> Option<usize> {
        self.recent.get(&conversation).or_else(|| self.older.get(&conversation)).copied()
    }

    fn remember(&mut self, conversation: u64, endpoint: usize) {
        if self.recent.len() >= REMEMBERED && !self.recent.contains_key(&conversation) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(conversation, endpoint);
    }
}

struct Endpoint {
    model: Arc<dyn ChatModel>,
    busy: AtomicUsize,
    health: Mutex<Health>,
}

#[derive(Clone, Copy, Default)]
struct Health {
    failures: u32,
    /// Put aside until then.
    aside: Option<Instant>,
}

/// Why there is no pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pool needs at least one endpoint")]
pub struct EmptyPool;

impl Pool {
    /// A model called `name`, which is what trajectories record, made of `endpoints`.
    pub fn new(name: impl Into<String>, endpoints: Vec<Arc<dyn ChatModel>>) -> Result<Self, EmptyPool> {
        if endpoints.is_empty() {
            return Err(EmptyPool);
        }
        let endpoint = |model| Endpoint { model, busy: AtomicUsize::new(0), health: Mutex::default() };
        let endpoints = endpoints.into_iter().map(endpoint).collect();
        Ok(Self { name: name.into(), endpoints, homes: Mutex::default() })
    }

    /// The endpoints in the order in which a request tries them: those that are well before those that are aside, of these
    /// the one that is aside for the shortest time; of the others the conversation's own, unless it is overloaded.
    fn order(&self, request: &ChatRequest<'_>) -> Vec<usize> {
        let now = Instant::now();
        let busy: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.busy.load(Ordering::Relaxed)).collect();
        // A quarter more than the mean is tolerated for the sake of the cache.
        let fair = (busy.iter().sum::<usize>() + 1) as f64 / busy.len() as f64 * 1.25;
        let key = conversation(request, None);
        let home = self.homes.lock().unwrap_or_else(PoisonError::into_inner).of(key);
        let mut order: Vec<_> = self.endpoints.iter().zip(busy).enumerate().collect();
        order.sort_by_cached_key(|(index, (endpoint, busy))| {
            let aside = endpoint.health().aside.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            let overloaded = (*busy + 1) as f64 > fair.ceil();
            // Highest random weight: every conversation has an order of its own, which the loss of an endpoint leaves be.
            let mut weight = DefaultHasher::new();
            (key, index).hash(&mut weight);
            (aside, overloaded, home != Some(*index), weight.finish())
        });
        order.into_iter().map(|(index, _)| index).collect()
    }

    async fn ask(
        &self,
        request: ChatRequest<'_>,
        tell: &mut (dyn for<'d> FnMut(Delta<'d>) + Send),
    ) -> Result<ChatResponse, ModelError> {
        let mut last = None;
        for index in self.order(&request) {
            let Some(endpoint) = self.endpoints.get(index) else { continue };
            let mut told = false;
            let mut noting = |delta: Delta<'_>| {
                told = true;
                tell(delta);
            };
            let counted = Counted::new(&endpoint.busy);
            let answer = endpoint.model.stream(request.clone(), &mut noting).await;
            drop(counted);
            match answer {
                Ok(response) => {
                    endpoint.succeeded();
                    let conversation = conversation(&request, Some(&response.message));
                    self.homes.lock().unwrap_or_else(PoisonError::into_inner).remember(conversation, index);
                    return Ok(response);
                }
                Err(error) if error.is_of_the_request() => return Err(error),
                Err(error) => {
                    let pause = endpoint.failed(&error);
                    tracing::warn!(model = self.name, endpoint = endpoint.model.name(), %error, ?pause, "put aside");
                    last = Some(error);
                }
            }
            if told {
                tell(Delta::Restart);
            }
        }
        Err(last.unwrap_or(ModelError::Other { model: self.name.clone(), source: EmptyPool.into() }))
    }
}

impl Endpoint {
    fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn succeeded(&self) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Health::default();
    }

    /// Puts it aside, for how long the server wants if it says so. A failure that others had at the same time counts once.
    fn failed(&self, error: &ModelError) -> Duration {
        let now = Instant::now();
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) =
            health.aside.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
        {
            return left;
        }
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(health.failures.min(16))).min(LONGEST_PAUSE);
        let wanted = match error {
            ModelError::RateLimited { retry_after, .. } | ModelError::Server { retry_after, .. } => *retry_after,
            _ => None,
        };
        let pause = pause.max(wanted.unwrap_or_default().min(LONGEST_PAUSE));
        *health = Health { failures: health.failures.saturating_add(1), aside: Some(now + pause) };
        pause
    }
}

/// A request under way; it ends when this is dropped, by cancellation too.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(busy: &'a AtomicUsize) -> Self {
        busy.fetch_add(1, Ordering::Relaxed);
        Self(busy)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What tells one conversation from another and stays the same while it grows: its beginning up to the model's first
/// words, which may be those of `reply`. Before these are said, rollouts of one task differ by their seeds only.
fn conversation(request: &ChatRequest<'_>, reply: Option<&AssistantMessage>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for message in request.messages {
        if let Message::Assistant(said) = message {
            return words(hasher, said);
        }
        message.role().hash(&mut hasher);
        message.content().hash(&mut hasher);
    }
    if let Some(reply) = reply {
        return words(hasher, reply);
    }
    request.seed.hash(&mut hasher);
    hasher.finish()
}

/// Of a message that the loop could not read it keeps only what was emitted, so that is what counts if it is known.
fn words(mut hasher: DefaultHasher, said: &AssistantMessage) -> u64 {
    match &said.raw {
        Some(raw) => raw.hash(&mut hasher),
        None => {
            said.content.hash(&mut hasher);
            for call in &said.tool_calls {
                call.name.hash(&mut hasher);
                call.arguments.to_string().hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

#[async_trait]
impl ChatModel for Pool {
    fn name(&self) -> &str {
        &self.name
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        self.ask(request, &mut |_| ()).await
    }

    async fn stream(
        &self,
        request: ChatRequest<'_>,
        tell: &mut (dyn for<'d> FnMut(Delta<'d>) + Send),
    ) -> Result<ChatResponse, ModelError> {
        self.ask(request, tell).await
    }
}

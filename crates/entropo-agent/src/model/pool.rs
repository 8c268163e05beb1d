//! Several models as one: the servers of a cluster, say, that all serve the same weights.
//!
//! A conversation stays with the endpoint that it began with, whose cache holds its prompt, as long as that endpoint is
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

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use entropo_core::Message;
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
        Ok(Self { name: name.into(), endpoints: endpoints.into_iter().map(endpoint).collect() })
    }

    /// The endpoints in the order in which a request tries them: those that are well before those that are aside, of these
    /// the one that is aside for the shortest time; of the others the conversation's own, unless it is overloaded.
    fn order(&self, request: &ChatRequest<'_>) -> Vec<usize> {
        let now = Instant::now();
        let busy: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.busy.load(Ordering::Relaxed)).collect();
        // A quarter more than the mean is tolerated for the sake of the cache.
        let fair = (busy.iter().sum::<usize>() + 1) as f64 / busy.len() as f64 * 1.25;
        let key = conversation(request);
        let mut order: Vec<_> = self.endpoints.iter().zip(busy).enumerate().collect();
        order.sort_by_cached_key(|(index, (endpoint, busy))| {
            let aside = endpoint.health().aside.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            let overloaded = (*busy + 1) as f64 > fair.ceil();
            // Highest random weight: every conversation has an order of its own, which the loss of an endpoint leaves be.
            let mut weight = DefaultHasher::new();
            (key, index).hash(&mut weight);
            (aside, overloaded, weight.finish())
        });
        order.into_iter().map(|(index, _)| index).collect()
    }

    async fn ask(
        &self,
        request: ChatRequest<'_>,
        tell: &mut (dyn for<'d> FnMut(Delta<'d>) + Send),
    ) -> Result<ChatResponse, ModelError> {
        let mut last = None;
        for endpoint in self.order(&request).into_iter().filter_map(|index| self.endpoints.get(index)) {
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
/// words. Before these are said, rollouts of one task differ by their seeds only.
fn conversation(request: &ChatRequest<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for message in request.messages {
        message.role().hash(&mut hasher);
        message.content().hash(&mut hasher);
        if let Message::Assistant(said) = message {
            for call in &said.tool_calls {
                call.name.hash(&mut hasher);
                call.arguments.to_string().hash(&mut hasher);
            }
            return hasher.finish();
        }
    }
    request.seed.hash(&mut hasher);
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

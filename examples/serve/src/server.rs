//! The handlers.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{DefaultBodyLimit, Request, State, rejection::JsonRejection};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use entropo::agent::ChatModel;
use entropo::train::LocalModel;
use entropo::train::generate::{GenerateRequest, StopRule, StopStrings};
use entropo::train::text::{ChatFormat, Conversation, SpecialText};
use serde_json::{Value, json};

use crate::completion::{Job, Terms, complete, stream};
use crate::error::ServeError;
use crate::protocol::ChatCompletionRequest;

/// Largest body that is read, in bytes: a conversation of a million tokens fits.
const LARGEST_BODY: usize = 16 << 20;

/// A model and who may use it.
pub struct Server {
    model: LocalModel,
    key: Option<String>,
    started: u64,
}

impl Server {
    /// Serves `model`; with a key, only to those who send it.
    pub fn new(model: LocalModel, key: Option<String>) -> Self {
        Self { model, key, started: seconds() }
    }

    /// The model.
    pub fn model(&self) -> &LocalModel {
        &self.model
    }
}

/// The routes.
pub fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat_completions))
        .route_layer(from_fn_with_state(Arc::clone(&server), authorize))
        .route("/health", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(server)
}

async fn authorize(State(server): State<Arc<Server>>, request: Request, next: Next) -> Result<Response, ServeError> {
    let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.strip_prefix("Bearer "));
    match &server.key {
        Some(key) if !sent.is_some_and(|sent| same(sent.as_bytes(), key.as_bytes())) => Err(ServeError::Unauthorized),
        _ => Ok(next.run(request).await),
    }
}

/// Compares without telling by its duration how much agrees.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

async fn models(State(server): State<Arc<Server>>) -> Json<Value> {
    let model = &server.model;
    Json(json!({"object": "list", "data": [{
        "id": model.name(),
        "object": "model",
        "created": server.started,
        "owned_by": "entropo",
        "max_model_len": model.engine().decoder().config().max_position_embeddings,
    }]}))
}

async fn chat_completions(
    State(server): State<Arc<Server>>,
    body: Result<Json<ChatCompletionRequest>, JsonRejection>,
) -> Result<Response, ServeError> {
    let Json(request) =
        body.map_err(|rejection| ServeError::Request { parameter: None, message: rejection.body_text() })?;
    request.check()?;
    let usage = request.stream_options.unwrap_or_default().include_usage;
    let whole = !request.stream.unwrap_or(false);
    // Rendering and tokenising a long conversation would hold up the other connections.
    let job = {
        let server = Arc::clone(&server);
        tokio::task::spawn_blocking(move || job(&server, &request)).await
    };
    let job = job.map_err(|panic| ServeError::Internal(panic.to_string()))??;
    if whole {
        Ok(Json(complete(&server, job).await?).into_response())
    } else {
        Ok(stream(server, job, usage).into_response())
    }
}

/// Renders the prompt and hands every choice to the engine, which refuses at once what cannot be.
fn job(server: &Server, request: &ChatCompletionRequest) -> Result<Job, ServeError> {
    let model = &server.model;
    if let Some(asked) = request.model.as_ref().filter(|asked| *asked != model.name()) {
        return Err(ServeError::Model { asked: asked.clone(), served: model.name().to_owned() });
    }
    let (tools, stops) = (request.offered_tools(), request.stop_strings());
    let conversation =
        Conversation::from_values(request.template_messages()?, tools.clone()).with_generation_prompt(true);
    let encoded = model.format().encode(&conversation, SpecialText::Escape);
    let prompt = encoded.map_err(|error| ServeError::parameter("messages", error.to_string()))?.ids;
    let context = model.engine().decoder().config().max_position_embeddings;
    let sampling = request.sampling(context.saturating_sub(prompt.len()));
    let seed = request.seed.map_or_else(nanoseconds, i64::cast_unsigned);
    let streams = (0..request.choices() as u64)
        .map(|choice| {
            model.engine().stream(GenerateRequest {
                prompt: prompt.clone(),
                sampling: sampling.clone(),
                stop: model.stop_tokens().to_vec(),
                rule: (!stops.is_empty()).then(|| stop_rule(model.format(), &stops)),
                top_logprobs: request.alternatives(),
                seed: seed.wrapping_add(choice),
                ..GenerateRequest::default()
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (logprobs, token_ids) = (request.logprobs.unwrap_or(false), request.return_token_ids.unwrap_or(false));
    let terms = Terms { id: nanoseconds(), created: seconds(), prompt, stops, tools, logprobs, token_ids };
    Ok(Job { terms, streams })
}

fn stop_rule(format: &Arc<ChatFormat>, stops: &[String]) -> Box<dyn StopRule> {
    let format = Arc::clone(format);
    Box::new(StopStrings::new(stops.to_vec(), move |ids: &[u32]| format.tokenizer().decode_known(ids).ok()))
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn nanoseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

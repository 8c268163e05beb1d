//! Errors in the form that OpenAI's clients read.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use entropo::train::generate::EngineError;
use entropo::train::text::TokenizerError;
use serde_json::json;

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The request asks for something that cannot be done.
    #[error("{message}")]
    Request {
        /// The parameter at fault, if one is.
        parameter: Option<&'static str>,
        /// What is wrong and what would be right.
        message: String,
    },
    /// No key, or another one.
    #[error("a valid API key is needed; send it as `Authorization: Bearer <key>`")]
    Unauthorized,
    /// A model that is not served here.
    #[error("the model `{asked}` is not served here; `{served}` is")]
    Model {
        /// The one asked for.
        asked: String,
        /// The one that is served.
        served: String,
    },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something of ours.
    #[error("{0}")]
    Internal(String),
}

impl ServeError {
    /// A parameter with a value that cannot be honoured.
    pub fn parameter(parameter: &'static str, message: impl Into<String>) -> Self {
        Self::Request { parameter: Some(parameter), message: message.into() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Request { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Model { .. } => StatusCode::NOT_FOUND,
            Self::Engine(EngineError::Stopped | EngineError::NotFinite { .. } | EngineError::Cancelled) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Engine(_) => StatusCode::BAD_REQUEST,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error's body.
    pub fn body(&self) -> serde_json::Value {
        let (kind, parameter, code) = match self {
            Self::Request { parameter, .. } => ("invalid_request_error", *parameter, None),
            Self::Unauthorized => ("invalid_request_error", None, Some("invalid_api_key")),
            Self::Model { .. } => ("invalid_request_error", Some("model"), Some("model_not_found")),
            // Agents look for this code to shorten their conversation.
            Self::Engine(EngineError::ContextFull { .. }) => {
                ("invalid_request_error", Some("messages"), Some("context_length_exceeded"))
            }
            Self::Engine(EngineError::Sampling { name, .. }) => ("invalid_request_error", Some(*name), None),
            Self::Engine(_) if self.status() == StatusCode::BAD_REQUEST => ("invalid_request_error", None, None),
            Self::Engine(_) | Self::Internal(_) => ("server_error", None, None),
        };
        let message = match self {
            // By these words litellm, and every agent on it, knows that a conversation is too long.
            Self::Engine(EngineError::ContextFull { prompt, context }) => {
                format!("This model's maximum context length is {context} tokens, but the messages have {prompt}.")
            }
            other => other.to_string(),
        };
        json!({"error": {"message": message, "type": kind, "param": parameter, "code": code}})
    }
}

impl From<TokenizerError> for ServeError {
    fn from(error: TokenizerError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl IntoResponse for ServeError {
    fn into_response(self) -> Response {
        (self.status(), Json(self.body())).into_response()
    }
}

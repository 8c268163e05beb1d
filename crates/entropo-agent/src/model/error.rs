use std::time::Duration;

/// Why a model gave no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The prompt fills the model's context, alone or with the reply that was asked for.
    #[error("{}", context_full(*prompt, *context))]
    ContextFull {
        /// Tokens in the prompt; 0 if the server does not say.
        prompt: usize,
        /// Tokens that fit; 0 if the server does not say.
        context: usize,
    },
    /// Somebody asked it to stop.
    #[error("cancelled")]
    Cancelled,
    /// A scripted or replayed model has nothing left to say.
    #[error("{model} has no reply number {turn} for this conversation")]
    Exhausted {
        /// The model's name.
        model: String,
        /// The turn, counted from 0.
        turn: usize,
    },
    /// There is no key, or the server does not accept it.
    #[error("{model}: not authorised: {message}; check the API key and what it may use")]
    Unauthorised {
        /// The model's name.
        model: String,
        /// What the server, or the source of the key, says.
        message: String,
    },
    /// Too much was asked in too little time, and waiting as the retry policy allows did not help.
    #[error("{model}: rate limited{}: {message}", wait(*retry_after))]
    RateLimited {
        /// The model's name.
        model: String,
        /// How long the server wants to be left alone, if it says.
        retry_after: Option<Duration>,
        /// What the server says.
        message: String,
    },
    /// The server will not answer this request however often it is sent.
    #[error("{model}: the server refuses the request (HTTP {status}): {message}")]
    Refused {
        /// The model's name.
        model: String,
        /// The HTTP status, or the one that the error's kind stands for.
        status: u16,
        /// What the server says.
        message: String,
    },
    /// The server failed, again and again.
    #[error("{model}: the server failed (HTTP {status}){}: {message}", wait(*retry_after))]
    Server {
        /// The model's name.
        model: String,
        /// The HTTP status, or the one that the error's kind stands for.
        status: u16,
        /// How long the server wants to be left alone, if it says.
        retry_after: Option<Duration>,
        /// What the server says.
        message: String,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("{model}: no connection: {message}")]
    Connection {
        /// The model's name.
        model: String,
        /// What happened.
        message: String,
    },
    /// The server was too slow.
    #[error("{model}: {what} took longer than {} s", limit.as_secs_f64())]
    Timeout {
        /// The model's name.
        model: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// The reply is larger than is allowed.
    #[error("{model}: the reply has more than {limit} bytes; if it may be so long, raise max_response_bytes")]
    TooLarge {
        /// The model's name.
        model: String,
        /// Bytes allowed.
        limit: usize,
    },
    /// The reply is not what the protocol wants: cut off, no UTF-8, no JSON or not of the right form.
    #[error("{model}: the reply cannot be read: {problem}")]
    Protocol {
        /// The model's name.
        model: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// Anything else.
    #[error("{model}: {source}")]
    Other {
        /// The model's name.
        model: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ModelError {
    /// One word for a metric or a span.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::ContextFull { .. } => "context_full",
            Self::Cancelled => "cancelled",
            Self::Exhausted { .. } => "exhausted",
            Self::Unauthorised { .. } => "unauthorised",
            Self::RateLimited { .. } => "rate_limited",
            Self::Refused { .. } => "refused",
            Self::Server { .. } => "server",
            Self::Connection { .. } => "connection",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::Protocol { .. } => "protocol",
            Self::Other { .. } => "other",
        }
    }

    /// Whether the same request may succeed when it is sent again.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Server { .. }
                | Self::Connection { .. }
                | Self::Timeout { .. }
                | Self::Protocol { .. }
        )
    }

    /// Whether any model would have failed: the fault is the request's, or the caller wants no reply any more.
    pub fn is_of_the_request(&self) -> bool {
        match self {
            Self::ContextFull { .. } | Self::Cancelled => true,
            Self::Refused { status, .. } => matches!(status, 400 | 413 | 422),
            _ => false,
        }
    }
}

fn context_full(prompt: usize, context: usize) -> String {
    match (prompt, context) {
        (0, 0) => "the prompt does not fit the model's context; shorten the conversation".to_owned(),
        (0, context) => {
            format!("the prompt does not fit the model's context of {context} tokens; shorten the conversation")
        }
        (prompt, 0) => {
            format!("the prompt has {prompt} tokens, more than the model's context; shorten the conversation")
        }
        (prompt, context) => {
            format!("the prompt has {prompt} tokens, the model's context {context}; shorten the conversation")
        }
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map(|wait| format!(", to be asked again in {} s", wait.as_secs_f64())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_context_says_what_is_known() {
        let text = |prompt, context| ModelError::ContextFull { prompt, context }.to_string();
        assert_eq!(text(9, 8), "the prompt has 9 tokens, the model's context 8; shorten the conversation");
        assert_eq!(text(0, 8), "the prompt does not fit the model's context of 8 tokens; shorten the conversation");
        assert!(!text(0, 0).contains('0') && !text(9, 0).contains('0'));
    }

    #[test]
    fn what_the_request_is_to_blame_for_is_not_transient() {
        let refused = |status| ModelError::Refused { model: "m".to_owned(), status, message: String::new() };
        for (error, request, transient) in [
            (ModelError::Cancelled, true, false),
            (refused(400), true, false),
            (refused(404), false, false),
            (ModelError::Protocol { model: "m".to_owned(), problem: String::new() }, false, true),
        ] {
            assert_eq!((error.is_of_the_request(), error.is_transient()), (request, transient), "{error}");
        }
    }
}

//! What a server says instead of a reply, and which [`ModelError`] it is.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::context::context_in;
use crate::model::ModelError;

/// Longer messages of servers are cut.
const MAX_MESSAGE_CHARS: usize = 500;

/// Why there is no reply, before the model's name is known.
#[derive(Debug, PartialEq)]
pub(crate) enum WireError {
    /// The server says why.
    Refused(Refusal),
    /// What came is not as it should be.
    Unreadable(String),
}

impl WireError {
    pub(super) fn into_error(self, model: &str) -> ModelError {
        match self {
            Self::Refused(refusal) => refusal.into_error(model),
            Self::Unreadable(problem) => ModelError::Protocol { model: model.to_owned(), problem },
        }
    }
}

/// What a server says instead of a reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Refusal {
    /// The HTTP status, or what the kind of error stands for.
    pub(crate) status: u16,
    /// The kind of error, in the server's words; empty if it names none.
    pub(crate) kind: String,
    /// In the server's words, on one line.
    pub(crate) message: String,
    /// How long it wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Tokens of the prompt and of the context, if it is about these.
    pub(crate) context: Option<(usize, usize)>,
}

impl Refusal {
    /// What a body with this status says. It may be anything.
    pub(super) fn from_body(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let refusal = match serde_json::from_slice::<Value>(body) {
            Ok(body) => Self::from_value(&body).unwrap_or_else(|| Self::bare(&body.to_string())),
            Err(_) => Self::bare(&String::from_utf8_lossy(body)),
        };
        Self { status, retry_after, ..refusal }
    }

    /// What JSON says that is an error in any of the forms that servers use, whatever the HTTP status was: `{"error":
    /// {"message", "type", "code"}}`, `{"error": "…"}`, `{"object": "error", "message"}` and `{"detail": …}`.
    pub(crate) fn from_value(body: &Value) -> Option<Self> {
        let error = match body.get("error").filter(|error| !error.is_null()) {
            Some(error) => error,
            None if [body.get("object"), body.get("type")].contains(&Some(&Value::from("error"))) => body,
            None => body.get("detail").filter(|_| body.get("choices").is_none() && body.get("content").is_none())?,
        };
        let text = |name| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let message = error.as_str().or_else(|| text("message")).map_or_else(|| error.to_string(), str::to_owned);
        let kinds: Vec<_> = [text("type"), text("code")].into_iter().flatten().collect();
        let kind = kinds.join(" ");
        let number = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let status = number.filter(|code| (400..600).contains(code)).unwrap_or_else(|| status_of(&kind));
        let number = |name| error.get(name).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        let context = context_in(&kind, &message, number("n_prompt_tokens").zip(number("n_ctx")));
        Some(Self { status, kind, message: one_line(&message), retry_after: None, context })
    }

    fn bare(text: &str) -> Self {
        let message = one_line(text);
        let message = if message.is_empty() { "it does not say why".to_owned() } else { message };
        Self { context: context_in("", &message, None), message, ..Self::default() }
    }

    pub(super) fn into_error(self, model: &str) -> ModelError {
        let Self { status, kind, message, retry_after, context } = self;
        let model = model.to_owned();
        match (status, context) {
            (400 | 413 | 422 | 500, Some((prompt, context))) => ModelError::ContextFull { prompt, context },
            (401 | 403, _) => ModelError::Unauthorised { model, message },
            // Waiting does not fill an account.
            (429, _) if kind.contains("insufficient_quota") => ModelError::Refused { model, status, message },
            (429, _) => ModelError::RateLimited { model, retry_after, message },
            (408 | 409 | 425 | 500.., _) => ModelError::Server { model, status, retry_after, message },
            _ => ModelError::Refused { model, status, message },
        }
    }
}

/// The HTTP status that a kind of error stands for, when there is no better one.
fn status_of(kind: &str) -> u16 {
    const KINDS: [(&str, u16); 10] = [
        ("authentication", 401),
        ("api_key", 401),
        ("permission", 403),
        ("not_found", 404),
        ("rate_limit", 429),
        ("quota", 429),
        ("overloaded", 529),
        ("request_too_large", 413),
        ("invalid", 400),
        ("context", 400),
    ];
    let kind = kind.to_ascii_lowercase();
    KINDS.iter().find(|(word, _)| kind.contains(word)).map_or(500, |(_, status)| *status)
}

/// How long the server wants to be left alone: OpenAI's milliseconds, or seconds or a date as HTTP has them.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    let number = |name, unit: f64| {
        let seconds = text(name)?.parse::<f64>().ok()? * unit;
        Duration::try_from_secs_f64(seconds).ok()
    };
    let date = || {
        let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    };
    number("retry-after-ms", 1e-3).or_else(|| number("retry-after", 1.0)).or_else(date)
}

/// A server's words on one line, not too long, without control characters.
fn one_line(text: &str) -> String {
    let words = text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty());
    let mut line = String::new();
    for word in words {
        let room = MAX_MESSAGE_CHARS.saturating_sub(line.chars().count());
        if room < 2 {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().take(room));
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderName;

    use super::*;

    fn error(status: u16, body: &str) -> ModelError {
        Refusal::from_body(status, body.as_bytes(), None).into_error("m")
    }

    #[test]
    fn every_form_of_error_is_understood() {
        for (body, message) in [
            (r#"{"error": {"message": "No\nway.", "type": "x", "code": null}}"#, "No way."),
            (r#"{"error": "No way."}"#, "No way."),
            (r#"{"object": "error", "message": "No way.", "code": 418}"#, "No way."),
            (r#"{"detail": "No way."}"#, "No way."),
            ("<html>\n<b>No way.</b>", "<html> <b>No way.</b>"),
            ("", "it does not say why"),
        ] {
            let text = error(418, body).to_string();
            assert_eq!(text, format!("m: the server refuses the request (HTTP 418): {message}"));
        }
    }

    #[test]
    fn a_reply_is_no_error() {
        for body in [r#"{"error": null, "choices": []}"#, r#"{"choices": [], "detail": "x"}"#, "[]", "1"] {
            assert_eq!(Refusal::from_value(&serde_json::from_str(body).unwrap()), None);
        }
    }

    #[test]
    fn without_a_status_the_kind_tells() {
        let status = |body: &str| Refusal::from_value(&serde_json::from_str(body).unwrap()).unwrap().status;
        assert_eq!(status(r#"{"error": {"code": 502, "message": ""}}"#), 502);
        assert_eq!(status(r#"{"error": {"code": 7, "type": "overloaded_error"}}"#), 529);
        assert_eq!(status(r#"{"error": {"type": "invalid_request_error", "code": "invalid_api_key"}}"#), 401);
        assert_eq!(status(r#"{"error": "broken"}"#), 500);
    }

    #[test]
    fn statuses_become_what_a_caller_does_next() {
        assert!(matches!(error(401, ""), ModelError::Unauthorised { .. }));
        assert!(matches!(error(429, ""), ModelError::RateLimited { retry_after: None, .. }));
        assert!(matches!(error(429, r#"{"error": {"code": "insufficient_quota"}}"#), ModelError::Refused { .. }));
        assert!(matches!(error(503, ""), ModelError::Server { status: 503, .. }));
        assert!(matches!(error(404, ""), ModelError::Refused { status: 404, .. }));
    }

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(one_line(&"é".repeat(9999)).chars().count(), MAX_MESSAGE_CHARS);
        assert!(one_line(&"word ".repeat(9999)).chars().count() <= MAX_MESSAGE_CHARS + 2);
    }

    #[test]
    fn retry_after_is_seconds_milliseconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let wait = |name: &'static str, value: &'static str| {
            retry_after(&HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]), now)
        };
        assert_eq!(wait("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(wait("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["-1", "NaN", "soon", "1e999", ""] {
            assert_eq!(wait("retry-after", nonsense), None);
        }
    }

    proptest! {
        #[test]
        fn any_body_is_an_error(status in 400_u16..600, body in prop::collection::vec(any::<u8>(), 0..80), text in ".{0,80}") {
            let _ = Refusal::from_body(status, &body, None).into_error("m").to_string();
            prop_assert!(!error(status, &text).to_string().contains('\n'));
        }
    }
}

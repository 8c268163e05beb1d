//! Prompts that are too long, in the words of servers.

/// If an error is about the length of the context: tokens of the prompt and of the context, 0 for what is not said. Servers
/// say it in prose.
pub(super) fn context_in(kind: &str, message: &str, told: Option<(usize, usize)>) -> Option<(usize, usize)> {
    const SIGNS: [&str; 9] = [
        "context length",
        "context_length",
        "context size",
        "context window",
        "context limit",
        "exceed_context",
        "maximum context",
        "prompt is too long",
        "input is too long",
    ];
    let message = message.to_ascii_lowercase();
    let about = SIGNS.iter().any(|sign| message.contains(sign) || kind.contains(sign));
    let prompt = || {
        (number_before(&message, " in the messages"))
            .or_else(|| number_before(&message, " in your prompt"))
            .or_else(|| number_before(&message, " input tokens"))
            .or_else(|| number_after(&message, "the input ("))
            .or_else(|| number_after(&message, "prompt is too long: "))
            .or_else(|| number_after(&message, "exceed context limit: "))
            .or_else(|| number_after(&message, "you requested "))
            .or_else(|| number_after(&message, "the request has "))
            .or_else(|| number_after(&message, "request ("))
            .or_else(|| number_after(&message, "the prompt has "))
    };
    let context = || {
        (number_after(&message, "context length is only "))
            .or_else(|| number_after(&message, "context length is "))
            .or_else(|| number_after(&message, "context length ("))
            .or_else(|| number_after(&message, "context size ("))
            .or_else(|| number_after(&message, "model's context "))
            .or_else(|| number_before(&message, " maximum"))
            .or_else(|| number_after(message.split_once("exceed context limit: ")?.1, " > "))
    };
    about.then(|| told.unwrap_or_else(|| (prompt().unwrap_or(0), context().unwrap_or(0))))
}

fn number_after(text: &str, before: &str) -> Option<usize> {
    let (_, rest) = text.split_once(before)?;
    let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

fn number_before(text: &str, after: &str) -> Option<usize> {
    let (rest, _) = text.split_once(after)?;
    let rest = rest.strip_suffix(" tokens").unwrap_or(rest);
    rest.rsplit(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::model::ModelError;
    use crate::model::http::Refusal;

    fn context(status: u16, body: &str) -> Option<(usize, usize)> {
        match Refusal::from_body(status, body.as_bytes(), None).into_error("m") {
            ModelError::ContextFull { prompt, context } => Some((prompt, context)),
            _ => None,
        }
    }

    #[test]
    fn a_full_context_is_recognised_in_every_servers_words() {
        for (body, numbers) in [
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5120 tokens (4097 in the \
                 messages, 1023 in the completion).",
                (4097, 4096),
            ),
            (
                "'max_tokens' is too large: 1024. This model's maximum context length is 512 tokens and your request \
                 has 100 input tokens (1024 > 512 - 100).",
                (100, 512),
            ),
            ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", (5000, 4096)),
            ("prompt is too long: 208310 tokens > 200000 maximum", (208_310, 200_000)),
            (
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length",
                (188_240, 200_000),
            ),
            (
                "You passed 77 input tokens and requested 1024 output tokens. However, the model's context length is \
                 only 1100 tokens, resulting in a maximum input length of 76 tokens.",
                (77, 1100),
            ),
            (
                "This model's maximum context length is 1100 tokens. However, you requested 1024 output tokens and \
                 your prompt contains at least 77 input tokens, for a total of at least 1101 tokens.",
                (77, 1100),
            ),
            (
                "This model's maximum context length is 4097 tokens, however you requested 4100 tokens (4000 in your \
                 prompt; 100 for the completion). Please reduce your prompt; or completion length.",
                (4000, 4097),
            ),
            ("the prompt has 9 tokens, the model's context 8; context_length_exceeded", (9, 8)),
            ("request (4213 tokens) exceeds the available context size (1024 tokens), try increasing it", (4213, 1024)),
            ("the request exceeds the available context size, try increasing it", (0, 0)),
        ] {
            assert_eq!(context(400, &serde_json::json!({"error": {"message": body}}).to_string()), Some(numbers));
            assert_eq!(context(400, body), Some(numbers), "{body}");
        }
        let told =
            r#"{"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 7, "n_ctx": 5, "message": ""}}"#;
        assert_eq!(context(400, told), Some((7, 5)));
        assert_eq!(context(400, r#"{"error": {"message": "no", "code": "context_length_exceeded"}}"#), Some((0, 0)));
        assert_eq!(context(400, "no such model"), None);
    }
}

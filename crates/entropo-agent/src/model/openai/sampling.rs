//! How the next token is to be chosen, and who tells which it was.

use serde_json::{Map, Value};

use crate::model::Sampling;

/// Who tells tokens, and so how they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenSource {
    /// vLLM, and whoever has its `return_token_ids`.
    ReturnTokenIds,
    /// llama.cpp, which tells the reply's tokens only if it is verbose, and the prompt in words only.
    LlamaCpp,
}

/// The fields of a body. What servers of one's own add to OpenAI's sampling is sent only if it is asked for, except to those
/// that tell tokens: what they do by default, cut off unlikely tokens mostly, is not what is trained on.
pub(super) fn fields(sampling: &Sampling, tokens: Option<TokenSource>) -> Map<String, Value> {
    let Sampling { temperature, top_p, top_k, min_p, repetition_penalty, max_tokens: _ } = *sampling;
    let penalised = repetition_penalty != 1.0;
    let known = [
        ("top_p", decimal(top_p), top_p != 1.0),
        ("top_k", top_k.map_or(Value::Null, Value::from), top_k.is_some()),
        ("min_p", decimal(min_p), min_p != 0.0),
        ("repetition_penalty", decimal(repetition_penalty), penalised),
    ];
    let mut fields = vec![("temperature", decimal(temperature))];
    match tokens {
        None => fields.extend(known.into_iter().filter(|(_, _, set)| *set).map(|(name, value, _)| (name, value))),
        Some(TokenSource::ReturnTokenIds) => {
            fields.extend(known.map(|(name, value, _)| (name, if value.is_null() { (-1).into() } else { value })));
            fields.extend([("return_token_ids", true.into()), ("logprobs", true.into())]);
        }
        Some(TokenSource::LlamaCpp) => {
            fields.extend([
                ("top_p", decimal(top_p)),
                ("top_k", top_k.unwrap_or(0).into()),
                ("min_p", decimal(min_p)),
                ("repeat_penalty", decimal(repetition_penalty)),
                // Its own order has the temperature last.
                ("samplers", ["penalties", "temperature", "top_k", "top_p", "min_p"].as_slice().into()),
                ("return_tokens", true.into()),
                ("verbose", true.into()),
                ("logprobs", true.into()),
                // Of the twenty likeliest tokens that it would tell with each, one is enough.
                ("top_logprobs", 1.into()),
            ]);
            // It looks back over 64 tokens if nothing is said; this is more than most contexts have.
            fields.extend(penalised.then(|| ("repeat_last_n", (1 << 17).into())));
        }
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The shortest decimal that is this number: 0.6, where a conversion to f64 would give 0.6000000238.
fn decimal(number: f32) -> Value {
    number.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(sampling: &Sampling, tokens: Option<TokenSource>) -> Value {
        let mut fields = fields(sampling, tokens);
        for asking in ["return_token_ids", "return_tokens", "verbose", "logprobs", "top_logprobs", "samplers"] {
            fields.remove(asking);
        }
        Value::Object(fields)
    }

    #[test]
    fn who_tells_tokens_is_told_everything() {
        let default = Sampling::default();
        assert_eq!(sent(&default, None), json!({"temperature": 1.0}));
        assert_eq!(
            sent(&default, Some(TokenSource::ReturnTokenIds)),
            json!({"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0})
        );
        assert_eq!(
            sent(&default, Some(TokenSource::LlamaCpp)),
            json!({"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0})
        );
    }

    #[test]
    fn what_is_set_is_sent_as_it_was_written() {
        let sampling = Sampling {
            temperature: 0.6,
            top_p: 0.9,
            top_k: Some(20),
            min_p: 0.05,
            repetition_penalty: 1.1,
            ..default()
        };
        let known = json!({"temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1});
        assert_eq!(sent(&sampling, None), known);
        assert_eq!(sent(&sampling, Some(TokenSource::ReturnTokenIds)), known);
        let llama_cpp = sent(&sampling, Some(TokenSource::LlamaCpp));
        assert_eq!((&llama_cpp["repeat_penalty"], &llama_cpp["repeat_last_n"]), (&json!(1.1), &json!(131_072)));
        assert_eq!(llama_cpp.get("repetition_penalty"), None);
    }

    fn default() -> Sampling {
        Sampling::default()
    }
}

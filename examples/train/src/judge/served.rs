//! A verifier behind a server.

use clap::Args;
use entropo_agent::model::http::{ApiKey, Connection};
use entropo_agent::model::openai::OpenAi;
use entropo_agent::verifier::{CHAT_MARKS, ServedVerifier};
use serde_json::{Map, Value};

use super::error::JudgeError;
use super::identity::Identity;
use super::question::Question;

/// A model behind a server.
#[derive(Clone, Debug, Default, Args)]
pub struct ServedArguments {
    /// A server that speaks OpenAI's chat completions with `top_logprobs`, such as http://127.0.0.1:8000/v1.
    #[arg(long, value_name = "URL", requires = "served_model")]
    pub base_url: Option<String>,
    /// The model's name at the server.
    #[arg(long, value_name = "NAME", requires = "base_url")]
    pub served_model: Option<String>,
    /// The environment variable that holds the server's key. Default: OPENAI_API_KEY, if there is one.
    #[arg(long, value_name = "NAME", requires = "base_url")]
    pub api_key_env: Option<String>,
    /// A field of every request, such as `chat_template_kwargs={"enable_thinking": false}` for a model that would think
    /// first; may be given several times.
    #[arg(long = "field", value_name = "NAME=JSON", requires = "base_url")]
    pub fields: Vec<String>,
    /// A text that the model's tokenizer lists as special, beside those of well-known models: where an attempt has it, it gets a
    /// blank after its first letter. May be given several times.
    #[arg(long = "mark", value_name = "TEXT", requires = "base_url")]
    pub marks: Vec<String>,
    /// Tokens that a reply may have; a verifier that reasons before its answer needs more.
    #[arg(long, value_name = "NUMBER", default_value_t = 16, requires = "base_url")]
    pub reply: usize,
    /// Attempts that are judged at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, requires = "base_url")]
    pub concurrency: usize,
}

impl ServedArguments {
    /// The verifier that a server's model is, and which one that is.
    pub(super) fn open(
        &self,
        base_url: &str,
        name: &str,
        question: &Question,
    ) -> Result<(ServedVerifier, Identity), JudgeError> {
        let mut connection = Connection::new(base_url);
        let default = std::env::var_os("OPENAI_API_KEY").map(|_| "OPENAI_API_KEY");
        if let Some(variable) = self.api_key_env.as_deref().or(default) {
            connection = connection.api_key(ApiKey::environment(variable));
        }
        let mut model = OpenAi::new(connection, name)?;
        let fields = self.fields()?;
        for (name, value) in &fields {
            model = model.field(name, value);
        }
        let (prompt, tokens) = (question.prompt()?, question.budget(None)?);
        let verifier = ServedVerifier::new(model, prompt.clone(), tokens)?;
        let marks: Vec<String> = CHAT_MARKS.map(str::to_owned).into_iter().chain(self.marks.clone()).collect();
        let verifier = verifier.reply(self.reply).concurrency(self.concurrency).marks(marks.clone())?;
        let model = name.to_owned();
        let identity =
            Identity { model, served: true, weights: None, adapter: None, head: None, prompt, tokens, fields, marks };
        Ok((verifier, identity))
    }

    fn fields(&self) -> Result<Map<String, Value>, JudgeError> {
        let read = |field: &String| {
            let refused = |reason: String| JudgeError::Field { field: field.clone(), reason };
            let (name, value) = field.split_once('=').ok_or_else(|| refused("it has no =".to_owned()))?;
            let value = serde_json::from_str(value).map_err(|error| refused(error.to_string()))?;
            Ok((name.trim().to_owned(), value))
        };
        self.fields.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_json() {
        let fields = |field: &str| ServedArguments { fields: vec![field.to_owned()], ..Default::default() }.fields();
        assert_eq!(fields("a={\"b\": false}").unwrap().get("a"), Some(&json!({"b": false})));
        for wrong in ["a", "a=b"] {
            let error = fields(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("--field {wrong}")) && error.contains("NAME=JSON"), "{error}");
        }
    }
}

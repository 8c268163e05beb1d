//! Which model acts.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use entropo_agent::dialect::{Bash, Glm, Hermes, Llama, Xml};
use entropo_agent::model::http::{ApiKey, Connection};
use entropo_agent::model::openai::OpenAi;
use entropo_agent::model::{Prices, ToolCalling};
use entropo_agent::{ChatModel, Dialect};
use serde::Serialize;

use crate::failure::Failure;

/// What is written of it is what rollouts depend on.
#[derive(Debug, Args, Serialize)]
pub(crate) struct ModelOptions {
    /// An OpenAI-compatible server, such as http://127.0.0.1:8000/v1.
    #[arg(long)]
    base_url: String,
    /// The model's name at the server; it is also what predictions name.
    #[arg(long)]
    pub(crate) model: String,
    /// The environment variable that holds the server's key. Default: OPENAI_API_KEY, if there is one.
    #[arg(long, value_name = "NAME")]
    #[serde(skip)]
    api_key_env: Option<String>,
    /// How the model writes tool calls: as the server has it, or as text.
    #[arg(long, value_enum, default_value_t = DialectName::Native)]
    dialect: DialectName,
    /// What a million tokens cost in US dollars, read and written.
    #[arg(long, num_args = 2, value_names = ["READ", "WRITTEN"])]
    #[serde(skip)]
    prices: Vec<f64>,
    /// Keep the model's tokens and log-probabilities, for training; the server must tell them, as vLLM does.
    #[arg(long)]
    tokens: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum DialectName {
    /// As the server has it.
    Native,
    /// Qwen2.5, Qwen3.
    Hermes,
    /// Qwen3-Coder, R2E.
    Xml,
    /// Llama 3.1 and later.
    Llama,
    /// GLM-4.5 and later.
    Glm,
    /// A fenced block of shell, for models that were never taught tools.
    Bash,
}

impl ModelOptions {
    pub(crate) fn open(&self) -> Result<Arc<dyn ChatModel>, Failure> {
        let connection = Connection::new(&self.base_url);
        let connection = match &self.api_key_env {
            Some(name) => connection.api_key(ApiKey::environment(name)),
            None if std::env::var_os("OPENAI_API_KEY").is_some() => {
                connection.api_key(ApiKey::environment("OPENAI_API_KEY"))
            }
            None => connection,
        };
        let dialect: Option<Arc<dyn Dialect>> = match self.dialect {
            DialectName::Native => None,
            DialectName::Hermes => Some(Arc::new(Hermes)),
            DialectName::Xml => Some(Arc::new(Xml)),
            DialectName::Llama => Some(Arc::new(Llama)),
            DialectName::Glm => Some(Arc::new(Glm)),
            DialectName::Bash => Some(Arc::new(Bash::default())),
        };
        let calls = dialect.map_or(ToolCalling::Native, ToolCalling::Text);
        let model = OpenAi::new(connection, &self.model).map_err(|error| Failure::Asked(error.to_string()))?;
        let mut model = model.tool_calling(calls);
        if self.tokens {
            model = model.tokens();
        }
        if let [read, written] = self.prices.as_slice() {
            model = model.prices(Prices::new(*read, *written));
        }
        Ok(Arc::new(model))
    }
}

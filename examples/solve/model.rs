//! Which model acts.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use entropo::agent::dialect::{Bash, Glm, Hermes, Llama, Xml};
use entropo::agent::model::anthropic::Anthropic;
use entropo::agent::model::http::{ApiKey, Connection};
use entropo::agent::model::openai::OpenAi;
use entropo::agent::model::{Prices, ToolCalling};
use entropo::agent::{ChatModel, Dialect};
use entropo::train::LocalModel;
use entropo::train::generate::EngineConfig;
use repair_lab::{experiment, policy::Policy};

use crate::Failure;

#[derive(Args, Debug)]
pub(crate) struct ModelOptions {
    /// A model server, such as http://127.0.0.1:8000/v1.
    #[arg(long, requires = "model", conflicts_with = "checkpoint")]
    base_url: Option<String>,
    /// The model's name at the server.
    #[arg(long)]
    model: Option<String>,
    /// The server speaks Anthropic's Messages API; without --base-url it is Anthropic itself.
    #[arg(long, requires = "model", conflicts_with = "checkpoint")]
    anthropic: bool,
    /// The environment variable that holds the server's key. Default: OPENAI_API_KEY, or ANTHROPIC_API_KEY with
    /// --anthropic; a server of one's own may need none.
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// A checkpoint directory on this machine.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// How the model writes tool calls: as the server or the checkpoint's template has it, or as text.
    #[arg(long, value_enum, default_value_t = DialectName::Native)]
    dialect: DialectName,
    /// What a million tokens cost in US dollars, read and written, if a server is asked.
    #[arg(long, num_args = 2, value_names = ["READ", "WRITTEN"])]
    prices: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DialectName {
    /// As the server or the template has it.
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
    /// Whether nobody named a model, so that the embedded policy acts.
    pub(crate) fn is_embedded(&self) -> bool {
        self.base_url.is_none() && !self.anthropic && self.checkpoint.is_none()
    }

    /// Whether it is known what the model costs.
    pub(crate) fn has_prices(&self) -> bool {
        !self.prices.is_empty()
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn ChatModel>, Failure> {
        let name = self.model.as_deref().unwrap_or_default();
        let prices = match self.prices.as_slice() {
            [read, written] => Some(Prices::new(*read, *written)),
            _ => None,
        };
        if self.anthropic {
            if self.dialect != DialectName::Native {
                return Err("the Messages API has tool calls of its own; leave --dialect out".into());
            }
            let model = match &self.base_url {
                Some(url) => Anthropic::new(self.connection(url, "ANTHROPIC_API_KEY"), name)?,
                None => Anthropic::from_environment(name)?,
            };
            return Ok(match prices {
                Some(prices) => Arc::new(model.prices(prices)),
                None => Arc::new(model),
            });
        }
        if let Some(url) = &self.base_url {
            let calls = self.dialect.dialect().map_or(ToolCalling::Native, ToolCalling::Text);
            let model = OpenAi::new(self.connection(url, "OPENAI_API_KEY"), name)?.tool_calling(calls);
            return Ok(match prices {
                Some(prices) => Arc::new(model.prices(prices)),
                None => Arc::new(model),
            });
        }
        let model = match &self.checkpoint {
            Some(directory) => LocalModel::open(directory, EngineConfig::default())?,
            None => Policy::embedded(&experiment::device())?.serve("repair-lab", EngineConfig::default())?,
        };
        Ok(Arc::new(match self.dialect {
            DialectName::Native => model,
            DialectName::Hermes => model.with_dialect(Hermes),
            DialectName::Xml => model.with_dialect(Xml),
            DialectName::Llama => model.with_dialect(Llama),
            DialectName::Glm => model.with_dialect(Glm),
            DialectName::Bash => model.with_dialect(Bash::default()),
        }))
    }

    /// The key goes along if there is one. Who named its variable is told when it is missing.
    fn connection(&self, url: &str, usual: &str) -> Connection {
        let connection = Connection::new(url);
        match &self.api_key_env {
            Some(name) => connection.api_key(ApiKey::environment(name)),
            None if std::env::var_os(usual).is_some() => connection.api_key(ApiKey::environment(usual)),
            None => connection,
        }
    }
}

impl DialectName {
    fn dialect(self) -> Option<Arc<dyn Dialect>> {
        Some(match self {
            Self::Native => return None,
            Self::Hermes => Arc::new(Hermes),
            Self::Xml => Arc::new(Xml),
            Self::Llama => Arc::new(Llama),
            Self::Glm => Arc::new(Glm),
            Self::Bash => Arc::new(Bash::default()),
        })
    }
}

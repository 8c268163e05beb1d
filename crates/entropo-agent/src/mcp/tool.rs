use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use entropo_core::ToolSpec;
use rmcp::model::{JsonObject, PaginatedRequestParams, Tool};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::client::{McpClient, Unanswered};
use super::{McpError, text};
use crate::tool::{Arguments, CallError, Concurrency, DynTool, ToolError, ToolOutput, ToolboxError};

/// Bytes of a description that a model is shown.
const MOST_DESCRIPTION: usize = 4000;
/// Bytes of a schema that is accepted.
const MOST_SCHEMA: usize = 64 << 10;
/// Characters that a name may have, as OpenAI's and Anthropic's servers have it.
const MOST_NAME: usize = 64;

/// How many tools of a server are used; no model could tell more of them apart.
const MOST_TOOLS: usize = 1000;

impl McpClient {
    /// The tools that the server offers now. One whose schema cannot be used is left out with a warning.
    ///
    /// # Errors
    /// [`McpError::List`], [`McpError::Timeout`], or those of connecting if the server has to be started again.
    pub async fn tools(&self) -> Result<Vec<Arc<dyn DynTool>>, McpError> {
        let (server, (peer, _)) = (self.server(), self.peer().await?);
        let listing = async {
            let (mut listed, mut cursor) = (Vec::new(), None);
            // A server could go on for ever.
            while listed.len() < MOST_TOOLS {
                let page = peer.list_tools(Some(PaginatedRequestParams::default().with_cursor(cursor))).await;
                let page =
                    page.map_err(|error| McpError::List { server: server.to_string(), message: error.to_string() })?;
                listed.extend(page.tools);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            listed.truncate(MOST_TOOLS);
            Ok(listed)
        };
        let (mut names, mut tools) = (HashSet::new(), Vec::<Arc<dyn DynTool>>::new());
        for listed in server.in_time("listed its tools", listing).await? {
            match McpTool::new(self.clone(), &server.prefix, &listed, &mut names) {
                Ok(tool) => tools.push(Arc::new(tool)),
                Err(error) => tracing::warn!(%server, %error, "a tool of an MCP server is left out"),
            }
        }
        Ok(tools)
    }
}

/// A tool of a server.
pub(super) struct McpTool {
    client: McpClient,
    /// As the server calls it.
    name: String,
    spec: ToolSpec,
    arguments: Arguments,
    reads_only: bool,
}

impl McpTool {
    /// A tool whose name is none of `taken`, to which it is added.
    pub(super) fn new(
        client: McpClient,
        prefix: &str,
        listed: &Tool,
        taken: &mut HashSet<String>,
    ) -> Result<Self, ToolboxError> {
        let name = free_name(&format!("{prefix}{}", listed.name), taken);
        let schema = Value::Object(JsonObject::clone(&listed.input_schema));
        if schema.to_string().len() > MOST_SCHEMA {
            let reason = format!("it has more than {MOST_SCHEMA} bytes");
            return Err(ToolboxError::Schema { name, reason });
        }
        let arguments = Arguments::new(&name, schema.clone())?;
        let description = listed.description.as_deref().unwrap_or_default();
        let description = text::shortened(description, MOST_DESCRIPTION).to_owned();
        let reads_only = listed.annotations.as_ref().and_then(|hints| hints.read_only_hint) == Some(true);
        let spec = ToolSpec { name, description, parameters: schema };
        Ok(Self { client, name: listed.name.to_string(), spec, arguments, reads_only })
    }
}

#[async_trait]
impl DynTool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn concurrency(&self) -> Concurrency {
        if self.reads_only { Concurrency::Shared } else { Concurrency::Alone }
    }

    async fn call(&self, arguments: &Value, cancel: &CancellationToken) -> Result<ToolOutput, CallError> {
        let arguments: JsonObject = self.arguments.read(arguments)?;
        let failed = |why: &str| CallError::Failed(ToolError::new(why));
        let call = async {
            match self.client.call(&self.name, arguments.clone()).await {
                Err(Unanswered::Died) if self.reads_only => self.client.call(&self.name, arguments).await,
                answer => answer,
            }
        };
        let answer = tokio::select! {
            biased;
            answer = call => answer,
            () = cancel.cancelled() => return Err(failed("The call was cancelled.")),
        };
        match answer {
            Ok(result) if result.is_error == Some(true) => Err(failed(&text::answer(&result))),
            Ok(result) => Ok(ToolOutput::text(text::answer(&result))),
            Err(Unanswered::Died) => Err(failed(
                "The server of this tool died during the call, which may have had effects all the same. Check before you \
                 repeat it; the server is started again.",
            )),
            Err(Unanswered::Late) => {
                let seconds = self.client.call_timeout().as_secs_f64();
                Err(failed(&format!("The call took longer than {seconds} s and was cancelled.")))
            }
            Err(Unanswered::Refused(why)) => Err(failed(&why)),
        }
    }
}

/// A name that servers of models accept and that is not taken.
fn free_name(wanted: &str, taken: &mut HashSet<String>) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = wanted.chars().map(allowed).take(MOST_NAME).collect();
    let numbered = |number: usize| match number {
        1 => name.clone(),
        number => {
            let end = format!("_{number}");
            format!("{}{end}", text::shortened(&name, MOST_NAME - end.len()))
        }
    };
    let free = (1..).map(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_valid_and_unique() {
        let mut taken = HashSet::new();
        let mut name = |wanted: &str| free_name(wanted, &mut taken);
        assert_eq!([name("files_read file"), name("files_read.file")], ["files_read_file", "files_read_file_2"]);
        assert_eq!(name(&"x".repeat(90)).len(), 64);
        assert_eq!(name(&"x".repeat(90)), format!("{}_2", "x".repeat(62)));
    }
}

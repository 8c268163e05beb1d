//! The tool with which a testing agent hands in a test.

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::prove::names;
use super::scorer::TRIES;
use super::{KeptTests, NotKept, Reproduction, ReproductionTest};

/// Proves a test and keeps it.
pub struct SubmitTest {
    reproduction: Reproduction,
    kept: KeptTests,
    most: usize,
}

/// What [`SubmitTest`] is handed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct SubmitTestArgs {
    /// The whole content of the file with the test.
    pub content: String,
}

impl SubmitTest {
    /// A tool that adds to `kept`, up to `most` tests.
    pub fn new(reproduction: Reproduction, kept: KeptTests, most: usize) -> Self {
        Self { reproduction, kept, most }
    }

    /// Proves a test. Where it cannot be run, the agent cannot help it: it is tried again, and noted in the end.
    async fn prove(&self, content: &str, cancel: &CancellationToken) -> Result<ReproductionTest, NotKept> {
        let mut attempt = 1;
        loop {
            match self.reproduction.prove(content, cancel).await {
                Err(why) if why.is_of_the_test() || cancel.is_cancelled() => return Err(why),
                Err(why) if attempt == TRIES => {
                    self.kept.fail(why.to_string());
                    return Err(why);
                }
                Err(error) => tracing::warn!(attempt, %error, "a test is run again"),
                proven => return proven,
            }
            attempt += 1;
        }
    }

    async fn submit(&self, content: &str, cancel: &CancellationToken) -> Result<String, NotKept> {
        let test = self.prove(content, cancel).await?;
        let said = format!("Kept as {}. Failing, as it should: {}.", test.path, names(&test.fails));
        self.kept.add(test).map(|()| said).map_err(NotKept::Same)
    }
}

impl Tool for SubmitTest {
    const NAME: &'static str = "submit_test";
    type Args = SubmitTestArgs;

    fn description(&self) -> String {
        format!(
            "Hand in a file with a test of the issue. It is run on the code as it is and kept if it fails there; otherwise you are \
             told why not, and can mend it. Up to {} are kept.",
            self.most
        )
    }

    async fn call(&self, arguments: SubmitTestArgs, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        if self.kept.len() >= self.most {
            return Err(ToolError::new("Not kept: there are enough tests. Call finish."));
        }
        match self.submit(&arguments.content, cancel).await {
            Ok(said) => Ok(ToolOutput::text(said)),
            Err(why) => Err(ToolError::new(format!("Not kept: {why}."))),
        }
    }
}

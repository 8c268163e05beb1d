//! What a verifier is shown and asked.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use entropo_agent::verifier::JudgePrompt;

use super::error::JudgeError;
use crate::failure::Failure;

/// Tokens of the longest prompt, unless the model's context is shorter.
const TOKENS: usize = 60_000;

/// The prompt. It has to be the same for rows and for scores.
#[derive(Clone, Debug, Default, Args)]
pub struct Question {
    /// Has answers in tags, <judgement>YES</judgement>, as verifiers of R2E-Gym's kind give them.
    #[arg(long, conflicts_with = "prompt")]
    pub tagged: bool,
    /// A TOML file with the prompt, any of `system`, `question`, `affirmative`, `negative`, `opening`, `closing`,
    /// `keep_turns` and `least_mass`. Default: the library's.
    #[arg(long, value_name = "FILE")]
    pub prompt: Option<PathBuf>,
    /// Tokens that a prompt may have with its answer; a longer one loses what tools answered, the oldest first. Default:
    /// 60000, or the model's context if that is less.
    #[arg(long, value_name = "NUMBER")]
    pub tokens: Option<usize>,
}

impl Question {
    /// The prompt that is asked for.
    ///
    /// # Errors
    /// A file that cannot be read, and a prompt that nobody can answer.
    pub fn prompt(&self) -> Result<JudgePrompt, JudgeError> {
        let prompt = match &self.prompt {
            None if self.tagged => JudgePrompt::tagged(),
            None => JudgePrompt::default(),
            Some(path) => {
                let text = fs::read_to_string(path).map_err(JudgeError::file(path))?;
                toml::from_str(&text)
                    .map_err(|source| JudgeError::PromptFile { path: path.clone(), source: Box::new(source) })?
            }
        };
        prompt.validate()?;
        Ok(prompt)
    }

    /// Tokens that a prompt may have for a model with a context, if it is known.
    ///
    /// # Errors
    /// [`Failure::Range`] for more than the context.
    pub fn budget(&self, context: Option<usize>) -> Result<usize, JudgeError> {
        let context = context.unwrap_or(usize::MAX);
        match self.tokens {
            None => Ok(TOKENS.min(context)),
            Some(tokens) if tokens <= context => Ok(tokens),
            Some(tokens) => {
                let value = format!("{tokens}, and the model's context is {context}");
                let range = "no more than the context";
                Err(Failure::Range { key: "--tokens", value, range }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_come_from_files_and_wrong_ones_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("prompt.toml");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Question { prompt: Some(path.clone()), ..Question::default() }.prompt()
        };
        let prompt = read("question = \"Well?\"\nnegative = \"NEVER\"").unwrap();
        assert_eq!((prompt.question.as_str(), prompt.affirmative.as_str()), ("Well?", "YES"));
        let unknown = read("questoin = \"Well?\"").unwrap_err().to_string();
        assert!(unknown.contains("prompt.toml") && unknown.contains("questoin"), "{unknown}");
        assert!(matches!(read("negative = \"yes\""), Err(JudgeError::Prompt(_))));
        let tagged = Question { tagged: true, ..Question::default() };
        assert_eq!(tagged.prompt().unwrap(), JudgePrompt::tagged());
    }

    #[test]
    fn a_budget_is_no_more_than_the_context() {
        let budget = |tokens, context| Question { tokens, ..Question::default() }.budget(context);
        assert_eq!(budget(None, Some(4096)).unwrap(), 4096);
        assert_eq!(budget(None, Some(1 << 20)).unwrap(), TOKENS);
        assert_eq!(budget(Some(100_000), None).unwrap(), 100_000);
        let error = budget(Some(5000), Some(4096)).unwrap_err().to_string();
        assert!(error.contains("--tokens") && error.contains("4096"), "{error}");
    }
}

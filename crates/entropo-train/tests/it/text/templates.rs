//! Templates against transformers: `scripts/template_cases.py` made the golden file, and says how to make others.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use entropo_train::text::{ChatTemplate, Conversation, TemplateError};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    now: u64,
    special: BTreeMap<String, Value>,
    /// Sources by file name, where they are not files beside the golden one.
    templates: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    template: Option<String>,
    file: Option<String>,
    messages: Vec<Value>,
    tools: Option<Vec<Value>>,
    generation_prompt: bool,
    variables: BTreeMap<String, Value>,
    #[serde(flatten)]
    expected: Expected,
}

/// What transformers did.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Text(String),
    /// The words of `raise_exception`.
    Refused(String),
    Fails(String),
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/text")
}

impl Golden {
    fn read(path: &Path) -> Self {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn render(&self, case: &Case) -> Result<String, TemplateError> {
        let file = |name: &String| match self.templates.get(name) {
            Some(source) => source.clone(),
            None => fs::read_to_string(folder().join("templates").join(name)).unwrap(),
        };
        let source = case.template.clone().or(case.file.as_ref().map(file)).unwrap();
        let variables = self.special.iter().chain(&case.variables).map(|(name, value)| (name.as_str(), value.clone()));
        let template = ChatTemplate::new(&source, variables)?.with_clock(UNIX_EPOCH + Duration::from_secs(self.now))?;
        let conversation = Conversation::from_values(case.messages.clone(), case.tools.clone().unwrap_or_default());
        Ok(template.render(&conversation.with_generation_prompt(case.generation_prompt))?.text)
    }

    /// What is not as in transformers, a line each.
    fn differences(&self) -> Vec<String> {
        let differences = self.cases.iter().filter_map(|case| {
            let rendered = self.render(case);
            let same = match (&rendered, &case.expected) {
                (Ok(text), Expected::Text(expected)) => text == expected,
                (Err(TemplateError::Refused { message }), Expected::Refused(expected)) => message == expected,
                // To minijinja, nothing is an empty list.
                (Ok(_), Expected::Fails(why)) => why.contains("'NoneType' object is not iterable"),
                (Err(error), Expected::Fails(_)) => !matches!(error, TemplateError::Refused { .. }),
                _ => false,
            };
            (!same).then(|| format!("{}\n  expected {:?}\n  got {rendered:?}", case.name, case.expected))
        });
        differences.collect()
    }
}

#[test]
fn templates_say_what_they_say_in_transformers() {
    let golden = Golden::read(&folder().join("cases.json"));
    assert!(golden.cases.len() > 40, "{} cases", golden.cases.len());
    let differences = golden.differences();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn templates_from_elsewhere_do_too() {
    let Some(path) = std::env::var_os("ENTROPO_TEMPLATE_CASES") else { return };
    let differences = Golden::read(Path::new(&path)).differences();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

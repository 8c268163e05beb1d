//! The page: data in islands, and one script that makes text nodes of it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use entropo_core::Trajectory;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::record::{Record, exit, usage};
use super::tokens::Tokens;
use super::{View, ViewError};
use crate::select::Selection;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(
    include_str!("page/parts.js"),
    include_str!("page/tokens.js"),
    include_str!("page/column.js"),
    include_str!("page/search.js"),
    include_str!("page/main.js"),
);

/// What is read first: everything but what the rollouts wrote.
#[derive(Serialize)]
struct Index {
    title: String,
    tasks: Vec<Task>,
    rollouts: Vec<Summary>,
}

#[derive(Serialize)]
struct Task {
    name: String,
    /// Positions in [`Index::rollouts`].
    rollouts: Vec<usize>,
    selection: Option<Chosen>,
}

#[derive(Serialize)]
struct Chosen {
    chosen: Option<usize>,
    decisions: Vec<Decided>,
}

#[derive(Serialize)]
struct Decided {
    rollout: usize,
    stage: String,
    kept: bool,
    reason: String,
}

#[derive(Serialize)]
struct Summary {
    id: String,
    number: usize,
    /// Position in [`Index::tasks`].
    task: usize,
    model: String,
    /// In words: JavaScript has no whole numbers of this size.
    seed: String,
    exit: String,
    error: Option<String>,
    reward: Option<f64>,
    scores: Vec<(String, f64)>,
    usage: String,
}

impl View<'_> {
    /// The page, one file that loads nothing.
    ///
    /// # Errors
    /// [`ViewError`] if the decoder or the measures do not fit the tokens.
    pub fn html(&self) -> Result<String, ViewError> {
        let mut islands = String::new();
        island(&mut islands, "index", &self.index())?;
        for (number, rollout) in self.rollouts.iter().enumerate() {
            island(&mut islands, &format!("r{number}"), &Record::of(self, rollout))?;
            if !rollout.trace.is_empty() {
                island(&mut islands, &format!("t{number}"), &Tokens::of(self, rollout)?)?;
            }
        }
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
            source(SCRIPT),
            source(STYLE)
        );
        let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + islands.len() + policy.len());
        // In the order of the page, so that nothing is looked for in what was put in.
        let mut rest = PAGE;
        for (place, content) in
            [("{{policy}}", policy.as_str()), ("{{style}}", STYLE), ("{{islands}}", &islands), ("{{script}}", SCRIPT)]
        {
            if let Some((before, after)) = rest.split_once(place) {
                page.push_str(before);
                page.push_str(content);
                rest = after;
            }
        }
        page.push_str(rest);
        Ok(page)
    }

    fn index(&self) -> Index {
        let (mut tasks, mut places) = (Vec::<Task>::new(), BTreeMap::<&str, usize>::new());
        let mut rollouts = Vec::with_capacity(self.rollouts.len());
        for rollout in &self.rollouts {
            let place = *places.entry(&rollout.id.task).or_insert(tasks.len());
            if place == tasks.len() {
                let selection = self.selection_of(rollout).map(|selection| self.chosen(selection));
                tasks.push(Task { name: self.shown(&rollout.id.task), rollouts: Vec::new(), selection });
            }
            if let Some(task) = tasks.get_mut(place) {
                task.rollouts.push(rollouts.len());
            }
            rollouts.push(self.summary(rollout, place));
        }
        Index { title: self.shown(&self.title), tasks, rollouts }
    }

    fn chosen(&self, selection: &Selection) -> Chosen {
        let decisions = selection.decisions.iter().map(|decision| Decided {
            rollout: decision.rollout.rollout,
            stage: self.shown(&decision.stage),
            kept: decision.kept,
            reason: self.shown(&decision.reason),
        });
        Chosen { chosen: selection.chosen.as_ref().map(|id| id.rollout), decisions: decisions.collect() }
    }

    fn summary(&self, rollout: &Trajectory, task: usize) -> Summary {
        let scores = rollout.outcome.scores.iter().filter(|(_, value)| value.is_finite());
        Summary {
            id: self.shown(&rollout.id.to_string()),
            number: rollout.id.rollout,
            task,
            model: self.shown(&rollout.model),
            seed: rollout.seed.to_string(),
            exit: exit(rollout.exit),
            error: rollout.error.as_deref().map(|error| self.shown(error)),
            reward: rollout.outcome.reward.filter(|reward| reward.is_finite()),
            scores: scores.map(|(name, value)| (self.shown(name), *value)).collect(),
            usage: usage(rollout),
        }
    }
}

/// Adds data that no parser of HTML takes for anything else: without a `<` there is neither a tag nor a comment in it.
fn island(page: &mut String, id: &str, data: &impl Serialize) -> Result<(), ViewError> {
    let json =
        serde_json::to_string(data).map_err(|source| ViewError::Json { rollout: format!("island {id}"), source })?;
    page.push_str(&format!("<script type=\"application/json\" id=\"{id}\">"));
    page.push_str(&json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"));
    page.push_str("</script>\n");
    Ok(())
}

/// What a content security policy calls exactly this text.
fn source(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn islands_cannot_be_left() {
        let mut page = String::new();
        island(&mut page, "x", &["</script><!--<script>\u{2028}"]).unwrap();
        let inside = page.trim_end().strip_prefix("<script type=\"application/json\" id=\"x\">").unwrap();
        let inside = inside.strip_suffix("</script>").unwrap();
        assert!(!inside.contains(['<', '\u{2028}']), "{inside}");
        assert_eq!(serde_json::from_str::<[String; 1]>(inside).unwrap(), ["</script><!--<script>\u{2028}"]);
    }

    #[test]
    fn the_page_loads_nothing_and_assigns_no_markup() {
        for asset in [PAGE, STYLE, SCRIPT] {
            for word in
                ["http:", "https:", "url(", "@import", "innerHTML", "outerHTML", "insertAdjacent", "document.write"]
            {
                assert!(!asset.contains(word), "{word}");
            }
        }
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}

//! Where a testing agent works.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use entropo_agent::{EnvironmentError, Episode, Toolbox};
use entropo_core::{ExitReason, Message, Outcome};

use super::distinct::same;
use super::{Reproduction, ReproductionTest, SubmitTest};
use crate::{Sandbox, ToolsError, Workspace, coding_tools};

/// How many tests one agent may hand in, unless it is told otherwise.
const MOST: usize = 10;

/// The tests that were kept so far; a clone is the same list, so that it can be read after the episode.
#[derive(Clone, Debug, Default)]
pub struct KeptTests(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    tests: Vec<ReproductionTest>,
    /// Why a test could not be run, if that happened.
    failure: Option<String>,
}

impl KeptTests {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tests, in the order in which they were handed in.
    pub fn tests(&self) -> Vec<ReproductionTest> {
        self.lock().tests.clone()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().tests.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a test; or the path of the one that says the same already.
    pub(super) fn add(&self, test: ReproductionTest) -> Result<(), String> {
        let mut kept = self.lock();
        if let Some(before) = same(&kept.tests, &test) {
            return Err(before.path.clone());
        }
        kept.tests.push(test);
        Ok(())
    }

    /// Notes that a test could not be run: what is kept is not all that would have been.
    pub(super) fn fail(&self, reason: String) {
        self.lock().failure.get_or_insert(reason);
    }

    /// Why a test could not be run, if that happened.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An [`Episode`] in which an agent writes tests of an issue. It is told the issue and nothing else: no candidate, no
/// hidden test. Its patch is that of the tests that were kept. Where a test could not be run, which [`KeptTests::failure`] tells, more
/// might have been.
pub struct TestingEpisode {
    // Kept until the episode ends, as the tools work in it.
    _workspace: Workspace,
    toolbox: Toolbox,
    messages: Vec<Message>,
    kept: KeptTests,
}

impl TestingEpisode {
    /// An agent that is told to write tests of `issue`. It works in `workspace`, a copy of the code of its own, and in
    /// `sandbox` around that; the tests that it hands in are run elsewhere, by `reproduction`.
    ///
    /// # Errors
    /// Those of [`coding_tools`].
    pub fn new(
        reproduction: &Reproduction,
        workspace: Workspace,
        sandbox: Arc<dyn Sandbox>,
        issue: impl Into<String>,
    ) -> Result<Self, ToolsError> {
        let kept = KeptTests::new();
        let submit = SubmitTest::new(reproduction.clone(), kept.clone(), MOST);
        let toolbox = coding_tools(sandbox, workspace.root())?.with(submit)?;
        let messages = vec![Message::system(instructions(reproduction.runner.place())), Message::user(issue)];
        Ok(Self { _workspace: workspace, toolbox, messages, kept })
    }

    /// The list of the tests that are kept, which can be read when the episode is over.
    pub fn kept(&self) -> KeptTests {
        self.kept.clone()
    }
}

fn instructions(place: &str) -> String {
    format!(
        "You are a tester at work on the repository in the current directory. You are given an issue. Write tests that show it: \
         they fail now, and pass once the issue is solved, in whatever way. Do not solve it. Look at the code and its tests, \
         try yours with the shell, and hand each in by submit_test, which takes the content of a file that is put at {place}. \
         Test what the issue says and what follows from it, each case once, and nothing that a right solution could do \
         otherwise, such as the names of new helpers or the wording of messages that the issue does not give. Paths are \
         relative to the repository. When you are done, call finish."
    )
}

#[async_trait]
impl Episode for TestingEpisode {
    fn messages(&self) -> Vec<Message> {
        self.messages.clone()
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
        let patch = self.kept.tests().iter().map(ReproductionTest::patch).collect();
        Ok(Outcome { patch, ..Outcome::default() })
    }
}

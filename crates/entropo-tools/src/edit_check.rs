//! Looking at an edit before it is kept.
//!
//! [`Editor`](crate::Editor), [`MultiEdit`](crate::MultiEdit) and [`ApplyPatch`](crate::ApplyPatch) show each new
//! content to the check they were given. What it refuses is not written, and the model reads why.

use std::fmt;

/// Says whether an edit may be kept.
pub trait EditCheck: fmt::Debug + Send + Sync {
    /// Looks at one file of an edit before anything is written.
    ///
    /// # Errors
    ///
    /// Why the edit must not be kept, in words for the model and with what to do; then no file of it is changed.
    fn check(&self, edit: &ProposedEdit<'_>) -> Result<(), String>;
}

/// One file that is about to be created or changed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProposedEdit<'a> {
    /// The file, relative to the workspace.
    pub path: &'a str,
    /// Its bytes so far; none if it is created.
    pub before: Option<&'a [u8]>,
    /// Its bytes to be.
    pub after: &'a [u8],
}

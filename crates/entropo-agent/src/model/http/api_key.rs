use std::env;
use std::fmt;
use std::sync::Arc;

use crate::secret::Secret;

/// Where the key for a server comes from. It is asked for before every request, so that keys may change.
#[derive(Clone, Default)]
pub struct ApiKey(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    None,
    Fixed(Secret),
    Environment(String),
    Callback(Arc<Callback>),
}

type Callback = dyn Fn() -> Result<Secret, Box<dyn std::error::Error + Send + Sync>> + Send + Sync;

impl ApiKey {
    /// No key, as for a server of one's own.
    pub fn none() -> Self {
        Self::default()
    }

    /// This key.
    pub fn fixed(key: impl Into<Secret>) -> Self {
        Self(Source::Fixed(key.into()))
    }

    /// The value of an environment variable. If it is missing or empty, a request ends in
    /// [`ModelError::Unauthorised`](crate::ModelError::Unauthorised), which names it.
    pub fn environment(variable: impl Into<String>) -> Self {
        Self(Source::Environment(variable.into()))
    }

    /// What `callback` returns; it should be fast, for it blocks the request. What it fails with is told in
    /// [`ModelError::Unauthorised`](crate::ModelError::Unauthorised), so it should not hold the key.
    pub fn callback(
        callback: impl Fn() -> Result<Secret, Box<dyn std::error::Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        Self(Source::Callback(Arc::new(callback)))
    }

    /// The key now, or why there is none.
    pub(super) fn get(&self) -> Result<Option<Secret>, String> {
        match &self.0 {
            Source::None => Ok(None),
            Source::Fixed(key) => Ok(Some(key.clone())),
            Source::Environment(variable) => match env::var(variable) {
                Ok(key) if !key.trim().is_empty() => Ok(Some(Secret::new(key.trim()))),
                Ok(_) | Err(env::VarError::NotPresent) => {
                    Err(format!("the environment variable {variable} is not set; set it to the key"))
                }
                Err(env::VarError::NotUnicode(_)) => Err(format!("the environment variable {variable} is no text")),
            },
            Source::Callback(callback) => callback().map(Some).map_err(|error| format!("no key was given: {error}")),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::None => f.write_str("none"),
            Source::Fixed(key) => write!(f, "{key}"),
            Source::Environment(variable) => write!(f, "${variable}"),
            Source::Callback(_) => f.write_str("callback"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named() {
        let key = ApiKey::environment("ENTROPO_NO_SUCH_KEY");
        assert!(key.get().unwrap_err().contains("ENTROPO_NO_SUCH_KEY is not set"));
        assert_eq!(format!("{key:?}"), "$ENTROPO_NO_SUCH_KEY");
    }

    #[test]
    fn a_callback_may_refuse() {
        assert_eq!(ApiKey::callback(|| Ok("key".into())).get(), Ok(Some(Secret::new("key"))));
        let refusing = ApiKey::callback(|| Err("the vault is shut".into()));
        assert_eq!(refusing.get().unwrap_err(), "no key was given: the vault is shut");
    }
}

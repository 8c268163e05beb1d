use std::fmt;
use std::time::Duration;

use super::{ApiKey, RateLimit, Retry, Secret};

/// Where a server is and how it is asked.
///
/// ```
/// use std::time::Duration;
/// use entropo_agent::model::http::{ApiKey, Connection, Retry};
///
/// let connection = Connection::new("https://openrouter.ai/api/v1")
///     .api_key(ApiKey::environment("OPENROUTER_API_KEY"))
///     .header("X-Title", "my agent")
///     .idle_timeout(Duration::from_secs(120))
///     .retry(Retry { attempts: 8, ..Retry::default() });
/// ```
#[derive(Clone)]
pub struct Connection {
    pub(super) base_url: String,
    pub(super) api_key: ApiKey,
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) retry: Retry,
    pub(super) rate_limit: RateLimit,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) total_timeout: Duration,
    pub(super) max_response_bytes: usize,
}

impl Connection {
    /// A server at `base_url`, which the path of a request is appended to: `http://127.0.0.1:8000/v1`, say.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            api_key: ApiKey::none(),
            headers: Vec::new(),
            retry: Retry::default(),
            rate_limit: RateLimit::default(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            total_timeout: Duration::from_secs(3600),
            max_response_bytes: 32 << 20,
        }
    }

    /// Sets where the key comes from. Default: no key.
    #[must_use]
    pub fn api_key(self, api_key: ApiKey) -> Self {
        Self { api_key, ..self }
    }

    /// Adds a header to every request, in the place of one that would be sent anyway. Its value is treated as secret.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets what happens after a failure.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Sets how much is asked at most. Clones of one model share it.
    #[must_use]
    pub fn rate_limit(self, rate_limit: RateLimit) -> Self {
        Self { rate_limit, ..self }
    }

    /// Sets how long connecting may take. Default 10 s.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Sets how long a streaming server may be silent, before its first byte too. Default 300 s.
    #[must_use]
    pub fn idle_timeout(self, idle_timeout: Duration) -> Self {
        Self { idle_timeout, ..self }
    }

    /// Sets how long one attempt may take from end to end. Default 1 h.
    #[must_use]
    pub fn total_timeout(self, total_timeout: Duration) -> Self {
        Self { total_timeout, ..self }
    }

    /// Sets the size in bytes at which a response is given up. Default 32 MiB.
    #[must_use]
    pub fn max_response_bytes(self, max_response_bytes: usize) -> Self {
        Self { max_response_bytes, ..self }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may carry a password.
        let base_url = reqwest::Url::parse(&self.base_url).map_or_else(|_| String::new(), |url| shown(&url));
        f.debug_struct("Connection")
            .field("base_url", &base_url)
            .field("api_key", &self.api_key)
            .field("headers", &self.headers)
            .field("retry", &self.retry)
            .field("rate_limit", &self.rate_limit)
            .finish_non_exhaustive()
    }
}

/// A URL without what may be secret in it.
pub(super) fn shown(url: &reqwest::Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// The address of `path` below `base`.
pub(super) fn endpoint(base: &str, path: &str) -> Result<reqwest::Url, BuildError> {
    let refused = |reason: String| BuildError::BaseUrl { reason };
    let mut url = reqwest::Url::parse(base.trim()).map_err(|error| refused(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(format!("it begins with {}:", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds a name or password; give these as a header".to_owned()));
    }
    let path = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The base URL is none.
    #[error("the base URL is not usable: {reason}; write it as https://HOST/v1")]
    BaseUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// A header cannot be sent.
    #[error("the header {name:?} is not usable: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {reason}")]
    Client {
        /// What is wrong.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_appended_to_the_base() {
        for (base, url) in [
            ("http://a:1/v1", "http://a:1/v1/chat"),
            (" http://a/v1/ ", "http://a/v1/chat"),
            ("https://a", "https://a/chat"),
            ("https://a/x?api-version=1", "https://a/x/chat?api-version=1"),
        ] {
            assert_eq!(endpoint(base, "chat").unwrap().as_str(), url);
        }
        for base in ["", "localhost:8000", "ftp://a", "https://me:secret@a/v1"] {
            let error = endpoint(base, "chat").unwrap_err().to_string();
            assert!(error.contains("base URL") && !error.contains("secret"), "{error}");
        }
    }
}

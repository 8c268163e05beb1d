//! From hf-hub's errors to ours.
//!
//! hf-hub tells errors apart by the request that failed; the hub tells them apart by its `X-Error-Code` header, which
//! is what counts here. Whatever is quoted is cleaned first: hf-hub's errors hold the answer's body and full URLs.

use std::error::Error;
use std::time::Duration;

use hf_hub::HFError;

use super::{HubError, Token};

/// Longest quotation of a server's words, in characters.
const LONGEST_QUOTE: usize = 300;

/// What was asked of the hub, for errors to say.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) repository: &'a str,
    pub(super) revision: &'a str,
    /// The file, where one was asked for.
    pub(super) file: Option<&'a str>,
    /// Where it was asked.
    pub(super) endpoint: &'a str,
    pub(super) token: Option<&'a Token>,
}

impl Asked<'_> {
    /// What hf-hub's error means here.
    pub(super) fn error(&self, error: HFError) -> HubError {
        let mut retry_after = None;
        let (context, missing) = match error {
            HFError::Http { context } | HFError::AuthRequired { context } => (context, Missing::Unknown),
            HFError::Forbidden { context } | HFError::Conflict { context } => (context, Missing::Unknown),
            HFError::RateLimited { context, retry_after: wait } => {
                retry_after = wait;
                (context, Missing::Unknown)
            }
            HFError::RepoNotFound { context: Some(context), .. } => (context, Missing::Repository),
            HFError::RevisionNotFound { context: Some(context), .. } => (context, Missing::Revision),
            HFError::EntryNotFound { context: Some(context), .. } => (context, Missing::File),
            HFError::Request { source, url } => {
                let url = url.map_or_else(|| self.url(), |url| self.clean_url(&url));
                return HubError::Network { url, reason: self.clean(&with_causes(&source.without_url())) };
            }
            other => return self.nonsense(with_causes(&other)),
        };
        self.refusal(Refusal {
            status: context.status.as_u16(),
            code: context.error_code.as_deref(),
            url: self.clean_url(&context.url),
            reason: self.clean(context.server_message.as_deref().unwrap_or_default()),
            missing,
            retry_after,
        })
    }

    /// The request did not end in time, or the body ended early.
    pub(super) fn broken(&self, reason: impl Into<String>) -> HubError {
        HubError::Network { url: self.url(), reason: reason.into() }
    }

    /// The answer makes no sense.
    pub(super) fn nonsense(&self, reason: impl Into<String>) -> HubError {
        HubError::Protocol { url: self.url(), reason: self.clean(&reason.into()) }
    }

    fn refusal(&self, refusal: Refusal<'_>) -> HubError {
        let Refusal { status, code, url, reason, missing, retry_after } = refusal;
        let repository = self.repository.to_owned();
        let revision = self.revision.to_owned();
        let missing = match (code, status) {
            (Some("RepoNotFound"), _) => Missing::Repository,
            (Some("RevisionNotFound"), _) => Missing::Revision,
            (Some("EntryNotFound"), _) => Missing::File,
            (Some("GatedRepo"), _) | (_, 401 | 403) => {
                return HubError::Unauthorised { repository, status, reason, url };
            }
            (_, 404) => missing,
            _ => Missing::Unknown,
        };
        match missing {
            Missing::Repository => HubError::Repository { repository, url },
            Missing::Revision => HubError::Revision { repository, revision, url },
            Missing::File => {
                HubError::File { repository, revision, file: self.file.unwrap_or("list of files").to_owned() }
            }
            Missing::Unknown => HubError::Server { url, status, reason, retry_after },
        }
    }

    /// The page that was asked for, near enough for a person.
    fn url(&self) -> String {
        let file = self.file.map(|file| format!("/resolve/{}/{file}", self.revision)).unwrap_or_default();
        self.clean_url(&format!("{}/{}{file}", self.endpoint, self.repository))
    }

    fn clean_url(&self, url: &str) -> String {
        self.clean(&without_secrets(url))
    }

    /// Short, on one line, and without the token.
    fn clean(&self, text: &str) -> String {
        let text = self.token.map_or_else(|| text.to_owned(), |token| token.remove_from(text));
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(LONGEST_QUOTE).collect()
    }
}

/// An HTTP answer that says no, cleaned.
struct Refusal<'a> {
    status: u16,
    /// `X-Error-Code`.
    code: Option<&'a str>,
    url: String,
    reason: String,
    missing: Missing,
    retry_after: Option<Duration>,
}

/// What a 404 without an error code means.
#[derive(Clone, Copy)]
enum Missing {
    Repository,
    Revision,
    File,
    Unknown,
}

/// A URL without user, password, query and fragment.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

/// An error and its causes on one line; reqwest's own line says only that sending failed.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn urls_lose_their_secrets() {
        for (url, expected) in [
            ("https://cdn.example/a/b?Signature=xyz#part", "https://cdn.example/a/b"),
            ("https://user:password@mirror.example:8080/hub", "https://mirror.example:8080/hub"),
            ("http://user@host", "http://host"),
            ("https://host/a@b", "https://host/a@b"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_secrets(url), expected);
        }
    }
}

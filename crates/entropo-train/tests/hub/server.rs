//! A hub on this machine: the part of Hugging Face's HTTP protocol that a download needs, and the ways it goes wrong.
//!
//! Large files are redirected to a second server with another port, as the hub redirects to its content delivery
//! network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Files of a page of the tree listing, few so that there is more than one page.
const PAGE: usize = 3;

/// A repository with one commit.
#[derive(Clone)]
pub(crate) struct Repository {
    pub(crate) id: String,
    /// What the branches and tags point to.
    pub(crate) commit: String,
    pub(crate) revisions: Vec<String>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The token that opens it, if it is gated.
    pub(crate) token: Option<String>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Whether the content delivery network was asked rather than the hub.
    pub(crate) cdn: bool,
    pub(crate) method: Method,
    host: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
}

impl Seen {
    /// Whether this asks for a file's body.
    pub(crate) fn is_body_of(&self, file: &str) -> bool {
        self.method == Method::GET && self.path.ends_with(&format!("/{file}"))
    }
}

/// Answers some requests in another way than the protocol says.
type Fault = Box<dyn Fn(&Seen) -> Option<Response> + Send + Sync>;

#[derive(Default)]
struct State {
    repositories: Mutex<Vec<Repository>>,
    seen: Mutex<Vec<Seen>>,
    fault: Mutex<Option<Fault>>,
    cdn: Mutex<String>,
}

/// A running hub.
pub(crate) struct Hub {
    pub(crate) url: String,
    state: Arc<State>,
}

impl Hub {
    /// Starts on its own thread, so that its log lines are not those of the client under test.
    pub(crate) fn start(repositories: impl IntoIterator<Item = Repository>) -> Self {
        let state =
            Arc::new(State { repositories: Mutex::new(repositories.into_iter().collect()), ..State::default() });
        *state.cdn.lock().unwrap() = serve(state.clone(), true);
        Self { url: serve(state.clone(), false), state }
    }

    pub(crate) fn set(&self, repository: Repository) {
        let mut repositories = self.state.repositories.lock().unwrap();
        repositories.retain(|other| other.id != repository.id || other.commit != repository.commit);
        for other in repositories.iter_mut().filter(|other| other.id == repository.id) {
            other.revisions.retain(|revision| !repository.revisions.contains(revision));
        }
        repositories.push(repository);
    }

    pub(crate) fn break_with(&self, fault: impl Fn(&Seen) -> Option<Response> + Send + Sync + 'static) {
        *self.state.fault.lock().unwrap() = Some(Box::new(fault));
    }

    pub(crate) fn repair(&self) {
        *self.state.fault.lock().unwrap() = None;
    }

    /// The requests since the last call.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }
}

/// Returns the server's URL.
fn serve(state: Arc<State>, cdn: bool) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let service = axum::Router::new().fallback(move |request| {
                let answer = answer(&state, cdn, &request);
                async move { answer }
            });
            axum::serve(listener, service).await.unwrap();
        });
    });
    url
}

fn answer(state: &State, cdn: bool, request: &Request) -> Response {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let seen = Seen {
        cdn,
        method: request.method().clone(),
        host: text(header::HOST).unwrap(),
        path: request.uri().path().to_owned(),
        authorization: text(header::AUTHORIZATION),
        range: text(header::RANGE),
    };
    state.seen.lock().unwrap().push(seen.clone());
    let fault = state.fault.lock().unwrap().as_ref().and_then(|fault| fault(&seen));
    fault.unwrap_or_else(|| state.by_the_book(&seen, request.uri().query().unwrap_or_default()))
}

impl State {
    fn by_the_book(&self, seen: &Seen, query: &str) -> Response {
        let path = seen.path.trim_start_matches('/').trim_start_matches("api/models/");
        let parts = ["revision", "tree", "resolve"]
            .into_iter()
            .find_map(|kind| path.split_once(&format!("/{kind}/")).map(|(id, rest)| (kind, id, rest)));
        let Some((kind, id, rest)) = parts else { return refusal(404, "", "no such page") };
        let (revision, file) = rest.split_once('/').unwrap_or((rest, ""));
        let revision = revision.replace("%2F", "/");
        let repositories = self.repositories.lock().unwrap();
        if !repositories.iter().any(|repository| repository.id == id) {
            return refusal(404, "RepoNotFound", "Repository not found");
        }
        let is_named = |it: &&Repository| it.id == id && (it.commit == revision || it.revisions.contains(&revision));
        let Some(repository) = repositories.iter().find(is_named) else {
            return refusal(404, "RevisionNotFound", &format!("Invalid rev id: {revision}"));
        };
        let allowed = repository.token.as_ref().map(|token| format!("Bearer {token}"));
        if !seen.cdn && allowed.is_some() && seen.authorization != allowed {
            return refusal(401, "GatedRepo", "Access to this model is restricted");
        }
        match kind {
            "revision" => json!({"id": id, "sha": repository.commit}).to_string().into_response(),
            "tree" => page(repository, seen, query),
            _ => self.file(repository, file, seen),
        }
    }

    fn file(&self, repository: &Repository, file: &str, seen: &Seen) -> Response {
        let Some(bytes) = repository.files.get(file) else {
            return refusal(404, "EntryNotFound", "Entry not found");
        };
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: String| headers.insert(name, value.parse().unwrap());
        set("x-repo-commit", repository.commit.clone());
        if is_large(file) && !seen.cdn {
            set("x-linked-etag", format!("\"{}\"", etag(file, bytes)));
            set("x-linked-size", bytes.len().to_string());
            set("location", format!("{}{}?Signature=signed", self.cdn.lock().unwrap(), seen.path));
            return (StatusCode::FOUND, headers).into_response();
        }
        set("etag", format!("\"{}\"", etag(file, bytes)));
        set("accept-ranges", "bytes".to_owned());
        let Some(range) = &seen.range else { return (headers, bytes.clone()).into_response() };
        let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        if start >= bytes.len() {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        set("content-range", format!("bytes {start}-{end}/{}", bytes.len()));
        (StatusCode::PARTIAL_CONTENT, headers, bytes[start..=end].to_vec()).into_response()
    }
}

fn page(repository: &Repository, seen: &Seen, query: &str) -> Response {
    let cursor = query.split_once("cursor=").map_or(0, |(_, at)| at.parse().unwrap());
    let entries: Vec<_> = repository.files.iter().map(|(path, bytes)| listed(path, bytes)).collect();
    let page: Vec<_> = entries.iter().skip(cursor).take(PAGE).cloned().collect();
    let mut response = serde_json::Value::from(page).to_string().into_response();
    if cursor + PAGE < entries.len() {
        let next = format!("http://{}{}?recursive=true&cursor={}", seen.host, seen.path, cursor + PAGE);
        response.headers_mut().insert(header::LINK, format!("<{next}>; rel=\"next\"").parse().unwrap());
    }
    response
}

pub(crate) fn refusal(status: u16, code: &'static str, message: &str) -> Response {
    let body = json!({"error": message}).to_string();
    let headers = [("x-error-code", code.to_owned()), ("x-error-message", message.to_owned())];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

/// A body of which `bytes` come and then, though more is announced, nothing: the connection breaks, or stays silent.
pub(crate) fn cut_off(bytes: &[u8], announced: usize, then: Then) -> Response {
    let sent = futures::stream::iter([Ok(bytes.to_vec())]);
    let end = futures::stream::once(async move {
        match then {
            // The server sends what it has before it waits.
            Then::Break => tokio::time::sleep(Duration::from_millis(100)).await,
            Then::Silence => std::future::pending().await,
        }
        Err(std::io::Error::other("cut"))
    });
    let body = Body::from_stream(sent.chain(end));
    ([(header::CONTENT_LENGTH, announced.to_string())], body).into_response()
}

/// How a body that is cut off ends.
pub(crate) enum Then {
    Break,
    Silence,
}

fn is_large(file: &str) -> bool {
    [".safetensors", ".bin", ".gguf"].iter().any(|ending| file.ends_with(ending))
}

/// What the cache calls a file.
pub(crate) fn etag(file: &str, bytes: &[u8]) -> String {
    if is_large(file) { hexadecimal(&Sha256::digest(bytes)) } else { git_object(bytes) }
}

fn listed(path: &str, bytes: &[u8]) -> serde_json::Value {
    let size = bytes.len();
    if !is_large(path) {
        return json!({"type": "file", "oid": git_object(bytes), "size": size, "path": path});
    }
    let sha256 = etag(path, bytes);
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n");
    let lfs = json!({"oid": sha256, "size": size, "pointerSize": pointer.len()});
    json!({"type": "file", "oid": git_object(pointer.as_bytes()), "size": size, "path": path, "lfs": lfs})
}

fn git_object(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hexadecimal(&hash.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! The engine that runs containers: Docker or Podman, behind a socket of this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};

use super::super::{SandboxError, SandboxKind};

/// Seconds that the engine may take to answer, the pull of an image and the like excepted, which answer at once and then
/// go on for long.
const ANSWER_TIME: u64 = 60;

/// How long a socket is waited for that nobody may be listening to.
const GREETING_TIME: Duration = Duration::from_secs(5);

/// Variables in which users name a socket.
const VARIABLES: [&str; 2] = ["DOCKER_HOST", "CONTAINER_HOST"];

/// Where sockets are by default.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

const HELP: &str = "start one: Docker's daemon, or Podman's with `podman system service --time=0`, and name its socket in \
                    DOCKER_HOST if it is another (unix:///path/to/socket)";

/// A connection to an engine.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) docker: Docker,
}

impl Engine {
    /// Connects to the engine behind `socket`, else to the first that answers.
    pub(super) async fn connect(socket: Option<&Path>) -> Result<Self, SandboxError> {
        let (candidates, mut tried) = match socket {
            Some(socket) => (vec![socket.to_path_buf()], Vec::new()),
            None => candidates(|name| std::env::var(name).ok()),
        };
        for socket in candidates {
            match greet(&socket).await {
                Ok(docker) => return Ok(Self { docker }),
                Err(reason) => tried.push(format!("{}: {reason}", socket.display())),
            }
        }
        Err(unavailable(format!("no engine answered ({}); {HELP}", tried.join("; "))))
    }
}

/// The sockets to try, and what was named but cannot be tried.
fn candidates(variable: impl Fn(&str) -> Option<String>) -> (Vec<PathBuf>, Vec<String>) {
    let (mut sockets, mut refused) = (Vec::new(), Vec::new());
    for name in VARIABLES {
        let Some(address) = variable(name).filter(|address| !address.is_empty()) else { continue };
        match address.strip_prefix("unix://") {
            Some(path) => sockets.push(PathBuf::from(path)),
            None if address.starts_with('/') => sockets.push(PathBuf::from(address)),
            None => refused.push(format!("{name}={address} is no socket of this machine")),
        }
    }
    // Whoever named an engine does not want another.
    if sockets.is_empty() && refused.is_empty() {
        sockets.extend(SOCKETS.map(PathBuf::from));
        sockets.extend(variable("XDG_RUNTIME_DIR").map(|directory| Path::new(&directory).join("podman/podman.sock")));
    }
    (sockets, refused)
}

async fn greet(socket: &Path) -> Result<Docker, String> {
    if !socket.exists() {
        return Err("no such socket".to_owned());
    }
    let docker = Docker::connect_with_unix(&socket.to_string_lossy(), ANSWER_TIME, API_DEFAULT_VERSION);
    let greeting = async { docker?.negotiate_version().await };
    match tokio::time::timeout(GREETING_TIME, greeting).await {
        Ok(greeted) => greeted.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer within {} s", GREETING_TIME.as_secs())),
    }
}

/// An error with its causes: those of HTTP clients say nothing themselves.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

pub(super) fn unavailable(reason: String) -> SandboxError {
    SandboxError::Unavailable { kind: SandboxKind::Container, reason }
}

/// The engine did not do what it was asked.
pub(super) fn failed(action: impl Into<String>, error: bollard::errors::Error) -> SandboxError {
    SandboxError::Engine { kind: SandboxKind::Container, action: action.into(), source: chain(&error).into() }
}

/// Whether the engine knows no such container or image, or is about to forget it.
pub(super) fn is_gone(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> (Vec<PathBuf>, Vec<String>) {
        candidates(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_named_socket_is_the_only_one_tried() {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let (sockets, refused) = with(&[("XDG_RUNTIME_DIR", "/run/user/7"), ("DOCKER_HOST", "")]);
        let all = ["/var/run/docker.sock", "/run/podman/podman.sock", "/run/user/7/podman/podman.sock"];
        assert_eq!((sockets, refused.len()), (paths(&all), 0));
        assert_eq!(with(&[("DOCKER_HOST", "unix:///a")]).0, paths(&["/a"]));
        assert_eq!(with(&[("CONTAINER_HOST", "/b")]).0, paths(&["/b"]));
        let (sockets, refused) = with(&[("DOCKER_HOST", "tcp://elsewhere:2375")]);
        assert_eq!(
            (sockets, refused),
            (vec![], vec!["DOCKER_HOST=tcp://elsewhere:2375 is no socket of this machine".into()])
        );
    }

    #[tokio::test]
    async fn no_engine_says_what_was_tried_and_what_to_start() {
        let error = Engine::connect(Some(Path::new("/nowhere.sock"))).await.unwrap_err().to_string();
        assert!(error.contains("/nowhere.sock: no such socket") && error.contains("podman system service"), "{error}");
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let error = Engine::connect(Some(&socket)).await.unwrap_err().to_string();
        assert!(error.contains("refused"), "{error}");
    }
}

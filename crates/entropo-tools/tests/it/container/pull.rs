//! The download of an image, from an engine of our own that has one to give.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use entropo_tools::sandbox::PullProgress;

use super::*;

/// What the engine was asked for.
type Asked = Arc<Mutex<Vec<String>>>;

/// Serves what the start of a sandbox asks before it makes a container, and tells of a download by these pieces.
async fn engine(socket: &Path, pieces: &'static [&'static str]) -> Asked {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let answer = move |uri: Uri| async move { respond(&uri, &log, pieces) };
    let listener = tokio::net::UnixListener::bind(socket).unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    asked
}

fn respond(uri: &Uri, asked: &Asked, pieces: &'static [&'static str]) -> Response {
    let mut asked = asked.lock().unwrap();
    let is_pulled = asked.iter().any(|uri| uri.contains("/images/create"));
    asked.push(uri.to_string());
    let json =
        |status: StatusCode, text: &'static str| (status, [("content-type", "application/json")], text).into_response();
    match uri.path() {
        path if path.ends_with("/version") => json(StatusCode::OK, r#"{"Version":"0","ApiVersion":"1.44"}"#),
        path if path.ends_with("/containers/json") => json(StatusCode::OK, "[]"),
        path if path.ends_with("/images/create") => {
            let pieces = pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece));
            Body::from_stream(futures::stream::iter(pieces)).into_response()
        }
        path if path.contains("/images/") && is_pulled => json(StatusCode::OK, r#"{"Id":"sha256:0"}"#),
        path if path.contains("/images/") => json(StatusCode::NOT_FOUND, r#"{"message":"no such image"}"#),
        _ => json(StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"no more than that"}"#),
    }
}

/// What a sandbox of the image tells of its download, and why it does not start in the end.
async fn pulled(pieces: &'static [&'static str]) -> (Vec<PullProgress>, String, Asked) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let asked = engine(&socket, pieces).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let options =
        ContainerOptions::new().socket(&socket).progress(move |step| listener.lock().unwrap().push(step.clone()));
    let error = ContainerSandbox::start("example.org/some/image:1.2", directory.path(), options).await.unwrap_err();
    let told = std::mem::take(&mut *told.lock().unwrap());
    (told, error.to_string(), asked)
}

#[tokio::test]
async fn the_download_of_an_image_is_told_step_by_step() {
    let (told, error, asked) = pulled(&[
        "{\"status\":\"Pulling from some/image\",\"id\":\"1.2\"}\r\n{\"status\":\"Downloading\",",
        "\"progressDetail\":{\"current\":512,\"total\":2048},\"id\":\"abc\"}\r\n",
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":2048,\"total\":2048},\"id\":\"abc\"}\r\n",
        "{\"status\":\"Status: Downloaded newer image\"}\r\n",
    ])
    .await;
    let shown: Vec<_> =
        told.iter().map(|step| (step.layer.as_deref(), step.status.as_str(), step.current, step.total)).collect();
    assert_eq!(
        shown,
        [
            (Some("1.2"), "Pulling from some/image", None, None),
            (Some("abc"), "Downloading", Some(512), Some(2048)),
            (Some("abc"), "Downloading", Some(2048), Some(2048)),
            (None, "Status: Downloaded newer image", None, None),
        ]
    );
    assert!(error.contains("ask the engine about itself"), "the image is there, and it goes on: {error}");
    let asked = asked.lock().unwrap();
    let pulls: Vec<&String> = asked.iter().filter(|uri| uri.contains("/images/create")).collect();
    let [pull] = pulls[..] else { panic!("{asked:?}") };
    assert!(pull.contains("image") && pull.contains("tag=1.2"), "{pull}");
}

#[tokio::test]
async fn a_download_that_fails_is_an_error_with_the_engine_s_words() {
    let (told, error, _) = pulled(&[
        "{\"status\":\"Pulling from some/image\",\"id\":\"1.2\"}\r\n",
        "{\"errorDetail\":{\"message\":\"no room for layer abc\"},\"error\":\"no room for layer abc\"}\r\n",
    ])
    .await;
    assert_eq!(told.len(), 1);
    assert!(error.contains("pull the image example.org/some/image:1.2"), "{error}");
    assert!(error.contains("no room for layer abc"), "{error}");
}

//! What is refused, and the secrets that no refusal tells.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::response::{IntoResponse, Redirect};
use entropo_train::hub::{HubError, HubOptions, Token, resolve};

use crate::place::{LATER, Place, SECRET, WEIGHTS, repository};
use crate::server::refusal;

#[tokio::test]
async fn what_is_not_there_is_named() {
    let mut without_config = repository("qwen2");
    without_config.id = "org/no-config".into();
    without_config.files.remove("config.json");
    let mut only_bin = repository("qwen2");
    only_bin.id = "org/only-bin".into();
    let weights = only_bin.files.remove(WEIGHTS).unwrap();
    only_bin.files.insert("pytorch_model.bin".into(), weights);
    let mut shardless = repository("qwen3_moe");
    shardless.files.remove("model-00003-of-00004.safetensors");
    let place = Place::new([repository("qwen2"), without_config, only_bin, shardless]);

    let error = place.refused("org/nothing").await;
    assert!(matches!(&error, HubError::Repository { repository, .. } if repository == "org/nothing"), "{error}");
    assert!(error.to_string().contains("no directory `org/nothing`") && error.to_string().contains(&place.hub.url));
    let error = place.refused("org/qwen2@v9").await;
    assert!(matches!(&error, HubError::Revision { revision, .. } if revision == "v9"), "{error}");
    let error = place.refused(&format!("org/qwen2@{LATER}")).await;
    assert!(matches!(&error, HubError::Revision { revision, .. } if revision == LATER), "{error}");
    for (name, missing) in [
        ("org/no-config", "config.json"),
        ("org/only-bin", "only pytorch_model.bin"),
        ("org/qwen3_moe", "model-00003-of-00004.safetensors"),
    ] {
        let error = place.refused(name).await;
        assert!(matches!(&error, HubError::File { file, .. } if file.contains(missing)), "{error}");
    }
}

#[tokio::test]
async fn names_from_the_server_stay_in_the_cache() {
    let unsafe_names = ["../../evil.json", "/etc/evil.json", "a/../../../evil"];
    for name in unsafe_names {
        let mut listed = repository("qwen2");
        listed.files.insert(name.into(), b"evil".into());
        let place = Place::new([listed]);
        let error = place.refused("org/qwen2").await;
        assert!(matches!(&error, HubError::UnsafeName { name: found } if found == name), "{error}");
        assert_eq!(place.blobs("qwen2"), BTreeSet::new());
    }
    let mut listed = repository("qwen2");
    listed.files.remove(WEIGHTS);
    let index = br#"{"weight_map": {"a": "../../../../evil.safetensors"}}"#;
    listed.files.insert("model.safetensors.index.json".into(), index.into());
    let place = Place::new([listed]);
    assert!(matches!(place.refused("org/qwen2").await, HubError::Index { .. }));

    let mut listed = repository("qwen2");
    listed.commit = "../../evil".into();
    let place = Place::new([listed]);
    assert!(matches!(place.refused("org/qwen2").await, HubError::Protocol { .. }));
}

/// Everything that is logged while it lives, at the finest level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_nowhere_else() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let mut gated = repository("qwen2");
    gated.token = Some(SECRET.into());
    let place = Place::new([gated]);
    let options = HubOptions { token: Some(Token::from(format!("{SECRET}\n"))), ..place.options() };
    resolve("org/qwen2", &options).await.unwrap();
    let seen = place.hub.take_seen();
    assert!(seen.iter().any(|seen| seen.cdn));
    for seen in seen {
        let expected = (!seen.cdn).then(|| format!("Bearer {SECRET}"));
        assert_eq!(seen.authorization, expected, "{} {}", seen.method, seen.path);
    }

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("hyper"), "the log is at its finest");
    assert!(!logged.contains(SECRET), "{logged}");
    assert!(!format!("{options:?} {options:#?}").contains(SECRET));
}

#[tokio::test]
async fn no_error_says_the_token() {
    let place = Place::new([repository("qwen2")]);
    let options = HubOptions { token: Some(Token::from(SECRET)), ..place.options() };
    let mut errors = Vec::new();
    for status in [400, 401, 403, 404] {
        place.hub.break_with(move |_| Some(refusal(status, "", &format!("the token {SECRET} is wrong"))));
        errors.push(resolve("org/qwen2", &options).await.unwrap_err());
    }
    let nowhere = format!("http://127.0.0.1:1/{SECRET}?token={SECRET}");
    place.hub.break_with(move |_| Some(Redirect::temporary(&nowhere).into_response()));
    errors.push(resolve("org/qwen2", &options).await.unwrap_err());
    place.hub.break_with(|_| Some(format!("[\"{SECRET}\"]").into_response()));
    errors.push(resolve("org/qwen2", &options).await.unwrap_err());
    for error in errors {
        let text = format!("{error} {error:?}");
        assert!(text.contains("127.0.0.1") && !text.contains(SECRET), "{text}");
    }
}

#[tokio::test]
async fn a_gated_model_says_what_to_do() {
    let mut gated = repository("qwen2");
    gated.token = Some(SECRET.into());
    let place = Place::new([gated]);
    for token in [None, Some(Token::from("hf_of_another"))] {
        let options = HubOptions { token, ..place.options() };
        let error = resolve("org/qwen2", &options).await.unwrap_err();
        assert!(matches!(error, HubError::Unauthorised { status: 401, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("licence") && text.contains("HF_TOKEN") && text.contains("restricted"), "{text}");
    }
}

#[tokio::test]
async fn a_directory_always_wins() {
    let mut listed = repository("qwen2");
    listed.id = "src".into();
    let place = Place::new([listed]);
    assert_eq!(place.resolve("src").await.unwrap(), Path::new("src"), "tests run in the package's directory");
    let path = place.cache.path().to_str().unwrap();
    assert_eq!(place.resolve(path).await.unwrap(), place.cache.path());
    for name in ["./no-such-model", "/no/such/model", "a/b/c"] {
        assert!(matches!(place.refused(name).await, HubError::Name { .. }), "{name}");
    }
    assert_eq!(place.hub.take_seen().len(), 0);
}

#[tokio::test]
async fn an_endpoint_is_a_url() {
    let options = HubOptions { endpoint: Some("my hub".into()), ..HubOptions::default() };
    let error = resolve("org/qwen2", &options).await.unwrap_err();
    assert!(matches!(&error, HubError::Endpoint { endpoint, .. } if endpoint == "my hub"), "{error}");
}

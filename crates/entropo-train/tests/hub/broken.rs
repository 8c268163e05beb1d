//! Connections that break, bodies that are wrong, and a hub that is out of sorts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use entropo_train::hub::{HubError, HubOptions, resolve};

use crate::place::{COMMIT, Place, WEIGHTS, assert_files, checkpoint, repository};
use crate::server::{Then, cut_off, etag, refusal};

#[tokio::test]
async fn a_connection_that_breaks_is_continued() {
    let place = Place::new([repository("qwen2")]);
    let weights = checkpoint("qwen2").remove(WEIGHTS).unwrap();
    let half = weights.len() / 2;
    place.hub.break_with({
        let weights = weights.clone();
        move |seen| {
            let is_first = seen.cdn && seen.is_body_of(WEIGHTS) && seen.range.is_none();
            is_first.then(|| cut_off(&weights[..half], weights.len(), Then::Break))
        }
    });
    let directory = place.resolve("org/qwen2").await.unwrap();
    assert!(std::fs::read(directory.join(WEIGHTS)).unwrap() == weights);
    let asked: Vec<_> = place
        .hub
        .take_seen()
        .into_iter()
        .filter(|seen| seen.cdn && seen.is_body_of(WEIGHTS))
        .map(|seen| seen.range)
        .collect();
    assert_eq!(asked, [None, Some(format!("bytes={half}-{}", weights.len() - 1))]);
}

/// Starts a download that stops in the middle of the weights and is then given up, as if the process was killed.
async fn give_up_half_way(place: &Place) -> usize {
    let weights = checkpoint("qwen2").remove(WEIGHTS).unwrap();
    let half = weights.len() / 2;
    let reached = Arc::new(tokio::sync::Notify::new());
    place.hub.break_with(move |seen| {
        (seen.cdn && seen.is_body_of(WEIGHTS)).then(|| cut_off(&weights[..half], weights.len(), Then::Silence))
    });
    let options = place.options().on_progress({
        let reached = reached.clone();
        move |progress| {
            if progress.file == WEIGHTS && progress.done == half as u64 {
                reached.notify_one();
            }
        }
    });
    let download = tokio::spawn(async move { resolve("org/qwen2", &options).await });
    reached.notified().await;
    download.abort();
    assert!(download.await.unwrap_err().is_cancelled());
    place.hub.repair();
    place.hub.take_seen();
    half
}

#[tokio::test]
async fn a_later_attempt_goes_on_where_the_first_stopped() {
    let place = Place::new([repository("qwen2")]);
    let half = give_up_half_way(&place).await;
    let is_partial = |blob: &&String| blob.ends_with(".incomplete");
    assert_ne!(place.blobs("qwen2").iter().filter(is_partial).count(), 0);
    let offline = HubOptions { offline: Some(true), ..place.options() };
    assert!(matches!(resolve("org/qwen2", &offline).await, Err(HubError::Offline { .. })), "half a model is no model");

    let told = Arc::new(Mutex::new(Vec::new()));
    let options = place.options().on_progress({
        let told = told.clone();
        move |progress| {
            if progress.file == WEIGHTS {
                told.lock().unwrap().push(progress.done);
            }
        }
    });
    let directory = resolve("org/qwen2", &options).await.unwrap();
    assert_files(&directory, &checkpoint("qwen2"));
    assert!(told.lock().unwrap()[0] > half as u64, "progress counts what was there");
    let ranges: Vec<_> = place
        .hub
        .take_seen()
        .into_iter()
        .filter(|seen| seen.is_body_of(WEIGHTS))
        .filter_map(|seen| seen.range)
        .collect();
    assert!(
        !ranges.is_empty() && ranges.iter().all(|range| range.starts_with(&format!("bytes={half}-"))),
        "{ranges:?}"
    );
    assert_eq!(place.blobs("qwen2").iter().filter(is_partial).count(), 0);
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_asked_again_from_the_start() {
    let place = Place::new([repository("qwen2")]);
    give_up_half_way(&place).await;
    let weights = checkpoint("qwen2").remove(WEIGHTS).unwrap();
    place.hub.break_with(move |seen| (seen.cdn && seen.is_body_of(WEIGHTS)).then(|| weights.clone().into_response()));
    assert_files(&place.resolve("org/qwen2").await.unwrap(), &checkpoint("qwen2"));
}

#[tokio::test]
async fn a_partial_file_of_other_bytes_is_forgotten() {
    let place = Place::new([repository("qwen2")]);
    give_up_half_way(&place).await;
    let blobs = place.cache.path().join("models--org--qwen2/blobs");
    for partial in place.blobs("qwen2").into_iter().filter(|blob| blob.ends_with(".incomplete")) {
        std::fs::write(blobs.join(partial), b"something else").unwrap();
    }
    assert_files(&place.resolve("org/qwen2").await.unwrap(), &checkpoint("qwen2"));
}

#[tokio::test]
async fn wrong_bodies_never_enter_the_cache() {
    let weights = checkpoint("qwen2").remove(WEIGHTS).unwrap();
    let short = weights[..100].to_vec();
    let long = [weights.clone(), vec![0]].concat();
    let mut other = weights.clone();
    other[1000] ^= 1;
    for (body, is_size) in [(short, true), (long, true), (Vec::new(), true), (other, false)] {
        let place = Place::new([repository("qwen2")]);
        place.hub.break_with(move |seen| {
            let start = seen.range.as_ref().map_or(0, |range| range[6..].split('-').next().unwrap().parse().unwrap());
            let rest = body.get(start..).filter(|rest| start == 0 || !rest.is_empty()).map(<[u8]>::to_vec);
            let missing = || StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            (seen.cdn && seen.is_body_of(WEIGHTS)).then(|| rest.map_or_else(missing, IntoResponse::into_response))
        });
        let error = place.refused("org/qwen2").await;
        match &error {
            HubError::Size { file, expected, .. } => {
                assert!(is_size && file == WEIGHTS && *expected == weights.len() as u64)
            }
            HubError::Checksum { file, .. } => assert!(!is_size && file == WEIGHTS),
            other => panic!("{other}"),
        }
        assert!(!place.blobs("qwen2").contains(&etag(WEIGHTS, &weights)), "{error}");
        assert!(!place.cache.path().join(format!("models--org--qwen2/snapshots/{COMMIT}/{WEIGHTS}")).exists());
        assert!(!place.cache.path().join("models--org--qwen2/refs/main").exists());
        place.hub.repair();
        assert_files(&place.resolve("org/qwen2").await.unwrap(), &checkpoint("qwen2"));
    }
}

/// hf-hub's own download takes the body of such an answer for the file.
#[tokio::test]
async fn an_error_page_is_not_a_file() {
    let place = Place::new([repository("qwen2")]);
    place.hub.break_with(|seen| seen.is_body_of("config.json").then(|| refusal(410, "", "Gone")));
    let error = place.refused("org/qwen2").await;
    assert!(matches!(&error, HubError::Server { status: 410, reason, .. } if reason == "Gone"), "{error}");
    let config = checkpoint("qwen2").remove("config.json").unwrap();
    assert!(!place.blobs("qwen2").contains(&etag("config.json", &config)));
}

#[tokio::test]
async fn a_passing_failure_of_the_hub_is_waited_out() {
    let place = Place::new([repository("qwen2")]);
    let failures = Arc::new(Mutex::new(vec![500, 503, 429]));
    place.hub.break_with({
        let failures = failures.clone();
        move |_| Some(refusal(failures.lock().unwrap().pop()?, "", "busy"))
    });
    assert_files(&place.resolve("org/qwen2").await.unwrap(), &checkpoint("qwen2"));
    assert!(failures.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_limit_that_stays_says_how_long() {
    let place = Place::new([repository("qwen2")]);
    place.hub.break_with(|_| {
        let mut response = refusal(429, "", "We had to rate limit your IP");
        response.headers_mut().insert("retry-after", "17".parse().unwrap());
        Some(response)
    });
    let error = place.refused("org/qwen2").await;
    let HubError::Server { status: 429, retry_after, .. } = &error else { panic!("{error}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(17)));
    assert!(error.to_string().contains("try again in 17 s"), "{error}");
}

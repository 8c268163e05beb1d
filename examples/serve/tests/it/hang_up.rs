//! A client that goes away takes its sequences along.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;

use crate::served::{Connection, RANDOM, Served, completion, hello};

/// More choices than run at a time, so that most of them never begin.
const CHOICES: u64 = 128;
const LONGEST: u64 = 400;

async fn frees_its_places(stream: bool) {
    let served = Served::new(RANDOM).await;
    let engine = served.server.model().engine();
    let request = hello(json!({"n": CHOICES, "max_tokens": LONGEST, "stream": stream}));
    let Connection { mut sender, life } = served.connect().await;
    if stream {
        let mut response = sender.send_request(completion(&request.to_string())).await.unwrap();
        while engine.stats().sampled == 0 {
            response.frame().await.unwrap().unwrap();
        }
    } else {
        let response = tokio::spawn(async move { drop(sender.send_request(completion(&request.to_string())).await) });
        while engine.stats().sampled == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        response.abort();
    }
    life.abort();
    while engine.stats().running + engine.stats().waiting > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let sampled = engine.stats().sampled;
    assert!(sampled < CHOICES * LONGEST / 4, "{sampled}");
    served.complete(&hello(json!({}))).await;
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    frees_its_places(true).await;
}

#[tokio::test]
async fn while_it_waits_for_a_whole_reply() {
    frees_its_places(false).await;
}

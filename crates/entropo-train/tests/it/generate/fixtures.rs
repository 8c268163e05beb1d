//! `models/`: generation with the reference checkpoints.

use burn::tensor::Device;
use entropo_train::checkpoint;
use entropo_train::generate::EngineConfig;
use serde_json::Value;

use super::agreement::{check_greedy, check_logprobs, check_settings};
use super::{again, all, engine, plain, request};
use crate::fixtures::{entries, json, root};

fn tokens(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[tokio::test]
async fn every_model_generates_the_reference_tokens() {
    let mut checked = 0;
    for name in entries("models") {
        let folder = root().join("models").join(&name);
        let decoder = checkpoint::load(&folder.join("checkpoint"), &Device::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let reference = json(&format!("models/{name}/reference.json"));
        let cases = reference["greedy"].as_array().unwrap();
        let requests: Vec<_> =
            cases.iter().map(|case| request(&tokens(&case["prompt"]), 0.0, tokens(&case["tokens"]).len(), 0)).collect();
        let engine = engine(&decoder, EngineConfig { batch: 32, prefill: 5, ..plain() });
        for round in ["computed", "found again"] {
            for (case, answer) in cases.iter().zip(all(&engine, requests.iter().map(again).collect()).await) {
                assert_eq!(answer.unwrap().completion, tokens(&case["tokens"]), "{name}, {round}");
            }
        }
        check_greedy(&name, &decoder).await;
        check_settings(&name, &decoder).await;
        check_logprobs(&name, &decoder).await;
        checked += 1;
    }
    assert!(checked > 0, "no model was checked");
}

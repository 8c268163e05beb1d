//! What bad requests get.

use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::served::{RANDOM, Served, completion, hello};

#[tokio::test]
async fn every_bad_request_is_told_what_is_wrong() {
    let served = Served::new(RANDOM).await;
    let long = "word ".repeat(2000);
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let cases = [
        (json!({"model": "gpt-5"}), 404, json!("model"), json!("model_not_found"), "`tiny` is"),
        (json!({"messages": []}), 400, json!("messages"), json!(null), "at least one"),
        (json!({"messages": 5}), 400, json!(null), json!(null), "messages"),
        (json!({"messages": [{"role": "robot", "content": "x"}]}), 400, json!("messages"), json!(null), "robot"),
        (user(json!([{"type": "image_url"}])), 400, json!("messages"), json!(null), "not text"),
        (user(json!(long)), 400, json!("messages"), json!("context_length_exceeded"), "maximum context length is 512"),
        (json!({"n": 0}), 400, json!("n"), json!(null), "between 1 and"),
        (json!({"n": -1}), 400, json!(null), json!(null), "n: invalid value"),
        (json!({"temperature": -1}), 400, json!("temperature"), json!(null), "0 or positive"),
        (json!({"top_p": 0}), 400, json!("top_p"), json!(null), "above 0"),
        (json!({"min_p": 2}), 400, json!("min_p"), json!(null), "between 0 and 1"),
        (json!({"repetition_penalty": 0}), 400, json!("repetition_penalty"), json!(null), "positive"),
        (json!({"presence_penalty": 1}), 400, json!("presence_penalty"), json!(null), "repetition_penalty"),
        (json!({"logit_bias": {"1": 1}}), 400, json!("logit_bias"), json!(null), "not supported"),
        (json!({"top_logprobs": 21}), 400, json!("top_logprobs"), json!(null), "at most 20"),
        (json!({"tool_choice": "required"}), 400, json!("tool_choice"), json!(null), "not be forced"),
        (json!({"response_format": {"type": "json_object"}}), 400, json!("response_format"), json!(null), "free text"),
    ];
    for (change, status, parameter, code, words) in cases {
        for stream in [false, true] {
            let mut request = hello(change.clone());
            request["stream"] = stream.into();
            let (got, body) = served.ask(&request).await;
            let error = &body["error"];
            assert_eq!((got.as_u16(), &error["param"], &error["code"]), (status, &parameter, &code), "{body}");
            assert!(error["message"].as_str().unwrap().contains(words), "{body}");
            assert_eq!(error["type"], "invalid_request_error");
        }
    }
    let (status, text) = served.send(completion("{\"messages\": [")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("\"error\"") && text.contains("EOF"), "{text}");
    served.complete(&hello(json!({}))).await;
}

#[tokio::test]
async fn only_who_sends_the_key_is_served() {
    let served = Served::with_key(RANDOM, Some("secret")).await;
    let get = |path: &str, key: Option<&str>| {
        let request = Request::get(path).header("Host", "localhost");
        let request = key.into_iter().fold(request, |request, key| request.header("Authorization", key));
        request.body(String::new()).unwrap()
    };
    for key in
        [None, Some("Bearer wrong!"), Some("Bearer secre"), Some("Bearer secret2"), Some("secret"), Some("Bearer ")]
    {
        let (status, text) = served.send(get("/v1/models", key)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{key:?}");
        assert!(text.contains("invalid_api_key"), "{text}");
    }
    assert_eq!(served.ask(&hello(json!({}))).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(served.send(get("/health", None)).await, (StatusCode::OK, "ok".to_owned()));
    let (status, models) = served.send(get("/v1/models", Some("Bearer secret"))).await;
    let models: Value = serde_json::from_str(&models).unwrap();
    assert_eq!((status, &models["data"][0]["id"]), (StatusCode::OK, &json!("tiny")));
    assert_eq!(models["data"][0]["max_model_len"], 512);
}

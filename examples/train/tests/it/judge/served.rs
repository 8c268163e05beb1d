//! A verifier behind a server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::place::{Place, attempts};

/// Serves replies that depend on what is asked; the URL.
fn serve(answer: fn(&Value) -> (u16, Value)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || converse(stream.unwrap(), answer));
        }
    });
    url
}

fn converse(stream: TcpStream, answer: fn(&Value) -> (u16, Value)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let header = line.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let (status, reply) = answer(&serde_json::from_slice(&body).unwrap());
        let reply = reply.to_string();
        let length = reply.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        if writer.write_all((head + &reply).as_bytes()).is_err() {
            return;
        }
    }
}

/// Thinks well of patches with `args`, and has no opinion on the fourth attempts.
fn opinion(asked: &Value) -> (u16, Value) {
    assert_eq!(asked["chat_template_kwargs"], json!({"enable_thinking": false}));
    let text = asked["messages"][1]["content"].as_str().unwrap();
    let yes: f64 = if text.contains("+args") { 0.8 } else { 0.2 };
    let other = if text.contains("+self 3") { "MAYBE" } else { "NO" };
    let listed = [("YES", yes), (other, 1.0 - yes)].map(|(token, p)| json!({"token": token, "logprob": p.ln()}));
    let content = json!([{"token": "YES", "logprob": yes.ln(), "top_logprobs": listed}]);
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "YES"}, "finish_reason": "stop",
        "logprobs": {"content": content}});
    (200, json!({"choices": [choice]}))
}

const FIELD: &str = "--field chat_template_kwargs={\"enable_thinking\":false}";

#[test]
fn a_server_scores_and_its_silence_is_told() {
    let place = Place::new();
    place.store("judged.jsonl", &attempts(0..3));
    let url = serve(opinion);
    let score =
        format!("score --trajectories judged.jsonl --base-url {url} --served-model judge {FIELD} --concurrency 2");
    let said = place.done(&format!("{score} --to scores.jsonl"));
    assert!(said.out.contains("9 scores are new, 0 were there, 3 attempts have none"), "{}", said.out);
    assert!(said.error.contains("no score: task-1#3: the negative answer is not among the 2 tokens"), "{}", said.error);
    for row in place.scores("scores.jsonl") {
        let expected = if row.rollout.rollout == 1 { 0.2 } else { 0.8 };
        assert!((row.value - expected).abs() < 1e-9, "{row:?}");
    }
    let again = place.done(&format!("{score} --to scores.jsonl"));
    assert!(again.out.contains("0 scores are new, 9 were there, 3 attempts have none"), "{}", again.out);
    let error = place.refused(&format!("{score} --mark <mine> --to scores.jsonl"));
    assert!(error.contains("another verifier (marks is"), "{error}");
    let error = place.refused(&format!("{score} --mark | --to scores.jsonl"));
    assert!(error.contains("at least two letters"), "{error}");
    let said = place.done("report --trajectories judged.jsonl --scores scores.jsonl");
    assert!(said.out.contains("AUROC within tasks: 1.000 [1.000, 1.000]"), "{}", said.out);
}

#[test]
fn a_server_that_answers_nothing_ends_it_and_what_is_scored_stays() {
    let place = Place::new();
    place.store("some.jsonl", &attempts(0..1));
    place.store("rest.jsonl", &attempts(1..3));
    let score = |url: &str, files: &str| {
        format!("score --trajectories {files} --base-url {url} --served-model judge {FIELD} --to scores.jsonl")
    };
    place.done(&score(&serve(opinion), "some.jsonl"));
    let refusing = serve(|_| (400, json!({"error": {"message": "top_logprobs is not supported"}})));
    let error = place.refused(&score(&refusing, "rest.jsonl"));
    assert!(error.contains("no reply to 8 attempts in a row") && error.contains("top_logprobs is not"), "{error}");
    assert_eq!(place.scores("scores.jsonl").len(), 3);
    let said = place.done(&score(&serve(opinion), "some.jsonl rest.jsonl"));
    assert!(said.out.contains("6 scores are new, 3 were there, 3 attempts have none"), "{}", said.out);
}

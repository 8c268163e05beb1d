//! Many runs through a server that fails in every way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entropo_agent::model::http::Retry;
use entropo_agent::model::openai::OpenAi;
use entropo_core::ExitReason;
use serde_json::json;

use super::server::{Act, Server, calling, delta, events, head, json_body, pieces, send};
use crate::support::{acting, run, told};

/// Ways to fail; those after which a connection hangs end in the idle timeout.
fn failure(number: usize) -> Vec<Act> {
    let hm = pieces(&[delta(json!({"content": "Hm"}))]);
    match number % 9 {
        0 => events(&hm),
        1 => [events(&hm), vec![Act::Send(b"data: \xff\n\n".to_vec())]].concat(),
        2 => events("data: {\"choices\": [{\"delta\"\n\n"),
        3 => json_body(200, &json!({"error": {"message": "Overloaded", "code": 503}})),
        4 => vec![head(429, "text/plain", "retry-after: 0\r\n"), send("Slower")],
        5 => json_body(500, &json!({"error": "broken"})),
        6 => [events(&hm), vec![Act::Reset]].concat(),
        7 => [events(&hm), vec![Act::Hang]].concat(),
        _ => vec![Act::Reset],
    }
}

#[tokio::test]
async fn every_run_ends_as_if_nothing_had_failed() {
    let failures = AtomicUsize::new(0);
    let server = Server::start(move |number, asked| {
        // Three of ten requests, in an order that no run is aligned with.
        if number * 7 % 10 < 3 {
            return failure(failures.fetch_add(1, Ordering::Relaxed));
        }
        match asked.body["messages"].as_array().unwrap().len() {
            messages @ ..8 => calling("note", &json!({"text": messages.to_string()})),
            _ => calling("finish", &json!({})),
        }
    })
    .await;
    let retry = Retry { attempts: 30, first_wait: Duration::from_millis(1), longest_wait: Duration::from_millis(4) };
    let connection = server.connection().retry(retry).idle_timeout(Duration::from_millis(400));
    let agent = acting(OpenAi::new(connection, "m").unwrap());
    let runs = futures::future::join_all((0..50).map(|_| run(&agent))).await;
    let mut replies = 0;
    for trajectory in &runs {
        assert_eq!(trajectory.exit, ExitReason::Agent, "{:?}", trajectory.error);
        let noted: Vec<_> = told(trajectory).into_iter().filter(|line| line.starts_with("tool")).collect();
        assert_eq!(noted, ["tool: 2", "tool: 4", "tool: 6", "tool: Finished."]);
        assert_eq!(trajectory.usage.bad_calls, 0);
        replies += trajectory.usage.model_calls;
    }
    assert_eq!(replies, 200);
    assert!(server.asked().len() > 260, "{}", server.asked().len());
}

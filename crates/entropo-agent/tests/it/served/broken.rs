//! Servers that do everything wrong: each ends in an error with a type, or in a reply that can be used.

use std::time::Duration;

use entropo_agent::model::Delta;
use entropo_agent::model::http::{ApiKey, Connection};
use entropo_agent::model::openai::OpenAi;
use entropo_agent::{CancellationToken, ModelError, Sampling};
use entropo_core::{ExitReason, Message, TokenTrace};
use serde_json::json;
use tokio::net::TcpListener;

use super::server::{
    Act, Server, ask, ask_until, calling, delta, end, events, head, hello, json_body, pieces, saying, send,
};
use crate::support::{Bench, acting};

/// What a server that always does this ends in.
async fn fails(acts: Vec<Act>) -> ModelError {
    ask(&Server::always(acts).await.openai()).await.unwrap_err()
}

fn problem(error: ModelError) -> String {
    match error {
        ModelError::Protocol { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

fn hm() -> String {
    pieces(&[delta(json!({"content": "Hm"}))])
}

#[tokio::test]
async fn a_stream_that_breaks_off() {
    assert_eq!(problem(fails(events(&hm())).await), "it breaks off before the reply ends");
    assert_eq!(problem(fails(events("data: {\"choices\": [{\"de")).await), "it holds no reply");
    let mut chunked = vec![head(200, "text/event-stream", "transfer-encoding: chunked\r\n")];
    chunked.push(send(&format!("{:x}\r\n{}\r\n", hm().len(), hm())));
    assert!(matches!(fails(chunked).await, ModelError::Connection { .. }));
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    let mut stream = events(&hm());
    stream.push(Act::Send(b"data: {\"choices\": \xff\xfe\n\n".to_vec()));
    assert_eq!(problem(fails(stream).await), "line 3 of the event stream is no UTF-8 at byte 18");
    let whole = vec![head(200, "application/json", ""), Act::Send(b"{\"choices\": \xff}".to_vec())];
    assert_eq!(problem(fails(whole).await), "it is no UTF-8 at byte 12");
}

#[tokio::test]
async fn half_a_json_object() {
    let whole = vec![head(200, "application/json", ""), send("{\"choices\": [{\"message\":")];
    assert!(problem(fails(whole).await).contains("EOF while parsing"));
    assert!(problem(fails(events("data: {\"choices\": [{\"delta\":\n\n")).await).contains("EOF while parsing"));
    let short = vec![head(200, "application/json", "content-length: 999\r\n"), send("{\"choices\": [")];
    assert!(matches!(fails(short).await, ModelError::Connection { .. }));
}

#[tokio::test]
async fn a_page_instead_of_a_reply() {
    let page = vec![head(200, "text/html", ""), send("<html>Log in</html>")];
    assert!(problem(fails(page).await).contains("expected value at line 1 column 1"));
}

#[tokio::test]
async fn an_error_with_status_200() {
    let overloaded = json!({"error": {"message": "Overloaded", "code": 503}});
    for acts in [json_body(200, &overloaded), events(&pieces(std::slice::from_ref(&overloaded)))] {
        assert_eq!(fails(acts).await.to_string(), "m: the server failed (HTTP 503): Overloaded");
    }
    let mut late = events(&hm());
    late.push(send(&pieces(&[overloaded])));
    assert!(matches!(fails(late).await, ModelError::Server { status: 503, .. }));
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_again() {
    let server = Server::always(json_body(401, &json!({"error": {"message": "No such key"}}))).await;
    let error = ask(&server.persistent(5)).await.unwrap_err();
    assert_eq!(error.to_string(), "m: not authorised: No such key; check the API key and what it may use");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_key_that_is_missing_is_never_asked_for() {
    let server = Server::always(saying("Hello")).await;
    let connection = server.connection().api_key(ApiKey::environment("ENTROPO_NO_SUCH_KEY"));
    let error = ask(&OpenAi::new(connection, "m").unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("ENTROPO_NO_SUCH_KEY is not set"), "{error}");
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_if_it_is_short() {
    let limited = |wait: &str| vec![head(429, "text/plain", &format!("retry-after: {wait}\r\n")), send("Slower")];
    let short = limited("0");
    let server = Server::start(move |number, _| if number < 2 { short.clone() } else { saying("Hello") }).await;
    assert_eq!(ask(&server.persistent(3)).await.unwrap().message.content, "Hello");
    assert_eq!(server.asked().len(), 3);

    for (status, expected) in [
        (429, "m: rate limited, to be asked again in 86400 s: Slower"),
        (503, "m: the server failed (HTTP 503), to be asked again in 86400 s: Slower"),
    ] {
        let long = vec![head(status, "text/plain", "retry-after: 86400\r\n"), send("Slower")];
        let server = Server::always(long).await;
        assert_eq!(ask(&server.persistent(3)).await.unwrap_err().to_string(), expected);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_fails_is_asked_as_often_as_is_allowed() {
    let server = Server::always(json_body(500, &json!({"error": "broken"}))).await;
    let error = ask(&server.persistent(4)).await.unwrap_err();
    assert!(matches!(error, ModelError::Server { status: 500, .. }), "{error}");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_request_that_is_refused_or_too_long_is_not_sent_again() {
    for (message, expected) in [
        ("no such model", "m: the server refuses the request (HTTP 400): no such model"),
        (
            "This model's maximum context length is 8 tokens. However, you requested 9 tokens (9 in the messages",
            "the prompt has 9 tokens, the model's context 8; shorten the conversation",
        ),
    ] {
        let server = Server::always(json_body(400, &json!({"error": {"message": message}}))).await;
        assert_eq!(ask(&server.persistent(4)).await.unwrap_err().to_string(), expected);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_reset_in_mid_stream_is_asked_again() {
    let server = Server::start(|number, _| {
        if number > 0 {
            return saying("Hello");
        }
        let mut acts = events(&hm());
        acts.push(Act::Reset);
        acts
    })
    .await;
    let mut told = Vec::new();
    let (cancel, trace, sampling, messages) =
        (CancellationToken::new(), TokenTrace::default(), Sampling::default(), [Message::user("Hello")]);
    let mut tell = |delta: Delta<'_>| told.push(format!("{delta:?}"));
    let reply = server.persistent(2).reply(hello(&cancel, &trace, &sampling, &messages), &mut tell).await.unwrap();
    assert_eq!((reply.response.message.content.as_str(), reply.attempts), ("Hello", 2));
    // The reset may overtake the piece before it.
    let after: Vec<_> = told.iter().skip_while(|told| *told != "Restart").collect();
    assert!(after == ["Restart", "Text(\"Hello\")"] || told == ["Text(\"Hello\")"], "{told:?}");
}

#[tokio::test]
async fn a_break_after_the_reply_loses_nothing() {
    let reply = pieces(&[delta(json!({"content": "Hm"})), end("stop")]);
    let mut acts = vec![head(200, "text/event-stream", "transfer-encoding: chunked\r\n")];
    acts.push(send(&format!("{:x}\r\n{reply}\r\n", reply.len())));
    let server = Server::always(acts).await;
    assert_eq!(ask(&server.openai()).await.unwrap().message.content, "Hm");
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let connection = Connection::new(format!("http://{address}/v1")).retry(entropo_agent::model::http::Retry::never());
    let error = ask(&OpenAi::new(connection, "m").unwrap()).await.unwrap_err();
    let expected = format!("m: no connection: http://{address}/v1/chat/completions: cannot connect: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let elsewhere = Server::always(saying("Hello")).await;
    let server = Server::always(vec![head(307, "text/plain", &format!("location: {}\r\n", elsewhere.url))]).await;
    assert!(matches!(ask(&server.openai()).await, Err(ModelError::Refused { status: 307, .. })));
    assert_eq!(elsewhere.asked().len(), 0);
}

#[tokio::test]
async fn a_server_that_falls_silent() {
    for acts in [vec![Act::Hang], [events(&hm()), vec![Act::Hang]].concat()] {
        let server = Server::always(acts).await;
        let connection = server.connection().idle_timeout(Duration::from_millis(50));
        let error = ask(&OpenAi::new(connection, "m").unwrap()).await.unwrap_err();
        assert_eq!(error.to_string(), "m: the next bytes of the reply took longer than 0.05 s");
        server.gone(1).await;
    }
}

#[tokio::test]
async fn a_server_that_never_ends() {
    let keep_alive = [events(&hm()), vec![Act::Repeat(b": still here\n\n".to_vec())]].concat();
    let one_line = [events("data: "), vec![Act::Repeat(vec![b'x'; 4096])]].concat();
    for acts in [keep_alive, one_line] {
        let server = Server::always(acts).await;
        let connection = server.connection().max_response_bytes(1 << 20);
        let error = ask(&OpenAi::new(connection, "m").unwrap()).await.unwrap_err();
        assert!(matches!(error, ModelError::TooLarge { limit, .. } if limit == 1 << 20), "{error}");
        server.gone(1).await;
    }
}

#[tokio::test]
async fn a_server_that_writes_slowly_for_ever() {
    let server = Server::always([events(&hm()), vec![Act::Repeat(b": still here\n\n".to_vec())]].concat()).await;
    let connection = server.connection().total_timeout(Duration::from_millis(50)).max_response_bytes(usize::MAX);
    let error = ask(&OpenAi::new(connection, "m").unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "m: the whole reply took longer than 0.05 s");
    server.gone(1).await;
}

#[tokio::test]
async fn a_response_of_100_megabytes() {
    let length = 100_000_000;
    for status in [200, 500] {
        let huge = vec![
            head(status, "application/json", &format!("content-length: {length}\r\n")),
            Act::Send(vec![b' '; length]),
        ];
        let server = Server::always(huge).await;
        let error = ask(&server.openai()).await.unwrap_err();
        let expected = if status == 200 { "more than 33554432 bytes" } else { "it does not say why" };
        assert!(error.to_string().contains(expected), "{error}");
        server.gone(1).await;
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_the_reply() {
    let marked = format!("\u{feff}{}data: [DONE]\n\n", pieces(&[delta(json!({"content": "Hm"})), end("stop")]));
    let server = Server::always(events(&marked)).await;
    assert_eq!(ask(&server.openai()).await.unwrap().message.content, "Hm");
}

#[tokio::test]
async fn who_cancels_waits_for_nothing() {
    let waiting = vec![head(429, "text/plain", "retry-after: 50\r\n")];
    for acts in [vec![Act::Hang], [events(&hm()), vec![Act::Hang]].concat(), waiting] {
        let server = Server::always(acts).await;
        let (model, cancel) = (server.persistent(9), CancellationToken::new());
        let cancelling = async {
            while server.asked().is_empty() {
                tokio::task::yield_now().await;
            }
            cancel.cancel();
        };
        let (reply, ()) = tokio::join!(ask_until(&model, &cancel), cancelling);
        assert!(matches!(reply, Err(ModelError::Cancelled)));
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_run_that_is_cancelled_in_mid_stream_hangs_up_and_keeps_what_it_has() {
    let server = Server::start(|number, _| match number {
        0 => calling("note", &json!({"text": "x"})),
        _ => [events(&hm()), vec![Act::Hang]].concat(),
    })
    .await;
    let (agent, cancel) = (acting(server.openai()), CancellationToken::new());
    let cancelling = async {
        while server.asked().len() < 2 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let place = Bench::default().place("task");
    let run = agent.run(entropo_core::RolloutId::new("task", 0), 1, place, &cancel, &());
    let (trajectory, ()) = tokio::join!(run, cancelling);
    assert_eq!((trajectory.exit, trajectory.messages.len()), (ExitReason::Cancelled, 4));
    server.gone(1).await;
}

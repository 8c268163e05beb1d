//! Keys appear nowhere but in the header that carries them.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entropo_agent::model::http::{ApiKey, Retry};
use entropo_agent::model::openai::OpenAi;
use entropo_core::ExitReason;
use tracing_subscriber::fmt::MakeWriter;

use super::server::{Act, Server, head, send};
use crate::support::{acting, run};

const KEY: &str = "sk-very-secret-1";
const HEADER: &str = "header-secret-2";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A server that says back what it was sent, the key included.
fn echo(status: u16, kind: &str, text: &str) -> Vec<Act> {
    vec![head(status, kind, ""), send(text)]
}

#[tokio::test]
async fn no_key_is_shown() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt();
    let subscriber =
        subscriber.with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(log.clone()).finish();
    // For the whole process: whether a place logs is remembered from whichever test comes by first.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut shown = String::new();
    let both = format!("{KEY} and {HEADER} are wrong");
    let answers = [
        echo(401, "text/plain", &both),
        echo(400, "text/plain", &both),
        echo(429, "text/plain", &both),
        echo(500, "text/plain", &both),
        echo(200, "application/json", &format!("{{\"error\": \"{both}\"}}")),
        echo(200, "application/json", &format!("{{\"choices\": \"{both}\"}}")),
    ];
    for answer in answers {
        let server = Server::always(answer).await;
        let retry = Retry { attempts: 2, first_wait: Duration::from_millis(1), ..Retry::default() };
        let connection = server.connection().retry(retry).api_key(ApiKey::fixed(KEY)).header("x-more", HEADER);
        shown += &format!("{connection:?}");
        let model = OpenAi::new(connection, "secretive").unwrap();
        shown += &format!("{model:?}");
        let trajectory = run(&acting(model)).await;
        assert_eq!(trajectory.exit, ExitReason::ModelError);
        assert!(trajectory.error.as_ref().unwrap().contains("[redacted] and [redacted] are wrong"), "{trajectory:?}");
        shown += &serde_json::to_string(&trajectory).unwrap();
        let asked = &server.asked()[0];
        assert_eq!(
            (asked.header("authorization"), asked.header("x-more")),
            (Some("Bearer sk-very-secret-1"), Some(HEADER))
        );
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("the model is asked again model=\"secretive\""), "{logged}");
    for secret in [KEY, HEADER] {
        assert!(!shown.contains(secret) && !logged.contains(secret), "{shown}\n{logged}");
    }
}

//! Tool calls as text.

use entropo_agent::dialect::{Bash, Dialect, Glm, Hermes, Llama, Xml};

/// Every dialect reads or refuses every text, and what it read and writes again is read as the same calls, unless the
/// text beside them looks like the beginning of a call itself.
pub fn dialect(input: &[u8]) {
    let raw = crate::text(input);
    let bash = Bash::default();
    let dialects: [(&str, &dyn Dialect, &[char]); 5] = [
        ("bash", &bash, &['`', '~']),
        ("glm", &Glm, &['<']),
        ("hermes", &Hermes, &['<']),
        ("llama", &Llama, &['<', '{']),
        ("xml", &Xml, &['<']),
    ];
    for (name, dialect, begins) in dialects {
        let Ok(message) = dialect.parse(&raw) else { continue };
        assert_eq!(message.raw.as_deref(), Some(raw.as_str()), "{name} keeps the words");
        // bash takes a carriage return at the end of a line for a part of the end.
        if message.content.contains(begins) || (name == "bash" && raw.contains('\r')) {
            continue;
        }
        let rendered = dialect.render(&message);
        let again = dialect.parse(&rendered).unwrap_or_else(|error| panic!("{name} refuses {rendered:?}: {error}"));
        let calls = |message: &entropo_core::AssistantMessage| {
            message.tool_calls.iter().map(|call| (call.name.clone(), call.arguments.clone())).collect::<Vec<_>>()
        };
        assert_eq!(calls(&again), calls(&message), "{name} writes {rendered:?}");
    }
}

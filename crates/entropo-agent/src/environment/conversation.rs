use async_trait::async_trait;
use entropo_core::{ExitReason, Message, Outcome};

use super::{EnvironmentError, Episode};
use crate::tool::Toolbox;

/// An [`Episode`] without a place of its own: first messages and tools, and nothing to judge or to clear up. What an app
/// needs whose tools act on what the app already holds.
///
/// ```
/// use entropo_agent::{Conversation, Toolbox};
/// use entropo_core::Message;
///
/// let episode = Conversation::new(vec![Message::user("What is in the cart?")], Toolbox::new());
/// ```
#[derive(Clone)]
pub struct Conversation {
    messages: Vec<Message>,
    toolbox: Toolbox,
}

impl Conversation {
    /// A conversation that begins with `messages`.
    pub fn new(messages: Vec<Message>, toolbox: Toolbox) -> Self {
        Self { messages, toolbox }
    }
}

#[async_trait]
impl Episode for Conversation {
    fn messages(&self) -> Vec<Message> {
        self.messages.clone()
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
        Ok(Outcome::default())
    }
}

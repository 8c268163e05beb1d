use super::ChatResponse;

/// A reply from a server, with what a [`ChatResponse`] has no place for.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// What the loop reads.
    pub response: ChatResponse,
    /// What the model thought before it wrote, if the server tells; empty if not.
    pub reasoning: String,
    /// The server's name for the reply; empty if it gives none.
    pub id: String,
    /// The model that the server says has answered; empty if it does not say.
    pub served_model: String,
    /// How often it was asked, failures included; at least 1.
    pub attempts: usize,
    /// The body of the response as it came, if it is kept; what is no UTF-8 is replaced.
    pub raw: Option<String>,
}

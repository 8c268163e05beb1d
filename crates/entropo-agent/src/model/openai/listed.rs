//! Tokens with those that could have stood in their place.

/// A token of a reply, with the likeliest tokens in its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedToken {
    /// The token's text.
    pub text: String,
    /// Its natural log-probability.
    pub logprob: f64,
    /// The likeliest tokens there with theirs; the token itself may be one of them.
    pub alternatives: Vec<(String, f64)>,
}

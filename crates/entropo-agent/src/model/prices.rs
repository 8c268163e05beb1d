use entropo_core::Usage;

/// What tokens cost, in US dollars per million.
///
/// ```
/// use entropo_agent::model::Prices;
///
/// let prices = Prices { cached_input: Some(0.3), ..Prices::new(3.0, 15.0) };
/// assert_eq!((prices.input, prices.output, prices.cache_write), (3.0, 15.0, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// Prompt tokens.
    pub input: f64,
    /// Completion tokens.
    pub output: f64,
    /// Prompt tokens that the server had in its cache; [`input`](Self::input) if not set.
    pub cached_input: Option<f64>,
    /// Prompt tokens that the server puts into its cache; [`input`](Self::input) if not set.
    pub cache_write: Option<f64>,
}

impl Prices {
    /// Prices of prompt and completion tokens, the same for cached ones.
    pub fn new(input: f64, output: f64) -> Self {
        Self { input, output, cached_input: None, cache_write: None }
    }

    /// What `usage` costs in billionths of a dollar; `written` of its prompt tokens went into the server's cache.
    pub(crate) fn nano_usd(&self, usage: &Usage, written: usize) -> u64 {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let written = written.min(usage.prompt_tokens - cached);
        let plain = usage.prompt_tokens - cached - written;
        let micro_usd = plain as f64 * self.input
            + cached as f64 * self.cached_input.unwrap_or(self.input)
            + written as f64 * self.cache_write.unwrap_or(self.input)
            + usage.completion_tokens as f64 * self.output;
        // A conversion from f64 saturates, and takes what is no number for 0.
        (micro_usd * 1e3).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_token_has_its_price() {
        let usage = Usage { prompt_tokens: 1000, completion_tokens: 10, cached_tokens: 600, ..Usage::default() };
        assert_eq!(Prices::new(2.0, 8.0).nano_usd(&usage, 300), 2_080_000);
        let prices = Prices { cached_input: Some(0.2), cache_write: Some(2.5), ..Prices::new(2.0, 8.0) };
        assert_eq!(prices.nano_usd(&usage, 300), 120_000 + 750_000 + 200_000 + 80_000);
    }

    #[test]
    fn absurd_numbers_give_no_panic() {
        let usage = Usage { prompt_tokens: 1, cached_tokens: usize::MAX, ..Usage::default() };
        assert_eq!(Prices::new(1.0, 1.0).nano_usd(&usage, usize::MAX), 1000);
        assert_eq!(Prices::new(f64::NAN, -1.0).nano_usd(&usage, 0), 0);
    }
}

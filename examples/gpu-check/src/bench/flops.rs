//! How much arithmetic a step asks for.
//!
//! Counted is what the model needs, not what an engine spends: two operations for each multiplication and addition of the
//! products with weights and of attention, which is causal and so needs half of its scores; nothing for recomputation,
//! norms, activations, softmax or the optimiser. A backward pass is twice the forward pass where weights learn; where only
//! an adapter does, their gradient falls away and it is once, but for attention, which has no weights. The adapter's own
//! products are left out: at rank 16 they are below one percent.

use super::shape::Shape;

/// Operations of one step over one pair whose sequences have `tokens` each, `actions` of which are predicted.
pub(super) fn of_step(shape: &Shape, tokens: u64, actions: u64) -> f64 {
    let forward = Forward::of(shape, tokens, actions);
    let weights = if shape.rank.is_some() { 2.0 } else { 3.0 };
    2.0 * (weights * (forward.layers + forward.head) + 3.0 * forward.attention)
}

/// Operations of a forward pass over one sequence.
struct Forward {
    layers: f64,
    attention: f64,
    head: f64,
}

impl Forward {
    fn of(shape: &Shape, tokens: u64, actions: u64) -> Self {
        let projections = 2 * shape.hidden * (shape.hidden + shape.keys());
        let gated = 3 * shape.hidden * shape.intermediate;
        let layers = 2 * shape.layers * (projections + gated) * tokens;
        // Scores and mixing: 2 products of [token, head] and [head, token] a head, over half of the square.
        let attention = 2 * shape.layers * shape.hidden * tokens * tokens;
        let head = 2 * shape.hidden * shape.vocabulary * actions;
        Self { layers: layers as f64, attention: attention as f64, head: head as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::ShapeName;
    use super::*;

    #[test]
    fn it_is_six_operations_a_parameter_and_token_where_attention_is_small() {
        let shape = ShapeName::HalfB.shape();
        // All tokens predicted: the tied matrix then counts as head, and nothing as embedding.
        let tokens = 64;
        let six = 2.0 * 6.0 * shape.parameters() as f64 * tokens as f64;
        let counted = of_step(&shape, tokens, tokens);
        assert!((counted / six - 1.0).abs() < 0.01, "{counted} and {six}");
    }

    #[test]
    fn an_adapter_spares_the_weights_gradient() {
        let adapted = ShapeName::SevenB.shape();
        let full = Shape { rank: None, ..adapted };
        let ratio = of_step(&adapted, 64, 25) / of_step(&full, 64, 25);
        assert!((ratio - 2.0 / 3.0).abs() < 0.01, "{ratio}");
        // At great lengths attention is all, and it costs both the same.
        let ratio = of_step(&adapted, 1 << 22, 1 << 20) / of_step(&full, 1 << 22, 1 << 20);
        assert!(ratio > 0.97, "{ratio}");
    }

    #[test]
    fn attention_grows_with_the_square() {
        let shape = ShapeName::Tiny.shape();
        let (one, two) = (Forward::of(&shape, 1000, 0), Forward::of(&shape, 2000, 0));
        assert!((two.attention / one.attention - 4.0).abs() < 1e-12 && (two.layers / one.layers - 2.0).abs() < 1e-12);
    }
}

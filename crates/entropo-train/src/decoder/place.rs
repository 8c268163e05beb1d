//! Names of parameters while a module is walked.

/// Where a walk over a module is.
#[derive(Debug, Default)]
pub(crate) struct Place {
    steps: Vec<(String, bool)>, // name, and whether it is a field of a linear layer
}

impl Place {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.steps.push((name.to_owned(), container == "Struct:Linear"));
    }

    pub(crate) fn exit(&mut self) {
        self.steps.pop();
    }

    /// The parameter's name in a Hugging Face checkpoint, such as `model.layers.0.self_attn.q_proj.weight`.
    pub(crate) fn name(&self) -> String {
        let names: Vec<&str> = self.steps.iter().map(|(name, _)| name.as_str()).collect();
        names.join(".")
    }

    /// Whether the parameter is a linear layer's matrix: burn holds it as `[input, output]`, checkpoints as
    /// `[output, input]`.
    pub(crate) fn is_linear_matrix(&self) -> bool {
        self.steps.last().is_some_and(|(name, linear)| *linear && name == "weight")
    }
}

//! Names of parameters while a module is walked.

/// Where a walk over a module is.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Absent where burn enters an enum's variant, which checkpoints know nothing of.
    steps: Vec<Option<String>>,
}

impl Place {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.steps.push((!container.starts_with("Enum:")).then(|| name.to_owned()));
    }

    pub(crate) fn exit(&mut self) {
        self.steps.pop();
    }

    /// The parameter's name in a Hugging Face checkpoint, such as `model.layers.0.self_attn.q_proj.weight`.
    pub(crate) fn name(&self) -> String {
        let names: Vec<&str> = self.steps.iter().flatten().map(String::as_str).collect();
        names.join(".")
    }
}

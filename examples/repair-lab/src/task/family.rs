//! What a bug family is, and how one function of it is written out.

use rand_chacha::ChaCha8Rng;

/// One way of going wrong: a line of shell, four plausible repairs of it and inputs that tell them apart.
///
/// The texts are templates: `@a` and `@b` stand for the function's argument variables, `@r` for its result variable,
/// `@k` for its constant and `@f` for its name.
#[derive(Debug)]
pub struct Family {
    /// Name of the family; unique.
    pub name: &'static str,
    /// How often each fix is the truth, in per cent: a permutation of 45, 27, 17, 11.
    pub prior: [u32; 4],
    pub(super) names: [&'static str; 6],
    /// Values of the constant, all of which let the probes separate the fixes.
    pub(super) constants: &'static [u32],
    /// The lines before the one with the bug.
    pub(super) setup: &'static [&'static str],
    pub(super) bug: &'static str,
    pub(super) fixes: [&'static str; 4],
    /// Repairs that fail on every input of `input`.
    pub(super) wrong: [&'static str; 2],
    /// Draws a call on which the bug shows and all four fixes agree.
    pub(super) input: fn(&mut Arguments<'_>) -> String,
    /// Calls on which, taken together, no two fixes agree.
    pub(super) probes: fn(&mut Arguments<'_>) -> Vec<String>,
}

/// What calls are made from.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) constant: u32,
    pub(super) words: &'a [&'static str],
}

/// A function of a family, with its names and its constant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) family: &'static Family,
    pub(super) name: &'static str,
    pub(super) variables: (&'static str, &'static str),
    pub(super) result: &'static str,
    pub(super) constant: u32,
}

impl Function {
    /// `template` with this function's names and constant in it.
    pub(super) fn fill(&self, template: &str) -> String {
        template
            .replace("@a", self.variables.0)
            .replace("@b", self.variables.1)
            .replace("@r", self.result)
            .replace("@k", &self.constant.to_string())
            .replace("@f", self.name)
    }

    /// A whole line of the function's body, indented, without its end.
    pub(super) fn line(&self, template: &str) -> String {
        format!("  {}", self.fill(template))
    }

    /// The definition with `line`, a whole line, in the place of the bug.
    pub(super) fn define(&self, line: &str) -> String {
        let setup: String = self.family.setup.iter().map(|template| self.line(template) + "\n").collect();
        format!("{}() {{\n{setup}{line}\n{}\n}}\n", self.name, self.line("echo \"$@r\""))
    }

    /// Lines of the definition before the one with the bug.
    pub(super) fn lines_before(&self) -> usize {
        1 + self.family.setup.len()
    }

    /// The definition with fix number `style`, counted from 0; with the bug if there is no such fix.
    pub(super) fn correct(&self, style: usize) -> String {
        self.define(&self.line(self.family.fixes.get(style).unwrap_or(&self.family.bug)))
    }

    /// A call on which the bug shows.
    pub(super) fn input(&self, rng: &mut ChaCha8Rng, words: &[&'static str]) -> String {
        self.fill(&(self.family.input)(&mut Arguments { rng, constant: self.constant, words }))
    }

    /// Calls that tell the four fixes apart.
    pub(super) fn probes(&self, rng: &mut ChaCha8Rng, words: &[&'static str]) -> Vec<String> {
        let probes = (self.family.probes)(&mut Arguments { rng, constant: self.constant, words });
        probes.iter().map(|probe| self.fill(probe)).collect()
    }
}

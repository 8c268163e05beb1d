//! The languages that are known, and which one a file is in.

use std::path::Path;

/// A language whose texts can be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    C,
    Cpp,
    Go,
    Java,
    /// With JSX.
    JavaScript,
    Php,
    Python,
    Ruby,
    Rust,
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::C,
        Self::Cpp,
        Self::Go,
        Self::Java,
        Self::JavaScript,
        Self::Php,
        Self::Python,
        Self::Ruby,
        Self::Rust,
        Self::TypeScript,
        Self::Tsx,
    ];

    /// The language of the file at `path`, by its name alone.
    #[must_use]
    pub fn of(path: impl AsRef<Path>) -> Option<Self> {
        let path = path.as_ref();
        if let Some("Rakefile" | "Gemfile" | "Guardfile" | "Podfile" | "Vagrantfile") = path.file_name()?.to_str() {
            return Some(Self::Ruby);
        }
        Some(match path.extension()?.to_str()? {
            "c" | "h" => Self::C,
            "cc" | "cpp" | "cxx" | "c++" | "hh" | "hpp" | "hxx" | "h++" | "ipp" | "inl" | "tpp" => Self::Cpp,
            "go" => Self::Go,
            "java" => Self::Java,
            "js" | "cjs" | "mjs" | "jsx" => Self::JavaScript,
            "php" | "phtml" => Self::Php,
            "py" | "pyi" => Self::Python,
            "rb" | "rake" | "gemspec" => Self::Ruby,
            "rs" => Self::Rust,
            "ts" | "cts" | "mts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            _ => return None,
        })
    }

    /// What else a file of that name may be in: headers are shared by C and C++.
    pub(crate) fn alternative(path: &Path) -> Option<Self> {
        path.extension().is_some_and(|extension| extension == "h").then_some(Self::Cpp)
    }

    pub(super) fn grammar(self) -> tree_sitter::Language {
        match self {
            Self::C => tree_sitter_c::LANGUAGE,
            Self::Cpp => tree_sitter_cpp::LANGUAGE,
            Self::Go => tree_sitter_go::LANGUAGE,
            Self::Java => tree_sitter_java::LANGUAGE,
            Self::JavaScript => tree_sitter_javascript::LANGUAGE,
            Self::Php => tree_sitter_php::LANGUAGE_PHP,
            Self::Python => tree_sitter_python::LANGUAGE,
            Self::Ruby => tree_sitter_ruby::LANGUAGE,
            Self::Rust => tree_sitter_rust::LANGUAGE,
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_language_of_its_name() {
        for (path, expected) in [
            ("src/a.rs", Some(Language::Rust)),
            ("a.d.ts", Some(Language::TypeScript)),
            ("a.tsx", Some(Language::Tsx)),
            ("lib/Rakefile", Some(Language::Ruby)),
            ("a.h", Some(Language::C)),
            ("rs", None),
            (".rs", None),
            ("a.rs/b", None),
            ("", None),
            ("..", None),
        ] {
            assert_eq!(Language::of(path), expected, "{path}");
        }
        assert_eq!(Language::alternative(Path::new("a.h")), Some(Language::Cpp));
        assert_eq!(Language::alternative(Path::new("a.c")), None);
    }
}

//! Which nodes of which grammar are definitions.

use super::Language;

/// A kind of node that is a definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The grammar's name for the node.
    pub(super) node: &'static str,
    /// What it is called in an outline.
    pub(super) kind: &'static str,
    pub(super) name: Name,
    /// Whether it is a definition only where nothing runs: not a local variable.
    pub(super) is_outer: bool,
    /// Whether what is in it runs when it is called.
    pub(super) runs: bool,
}

/// Where the name of a definition stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    /// In this field.
    Field(&'static str),
    /// In the field `name`, if there is a body too.
    WithBody,
    /// In a declarator of a function in C.
    Declarator,
    /// In the trait and type of an implementation.
    Implementation,
    /// In a receiver and a name.
    Receiver,
    /// In the field `name`, if the type is of this kind.
    OfType(&'static str),
    /// In the name of a variable, if a function is its value.
    FunctionValue,
    /// On the left of an assignment, in capitals.
    Constant,
    /// In this field, after the object that it is defined for.
    OwnField(&'static str),
}

const NAME: Name = Name::Field("name");

/// Nodes that may stand around a definition and belong to it.
pub(super) const AROUND: [&str; 5] =
    ["decorated_definition", "export_statement", "template_declaration", "ambient_declaration", "type_declaration"];

/// A type or the like, with definitions in it.
const fn group(node: &'static str, kind: &'static str, name: Name) -> Rule {
    Rule { node, kind, name, is_outer: false, runs: false }
}

/// Something that is called.
const fn function(node: &'static str, kind: &'static str, name: Name) -> Rule {
    Rule { node, kind, name, is_outer: false, runs: true }
}

/// Something that is a definition only outside of what is called.
const fn outer(node: &'static str, kind: &'static str, name: Name) -> Rule {
    Rule { node, kind, name, is_outer: true, runs: false }
}

/// The rules of a language; of several for a node the first that finds a name counts.
pub(super) const fn of(language: Language) -> &'static [Rule] {
    match language {
        Language::C => C,
        Language::Cpp => CPP,
        Language::Go => GO,
        Language::Java => JAVA,
        Language::JavaScript => JAVASCRIPT,
        Language::Php => PHP,
        Language::Python => PYTHON,
        Language::Ruby => RUBY,
        Language::Rust => RUST,
        Language::TypeScript | Language::Tsx => TYPESCRIPT,
    }
}

const C: &[Rule] = &[
    function("function_definition", "function", Name::Declarator),
    outer("declaration", "declaration", Name::Declarator),
    group("struct_specifier", "struct", Name::WithBody),
    group("union_specifier", "union", Name::WithBody),
    group("enum_specifier", "enum", Name::WithBody),
    outer("type_definition", "typedef", Name::Field("declarator")),
    outer("preproc_function_def", "macro", NAME),
];

const CPP: &[Rule] = &[
    group("namespace_definition", "namespace", NAME),
    group("class_specifier", "class", Name::WithBody),
    function("function_definition", "function", Name::Declarator),
    outer("declaration", "declaration", Name::Declarator),
    outer("field_declaration", "declaration", Name::Declarator),
    group("struct_specifier", "struct", Name::WithBody),
    group("union_specifier", "union", Name::WithBody),
    group("enum_specifier", "enum", Name::WithBody),
    group("concept_definition", "concept", NAME),
    outer("type_definition", "typedef", Name::Field("declarator")),
    outer("alias_declaration", "type", NAME),
    outer("preproc_function_def", "macro", NAME),
];

const GO: &[Rule] = &[
    function("function_declaration", "func", NAME),
    function("method_declaration", "method", Name::Receiver),
    group("type_spec", "struct", Name::OfType("struct_type")),
    group("type_spec", "interface", Name::OfType("interface_type")),
    outer("type_spec", "type", NAME),
    outer("type_alias", "type", NAME),
    outer("method_elem", "method", NAME),
    outer("const_spec", "const", NAME),
    outer("var_spec", "var", NAME),
];

const JAVA: &[Rule] = &[
    group("class_declaration", "class", NAME),
    group("interface_declaration", "interface", NAME),
    group("enum_declaration", "enum", NAME),
    group("record_declaration", "record", NAME),
    group("annotation_type_declaration", "annotation", NAME),
    function("constructor_declaration", "constructor", NAME),
    function("compact_constructor_declaration", "constructor", NAME),
    function("method_declaration", "method", NAME),
];

const JAVASCRIPT: &[Rule] = &[
    group("class_declaration", "class", NAME),
    function("method_definition", "method", NAME),
    function("function_declaration", "function", NAME),
    function("generator_function_declaration", "function", NAME),
    function("variable_declarator", "function", Name::FunctionValue),
    function("field_definition", "method", Name::FunctionValue),
];

const TYPESCRIPT: &[Rule] = &[
    group("class_declaration", "class", NAME),
    group("abstract_class_declaration", "class", NAME),
    group("interface_declaration", "interface", NAME),
    group("enum_declaration", "enum", NAME),
    group("internal_module", "namespace", NAME),
    group("module", "module", NAME),
    outer("type_alias_declaration", "type", NAME),
    function("method_definition", "method", NAME),
    outer("method_signature", "method", NAME),
    outer("abstract_method_signature", "method", NAME),
    function("function_declaration", "function", NAME),
    function("generator_function_declaration", "function", NAME),
    outer("function_signature", "function", NAME),
    function("variable_declarator", "function", Name::FunctionValue),
    function("public_field_definition", "method", Name::FunctionValue),
];

const PHP: &[Rule] = &[
    group("namespace_definition", "namespace", NAME),
    group("class_declaration", "class", NAME),
    group("interface_declaration", "interface", NAME),
    group("trait_declaration", "trait", NAME),
    group("enum_declaration", "enum", NAME),
    function("function_definition", "function", NAME),
    function("method_declaration", "method", NAME),
];

const PYTHON: &[Rule] = &[
    group("class_definition", "class", NAME),
    function("function_definition", "def", NAME),
    outer("assignment", "constant", Name::Constant),
    outer("type_alias_statement", "type", Name::Field("left")),
];

const RUBY: &[Rule] = &[
    group("module", "module", NAME),
    group("class", "class", NAME),
    group("singleton_class", "class", Name::Field("value")),
    function("method", "def", NAME),
    function("singleton_method", "def", Name::OwnField("name")),
    outer("alias", "alias", NAME),
];

const RUST: &[Rule] = &[
    group("mod_item", "mod", NAME),
    group("struct_item", "struct", NAME),
    group("enum_item", "enum", NAME),
    group("union_item", "union", NAME),
    group("trait_item", "trait", NAME),
    group("impl_item", "impl", Name::Implementation),
    function("function_item", "fn", NAME),
    outer("function_signature_item", "fn", NAME),
    outer("type_item", "type", NAME),
    outer("const_item", "const", NAME),
    outer("static_item", "static", NAME),
    outer("macro_definition", "macro", NAME),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_about_a_node_and_a_field_of_its_grammar() {
        for language in Language::ALL {
            let grammar = language.grammar();
            for rule in of(language) {
                assert_ne!(grammar.id_for_node_kind(rule.node, true), 0, "{language:?} {}", rule.node);
                if let Name::Field(field) | Name::OwnField(field) = rule.name {
                    assert!(grammar.field_id_for_name(field).is_some(), "{language:?} {field}");
                }
            }
        }
    }
}

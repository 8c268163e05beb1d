//! The definitions of a text: functions, types and what else has a name, each with its lines and what it lies in.
//!
//! The grammars come with queries for tags, but those leave out much (`impl` blocks, constants, enumerations), call most
//! things classes, and in C name the declarator and not the lines of the function. So the kinds of nodes are listed here,
//! language by language.

use tree_sitter::{Node, Tree};

use super::Language;
use super::rules::{self, Name, Rule};

/// Definitions nested deeper than this are left out.
const MAX_DEPTH: usize = 8;
/// Characters of a name that are shown.
const MAX_CHARS: usize = 100;

/// Something that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// What it is, in a word.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its first line, from 1.
    pub first_line: usize,
    /// Its last line.
    pub last_line: usize,
    /// In how many other definitions it lies.
    pub depth: usize,
}

/// The definitions in `tree`, which is the tree of `text`, in the order of the text.
pub(super) fn collect(language: Language, tree: &Tree, text: &str) -> Vec<Definition> {
    let rules = rules::of(language);
    let mut found = Vec::new();
    // Those that the cursor is in: the level of the node, and whether it is something that runs.
    let mut around: Vec<(usize, bool)> = Vec::new();
    let mut cursor = tree.walk();
    let mut level = 0;
    loop {
        let node = cursor.node();
        if node.is_named() {
            let runs = around.last().is_some_and(|(_, runs)| *runs);
            let rule = rules.iter().filter(|rule| rule.node == node.kind() && !(runs && rule.is_outer));
            if let Some((rule, name)) = rule.filter_map(|rule| Some((rule, name(rule, node, text)?))).next() {
                if around.len() < MAX_DEPTH {
                    found.push(define(rule, name, node, around.len()));
                }
                around.push((level, rule.runs));
            }
        }
        if cursor.goto_first_child() {
            level += 1;
            continue;
        }
        loop {
            around.pop_if(|(within, _)| *within == level);
            if cursor.goto_next_sibling() {
                break;
            }
            if !cursor.goto_parent() {
                return found;
            }
            level -= 1;
        }
    }
}

fn define(rule: &Rule, name: String, node: Node<'_>, depth: usize) -> Definition {
    // What is written around a definition belongs to it: decorators, `export`, `template`.
    let whole = node.parent().filter(|parent| rules::AROUND.contains(&parent.kind())).unwrap_or(node);
    let end = whole.end_position();
    // A node that takes in the end of its line ends at the beginning of the next.
    let last_line = if end.column == 0 && end.row > whole.start_position().row { end.row } else { end.row + 1 };
    Definition { kind: rule.kind, name, first_line: whole.start_position().row + 1, last_line, depth }
}

/// What a node is called; none if it is not one that the rule means.
fn name(rule: &Rule, node: Node<'_>, text: &str) -> Option<String> {
    let part = |field: &str| node.child_by_field_name(field);
    let said = |node: Node<'_>| text.get(node.byte_range());
    let name = match rule.name {
        Name::Field(field) => said(part(field)?)?.to_owned(),
        Name::WithBody => {
            part("body")?;
            said(part("name")?)?.to_owned()
        }
        Name::Declarator => said(function_name(part("declarator")?)?)?.to_owned(),
        Name::Implementation => match part("trait") {
            Some(of) => format!("{} for {}", said(of)?, said(part("type")?)?),
            None => said(part("type")?)?.to_owned(),
        },
        Name::Receiver => format!("{}.{}", receiver(said(part("receiver")?)?), said(part("name")?)?),
        Name::OfType(kind) => {
            (part("type")?.kind() == kind).then_some(())?;
            said(part("name")?)?.to_owned()
        }
        Name::FunctionValue => {
            let value = part("value")?.kind();
            matches!(value, "arrow_function" | "function_expression" | "generator_function" | "class").then_some(())?;
            said(part("name").or_else(|| part("property"))?)?.to_owned()
        }
        Name::Constant => {
            let left = part("left")?;
            let name = said(left).filter(|_| left.kind() == "identifier")?;
            let is_constant =
                name.chars().all(|character| character.is_uppercase() || "_0123456789".contains(character));
            is_constant.then(|| name.to_owned())?
        }
        Name::OwnField(field) => format!("{}.{}", said(part("object")?)?, said(part(field)?)?),
    };
    let is_shown = |character: &char| !character.is_control();
    let words: Vec<&str> = name.split_whitespace().collect();
    let name: String = words.join(" ").chars().filter(is_shown).take(MAX_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

/// The name in a declarator of a function in C, around which pointers and parentheses may stand.
fn function_name(declarator: Node<'_>) -> Option<Node<'_>> {
    let mut node = declarator;
    let mut is_function = false;
    // More of them than anybody writes.
    for _ in 0..32 {
        is_function |= node.kind() == "function_declarator";
        node = match node.kind() {
            "function_declarator" | "pointer_declarator" | "array_declarator" | "attributed_declarator" => {
                node.child_by_field_name("declarator")?
            }
            "reference_declarator" | "parenthesized_declarator" => node.named_child(0)?,
            _ => return is_function.then_some(node),
        };
    }
    None
}

/// The type of a receiver in Go: `Server` of `(s *Server[T])`.
fn receiver(written: &str) -> &str {
    let written = written.trim_matches(['(', ')', ' ']);
    let written = written.split('[').next().unwrap_or_default();
    written.rsplit([' ', '*']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Limits, definitions};

    fn outline(language: Language, text: &str) -> Vec<String> {
        let found = definitions(language, text, Limits::default()).unwrap();
        let line = |found: &Definition| {
            let indent = "  ".repeat(found.depth);
            format!("{indent}{}-{} {} {}", found.first_line, found.last_line, found.kind, found.name)
        };
        found.iter().map(line).collect()
    }

    #[test]
    fn rust() {
        let text = "mod a {\n    pub struct S<T>(T);\n}\n\nimpl<T: Clone> fmt::Display for\n  S<T> {\n    const N: u8 = 1;\n    fn f(&self) {\n        \
                    const LOCAL: u8 = 2;\n        fn inner() {}\n    }\n}\nimpl S<u8> {}\ntrait T {\n    type A;\n    fn g();\n}\n\
                    enum E { A }\nstatic X: u8 = 1;\ntype B = u8;\nmacro_rules! m { () => {} }\nunion U { a: u8 }\n";
        assert_eq!(
            outline(Language::Rust, text),
            [
                "1-3 mod a",
                "  2-2 struct S",
                "5-12 impl fmt::Display for S<T>",
                "  7-7 const N",
                "  8-11 fn f",
                "    10-10 fn inner",
                "13-13 impl S<u8>",
                "14-17 trait T",
                "  16-16 fn g",
                "18-18 enum E",
                "19-19 static X",
                "20-20 type B",
                "21-21 macro m",
                "22-22 union U",
            ]
        );
    }

    #[test]
    fn python() {
        let text = "MAX = 1\nx = 2\n\n@cached\ndef f(a):\n    LOCAL = 1\n    def g():\n        pass\n\nclass A(B):\n    KIND = 2\n    @property\n    \
                    async def h(self):\n        pass\n";
        assert_eq!(
            outline(Language::Python, text),
            ["1-1 constant MAX", "4-8 def f", "  7-8 def g", "10-14 class A", "  11-11 constant KIND", "  12-14 def h"]
        );
    }

    #[test]
    fn javascript_and_typescript() {
        let text = "export function f() {}\nconst g = async (x) => {\n  const h = () => 1;\n};\nconst n = 1;\nexport default class A extends B {\n  \
                    #x = 1;\n  constructor() {}\n  static k = () => 2;\n  get m() { return 1; }\n}\nfunction* i() {}\n";
        let expected = [
            "1-1 function f",
            "2-4 function g",
            "  3-3 function h",
            "6-11 class A",
            "  8-8 method constructor",
            "  9-9 method k",
            "  10-10 method m",
            "12-12 function i",
        ];
        for language in [Language::JavaScript, Language::TypeScript, Language::Tsx] {
            assert_eq!(outline(language, text), expected);
        }
        let text = "export interface I {\n  f(x: number): void;\n}\ntype T = string;\nenum E { A }\nnamespace N {\n  export abstract class C {\n    \
                    abstract g(): void;\n  }\n}\ndeclare function h(): void;\n";
        let expected = [
            "1-3 interface I",
            "  2-2 method f",
            "4-4 type T",
            "5-5 enum E",
            "6-10 namespace N",
            "  7-9 class C",
            "    8-8 method g",
            "11-11 function h",
        ];
        for language in [Language::TypeScript, Language::Tsx] {
            assert_eq!(outline(language, text), expected);
        }
    }

    #[test]
    fn go() {
        let text = "package a\n\nconst N = 1\nvar x, y = 1, 2\n\ntype S[T any] struct {\n\ta int\n}\n\ntype I interface {\n\tF() int\n}\ntype A = \
                    int\ntype B int\n\nfunc (s *S[T]) M() {\n\tconst local = 1\n}\n\nfunc f() {}\n";
        assert_eq!(
            outline(Language::Go, text),
            [
                "3-3 const N",
                "4-4 var x",
                "6-8 struct S",
                "10-12 interface I",
                "  11-11 method F",
                "13-13 type A",
                "14-14 type B",
                "16-18 method S.M",
                "20-20 func f",
            ]
        );
    }

    #[test]
    fn java() {
        let text = "package a;\n@X\npublic class A {\n  A() {}\n  @Override\n  int f() { return 1; }\n  enum E { B { void g() {} } }\n}\ninterface \
                    I { void h(); }\nrecord R(int x) { R {} }\n@interface N {}\n";
        assert_eq!(
            outline(Language::Java, text),
            [
                "2-8 class A",
                "  4-4 constructor A",
                "  5-6 method f",
                "  7-7 enum E",
                "    7-7 method g",
                "9-9 interface I",
                "  9-9 method h",
                "10-10 record R",
                "  10-10 constructor R",
                "11-11 annotation N",
            ]
        );
    }

    #[test]
    fn c_and_cpp() {
        let text = "#define M(x) x\nstruct S { int a; };\nstruct S *s;\nenum E { A };\nunion U { int a; };\ntypedef struct { int b; } T;\nint \
                    f(int x);\nstatic char *\ng(void)\n{\n  int local(int);\n}\nint (*h)(void);\n";
        let expected = [
            "1-1 macro M",
            "2-2 struct S",
            "4-4 enum E",
            "5-5 union U",
            "6-6 typedef T",
            "7-7 declaration f",
            "8-12 function g",
            "13-13 declaration h",
        ];
        assert_eq!(outline(Language::C, text), expected);
        assert_eq!(outline(Language::Cpp, text), expected);
        let text = "namespace n {\ntemplate <class T>\nclass A : B {\npublic:\n  A();\n  int &f() const { return x; }\n  virtual int g() = 0;\n  \
                    int field;\n};\n}\nn::A::A() {}\nusing X = int;\nenum class E { a };\nbool operator==(A a, A b) {}\n";
        assert_eq!(
            outline(Language::Cpp, text),
            [
                "1-10 namespace n",
                "  2-9 class A",
                "    5-5 declaration A",
                "    6-6 function f",
                "    7-7 declaration g",
                "11-11 function n::A::A",
                "12-12 type X",
                "13-13 enum E",
                "14-14 function operator==",
            ]
        );
    }

    #[test]
    fn ruby() {
        let text = "module M\n  class A < B\n    def f(x)\n    end\n    def self.g\n    end\n    class << self\n      def h; end\n    end\n    \
                    alias i f\n  end\nend\nclass M::C; end\n";
        assert_eq!(
            outline(Language::Ruby, text),
            [
                "1-12 module M",
                "  2-11 class A",
                "    3-4 def f",
                "    5-6 def self.g",
                "    7-9 class self",
                "      8-8 def h",
                "    10-10 alias i",
                "13-13 class M::C",
            ]
        );
    }

    #[test]
    fn php() {
        let text = "<?php\nnamespace N;\nfinal class A {\n  public function f() {}\n}\ninterface I { function g(); }\ntrait T {}\nenum E: int { \
                    case A = 1; }\nfunction h() {}\n";
        assert_eq!(
            outline(Language::Php, text),
            [
                "2-2 namespace N",
                "3-5 class A",
                "  4-4 method f",
                "6-6 interface I",
                "  6-6 method g",
                "7-7 trait T",
                "8-8 enum E",
                "9-9 function h",
            ]
        );
    }

    #[test]
    fn what_is_broken_or_deep_still_has_an_outline() {
        let text = "fn f() {}\nfn g( {\nfn h() {}\n";
        let found = outline(Language::Rust, text);
        assert!(found.contains(&"1-1 fn f".to_owned()), "{found:?}");
        let deep = format!("{}{}", "mod a {".repeat(200), "}".repeat(200));
        assert_eq!(outline(Language::Rust, &deep).len(), MAX_DEPTH);
    }
}

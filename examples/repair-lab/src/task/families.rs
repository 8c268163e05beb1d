//! The twelve bug families.
//!
//! In each, the issue's input leaves four fixes possible: they round differently, or treat a case differently that
//! nobody mentioned. Which one is right only the hidden tests know. That a family keeps its promises (the bug shows,
//! the fixes agree on the issue's input and differ on the probes) is checked by a real shell for every task.

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::family::{Arguments, Family};
use super::names;

const ONE: &[&str] = &["@a=$1"];
const TWO: &[&str] = &["@a=$1", "@b=$2"];
const SMALL: &[u32] = &[4, 6, 8, 5, 7, 9, 3];

impl Arguments<'_> {
    /// A multiple of `step` from `low` to `high` steps.
    fn multiple(&mut self, step: u32, low: u32, high: u32) -> u32 {
        step * self.rng.random_range(low..=high)
    }

    fn word(&mut self) -> &'static str {
        self.words.choose(self.rng).copied().unwrap_or("oak")
    }

    /// Two different words, if there are two.
    fn two_words(&mut self) -> (&'static str, &'static str) {
        let first = self.word();
        let others: Vec<&str> = self.words.iter().copied().filter(|word| *word != first).collect();
        (first, others.choose(self.rng).copied().unwrap_or("elm"))
    }
}

fn calls(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|arguments| format!("@f {arguments}")).collect()
}

/// All families, in the order in which the laboratory's notes list them.
pub static FAMILIES: [Family; 12] = [
    Family {
        name: "discount",
        prior: [45, 27, 17, 11],
        names: names::DISCOUNT,
        constants: &[1],
        setup: TWO,
        bug: "@r=$(( @a + @a * @b / 100 ))",
        fixes: [
            "@r=$(( @a - @a * @b / 100 ))",
            "@r=$(( @a - (@a * @b + 50) / 100 ))",
            "@r=$(( @a - (@a * @b + 99) / 100 ))",
            "@r=$(( @a - @a / 100 * @b ))",
        ],
        wrong: ["@r=$(( @a - @b ))", "@r=$(( @a * @b / 100 ))"],
        input: |draw| format!("@f {} {}", draw.multiple(100, 2, 9), draw.multiple(5, 1, 9)),
        probes: |_| calls(&["255 10", "204 10", "250 10"]),
    },
    Family {
        name: "mean",
        prior: [27, 45, 11, 17],
        names: names::MEAN,
        constants: &[1],
        setup: TWO,
        bug: "@r=$(( @a + @b / 2 ))",
        fixes: [
            "@r=$(( (@a + @b) / 2 ))",
            "@r=$(( (@a + @b + 1) / 2 ))",
            "@r=$(( @a + (@b - @a) / 2 ))",
            "@r=$(( @a / 2 + @b / 2 ))",
        ],
        wrong: ["@r=$(( @a / 2 + @b ))", "@r=$(( (@b - @a) / 2 ))"],
        input: |draw| format!("@f {} {}", draw.multiple(2, 1, 9), draw.multiple(2, 10, 30)),
        probes: |_| calls(&["3 4", "5 3", "4 3"]),
    },
    Family {
        name: "pages",
        prior: [45, 11, 27, 17],
        names: names::PAGES,
        constants: &[1],
        setup: TWO,
        bug: "@r=$(( @a / @b + 1 ))",
        fixes: [
            "@r=$(( (@a + @b - 1) / @b ))",
            "@r=$(( @a / @b ))",
            "@r=$(( (@a + @b / 2) / @b ))",
            "@r=$(( @a > @b ? @a / @b : 1 ))",
        ],
        wrong: ["@r=$(( @a / @b - 1 ))", "@r=$(( @a % @b + 1 ))"],
        input: |draw| {
            let size = draw.multiple(5, 1, 4);
            format!("@f {} {size}", draw.multiple(size, 2, 9))
        },
        probes: |_| calls(&["43 10", "47 10", "7 10", "3 10"]),
    },
    Family {
        name: "delay",
        prior: [27, 17, 45, 11],
        names: names::DELAY,
        constants: SMALL,
        setup: ONE,
        bug: "@r=$(( @k * (@a + 1) ))",
        fixes: ["@r=$(( @k * @a ))", "@r=$(( @k + @a - 1 ))", "@r=$(( @k << (@a - 1) ))", "@r=$(( @k ))"],
        wrong: ["@r=$(( @k * (@a - 1) ))", "@r=$(( @k + @a ))"],
        input: |_| "@f 1".to_owned(),
        probes: |_| calls(&["2", "3", "4"]),
    },
    Family {
        name: "fee",
        prior: [17, 27, 45, 11],
        names: names::FEE,
        constants: SMALL,
        setup: ONE,
        bug: "@r=$(( @a * @k ))",
        fixes: [
            "@r=$(( @a * @k / 100 ))",
            "@r=$(( (@a * @k + 50) / 100 ))",
            "@r=$(( (@a * @k + 99) / 100 ))",
            "@r=$(( @a / 100 * @k ))",
        ],
        wrong: ["@r=$(( @a / @k ))", "@r=$(( @a * @k / 10 ))"],
        input: |draw| format!("@f {}", draw.multiple(100, 1, 9)),
        probes: |_| calls(&["101", "199", "150"]),
    },
    Family {
        name: "above",
        prior: [45, 27, 11, 17],
        names: names::ABOVE,
        constants: &[10, 20, 30, 5, 12, 15, 18, 25, 40],
        setup: &["@a=$1", "@r=no"],
        bug: r#"[ "$@a" -lt @k ] && @r=yes"#,
        fixes: [
            r#"[ "$@a" -gt @k ] && @r=yes"#,
            r#"[ "$@a" -ge @k ] && @r=yes"#,
            r#"[ "$@a" -ne @k ] && @r=yes"#,
            r#"[ "$@a" -gt 0 ] && @r=yes"#,
        ],
        wrong: [r#"[ "$@a" -eq @k ] && @r=yes"#, r#"[ "$@a" -le @k ] && @r=yes"#],
        input: |draw| format!("@f {}", draw.constant + draw.multiple(1, 1, 20)),
        probes: |draw| calls(&[&draw.constant.to_string(), &(draw.constant - 1).to_string(), "0"]),
    },
    Family {
        name: "pad",
        prior: [45, 17, 27, 11],
        names: names::PAD,
        constants: &[1],
        setup: ONE,
        bug: r#"@r=$(printf '%s' "$@a")"#,
        fixes: [
            r#"@r=$(printf '%03d' "$@a")"#,
            r#"@r=$(printf '00%s' "$@a")"#,
            r#"@r=$(printf '%.3d' "$@a")"#,
            r#"@r=$(printf '%03x' "$@a")"#,
        ],
        wrong: [r#"@r=$(printf '%02d' "$@a")"#, r#"@r=$(printf '%s00' "$@a")"#],
        input: |draw| format!("@f {}", draw.multiple(1, 1, 9)),
        probes: |_| calls(&["12", "-7"]),
    },
    Family {
        name: "nth",
        prior: [11, 45, 27, 17],
        names: names::NTH,
        constants: SMALL,
        setup: &["@a=$1", "@b=@k"],
        bug: "@r=$(( @a + 1 ))",
        fixes: [
            "@r=$(( @a ))",
            "@r=$(( (@a - 1) % @b + 1 ))",
            "@r=$(( @a > @b ? @b : @a ))",
            "@r=$(( @a > @b ? 1 : @a ))",
        ],
        wrong: ["@r=$(( @a - 1 ))", "@r=$(( @a + @b ))"],
        input: |draw| format!("@f {}", draw.rng.random_range(1..=draw.constant)),
        probes: |draw| calls(&[&(draw.constant + 1).to_string(), &(draw.constant + 2).to_string()]),
    },
    Family {
        name: "stem",
        prior: [27, 45, 17, 11],
        names: names::STEM,
        constants: &[1],
        setup: ONE,
        bug: "@r=${@a#*.}",
        fixes: ["@r=${@a%.*}", "@r=${@a%%.*}", "@r=${@a%.txt}", "@r=${@a%????}"],
        wrong: ["@r=${@a##*.}", "@r=${@a%.}"],
        input: |draw| format!("@f {}.txt", draw.word()),
        probes: |draw| {
            let word = draw.word();
            calls(&[&format!("{word}.tar.gz"), &format!("{word}.md")])
        },
    },
    Family {
        name: "join",
        prior: [17, 27, 11, 45],
        names: names::JOIN,
        constants: &[1],
        setup: TWO,
        bug: r#"@r="$@a$@b""#,
        fixes: [r#"@r="$@a/$@b""#, r#"@r="${@a%/}/$@b""#, r#"@r="$@a/${@b#/}""#, r#"@r="${@a%/}/${@b#/}""#],
        wrong: [r#"@r="$@a-$@b""#, r#"@r="$@b/$@a""#],
        input: |draw| {
            let (first, second) = draw.two_words();
            format!("@f {first} {second}")
        },
        probes: |draw| {
            let (first, second) = draw.two_words();
            calls(&[&format!("{first}/ /{second}"), &format!("{first}/ {second}"), &format!("{first} /{second}")])
        },
    },
    Family {
        name: "port",
        prior: [27, 11, 17, 45],
        names: names::PORT,
        constants: &[80, 22, 443, 21, 25, 53, 70, 110],
        setup: ONE,
        bug: r#"@r="$@a:${2:-0}""#,
        fixes: [r#"@r="$@a:${2:-@k}""#, r#"@r="$@a:${2-@k}""#, r#"@r="$@a:@k""#, r#"@r="$@a:${PORT:-@k}""#],
        wrong: [r#"@r="$@a:$2""#, r#"@r="$@a:${1:-@k}""#],
        input: |draw| format!("@f {}", draw.word()),
        probes: |draw| {
            let word = draw.word();
            vec![format!("@f {word} 97"), format!("@f {word} \"\""), format!("PORT=98 @f {word}")]
        },
    },
    Family {
        name: "snap",
        prior: [45, 27, 17, 11],
        names: names::SNAP,
        constants: &[10, 5, 20, 4, 6, 8, 12, 15, 25],
        setup: ONE,
        bug: "@r=$(( @a / @k ))",
        fixes: [
            "@r=$(( @a / @k * @k ))",
            "@r=$(( (@a + @k / 2) / @k * @k ))",
            "@r=$(( (@a + @k - 1) / @k * @k ))",
            "@r=$(( @a ))",
        ],
        wrong: ["@r=$(( @a * @k ))", "@r=$(( @a % @k ))"],
        input: |draw| format!("@f {}", draw.multiple(draw.constant, 2, 9)),
        probes: |draw| calls(&[&(3 * draw.constant + 1).to_string(), &(4 * draw.constant - 1).to_string()]),
    },
];

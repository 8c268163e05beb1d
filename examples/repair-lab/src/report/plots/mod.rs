//! Plots as inline SVG, drawn without a font and without a fixed colour.
//!
//! A colour is a name here: each [`Paint`] is drawn in a placeholder that becomes a CSS variable, so that one drawing
//! serves light, dark and print. No text of a run is ever drawn: names stand in the page's own, escaped legend.

mod axis;
mod forest;
pub(crate) mod line;
mod rollouts;
mod training;

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Serialize;

pub(super) use forest::{axis, domain, strip};
pub(super) use rollouts::by_rollouts;
pub(super) use training::training;

/// An error of plotters.
pub(crate) type PlotError = DrawingAreaErrorKind<io::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Pixels of a drawing for each pixel on the page: plotters rounds to whole ones.
const SCALE: u32 = 3;
/// Arms that can be told apart by colour; after these, colours repeat with other marks.
pub(super) const COLOURS: usize = 7;
/// The marks, as the legend writes them.
const MARKS: [&str; 5] = ["●", "■", "▲", "◆", "▼"];

/// A plot and what it is called.
#[derive(Debug, Serialize)]
pub(super) struct Panel {
    /// What is plotted.
    pub(super) title: String,
    /// How to read it.
    pub(super) note: String,
    /// The drawing.
    pub(super) svg: String,
}

/// A colour by its purpose.
#[derive(Clone, Copy, Debug)]
enum Paint {
    /// Text of axes.
    Label,
    /// The axes.
    Axis,
    /// Lines to read along.
    Grid,
    /// Data of no particular arm.
    Ink,
    /// Behind everything.
    Paper,
    /// Data of an arm by its number.
    Arm(usize),
}

impl Paint {
    const ALL: [Self; 12] = [
        Self::Label,
        Self::Axis,
        Self::Grid,
        Self::Ink,
        Self::Paper,
        Self::Arm(0),
        Self::Arm(1),
        Self::Arm(2),
        Self::Arm(3),
        Self::Arm(4),
        Self::Arm(5),
        Self::Arm(6),
    ];

    /// The placeholder.
    fn colour(self) -> RGBColor {
        let number = match self {
            Self::Label => 0,
            Self::Axis => 1,
            Self::Grid => 2,
            Self::Ink => 3,
            Self::Paper => 4,
            Self::Arm(arm) => 16 + (arm % COLOURS) as u8,
        };
        RGBColor(number, 255, number)
    }

    /// What the placeholder becomes.
    fn css(self) -> String {
        match self {
            Self::Label => "var(--muted)".to_owned(),
            Self::Axis => "var(--axis)".to_owned(),
            Self::Grid => "var(--grid)".to_owned(),
            Self::Ink => "var(--ink)".to_owned(),
            Self::Paper => "var(--paper)".to_owned(),
            Self::Arm(arm) => format!("var(--arm-{})", arm % COLOURS),
        }
    }
}

/// A drawing as a file of its own, which no page gives colours: light, and dark where the reader asks for it.
pub(crate) fn alone(svg: &str) -> String {
    const COLOURS: &str = "<style>svg{--muted:#57606a;--axis:#8c959f;--grid:#d8dee4;--ink:#1f2328;--paper:#fff;\
        --arm-0:#4b5563;--arm-1:#0969da;--arm-2:#bc4c00;--arm-3:#1a7f37;--arm-4:#8250df;--arm-5:#bf3989;--arm-6:#9a6700}\
        @media(prefers-color-scheme:dark){svg{--muted:#9198a1;--axis:#6e7781;--grid:#30363d;--ink:#e6edf3;--paper:#0d1117;\
        --arm-0:#afb8c1;--arm-1:#58a6ff;--arm-2:#f0883e;--arm-3:#3fb950;--arm-4:#bc8cff;--arm-5:#f778ba;--arm-6:#d29922}}\
        </style>";
    svg.find('>').and_then(|end| svg.split_at_checked(end + 1)).map_or_else(String::new, |(opening, rest)| {
        format!("{}{COLOURS}{rest}", opening.replace(" aria-hidden=\"true\" focusable=\"false\"", ""))
    })
}

/// The legend's form of an arm's mark.
pub(crate) fn mark(arm: usize) -> &'static str {
    MARKS.iter().cycle().nth(arm % MARKS.len()).copied().unwrap_or("●")
}

/// An SVG of `size` page pixels.
fn draw(size: (u32, u32), paint: impl FnOnce(&Area<'_>) -> Result<(), PlotError>) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (size.0 * SCALE, size.1 * SCALE)).into_drawing_area();
        paint(&area)?;
        area.present()?;
    }
    let fixed_size = format!("width=\"{}\" height=\"{}\"", size.0 * SCALE, size.1 * SCALE);
    let svg = svg.replacen(&fixed_size, "aria-hidden=\"true\" focusable=\"false\"", 1);
    Ok(Paint::ALL.into_iter().fold(svg, |svg, paint| {
        let RGBColor(red, green, blue) = paint.colour();
        svg.replace(&format!("#{red:02X}{green:02X}{blue:02X}"), &paint.css())
    }))
}

/// The text style of axes.
fn label<'a>(area: &Area<'a>) -> TextStyle<'a> {
    ("sans-serif", 15 * SCALE).with_color(Paint::Label.colour()).into_text_style(area)
}

/// An arm's mark as a polygon around the origin, in pixels of the drawing.
fn outline(arm: usize) -> Vec<(i32, i32)> {
    let size = 4.2 * f64::from(SCALE);
    let ring = |corners: usize, turn: f64, radius: f64| {
        (0..corners)
            .map(|corner| {
                let angle = std::f64::consts::TAU * (corner as f64 / corners as f64 + turn);
                ((radius * angle.cos()).round() as i32, (radius * angle.sin()).round() as i32)
            })
            .collect()
    };
    match arm % MARKS.len() {
        0 => ring(16, 0.0, size),
        1 => ring(4, 0.125, 1.25 * size),
        2 => ring(3, -0.25, 1.35 * size),
        3 => ring(4, 0.0, 1.3 * size),
        _ => ring(3, 0.25, 1.35 * size),
    }
}

/// Round numbers from at most `low` to at least `high`, about `count` steps apart; both ends belong to them.
fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = if high > low { high - low } else { low.abs().max(1.0) };
    let rough = span / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil().max((low / step).floor() + 1.0));
    (0..=(last - first) as usize).map(|index| (first + index as f64) * step).collect()
}

/// The least and the greatest of the finite values; `None` without any.
fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |extent, value| {
        let (low, high) = extent.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose() {
        let close = |found: Vec<f64>, wanted: &[f64]| {
            assert_eq!(found.len(), wanted.len(), "{found:?}");
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        };
        close(ticks(0.23, 0.58, 4), &[0.2, 0.3, 0.4, 0.5, 0.6]);
        close(ticks(-3.0, 7.0, 4), &[-5.0, 0.0, 5.0, 10.0]);
        close(ticks(0.0, 200.0, 4), &[0.0, 50.0, 100.0, 150.0, 200.0]);
        close(ticks(0.5, 0.5, 4), &[0.5, 1.0]);
        close(ticks(0.0, 0.0, 2), &[0.0, 0.5]);
    }

    #[test]
    fn no_placeholder_is_left_and_no_size_is_fixed() {
        let svg = draw((10, 10), |area| {
            area.fill(&Paint::Paper.colour())?;
            area.draw(&Circle::new((5, 5), 3, Paint::Arm(COLOURS + 1).colour()))
        })
        .unwrap();
        assert!(svg.contains("var(--paper)") && svg.contains("var(--arm-1)"), "{svg}");
        assert!(!svg.contains('#') && !svg.contains("svg width"), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
    }

    #[test]
    fn extent_ignores_what_is_not_finite() {
        assert_eq!(extent([f64::NAN, 2.0, f64::INFINITY, -1.0]), Some((-1.0, 2.0)));
        assert_eq!(extent([f64::NAN]), None);
    }
}

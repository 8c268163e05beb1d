//! Charts as the inside of an SVG, without a font, a fixed colour or a word of the run's.
//!
//! A colour is a name: each [`Paint`] is drawn in a placeholder that becomes a CSS variable, so that one drawing serves
//! light, dark and print.

mod axis;
mod chart;
mod ticks;

use plotters::prelude::RGBColor;

pub(super) use chart::{Chart, Line};

/// Width of a chart, page pixels.
pub(super) const WIDTH: u32 = 400;
/// Height of a chart, page pixels.
pub(super) const HEIGHT: u32 = 250;
/// Pixels of the drawing for each pixel of the page, since plotters rounds to whole ones.
pub(super) const SCALE: u32 = 3;
/// Lines that have colours of their own; after these, colours repeat.
pub(super) const COLOURS: usize = 6;

/// A colour by its purpose.
#[derive(Clone, Copy, Debug)]
enum Paint {
    Label,
    Axis,
    Grid,
    Line(usize),
}

impl Paint {
    const ALL: [Self; 9] = [
        Self::Label,
        Self::Axis,
        Self::Grid,
        Self::Line(0),
        Self::Line(1),
        Self::Line(2),
        Self::Line(3),
        Self::Line(4),
        Self::Line(5),
    ];

    /// The placeholder.
    fn colour(self) -> RGBColor {
        let number = match self {
            Self::Label => 0,
            Self::Axis => 1,
            Self::Grid => 2,
            Self::Line(line) => 16 + (line % COLOURS) as u8,
        };
        RGBColor(number, 255, number)
    }

    /// What the placeholder becomes.
    fn css(self) -> String {
        match self {
            Self::Label => "var(--muted)".to_owned(),
            Self::Axis => "var(--axis)".to_owned(),
            Self::Grid => "var(--grid)".to_owned(),
            Self::Line(line) => format!("var(--line-{})", line % COLOURS),
        }
    }

    /// The drawing with variables for placeholders.
    fn themed(svg: String) -> String {
        Self::ALL.into_iter().fold(svg, |svg, paint| {
            let RGBColor(red, green, blue) = paint.colour();
            svg.replace(&format!("#{red:02X}{green:02X}{blue:02X}"), &paint.css())
        })
    }
}

//! A drawing whose colours are still to be said.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::paint::{Paint, mark};
use super::{PlotError, SCALE};

/// An error of plotters.
pub(super) type DrawingError = DrawingAreaErrorKind<io::Error>;
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Characters of a name that are drawn.
const NAME: usize = 60;
const TITLE_HEIGHT: u32 = 26;
const LEGEND_HEIGHT: u32 = 20;

/// A plot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    svg: String,
    size: (u32, u32),
}

impl Drawing {
    /// An SVG to be put into a page: as wide as its place, in the colours that the page gives to `--ink`, `--muted`, `--axis`,
    /// `--grid`, `--paper` and `--arm-0` to `--arm-6`.
    pub fn inline(&self) -> String {
        let svg = self.svg.replacen(&self.fixed_size(), "aria-hidden=\"true\" focusable=\"false\"", 1);
        painted(svg, Paint::css)
    }

    /// An SVG that stands alone, on white.
    pub fn svg(&self) -> String {
        let (width, height) = self.size;
        let svg = self.svg.replacen(&self.fixed_size(), &format!("width=\"{width}\" height=\"{height}\""), 1);
        let background = format!(">\n<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>", Paint::Paper.fixed());
        painted(svg.replacen('>', &background, 1), |paint| paint.fixed().to_owned())
    }

    /// Its width and height, pixels.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// What plotters writes of the size.
    fn fixed_size(&self) -> String {
        format!("width=\"{}\" height=\"{}\"", self.size.0 * SCALE, self.size.1 * SCALE)
    }
}

/// The drawing with colours for placeholders.
fn painted(svg: String, colour: impl Fn(Paint) -> String) -> String {
    Paint::ALL.into_iter().fold(svg, |svg, paint| {
        let RGBColor(red, green, blue) = paint.colour();
        svg.replace(&format!("#{red:02X}{green:02X}{blue:02X}"), &colour(paint))
    })
}

/// Draws on so many pixels.
pub(super) fn draw(
    size: (u32, u32),
    paint: impl FnOnce(&Area<'_>) -> Result<(), DrawingError>,
) -> Result<Drawing, PlotError> {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, (size.0 * SCALE, size.1 * SCALE)).into_drawing_area();
        paint(&area).and_then(|()| area.present())
    };
    drawn.map_err(|source| PlotError::Drawing(source.to_string()))?;
    Ok(Drawing { svg, size })
}

/// The text style of axes.
pub(super) fn label<'a>(area: &Area<'a>) -> TextStyle<'a> {
    ("sans-serif", 15 * SCALE).with_color(Paint::Label.colour()).into_text_style(area)
}

/// A name as it may stand in an SVG: without characters that XML does not know, and not without end.
pub(super) fn name(text: &str) -> String {
    let shown = text.chars().map(|one| if one.is_control() || one >= '\u{fffe}' { '\u{fffd}' } else { one });
    let mut shown: String = shown.take(NAME + 1).collect();
    if shown.chars().count() > NAME {
        shown = shown.chars().take(NAME - 1).chain(['…']).collect();
    }
    shown
}

/// Writes a title and a legend, and gives what is left below.
pub(super) fn headed<'a>(area: &Area<'a>, title: &str, legend: &[String]) -> Result<Area<'a>, DrawingError> {
    let title_height = if title.is_empty() { 0 } else { TITLE_HEIGHT };
    let height = title_height + LEGEND_HEIGHT * legend.len() as u32;
    if height == 0 {
        return Ok(area.clone());
    }
    let (head, rest) = area.split_vertically((height + 6) * SCALE);
    let place = |x: u32, y: u32| ((x * SCALE) as i32, (y * SCALE) as i32);
    if !title.is_empty() {
        let style = ("sans-serif", 17 * SCALE).with_color(Paint::Ink.colour()).into_text_style(area);
        head.draw(&Text::new(name(title), place(14, 8), style))?;
    }
    for (number, text) in legend.iter().enumerate() {
        let y = title_height + LEGEND_HEIGHT * number as u32 + 6;
        let mark_style = ("sans-serif", 15 * SCALE).with_color(Paint::Arm(number).colour()).into_text_style(area);
        head.draw(&Text::new(mark(number).to_owned(), place(16, y), mark_style))?;
        head.draw(&Text::new(name(text), place(34, y), label(area)))?;
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::super::COLOURS;
    use super::*;

    fn drawing() -> Drawing {
        draw((10, 10), |area| {
            area.fill(&Paint::Paper.colour())?;
            area.draw(&Circle::new((5, 5), 3, Paint::Arm(COLOURS + 1).colour()))
        })
        .unwrap()
    }

    #[test]
    fn no_placeholder_is_left_and_no_size_is_fixed() {
        let svg = drawing().inline();
        assert!(svg.contains("var(--paper)") && svg.contains("var(--arm-1)"), "{svg}");
        assert!(!svg.contains('#') && !svg.contains("svg width"), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
    }

    #[test]
    fn alone_it_has_colours_and_a_size() {
        let svg = drawing().svg();
        assert!(svg.contains("width=\"10\" height=\"10\"") && svg.contains("#d55e00"), "{svg}");
        assert!(!svg.contains("FF") && !svg.contains("var("), "{svg}");
    }

    #[test]
    fn names_are_what_xml_knows() {
        assert_eq!(name("a\u{0}b\u{1b}\u{ffff}"), "a\u{fffd}b\u{fffd}\u{fffd}");
        assert_eq!(name(&"x".repeat(100)).chars().count(), NAME);
    }
}

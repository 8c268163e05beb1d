//! Lines over a grid of steps and values.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::Axis;
use super::ticks::{decade_label, decades, label, step_ticks, ticks};
use super::{HEIGHT, Paint, SCALE, WIDTH};

/// A drawing area.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Labelled places of an axis, about as many.
const TICKS: usize = 4;
/// From this ratio of the largest to the smallest value on, logarithms are drawn if they may be.
const WIDE: f64 = 300.0;

/// Curves of one panel.
pub(in super::super) struct Chart {
    /// First and last step.
    pub(in super::super) steps: (usize, usize),
    /// Whether values of many sizes, all positive, are drawn by their logarithms.
    pub(in super::super) may_be_logarithmic: bool,
    pub(in super::super) lines: Vec<Line>,
}

/// One curve.
pub(in super::super) struct Line {
    /// The number of its colour.
    pub(in super::super) colour: usize,
    /// Whether it is drawn pale, as what a smoothed one is made from.
    pub(in super::super) pale: bool,
    /// Whether each point has a mark, as few and far between as evaluations are.
    pub(in super::super) marked: bool,
    pub(in super::super) points: Vec<(usize, f64)>,
}

impl Chart {
    /// The inside of an SVG of `WIDTH * SCALE` by `HEIGHT * SCALE`; `None` if there is nothing to draw.
    pub(in super::super) fn draw(&self) -> Result<Option<String>, Box<dyn Error>> {
        let Some((low, high)) = self.extent() else { return Ok(None) };
        let mut svg = String::new();
        {
            let size = (WIDTH * SCALE, HEIGHT * SCALE);
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let logarithmic = self.may_be_logarithmic && low > 0.0 && high / low > WIDE;
            if logarithmic {
                let heights = decades(low.log10(), high.log10());
                self.paint(&area, &heights, f64::log10, decade_label)?;
            } else {
                let heights = ticks(low, high, TICKS);
                self.paint(&area, &heights, |value| value, |height| label(height, &heights))?;
            }
            area.present()?;
        }
        let inside = svg.split_once('>').and_then(|(_, rest)| Some(rest.rsplit_once("</svg>")?.0));
        Ok(Some(Paint::themed(inside.ok_or("the drawing is no SVG")?.trim().to_owned())))
    }

    /// The least and greatest value.
    fn extent(&self) -> Option<(f64, f64)> {
        let values = self.lines.iter().flat_map(|line| &line.points).map(|point| drawable(point.1));
        values.fold(None, |extent, value| {
            let (low, high) = extent.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        })
    }

    /// Draws with the axis labelled at `heights`, which are what `scale` makes of values and `write` writes.
    fn paint(
        &self,
        area: &Area<'_>,
        heights: &[f64],
        scale: fn(f64) -> f64,
        write: impl Fn(f64) -> String,
    ) -> Result<(), Box<dyn Error>> {
        let (first, last) = self.steps;
        let places = step_ticks(first, last, TICKS);
        let right = if last > first { last as f64 } else { first as f64 + 1.0 };
        let (low, high) = (heights.first().copied().unwrap_or(0.0), heights.last().copied().unwrap_or(1.0));
        let text = ("sans-serif", 14 * SCALE).with_color(Paint::Label.colour()).into_text_style(area);
        let mut chart = ChartBuilder::on(area)
            .margin_top(10 * SCALE)
            .margin_right(18 * SCALE)
            .x_label_area_size(24 * SCALE)
            .y_label_area_size(58 * SCALE)
            .build_cartesian_2d(
                Axis::new(first as f64..right, places.clone()),
                Axis::new(low..high, heights.to_vec()),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Paint::Grid.colour().stroke_width(SCALE))
            .axis_style(Paint::Axis.colour().stroke_width(SCALE))
            .set_all_tick_mark_size(4 * SCALE)
            .label_style(text)
            .x_labels(places.len())
            .y_labels(heights.len())
            .x_label_formatter(&|step| label(*step, &places))
            .y_label_formatter(&|height| write(*height))
            .draw()?;
        for line in &self.lines {
            let colour = Paint::Line(line.colour).colour();
            let colour = colour.mix(if line.pale { 0.35 } else { 1.0 });
            let width = if line.pale { SCALE } else { 2 * SCALE };
            let points: Vec<(f64, f64)> =
                line.points.iter().map(|point| (point.0 as f64, scale(drawable(point.1)))).collect();
            if let [point] = points[..] {
                chart.draw_series([Circle::new(point, 4 * SCALE, colour.filled())])?;
            } else if line.marked {
                chart.draw_series(points.iter().map(|point| Circle::new(*point, 3 * SCALE, colour.filled())))?;
            }
            chart.draw_series(LineSeries::new(points, colour.stroke_width(width)))?;
        }
        Ok(())
    }
}

/// A value whose differences to others are finite.
fn drawable(value: f64) -> f64 {
    value.clamp(-1e150, 1e150)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(points: Vec<(usize, f64)>, may_be_logarithmic: bool) -> Option<String> {
        let line = Line { colour: 0, pale: false, marked: false, points };
        Chart { steps: (0, 10), may_be_logarithmic, lines: vec![line] }.draw().unwrap()
    }

    #[test]
    fn a_curve_is_drawn_in_the_colours_of_the_page() {
        let svg = draw(vec![(0, 1.0), (10, 2.0)], false).unwrap();
        assert!(svg.contains("polyline") && svg.contains("var(--line-0)") && svg.contains("var(--muted)"), "{svg}");
        assert!(!svg.contains("<svg") && !svg.contains('#'), "{svg}");
    }

    #[test]
    fn a_single_value_is_a_mark_and_none_is_nothing() {
        assert!(draw(vec![(3, 1.0)], false).unwrap().contains("circle"));
        assert_eq!(draw(Vec::new(), false), None);
    }

    #[test]
    fn values_of_many_sizes_are_drawn_by_their_logarithms() {
        let points = vec![(0, 0.02), (5, 1.0), (10, 900.0)];
        let labels = |svg: String| [">0.01<", ">1000<"].map(|label| svg.replace('\n', "").contains(label));
        assert_eq!(labels(draw(points.clone(), true).unwrap()), [true, true]);
        assert_eq!(labels(draw(points, false).unwrap()), [false, true]);
    }

    #[test]
    fn extreme_values_are_drawn_too() {
        for value in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0] {
            assert!(draw(vec![(0, value), (10, -value)], true).is_some());
        }
    }
}

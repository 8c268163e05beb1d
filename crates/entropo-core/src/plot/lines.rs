//! Lines over a grid: the one kind of chart that curves need.

use plotters::prelude::*;

use super::axis::Axis;
use super::drawing::{Area, DrawingError, draw, headed, label};
use super::paint::{Paint, outline};
use super::ticks::{extent, ticks};
use super::{Drawing, PlotError, SCALE};

/// Curves of several arms over one pair of axes. What is left as by default is not drawn.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// What stands above; a page has words of its own there.
    pub title: String,
    /// The names of the arms, by number; a page has a legend of its own.
    pub legend: Vec<String>,
    /// Page pixels.
    pub size: (u32, u32),
    /// What the horizontal axis counts.
    pub across: String,
    /// What the vertical axis counts.
    pub up: String,
    /// The ends of the horizontal axis.
    pub from_to: (f64, f64),
    /// Where the horizontal axis is labelled, and with what.
    pub marks: Vec<(f64, String)>,
    /// Where the vertical axis is labelled; it ends at the first and the last.
    pub heights: Vec<f64>,
    /// How heights are written.
    pub height_label: fn(f64) -> String,
    /// The curves.
    pub lines: Vec<Line>,
    /// A line that others are held against, from its first to its last point.
    pub guide: Vec<(f64, f64)>,
    /// Intervals at single places.
    pub whiskers: Vec<Whisker>,
}

/// One arm's curve.
#[derive(Clone, Debug)]
pub struct Line {
    /// The arm's number.
    pub arm: usize,
    /// Its points from left to right.
    pub points: Vec<(f64, f64)>,
    /// Those that have the arm's mark.
    pub marked: Vec<(f64, f64)>,
}

/// An arm's interval.
#[derive(Clone, Copy, Debug)]
pub struct Whisker {
    /// The arm's number.
    pub arm: usize,
    /// Where it stands.
    pub at: f64,
    /// Its ends.
    pub from_to: (f64, f64),
}

/// Heights that enclose all finite values.
pub fn heights(values: impl IntoIterator<Item = f64>) -> Option<Vec<f64>> {
    extent(values).map(|(low, high)| ticks(low, high, 4))
}

impl Default for LineChart {
    fn default() -> Self {
        Self {
            title: String::new(),
            legend: Vec::new(),
            size: (500, 330),
            across: String::new(),
            up: String::new(),
            from_to: (0.0, 1.0),
            marks: Vec::new(),
            heights: Vec::new(),
            height_label: |height| height.to_string(),
            lines: Vec::new(),
            guide: Vec::new(),
            whiskers: Vec::new(),
        }
    }
}

impl LineChart {
    /// Draws it.
    ///
    /// # Errors
    /// [`PlotError`] if it cannot be drawn.
    pub fn draw(&self) -> Result<Drawing, PlotError> {
        draw(self.size, |area| self.paint(area))
    }

    fn paint(&self, area: &Area<'_>) -> Result<(), DrawingError> {
        let area = &headed(area, &self.title, &self.legend)?;
        let (left, right) = self.from_to;
        let (Some(&low), Some(&high)) = (self.heights.first(), self.heights.last()) else { return Ok(()) };
        let places = self.marks.iter().map(|(place, _)| *place).collect();
        let mut chart = ChartBuilder::on(area)
            .margin_top(10 * SCALE)
            .margin_right(14 * SCALE)
            .x_label_area_size(40 * SCALE)
            .y_label_area_size(if self.up.is_empty() { 46 } else { 66 } * SCALE)
            .build_cartesian_2d(Axis::new(left..right, places), Axis::new(low..high, self.heights.clone()))?;
        let name = |place: &f64| {
            let mark = self.marks.iter().find(|(mark, _)| (mark - place).abs() < 1e-9);
            mark.map(|(_, name)| name.clone()).unwrap_or_default()
        };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Paint::Grid.colour().stroke_width(SCALE))
            .axis_style(Paint::Axis.colour().stroke_width(SCALE))
            .set_all_tick_mark_size(4 * SCALE)
            .label_style(label(area))
            .axis_desc_style(label(area))
            .x_desc(self.across.as_str())
            .y_desc(self.up.as_str())
            .x_labels(self.marks.len())
            .y_labels(self.heights.len())
            .x_label_formatter(&name)
            .y_label_formatter(&|height| (self.height_label)(*height))
            .draw()?;
        let guide = Paint::Axis.colour().stroke_width(SCALE);
        chart.draw_series(LineSeries::new(self.guide.iter().copied(), guide))?;
        let cap = 4 * SCALE as i32;
        for Whisker { arm, at, from_to: (low, high) } in &self.whiskers {
            let style = Paint::Arm(*arm).colour().mix(0.75).stroke_width(3 * SCALE / 2);
            chart.draw_series([PathElement::new([(*at, *low), (*at, *high)], style)])?;
            let end = |height: f64| EmptyElement::at((*at, height)) + PathElement::new([(-cap, 0), (cap, 0)], style);
            chart.draw_series([low, high].map(|height| end(*height)))?;
        }
        for line in &self.lines {
            let colour = Paint::Arm(line.arm).colour();
            chart.draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2 * SCALE)))?;
            let mark = |point: &(f64, f64)| EmptyElement::at(*point) + Polygon::new(outline(line.arm), colour.filled());
            chart.draw_series(line.marked.iter().map(mark))?;
        }
        Ok(())
    }
}

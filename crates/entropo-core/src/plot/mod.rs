//! Plots of evaluations: best@k curves, forests of differences, reliability diagrams.
//!
//! Each is drawn once, as a [`Drawing`]: in colours that a page gives ([`Drawing::inline`]), alone ([`Drawing::svg`]), or with
//! the feature `png` as pixels (`Drawing::png`). Colours are placeholders until then. plotters draws; the PNG is the same SVG
//! through resvg, so that both show the same. plotters' own bitmaps would lay out everything a second time, and need either
//! the C libraries freetype and fontconfig or a font in the program.
//!
//! ```
//! use entropo_core::plot::{ForestRow, forest};
//! use entropo_core::stats::Interval;
//!
//! let row = ForestRow { name: "without tests".to_owned(), interval: Interval { mean: -0.1, low: -0.15, high: -0.04 } };
//! let svg = forest("Ablations, best@16", &[row], |value| format!("{:+.0} %", 100.0 * value))?.svg();
//! assert!(svg.starts_with("<svg") && svg.contains("without tests"));
//! # Ok::<(), entropo_core::plot::PlotError>(())
//! ```

mod axis;
mod curves;
mod drawing;
mod forest;
mod lines;
mod paint;
#[cfg(feature = "png")]
mod png;
mod reliability;
pub mod strips;
mod ticks;

pub use curves::{Curve, best_at_k};
pub use drawing::Drawing;
pub use forest::{ForestRow, forest};
pub use lines::{Line, LineChart, Whisker, heights};
pub use paint::{COLOURS, mark};
pub use reliability::{Verifier, reliability};
pub use ticks::{extent, ticks};

/// Pixels of a drawing for each pixel on the page: plotters rounds to whole ones.
const SCALE: u32 = 3;

/// Why there is no plot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is no finite number in it.
    #[error("there is nothing to plot: {what} holds no finite number")]
    Nothing {
        /// What was to be plotted.
        what: &'static str,
    },
    /// plotters or resvg failed.
    #[error("it cannot be drawn: {0}")]
    Drawing(String),
    /// Pixels cannot be written without a font.
    #[error("there is no font on this machine to write labels with; install one, such as DejaVu Sans, or keep the SVG")]
    NoFont,
}

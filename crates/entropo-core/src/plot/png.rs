//! Drawings as pixels.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

use super::{Drawing, PlotError};

/// Families that labels are written in, the first that there is.
const FAMILIES: [&str; 5] = ["DejaVu Sans", "Noto Sans", "Liberation Sans", "Arial", "Helvetica"];

impl Drawing {
    /// A PNG with so many pixels for each of [`size`](Self::size), 2 for a sharp one. Labels are in a font of the system, so
    /// pixels differ from machine to machine.
    ///
    /// # Errors
    /// [`PlotError::NoFont`] on a machine without fonts, [`PlotError::Drawing`] for a size that is 0 or beyond memory.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, PlotError> {
        let fontdb = fonts().ok_or(PlotError::NoFont)?;
        let failed = |why: &dyn std::fmt::Display| PlotError::Drawing(why.to_string());
        let tree =
            Tree::from_str(&self.svg(), &Options { fontdb, ..Options::default() }).map_err(|why| failed(&why))?;
        let (width, height) = self.size();
        let pixels = |length: u32| (length as f32 * scale).round().clamp(0.0, 20_000.0) as u32;
        let mut pixmap = Pixmap::new(pixels(width), pixels(height)).ok_or_else(|| failed(&"there are no pixels"))?;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
        pixmap.encode_png().map_err(|why| failed(&why))
    }
}

/// The system's fonts, looked for once.
fn fonts() -> Option<Arc<Database>> {
    static FONTS: OnceLock<Option<Arc<Database>>> = OnceLock::new();
    let find = || {
        let mut fonts = Database::new();
        fonts.load_system_fonts();
        let names: Vec<String> =
            fonts.faces().flat_map(|face| face.families.iter().map(|(name, _)| name.clone())).collect();
        let preferred = FAMILIES.iter().find(|family| names.iter().any(|name| name == *family));
        let family = preferred.map(|family| (*family).to_owned()).or_else(|| names.first().cloned())?;
        fonts.set_sans_serif_family(family);
        Some(Arc::new(fonts))
    };
    FONTS.get_or_init(find).clone()
}

#[cfg(test)]
mod tests {
    use super::super::{ForestRow, forest};
    use super::*;
    use crate::stats::Interval;

    #[test]
    fn pixels_are_as_many_as_asked_for_and_not_all_white() {
        let row = ForestRow { name: "x".to_owned(), interval: Interval { mean: 0.5, low: 0.2, high: 0.7 } };
        let drawing = forest("Title", &[row], |value| format!("{value:.1}")).unwrap();
        let png = match drawing.png(2.0) {
            Err(PlotError::NoFont) => return, // some machines have none
            png => png.unwrap(),
        };
        let pixmap = Pixmap::decode_png(&png).unwrap();
        let (width, height) = drawing.size();
        assert_eq!((pixmap.width(), pixmap.height()), (2 * width, 2 * height));
        let dark = pixmap.pixels().iter().filter(|pixel| pixel.red() < 128).count();
        assert!(dark > 500, "{dark} dark pixels");
        assert!(matches!(drawing.png(0.0), Err(PlotError::Drawing(_))));
    }
}

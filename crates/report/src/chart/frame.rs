//! A panel of a chart: axes, grid and the mapping from values to places.

use super::{
    Drawn,
    axis::Axis,
    labels::Places,
    series::Series,
    sheet::{AXIS, Anchor, GRID, HEAD, LABEL, Sheet, TICK, Type},
};

/// Where a panel stands, in CSS pixels: the inside of its axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Place {
    pub(super) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// Two panels side by side, `height` inside.
pub(super) fn two_panels(top: f64, height: f64) -> [Place; 2] {
    [62.0, 444.0].map(|left| Place { left, top, width: 272.0, height })
}

/// A panel with its axes drawn.
pub(super) struct Frame<'s, 'a> {
    pub(super) sheet: &'s Sheet<'a>,
    pub(super) place: Place,
    x: Axis,
    y: Axis,
}

impl<'s, 'a> Frame<'s, 'a> {
    /// Draws grid, ticks and the head line above. Axis names lie flat: no one reads text turned by a quarter.
    pub(super) fn draw(
        sheet: &'s Sheet<'a>,
        place: Place,
        (x, y): (Axis, Axis),
        head: &str,
        below: &str,
    ) -> Result<Self, super::sheet::DrawError> {
        let frame = Self { sheet, place, x, y };
        sheet.text((place.left - 46.0, place.top - 12.0), Anchor::Start, HEAD, head)?;
        for tick in &frame.y.ticks {
            let y = frame.y_at(tick.at);
            sheet.line(&[(place.left, y), (place.right(), y)], GRID, 1.0)?;
            sheet.text((place.left - 7.0, y + 4.0), Anchor::End, TICK, &tick.label)?;
        }
        let base = place.bottom();
        sheet.line(&[(place.left, base), (place.right(), base)], AXIS, 1.0)?;
        for tick in &frame.x.ticks {
            let x = frame.x_at(tick.at);
            sheet.line(&[(x, base), (x, base + 4.0)], AXIS, 1.0)?;
        }
        for tick in frame.x.labelled(place.width, TICK.size) {
            let x = frame.x_at(tick.at);
            sheet.text((x, base + 18.0), Anchor::Middle, TICK, &tick.label)?;
        }
        let centre = place.left + place.width / 2.0;
        sheet.text((centre, base + 36.0), Anchor::Middle, TICK, below)?;
        Ok(frame)
    }

    fn x_at(&self, value: f64) -> f64 {
        self.place.left + self.x.share(value) * self.place.width
    }

    fn y_at(&self, value: f64) -> f64 {
        self.place.bottom() - self.y.share(value) * self.place.height
    }

    /// The place of a value.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x_at(x), self.y_at(y))
    }

    /// The places of values.
    pub(super) fn all_at(&self, values: &[(f64, f64)]) -> Vec<(f64, f64)> {
        values.iter().map(|&value| self.at(value)).collect()
    }

    pub(super) fn line(&self, series: Series, values: &[(f64, f64)]) -> Drawn {
        series.line(self.sheet, &self.all_at(values))
    }

    pub(super) fn marks(&self, series: Series, values: &[(f64, f64)]) -> Drawn {
        series.marks(self.sheet, &self.all_at(values))
    }

    pub(super) fn line_with_marks(&self, series: Series, values: &[(f64, f64)]) -> Drawn {
        self.line(series, values)?;
        self.marks(series, values)
    }

    /// The area between two curves over the same x values: `(x, low, high)`.
    pub(super) fn band(&self, series: Series, values: &[(f64, f64, f64)]) -> Drawn {
        if values.len() < 2 {
            return Ok(());
        }
        let upper = values.iter().map(|&(x, _, high)| self.at((x, high)));
        let lower = values.iter().rev().map(|&(x, low, _)| self.at((x, low)));
        let outline: Vec<_> = upper.chain(lower).collect();
        self.sheet.polygon(&outline, series.colour, 0.16)
    }

    /// Places for labels, with the curve and its marks already taken.
    pub(super) fn places(&self, curves: &[&[(f64, f64)]]) -> Places {
        let mut places = Places::within(
            (self.place.left - 8.0, self.place.top - 6.0),
            (self.place.right() + 42.0, self.place.bottom()),
        );
        for curve in curves {
            let points = self.all_at(curve);
            for &point in &points {
                places.block(point, 5.0);
            }
            for pair in points.windows(2) {
                places.block_line(pair[0], pair[1]);
            }
        }
        places
    }

    /// Writes `text` beside a value where there is room.
    pub(super) fn label(&self, places: &mut Places, value: (f64, f64), text: &str, face: Type) -> Drawn {
        match places.near(self.at(value), text, LABEL.size) {
            Some((at, anchor)) => self.sheet.text(at, anchor, face, text),
            None => Ok(()),
        }
    }
}

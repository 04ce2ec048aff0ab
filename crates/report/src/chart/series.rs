//! How series are told apart: colour, mark and dash together.

use plotters::{
    element::{Circle, Cross, Polygon, TriangleMarker},
    style::{Color, RGBColor},
};

use super::{
    Drawn,
    sheet::{Anchor, LABEL, PAPER, Sheet, point, text_width},
};

pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub(super) const VERMILLION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
pub(super) const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
pub(super) const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
pub(super) const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);

/// One series' look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    pub(super) colour: RGBColor,
    pub(super) mark: Mark,
    /// Length of dash and gap in CSS pixels; solid when absent.
    pub(super) dash: Option<(i32, i32)>,
}

/// Shape of a point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Disc,
    Triangle,
    Square,
    Ring,
    Cross,
}

/// Looks in the order in which series take them.
pub(super) const PALETTE: [Series; 5] = [
    Series { colour: BLUE, mark: Mark::Disc, dash: None },
    Series { colour: VERMILLION, mark: Mark::Triangle, dash: Some((7, 3)) },
    Series { colour: GREEN, mark: Mark::Square, dash: Some((3, 2)) },
    Series { colour: PURPLE, mark: Mark::Ring, dash: Some((10, 3)) },
    Series { colour: ORANGE, mark: Mark::Cross, dash: Some((2, 3)) },
];

impl Mark {
    fn draw(self, sheet: &Sheet<'_>, at: (f64, f64), colour: RGBColor) -> Drawn {
        let (root, at) = (sheet.area(), point(at));
        match self {
            Self::Disc => root.draw(&Circle::new(at, 8, colour.filled())),
            Self::Triangle => root.draw(&TriangleMarker::new(at, 11, colour.filled())),
            Self::Square => {
                let (x, y) = at;
                let corners = vec![(x - 7, y - 7), (x + 7, y - 7), (x + 7, y + 7), (x - 7, y + 7)];
                root.draw(&Polygon::new(corners, colour.filled()))
            }
            Self::Ring => {
                root.draw(&Circle::new(at, 8, PAPER.filled()))?;
                root.draw(&Circle::new(at, 8, colour.stroke_width(4)))
            }
            Self::Cross => root.draw(&Cross::new(at, 7, colour.stroke_width(4))),
        }
    }
}

impl Series {
    pub(super) fn line(self, sheet: &Sheet<'_>, points: &[(f64, f64)]) -> Drawn {
        match self.dash {
            _ if points.len() < 2 => Ok(()),
            None => sheet.line(points, self.colour, 2.0),
            Some(dash) => sheet.dashed(points, self.colour, 2.0, dash),
        }
    }

    /// The same series for points that do not count: hollow.
    pub(super) fn hollow(self) -> Self {
        Self { mark: Mark::Ring, ..self }
    }

    pub(super) fn marks(self, sheet: &Sheet<'_>, points: &[(f64, f64)]) -> Drawn {
        points.iter().try_for_each(|&at| self.mark.draw(sheet, at, self.colour))
    }
}

/// What stands for a series in the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    Line,
    Mark,
    Both,
}

/// One row of samples with their names, from `at` to the right.
pub(super) fn legend(sheet: &Sheet<'_>, (mut x, y): (f64, f64), entries: &[(Series, String)], sample: Sample) -> Drawn {
    for (series, name) in entries {
        if sample != Sample::Mark {
            series.line(sheet, &[(x, y), (x + 28.0, y)])?;
        }
        if sample != Sample::Line {
            series.mark.draw(sheet, (x + 14.0, y), series.colour)?;
        }
        sheet.text((x + 34.0, y + 4.0), Anchor::Start, LABEL, name)?;
        x += 34.0 + text_width(name, LABEL.size) + 20.0;
    }
    Ok(())
}

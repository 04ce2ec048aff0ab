//! The paper a chart is drawn on: size, colours, text, and lines in CSS pixels.

use plotters::{
    coord::Shift,
    element::{DashedPathElement, PathElement, Polygon, Rectangle, Text},
    prelude::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea, SVGBackend},
    style::{
        Color, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};
use unicode_width::UnicodeWidthChar;

use super::Drawn;

pub(crate) type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// Width of every chart in CSS pixels: that of a text column in Markdown viewers and in our page.
pub(super) const WIDTH: f64 = 760.0;
const SCALE: f64 = 2.0;
const FONT: &str = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, Noto Sans KR, Noto Sans CJK KR, Apple SD Gothic Neo, Malgun Gothic, sans-serif";

pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub(super) const INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
pub(super) const MUTED: RGBColor = RGBColor(0x57, 0x60, 0x6a);
pub(super) const AXIS: RGBColor = RGBColor(0x8c, 0x95, 0x9f);
pub(super) const GRID: RGBColor = RGBColor(0xe4, 0xe7, 0xeb);
pub(super) const SHADE: RGBColor = RGBColor(0xf3, 0xf5, 0xf7);

/// Dark mode by attribute selectors: plotters can give its elements neither class nor id.
pub(crate) const DARK_RULES: &str = r##"@media screen and (prefers-color-scheme: dark) {
svg [fill="#FFFFFF"] { fill: #0d1117; }
svg [stroke="#FFFFFF"] { stroke: #0d1117; }
svg [fill="#1B1F24"] { fill: #e6edf3; }
svg [stroke="#1B1F24"] { stroke: #e6edf3; }
svg [fill="#57606A"] { fill: #9da7b3; }
svg [stroke="#57606A"] { stroke: #9da7b3; }
svg [stroke="#8C959F"] { stroke: #6e7681; }
svg [stroke="#E4E7EB"] { stroke: #262c36; }
svg [fill="#F3F5F7"] { fill: #161b22; }
svg [fill="#0072B2"] { fill: #4aa8e8; }
svg [stroke="#0072B2"] { stroke: #4aa8e8; }
svg [fill="#D55E00"] { fill: #f5843d; }
svg [stroke="#D55E00"] { stroke: #f5843d; }
svg [fill="#009E73"] { fill: #2fc79a; }
svg [stroke="#009E73"] { stroke: #2fc79a; }
}"##;

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks. Sizes in CSS pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) colour: RGBColor,
    pub(super) bold: bool,
}

pub(super) const TITLE: Type = Type { size: 17.0, colour: INK, bold: true };
pub(super) const SUBTITLE: Type = Type { size: 12.5, colour: MUTED, bold: false };
pub(super) const HEAD: Type = Type { size: 13.0, colour: INK, bold: true };
pub(super) const LABEL: Type = Type { size: 12.0, colour: INK, bold: false };
pub(super) const TICK: Type = Type { size: 12.0, colour: MUTED, bold: false };

/// The paper.
pub(super) struct Sheet<'a> {
    root: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws a chart of `height` CSS pixels with its title and subtitle; `body` starts at [`BODY`].
pub(super) fn paper(
    height: f64,
    title: &str,
    subtitle: &str,
    body: impl FnOnce(&Sheet<'_>) -> Drawn,
) -> Result<String, DrawError> {
    let mut svg = String::new();
    let size = (px(WIDTH).unsigned_abs(), px(height).unsigned_abs());
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&PAPER)?;
        let sheet = Sheet { root };
        sheet.text((16.0, 26.0), Anchor::Start, TITLE, title)?;
        let fitted = shortened(subtitle, SUBTITLE.size, WIDTH - 32.0);
        sheet.text((16.0, 46.0), Anchor::Start, SUBTITLE, &fitted)?;
        body(&sheet)?;
        sheet.root.present()?;
    }
    let drawn = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{WIDTH}\" height=\"{height}\"");
    Ok(svg.replacen(&drawn, &shown, 1))
}

/// First free line below title and subtitle.
pub(super) const BODY: f64 = 62.0;

#[expect(clippy::cast_possible_truncation, reason = "pixels of a sheet a few thousand wide")]
fn px(css: f64) -> i32 {
    (css * SCALE).round() as i32
}

/// Converts CSS pixels to those of the drawing.
pub(super) fn point((x, y): (f64, f64)) -> (i32, i32) {
    (px(x), px(y))
}

impl Sheet<'_> {
    /// Text whose base line is at `at`.
    pub(super) fn text(&self, at: (f64, f64), anchor: Anchor, face: Type, text: &str) -> Drawn {
        let h_pos = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        // The backend divides sizes by 1.24, and lifts `Bottom` text by half an ex above its point.
        let font = (FONT, face.size * SCALE * 1.24).into_font();
        let font = if face.bold { font.style(FontStyle::Bold) } else { font };
        let style = TextStyle::from(font).color(&face.colour).pos(Pos::new(h_pos, VPos::Bottom));
        let lowered = (at.0, at.1 + face.size * 0.26);
        self.root.draw(&Text::new(text.to_owned(), point(lowered), style))
    }

    pub(super) fn line(&self, points: &[(f64, f64)], colour: RGBColor, width: f64) -> Drawn {
        let points: Vec<_> = points.iter().copied().map(point).collect();
        self.root.draw(&PathElement::new(points, stroke(colour, width)))
    }

    pub(super) fn dashed(&self, points: &[(f64, f64)], colour: RGBColor, width: f64, (dash, gap): (i32, i32)) -> Drawn {
        let points: Vec<_> = points.iter().copied().map(point).collect();
        self.root.draw(&DashedPathElement::new(points, dash * 2, gap * 2, stroke(colour, width)))
    }

    pub(super) fn polygon(&self, points: &[(f64, f64)], colour: RGBColor, opacity: f64) -> Drawn {
        let points: Vec<_> = points.iter().copied().map(point).collect();
        self.root.draw(&Polygon::new(points, colour.mix(opacity).filled()))
    }

    pub(super) fn rect(&self, from: (f64, f64), to: (f64, f64), style: impl Into<ShapeStyle>) -> Drawn {
        self.root.draw(&Rectangle::new([point(from), point(to)], style))
    }
}

impl<'a> Sheet<'a> {
    /// The area that marks draw on.
    pub(super) fn area(&self) -> &DrawingArea<SVGBackend<'a>, Shift> {
        &self.root
    }
}

fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    colour.stroke_width(px(width).unsigned_abs())
}

/// Width of a text in CSS pixels, near enough to keep labels apart: no font is at hand to measure it.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars()
        .map(|c| match c.width().unwrap_or(0) {
            0 => 0.0,
            1 if matches!(c, '.' | ',' | ' ' | 'i' | 'l' | '·' | ':' | '\'') => 0.3,
            1 => 0.58,
            _ => 0.96,
        })
        .sum::<f64>()
        * size
}

/// The text, cut with an ellipsis where it would be wider than `room`.
pub(super) fn shortened(text: &str, size: f64, room: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if text_width(&kept, size) > room - size {
            kept.pop();
            break;
        }
    }
    kept.trim_end().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hangul_is_one_em_and_long_texts_are_cut() {
        assert!((text_width("동시", 10.0) - 19.2).abs() < 1e-9);
        let cut = shortened(&"한글".repeat(100), 12.0, 200.0);
        assert!(cut.ends_with('…') && text_width(&cut, 12.0) <= 200.0);
        assert_eq!(shortened("short", 12.0, 200.0), "short");
    }
}

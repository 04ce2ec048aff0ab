//! Labels that do not overlap: each is tried above, below, right and left of its point, and left out when none is free.

use super::sheet::{Anchor, text_width};

/// Places that are taken, in CSS pixels.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Vec<Area>,
    bounds: Option<Area>,
}

#[derive(Clone, Copy, Debug)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn touches(self, other: Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn inside(self, other: Self) -> bool {
        self.left >= other.left && self.right <= other.right && self.top >= other.top && self.bottom <= other.bottom
    }
}

/// Where a label goes: its base line's point and its anchor.
pub(super) type Spot = ((f64, f64), Anchor);

impl Places {
    /// Labels stay between these corners.
    pub(super) fn within((left, top): (f64, f64), (right, bottom): (f64, f64)) -> Self {
        Self { taken: Vec::new(), bounds: Some(Area { left, top, right, bottom }) }
    }

    /// Keeps labels off a mark.
    pub(super) fn block(&mut self, (x, y): (f64, f64), radius: f64) {
        self.taken.push(Area { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius });
    }

    /// Keeps labels off a straight line, as a chain of small squares.
    pub(super) fn block_line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let mut along = 0.0;
        while along <= length {
            let share = if length > 0.0 { along / length } else { 0.0 };
            self.block((from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share), 1.5);
            along += 4.0;
        }
    }

    /// Finds a free spot for `text` near `at` and takes it.
    pub(super) fn near(&mut self, at: (f64, f64), text: &str, size: f64) -> Option<Spot> {
        let (x, y) = at;
        let candidates = [
            ((x, y - 9.0), Anchor::Middle),
            ((x, y + 9.0 + size * 0.75), Anchor::Middle),
            ((x + 9.0, y + size * 0.35), Anchor::Start),
            ((x - 9.0, y + size * 0.35), Anchor::End),
            ((x + 6.0, y - 8.0), Anchor::Start),
            ((x - 6.0, y - 8.0), Anchor::End),
            ((x + 6.0, y + 9.0 + size * 0.7), Anchor::Start),
            ((x - 6.0, y + 9.0 + size * 0.7), Anchor::End),
        ];
        candidates.into_iter().find(|&spot| self.take(spot, text, size))
    }

    fn take(&mut self, ((x, y), anchor): Spot, text: &str, size: f64) -> bool {
        let width = text_width(text, size);
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        let area = Area { left: left - 1.0, top: y - size * 0.82, right: left + width + 1.0, bottom: y + size * 0.22 };
        let free = self.bounds.is_none_or(|bounds| area.inside(bounds))
            && !self.taken.iter().any(|other| area.touches(*other));
        if free {
            self.taken.push(area);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_goes_elsewhere_when_its_first_place_is_taken_and_nowhere_when_all_are() {
        let mut places = Places::within((0.0, 0.0), (100.0, 100.0));
        let first = places.near((50.0, 50.0), "64", 12.0).unwrap();
        let second = places.near((50.0, 50.0), "64", 12.0).unwrap();
        assert_ne!(first, second);
        for _ in 0..8 {
            places.near((50.0, 50.0), "64", 12.0);
        }
        assert_eq!(places.near((50.0, 50.0), "64", 12.0), None);
        assert_eq!(places.near((0.0, 0.0), "wide label at the corner", 12.0), None);
    }
}

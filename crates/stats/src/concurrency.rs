//! How many intervals of time overlapped: mean and peak over a window, by a sweep over their ends.
//!
//! Times are integers of any one unit (ticks), so that the sweep is exact.

/// A stretch of time `[start, end)`, not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// `None` unless `start < end`.
    pub fn new(start: u64, end: u64) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// First tick.
    pub fn start(self) -> u64 {
        self.start
    }

    /// First tick after it.
    pub fn end(self) -> u64 {
        self.end
    }

    /// Length in ticks; at least 1.
    pub fn ticks(self) -> u64 {
        self.end - self.start
    }

    /// What it shares with another; `None` when that is nothing.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }
}

/// How many spans were open at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occupancy {
    /// Time-weighted mean over the window.
    pub mean: f64,
    /// Largest number at any tick of the window.
    pub peak: u64,
}

/// Mean and peak number of spans that were open in the window. Parts outside the window do not count; a span that ends
/// where another begins does not overlap it.
///
/// ```
/// use stats::{Span, occupancy};
/// let window = Span::new(0, 10).expect("not empty");
/// let requests = [Span::new(0, 5), Span::new(5, 10), Span::new(5, 20)].into_iter().flatten();
/// let in_flight = occupancy(requests, window);
/// assert_eq!((in_flight.mean, in_flight.peak), (1.5, 2));
/// ```
pub fn occupancy(spans: impl IntoIterator<Item = Span>, window: Span) -> Occupancy {
    // At equal times `false` (an end) sorts first: spans are half-open.
    let mut edges: Vec<(u64, bool)> = spans
        .into_iter()
        .filter_map(|span| span.intersection(window))
        .flat_map(|span| [(span.start, true), (span.end, false)])
        .collect();
    edges.sort_unstable();
    let mut open = 0_u64;
    let mut peak = 0_u64;
    let mut since = window.start;
    let mut area = 0_u128;
    for (at, begins) in edges {
        area += u128::from(open) * u128::from(at - since);
        since = at;
        open = if begins { open + 1 } else { open - 1 };
        peak = peak.max(open);
    }
    Occupancy { mean: area as f64 / window.ticks() as f64, peak }
}

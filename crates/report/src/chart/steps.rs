//! Values over time with more points than pixels: means for what goes up and down at every request, and thinning that
//! does not change the picture for what was sampled.
//!
//! Thinning follows M4 (Jugel et al., "M4: a visualization-oriented time series data aggregation", VLDB 2014): of all
//! points in one pixel column, first, smallest, largest and last are kept, which draws the same line.

/// The number of things going on over time, from beginnings and ends: `(seconds, number from then on)`.
pub(super) fn in_progress(spans: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut events: Vec<(f64, f64)> = spans.flat_map(|(from, to)| [(from, 1.0), (to, -1.0)]).collect();
    // At one instant ends come before beginnings: a slot that sends its next request is one request, not two.
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut running = 0.0;
    events
        .into_iter()
        .map(|(at, change)| {
            running += change;
            (at, running)
        })
        .collect()
}

/// The mean of a step function in each of `columns` equal parts of the time from 0 to `end`. In a closed loop a slot is
/// empty for some microseconds between two requests; drawn point by point, these gaps would fill the picture.
pub(super) fn averaged(steps: &[(f64, f64)], end: f64, columns: u32) -> Vec<(f64, f64)> {
    let width = end / f64::from(columns);
    let mut index = 0;
    let mut held = 0.0;
    (0..columns)
        .map(|column| {
            let from = f64::from(column) * width;
            let to = from + width;
            let (mut at, mut area) = (from, 0.0);
            while let Some(&(when, value)) = steps.get(index).filter(|step| step.0 < to) {
                area += held * (when - at).max(0.0);
                at = when.max(at);
                held = value;
                index += 1;
            }
            area += held * (to - at);
            (from + width / 2.0, area / width)
        })
        .collect()
}

/// At most four points for each of `columns` equal parts of the time from 0 to `end`.
pub(super) fn thinned(points: &[(f64, f64)], end: f64, columns: f64) -> Vec<(f64, f64)> {
    let column = |at: f64| (at / end * columns).floor();
    let mut kept = Vec::new();
    for group in points.chunk_by(|a, b| column(a.0).total_cmp(&column(b.0)).is_eq()) {
        if group.len() <= 4 {
            kept.extend_from_slice(group);
            continue;
        }
        let value = |&index: &usize| group[index].1;
        let lowest = (0..group.len()).min_by(|a, b| value(a).total_cmp(&value(b)));
        let highest = (0..group.len()).max_by(|a, b| value(a).total_cmp(&value(b)));
        let mut indices = vec![0, group.len() - 1];
        indices.extend(lowest);
        indices.extend(highest);
        indices.sort_unstable();
        indices.dedup();
        kept.extend(indices.into_iter().map(|index| group[index]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_goes_on_at_once_is_one_request() {
        let spans = [(0.0, 1.0), (1.0, 2.0), (0.5, 1.5)];
        let steps = in_progress(spans.into_iter());
        assert_eq!(steps, [(0.0, 1.0), (0.5, 2.0), (1.0, 1.0), (1.0, 2.0), (1.5, 1.0), (2.0, 0.0)]);
        assert_eq!(averaged(&steps, 2.0, 4), [(0.25, 1.0), (0.75, 2.0), (1.25, 2.0), (1.75, 1.0)]);
        assert_eq!(averaged(&steps, 2.0, 1), [(1.0, 1.5)]);
    }

    #[test]
    fn thinning_keeps_the_extremes_and_the_ends_of_every_column() {
        let points: Vec<(f64, f64)> = (0..1000)
            .map(|i| (i, if i == 555 { 99 } else { i % 7 }))
            .map(|(i, value)| (f64::from(i) / 100.0, f64::from(value)))
            .collect();
        let thin = thinned(&points, 10.0, 10.0);
        assert!(thin.len() <= 44, "{}", thin.len());
        assert!(thin.contains(&(5.55, 99.0)));
        assert_eq!(thin.first(), points.first());
        assert_eq!(thin.last(), points.last());
        assert!(thin.is_sorted_by(|a, b| a.0 <= b.0));
    }
}

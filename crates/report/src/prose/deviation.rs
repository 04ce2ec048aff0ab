//! Where the simple sizing method departs from the engine's own arithmetic, in words.

use analysis::Deviation;

use crate::{
    language::Words,
    number::{count, gigabytes, number},
};

/// The deviation as a sentence.
pub(crate) fn sentence(deviation: &Deviation, words: &Words) -> String {
    match deviation {
        Deviation::FormulaProduct {
            stated_gb,
            product_gib,
        } => words.say(
            "deviation.product",
            &[
                ("stated", &gigabytes(*stated_gb)),
                ("product", &number(*product_gib, 1)),
            ],
        ),
        Deviation::KvWidth { used, actual } => words.say(
            "deviation.width",
            &[
                ("used", &count(*used)),
                ("actual", &count(*actual)),
                ("ratio", &number(*used as f64 / *actual as f64, 1)),
            ],
        ),
        Deviation::SlidingWindow {
            windowed_layers,
            layers,
            window,
        } => words.say(
            "deviation.window",
            &[
                ("windowed", &count(*windowed_layers)),
                ("layers", &count(*layers)),
                ("window", &count(*window)),
            ],
        ),
        Deviation::TableRow {
            gpu,
            stated,
            method,
        } => words.say(
            "deviation.row",
            &[
                ("gpu", gpu),
                ("stated", &number(*stated, 0)),
                ("method", &number(*method, 0)),
            ],
        ),
        // A kind newer than this crate: better named by its own field names than left out.
        other => format!("{other:?}"),
    }
}

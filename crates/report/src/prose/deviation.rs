//! Where the simple sizing method departs from the engine's own arithmetic, in words.

use analysis::Deviation;

use crate::{
    language::Words,
    number::{ABSENT, count, gigabytes, number},
};

/// A sentence for each deviation; rows whose numbers of cards are the same share one.
pub(crate) fn sentences(deviations: &[Deviation], words: &Words) -> Vec<String> {
    let mut groups: Vec<(&Deviation, Vec<&str>)> = Vec::new();
    for deviation in deviations {
        match groups.iter_mut().find(|(first, _)| alike(first, deviation)) {
            Some((_, gpus)) => gpus.extend(gpu(deviation)),
            None => groups.push((deviation, gpu(deviation).into_iter().collect())),
        }
    }
    groups.into_iter().map(|(deviation, gpus)| sentence(deviation, &gpus.join(", "), words)).collect()
}

fn gpu(deviation: &Deviation) -> Option<&str> {
    match deviation {
        Deviation::TableRow { gpu, .. } | Deviation::CardsNeeded { gpu, .. } => Some(gpu),
        _ => None,
    }
}

/// The figures of a row on numbers of cards.
fn cards(deviation: &Deviation) -> Option<(Option<u32>, u64, Option<u32>)> {
    match *deviation {
        Deviation::CardsNeeded { stated, by_memory, tensor_parallel, .. } => Some((stated, by_memory, tensor_parallel)),
        _ => None,
    }
}

fn alike(a: &Deviation, b: &Deviation) -> bool {
    cards(a).is_some() && cards(a) == cards(b)
}

fn sentence(deviation: &Deviation, gpus: &str, words: &Words) -> String {
    match deviation {
        Deviation::FormulaProduct { stated_gb, product_gib } => {
            words.say("deviation.product", &[("stated", &gigabytes(*stated_gb)), ("product", &number(*product_gib, 1))])
        }
        Deviation::KvWidth { used, actual } => words.say(
            "deviation.width",
            &[
                ("used", &count(*used)),
                ("actual", &count(*actual)),
                ("ratio", &number(*used as f64 / *actual as f64, 1)),
            ],
        ),
        Deviation::SlidingWindow { windowed_layers, layers, window } => words.say(
            "deviation.window",
            &[("windowed", &count(*windowed_layers)), ("layers", &count(*layers)), ("window", &count(*window))],
        ),
        Deviation::TableRow { stated, method, .. } => words
            .say("deviation.row", &[("gpu", gpus), ("stated", &number(*stated, 0)), ("method", &number(*method, 0))]),
        Deviation::CardsNeeded { stated, by_memory, tensor_parallel, .. } => {
            let or_absent = |cards: Option<u32>| cards.map_or_else(|| ABSENT.into(), count);
            let values = [
                ("gpu", gpus),
                ("stated", &*or_absent(*stated)),
                ("by_memory", &*count(*by_memory)),
                ("group", &*or_absent(*tensor_parallel)),
            ];
            let key = match stated {
                Some(_) => "deviation.cards",
                None => "deviation.no_cards",
            };
            words.say(key, &values)
        }
        // A kind newer than this crate: better named by its own field names than left out.
        other => format!("{other:?}"),
    }
}

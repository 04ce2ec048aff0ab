//! Sentences on how well the levels predict each other, and why some loads are not predicted.

use analysis::{LeftOut, LeftOutLevel, PerformanceSection, Predicted, PredictionError, Refused};

use crate::{
    language::Words,
    number::{count, figure, number, percent},
};

/// What the self-test came to, and what took part in it.
pub(crate) fn sentences(section: &PerformanceSection, words: &Words) -> Vec<String> {
    let tested = figures(section);
    let mut sentences = Vec::new();
    if let Some(n) = tested.iter().map(|(_, error)| error.n).max() {
        let errors: Vec<String> = tested
            .iter()
            .map(|(name, error)| {
                let values = [("figure", &*words.get(name)), ("error", &percent(error.median))];
                words.say("performance.error", &values)
            })
            .collect();
        let sum = |of: fn(&PredictionError) -> u64| tested.iter().map(|(_, e)| of(e)).sum::<u64>();
        sentences.push(words.say(
            "performance.self_test",
            &[
                ("n", &*count(n)),
                ("errors", &errors.join(", ")),
                ("held", &count(sum(|error| error.held))),
                ("all", &count(sum(|error| error.n))),
            ],
        ));
    }
    sentences.extend(section.refused.as_ref().map(|refused| reason(refused, words)));
    sentences
}

/// What is known of the system beside its levels.
pub(crate) fn basis(section: &PerformanceSection, words: &Words) -> String {
    let system = &section.system;
    let gpu = system.gpu.as_deref().filter(|_| system.from_catalogue);
    match gpu {
        Some(gpu) => words.say(
            "performance.with_catalogue",
            &[("model", &*system.model), ("gpu", gpu), ("cards", &count(system.cards))],
        ),
        None => words.say("performance.levels_alone", &[("model", &system.model)]),
    }
}

fn figures(section: &PerformanceSection) -> Vec<(&'static str, PredictionError)> {
    [
        ("performance.ttft", section.ttft),
        ("performance.tpot", section.tpot),
        ("performance.throughput", section.output_tok_s),
    ]
    .into_iter()
    .filter_map(|(name, error)| Some((name, error?)))
    .collect()
}

/// Why there is no prediction.
pub(crate) fn reason(refused: &Refused, words: &Words) -> String {
    match refused {
        Refused::TooFewLevels { usable, needed } => {
            words.say("performance.too_few", &[("usable", &*count(*usable)), ("needed", &count(*needed))])
        }
        Refused::OtherLaw { from } => words.say("performance.other_law", &[("from", &*count(*from))]),
        Refused::Untested { from, to } => {
            words.say("performance.untested", &[("from", &*number(*from, 0)), ("to", &number(*to, 0))])
        }
        Refused::Model { reason } => words.say("performance.model", &[("reason", reason)]),
        // A kind newer than this crate: better named by its own field names than left out.
        other => format!("{other:?}"),
    }
}

/// The level that calibrated nothing, and why.
pub(crate) fn left_out(level: &LeftOutLevel, words: &Words) -> String {
    let why = match level.why {
        LeftOut::Invalid => words.get("performance.invalid"),
        LeftOut::OpenLoop => words.get("performance.open_loop"),
        LeftOut::LengthsUnknown => words.get("performance.lengths_unknown"),
        LeftOut::TooShort => words.get("performance.too_short"),
        LeftOut::Failures { share } => words.say("performance.failures", &[("share", &percent(share))]),
        LeftOut::Preempted { preemptions } => {
            words.say("performance.preempted", &[("preemptions", &number(preemptions, 0))])
        }
        other => format!("{other:?}"),
    };
    let name = match level.concurrency {
        0 => words.say("performance.schedule", &[("level", &count(level.level + 1))]),
        c => words.say("performance.level", &[("c", &count(c))]),
    };
    words.say("performance.left_out", &[("level", &*name), ("why", &why)])
}

/// `95.2 (91.0–99.6)`: as many decimals as tell the ends apart.
pub(crate) fn predicted(value: Predicted) -> (String, String) {
    let text = |x: f64| if x < 9.995 { number(x, 2) } else { figure(x) };
    let ends = format!("{}–{}", text(value.low), text(value.high));
    (text(value.likely), ends)
}

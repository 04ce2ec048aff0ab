//! What sizing says in words: its assumptions, and where prices come from.

use analysis::{GpuOption, SizingSection};

use crate::{language::Words, number::count};

/// `2× A100 80GB`; one card goes without a number.
pub(crate) fn option_name(option: &GpuOption) -> String {
    if option.count == 1 { option.gpu.clone() } else { format!("{}× {}", option.count, option.gpu) }
}

/// Whether the option really holds the target.
pub(crate) fn holds(sizing: &SizingSection, option: &GpuOption) -> bool {
    option.held_max_requests.is_some_and(|fit| fit >= f64::from(sizing.target_concurrency))
}

/// For what the section was computed.
pub(crate) fn assumptions(sizing: &SizingSection, words: &Words) -> String {
    words.say(
        "sizing.assumptions",
        &[
            ("model", &sizing.model),
            ("dtype", &sizing.weight_dtype),
            ("target", &count(sizing.target_concurrency)),
            ("tokens", &count(sizing.context_tokens)),
            ("engine", &sizing.engine),
        ],
    )
}

/// One sentence for each source of the prices of these options.
pub(crate) fn price_sources(sizing: &SizingSection, words: &Words) -> Vec<String> {
    let mut sources = Vec::new();
    let mut add = |key: &str, date: Option<&String>, source: Option<&String>| {
        if let (Some(date), Some(source)) = (date, source) {
            let sentence = words.say(key, &[("date", date), ("source", source)]);
            if !sources.contains(&sentence) {
                sources.push(sentence);
            }
        }
    };
    let options = || sizing.options.iter();
    for option in options().filter(|option| option.purchase_usd.is_some()) {
        let (date, source) = (&option.price_date, &option.price_source);
        add("sizing.purchase_source", date.as_ref(), source.as_ref());
    }
    for option in options().filter(|option| option.cloud_usd_per_hour.is_some()) {
        let (date, source) = (&option.cloud_price_date, &option.cloud_price_source);
        add("sizing.cloud_source", date.as_ref(), source.as_ref());
    }
    sources
}

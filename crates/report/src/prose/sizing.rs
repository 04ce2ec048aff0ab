//! What sizing says in words: its assumptions, what the engine's defaults cost, and where prices come from.

use analysis::{GpuOption, SizingSection};

use crate::{
    language::Words,
    number::{count, dollars, held},
};

/// vLLM's flags that give large GPUs the limits of small ones.
pub(crate) const SMALL_LIMITS: &str = "--max-num-seqs 256 --max-num-batched-tokens 2048";

/// `2× A100 80GB`; one card goes without a number.
pub(crate) fn option_name(option: &GpuOption) -> String {
    if option.count == 1 { option.gpu.clone() } else { format!("{}× {}", option.count, option.gpu) }
}

/// Whether the option holds the target by the engine's arithmetic.
pub(crate) fn holds(sizing: &SizingSection, option: &GpuOption) -> bool {
    option.exact_max_requests.is_some_and(|fit| fit >= f64::from(sizing.target_concurrency))
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

/// What two flags gain where the engine's defaults cost much; `None` where they do not.
pub(crate) fn free_gain(sizing: &SizingSection, words: &Words) -> Option<String> {
    let gains = gains(sizing, words);
    (!gains.is_empty()).then(|| {
        let values = [("flags", SMALL_LIMITS), ("gains", &gains)];
        words.say("sizing.free_gain", &values)
    })
}

/// `H100 80GB 38 instead of 25, …`: every option that gains.
pub(crate) fn gains(sizing: &SizingSection, words: &Words) -> String {
    let gains = sizing.options.iter().filter_map(|option| {
        let with = option.exact_max_requests_at_256_seqs?;
        let values = [
            ("name", &*option_name(option)),
            ("with", &*held(with)),
            ("without", &*held(option.exact_max_requests.unwrap_or(0.0))),
        ];
        Some(words.say("sizing.gain", &values))
    });
    gains.collect::<Vec<_>>().join(", ")
}

/// The price with its day, or the word for an unknown one.
pub(crate) fn dated(usd: Option<f64>, date: Option<&str>, words: &Words) -> String {
    match (usd, date) {
        (Some(usd), Some(date)) => words.say("sizing.dated_price", &[("price", &dollars(usd)), ("date", date)]),
        (Some(usd), None) => dollars(usd),
        (None, _) => words.get("word.unknown"),
    }
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

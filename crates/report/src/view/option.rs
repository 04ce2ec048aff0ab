//! Section 3, second half: what to buy or rent: the options that hold the target, and what the present server would need.

use analysis::{GpuOption, SizingSection};

use super::{Desk, Item, sizing::price};
use crate::{
    number::{ABSENT, count, gigabytes, held, number},
    prose::{
        mean_of,
        sizing::{SMALL_LIMITS, dated, holds, option_name},
        usable_levels,
    },
};

/// The GPU that bandwidths are compared with, as the reference report does.
const YARDSTICK: &str = "A100 80GB";

/// Hours of a month, 365 × 24 / 12.
pub(super) const HOURS_PER_MONTH: f64 = 730.0;

/// Options that hold the target by the exact method, cheapest by `price` first.
fn cheapest(sizing: &SizingSection, price: fn(&GpuOption) -> Option<f64>) -> Option<&GpuOption> {
    sizing
        .options
        .iter()
        .filter(|option| holds(sizing, option) && price(option).is_some())
        .min_by(|a, b| price(a).unwrap_or(f64::MAX).total_cmp(&price(b).unwrap_or(f64::MAX)))
}

/// The least purchase price among options that hold the target.
pub(super) fn cheapest_purchase(sizing: &SizingSection) -> Option<&GpuOption> {
    cheapest(sizing, |option| option.purchase_usd)
}

/// The least price per hour among options that hold the target.
pub(super) fn cheapest_cloud(sizing: &SizingSection) -> Option<&GpuOption> {
    cheapest(sizing, |option| option.cloud_usd_per_hour)
}

/// The option whose cards have the most memory bandwidth, which is what decode is bound by; of equal ones the cheapest,
/// then that with the fewest cards. By one card's bandwidth: a tensor-parallel group does not reach the sum of its cards'.
fn fastest(sizing: &SizingSection, eligible: impl Fn(&GpuOption) -> bool) -> Option<&GpuOption> {
    let bandwidth = |option: &GpuOption| option.memory_bandwidth_gb_s.unwrap_or(0.0);
    let price = |option: &GpuOption| option.purchase_usd.unwrap_or(f64::MAX);
    sizing
        .options
        .iter()
        .filter(|option| holds(sizing, option) && eligible(option))
        .filter(|option| option.memory_bandwidth_gb_s.is_some())
        .min_by(|a, b| {
            let by_bandwidth = bandwidth(b).total_cmp(&bandwidth(a));
            by_bandwidth.then(price(a).total_cmp(&price(b))).then(a.count.cmp(&b.count))
        })
}

/// The fastest option that can be bought at a known price.
pub(super) fn fastest_purchase(sizing: &SizingSection) -> Option<&GpuOption> {
    fastest(sizing, |option| option.purchase_usd.is_some())
}

/// The four ways to serve the target, each with the command that starts the server.
pub(super) fn options(desk: &Desk<'_>, sizing: &SizingSection) -> Vec<Item> {
    let item = |name: &str, text: String, option: Option<&GpuOption>| {
        let command = option.map(|option| command(sizing, option));
        Item::labelled(desk.get(name), text).with_code(command)
    };
    let (cheapest, fastest) = (cheapest_purchase(sizing), fastest_purchase(sizing));
    vec![
        item("option.least_cost", least_cost(desk, sizing), cheapest),
        item("option.performance", performance(desk, sizing), fastest),
        item("option.cloud", cloud(desk, sizing), cheapest_cloud(sizing)),
        item("option.keep", keep(desk, sizing), None),
    ]
}

/// What starts vLLM so on this option; with small limits where those gain requests.
fn command(sizing: &SizingSection, option: &GpuOption) -> String {
    let mut words = vec![format!("vllm serve {}", sizing.model), format!("--max-model-len {}", sizing.context_tokens)];
    if option.count > 1 {
        words.push(parallel_flag(option));
    }
    if option.exact_max_requests_at_256_seqs.is_some() {
        words.push(SMALL_LIMITS.to_owned());
    }
    words.join(" ")
}

fn parallel_flag(option: &GpuOption) -> String {
    format!("--tensor-parallel-size {}", option.count)
}

/// The key's sentence about an option, and what small limits gain there.
fn about(desk: &Desk<'_>, sizing: &SizingSection, key: &str, option: &GpuOption) -> String {
    let words = desk.words;
    let hour = option.cloud_usd_per_hour;
    let purchase_date = option.price_date.as_deref();
    let cloud_date = option.cloud_price_date.as_deref();
    let offer = option.cloud_offer.clone();
    let sentence = words.say(
        key,
        &[
            ("name", &*option_name(option)),
            ("fit", &*held(option.exact_max_requests.unwrap_or(0.0))),
            ("target", &*count(sizing.target_concurrency)),
            ("vram", &*gigabytes(option.vram_gb * f64::from(option.count))),
            ("purchase", &*dated(option.purchase_usd, purchase_date, words)),
            ("hour", &*dated(hour, cloud_date, words)),
            ("month", &*price(words, hour.map(|usd| usd * HOURS_PER_MONTH))),
            ("offer", &*offer.unwrap_or_else(|| words.get("option.any_offer"))),
            ("flag", &*parallel_flag(option)),
        ],
    );
    match option.exact_max_requests_at_256_seqs {
        Some(with) => {
            let values = [("flags", SMALL_LIMITS), ("with", &held(with))];
            format!("{sentence} {}", words.say("option.small_limits", &values))
        }
        None => sentence,
    }
}

fn least_cost(desk: &Desk<'_>, sizing: &SizingSection) -> String {
    let Some(cheapest) = cheapest_purchase(sizing) else {
        return desk.get("option.none");
    };
    let text = about(desk, sizing, "option.least_cost_text", cheapest);
    // Few cards need less of a host than the price of cards alone shows.
    let priced = || {
        let options = sizing.options.iter();
        options.filter(|option| holds(sizing, option) && option.purchase_usd.is_some())
    };
    let fewest = priced().map(|option| option.count).min();
    let fewer =
        priced().filter(|option| Some(option.count) == fewest && option.count < cheapest.count).min_by(|a, b| {
            let usd = |option: &GpuOption| option.purchase_usd.unwrap_or(f64::MAX);
            usd(a).total_cmp(&usd(b))
        });
    match fewer {
        Some(option) => {
            let fewer = about(desk, sizing, "option.fewest_cards_text", option);
            format!("{text} {fewer}")
        }
        None => text,
    }
}

fn performance(desk: &Desk<'_>, sizing: &SizingSection) -> String {
    let Some(option) = fastest_purchase(sizing) else {
        return desk.get("option.none");
    };
    let mut text = about(desk, sizing, "option.performance_text", option);
    let mut add = |key: &str, option: &GpuOption| {
        let values = [
            ("name", &*option_name(option)),
            ("bandwidth", &*bandwidth(desk, sizing, option)),
            ("fit", &*held(option.exact_max_requests.unwrap_or(0.0))),
            ("hour", &*price(desk.words, option.cloud_usd_per_hour)),
        ];
        text.push(' ');
        text.push_str(&desk.words.say(key, &values));
    };
    add("option.bandwidth_text", option);
    let faster = |other: &GpuOption| other.memory_bandwidth_gb_s > option.memory_bandwidth_gb_s;
    if let Some(faster) = fastest(sizing, faster) {
        add("option.faster_unpriced", faster);
    }
    text
}

/// `3,350 GB/s a card, 1.6× the A100 80GB's`.
fn bandwidth(desk: &Desk<'_>, sizing: &SizingSection, option: &GpuOption) -> String {
    let rate = option.memory_bandwidth_gb_s.unwrap_or(0.0);
    let of_yardstick = sizing
        .options
        .iter()
        .find(|other| other.gpu == YARDSTICK && other.gpu != option.gpu)
        .and_then(|other| other.memory_bandwidth_gb_s);
    match of_yardstick {
        Some(yardstick) => desk.words.say(
            "option.bandwidth_ratio",
            &[("rate", &number(rate, 0)), ("ratio", &number(rate / yardstick, 1)), ("yardstick", YARDSTICK)],
        ),
        None => desk.words.say("option.bandwidth", &[("rate", &number(rate, 0))]),
    }
}

fn cloud(desk: &Desk<'_>, sizing: &SizingSection) -> String {
    cheapest_cloud(sizing)
        .map_or_else(|| desk.get("option.none"), |option| about(desk, sizing, "option.cloud_text", option))
}

/// What the measured server, as it is, holds of the target, and how many like it would hold all.
fn keep(desk: &Desk<'_>, sizing: &SizingSection) -> String {
    let mut sentences = Vec::new();
    let target = f64::from(sizing.target_concurrency);
    if let Some(each) = present_capacity(desk, sizing) {
        let replicas = (target / each).ceil();
        let unit = present_gpu(desk, sizing).and_then(|option| option.purchase_usd);
        let cards = desk.summary.run.gpus.len().max(1) as f64;
        sentences.push(desk.words.say(
            "option.keep_text",
            &[
                ("each", &number(each, 1)),
                ("tokens", &count(sizing.context_tokens)),
                ("replicas", &number(replicas, 0)),
                ("target", &number(target, 0)),
                ("purchase", &price(desk.words, unit.map(|usd| usd * cards * replicas))),
            ],
        ));
    } else {
        sentences.push(desk.get("option.keep_unknown"));
    }
    let measured = usable_levels(desk.summary)
        .into_iter()
        .filter(|level| Some(level.concurrency) <= desk.summary.limits.largest_stable)
        .find(|level| level.concurrency >= sizing.target_concurrency);
    if let Some(level) = measured {
        let tokens = mean_of(level.prompt_tokens).unwrap_or(0.0) + mean_of(level.output_tokens).unwrap_or(0.0);
        let e2el = mean_of(level.e2el_ms).map_or_else(|| ABSENT.into(), |ms| desk.figures.time(ms));
        sentences.push(desk.words.say(
            "option.keep_measured",
            &[("c", &count(level.concurrency)), ("tokens", &number(tokens, 0)), ("e2el", &e2el)],
        ));
    }
    sentences.join(" ")
}

/// Requests of the sizing's length that the measured server's pool holds, by its own account.
fn present_capacity(desk: &Desk<'_>, sizing: &SizingSection) -> Option<f64> {
    let capacity = desk.summary.capacity.as_ref()?;
    let printed = capacity.max_concurrency.filter(|_| capacity.max_model_len == Some(sizing.context_tokens));
    let computed = capacity.kv_cache_bytes.map(|bytes| bytes as f64 / sizing.exact_kv_bytes_per_request as f64);
    printed.or(computed).filter(|each| *each >= 1.0)
}

/// One card of the kind that the measured server runs on, if the catalogue has it.
fn present_gpu<'a>(desk: &Desk<'_>, sizing: &'a SizingSection) -> Option<&'a GpuOption> {
    let name = desk.summary.run.gpus.first()?;
    sizing.options.iter().find(|option| option.count == 1 && name.contains(&option.gpu))
}

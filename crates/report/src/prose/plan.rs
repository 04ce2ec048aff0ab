//! What a plan says in words: what was asked, what the speeds come from, each choice, each reason, each change.

use analysis::{
    Estimate,
    planning::{Change, Choice, Demand, FleetPlan, Interval, Reason, Rejected, Room, Sensitivity, Slo, Speed},
};

use crate::{
    language::Words,
    number::{ABSENT, Figures, count, dollars, gib, held_tenths, number, percent},
};

/// Rows that a reader is shown; the JSON has all.
const MOST_SHOWN: usize = 16;

/// An interval of seconds as an estimate in milliseconds.
fn ms(interval: Interval) -> Estimate {
    Estimate { value: interval.likely * 1e3, low: Some(interval.low * 1e3), high: Some(interval.high * 1e3) }
}

/// What was asked, in a sentence.
pub(crate) fn asked(plan: &FleetPlan, words: &Words, figures: Figures) -> String {
    let asked = &plan.target;
    let load = match &asked.demand {
        Demand::Concurrency(requests) => words.say("plan.at_once", &[("n", &count(*requests))]),
        Demand::Rate(day) => {
            words.say("plan.at_rate", &[("mean", &number(day.mean(), 2)), ("peak", &number(day.peak(), 2))])
        }
    };
    let room = match asked.room {
        Room::Longest => "plan.room_longest",
        Room::Usual => "plan.room_usual",
    };
    let mut text = words.say(
        "plan.asked",
        &[
            ("model", &*plan.model),
            ("engine", &*plan.engine),
            ("load", &load),
            ("isl", &count(asked.isl)),
            ("osl", &count(asked.osl)),
            ("room", &words.get(room)),
            ("weights", &*open(asked.weights.as_deref(), words)),
            ("kv", &*open(asked.kv_cache_dtype.as_deref(), words)),
        ],
    );
    if !asked.slo.is_none() {
        let slo = objectives(asked.slo, figures);
        text.push(' ');
        text.push_str(&words.say("plan.objectives", &[("slo", &slo)]));
    }
    if asked.spare > 0 || asked.growth > 1.0 {
        let values = [("spare", &*count(asked.spare)), ("growth", &*number(asked.growth, 2))];
        text.push(' ');
        text.push_str(&words.say("plan.reserve", &values));
    }
    text
}

fn open(format: Option<&str>, words: &Words) -> String {
    format.map_or_else(|| words.get("plan.any"), str::to_owned)
}

/// `TTFT ≤ 500 ms, TPOT ≤ 50 ms`.
fn objectives(slo: Slo, figures: Figures) -> String {
    let all = [("TTFT", slo.ttft_s), ("TPOT", slo.tpot_s), ("E2EL", slo.e2el_s)];
    let given = all.into_iter().filter_map(|(name, limit)| Some(format!("{name} ≤ {}", figures.limit(limit? * 1e3))));
    given.collect::<Vec<_>>().join(", ")
}

/// What the speeds come from, and how wide that makes them.
pub(crate) fn basis(plan: &FleetPlan, words: &Words) -> String {
    let Some(factor) = plan.basis.tpot_factor else {
        return words.get("plan.no_speeds");
    };
    let factor = number(factor, 2);
    if plan.basis.measured.is_empty() {
        return words.say("plan.from_catalogue", &[("factor", &factor)]);
    }
    let systems = plan.basis.measured.iter().map(|system| {
        let gpu = system.gpu.clone().unwrap_or_else(|| words.get("word.unknown"));
        words.say(
            "plan.measured_system",
            &[
                ("run", &*system.from),
                ("cards", &count(system.tensor_parallel)),
                ("gpu", &gpu),
                ("weights", &*system.weights),
                ("levels", &count(system.levels as u64)),
            ],
        )
    });
    let systems = systems.collect::<Vec<_>>().join(", ");
    words.say("plan.from_runs", &[("systems", &systems), ("factor", &factor)])
}

/// The choices that a reader is shown: the recommended ones, the frontier, and of each card the cheapest; in order.
pub(crate) fn shown(plan: &FleetPlan) -> Vec<usize> {
    let mut wanted: Vec<usize> = recommended(plan).into_iter().filter_map(|(_, index)| index).collect();
    let mut cards: Vec<&str> = Vec::new();
    let asked = || plan.choices.iter().enumerate().filter(|(_, choice)| choice.as_asked);
    for (index, choice) in asked() {
        if !cards.contains(&&*choice.gpu) {
            cards.push(&choice.gpu);
            wanted.push(index);
        }
    }
    let frontier = asked().filter(|(_, choice)| choice.on_frontier).map(|(index, _)| index);
    wanted.extend(frontier);
    // What was wanted first stays where not all have room.
    let mut kept: Vec<usize> = Vec::new();
    for index in wanted {
        if kept.len() < MOST_SHOWN && index < plan.choices.len() && !kept.contains(&index) {
            kept.push(index);
        }
    }
    kept.sort_unstable();
    kept
}

/// The four recommendations with the key of their name.
pub(crate) fn recommended(plan: &FleetPlan) -> [(&'static str, Option<usize>); 4] {
    let of = plan.recommended;
    [
        ("plan.least_cost", of.least_cost),
        ("plan.performance", of.best_performance),
        ("plan.cloud", of.cloud),
        ("plan.keep", of.keep_quantised),
    ]
}

/// What would cost less than the least-cost choice, were every prediction exact; `None` where nothing would.
fn cheaper(plan: &FleetPlan, words: &Words) -> Option<String> {
    let choice = plan.choices.get(plan.recommended.least_cost_if_exact?)?;
    let values = [("name", &*choice.name()), ("price", &purchase(choice, words))];
    Some(words.say("plan.cheaper", &values))
}

/// A recommended choice in a few sentences, by the key of its name.
pub(crate) fn recommendation(
    plan: &FleetPlan,
    key: &str,
    index: Option<usize>,
    words: &Words,
    figures: Figures,
) -> String {
    let Some(found) = index.and_then(|index| plan.choices.get(index)) else {
        return words.get("plan.none");
    };
    let same = recommended(plan).into_iter().take_while(|(other, _)| *other != key).find(|(_, other)| *other == index);
    if let Some((other, _)) = same {
        return words.say("plan.same", &[("other", &words.get(other)), ("name", &found.name())]);
    }
    let text = choice(found, words, figures);
    match cheaper(plan, words).filter(|_| key == "plan.least_cost") {
        Some(cheaper) => format!("{text} {cheaper}"),
        None => text,
    }
}

/// A recommended choice with its price alone, by the key of its name.
pub(crate) fn short(plan: &FleetPlan, key: &str, index: Option<usize>, words: &Words) -> String {
    index.and_then(|index| plan.choices.get(index)).map_or_else(
        || words.get("plan.none"),
        |found| {
            let price = if key == "plan.cloud" { hour(found, words) } else { purchase(found, words) };
            format!("{}: {price}", found.name())
        },
    )
}

/// A choice in a sentence: what it is, how full, how fast, what it costs.
fn choice(choice: &Choice, words: &Words, figures: Figures) -> String {
    let mut text = words.say(
        "plan.choice",
        &[
            ("name", &*choice.name()),
            ("each", &held_tenths(choice.concurrency)),
            ("seats", &seats(choice)),
            ("printed", &choice.printed.map_or_else(|| ABSENT.into(), |printed| format!("{:.2}x", printed.likely))),
            ("purchase", &purchase(choice, words)),
            ("hour", &hour(choice, words)),
        ],
    );
    text.push(' ');
    text.push_str(&match &choice.speed {
        Some(speed) => words.say(
            "plan.speed",
            &[
                ("ttft", &ttft(speed, figures)),
                ("tpot", &tpot(speed, figures)),
                ("total", &total(speed)),
                ("million", &million(choice, words)),
            ],
        ),
        None => words.say("plan.no_speed", &[("reason", choice.speed_unknown.as_deref().unwrap_or(ABSENT))]),
    });
    if !choice.safely {
        let fewest = held_tenths(choice.seats.low);
        text.push(' ');
        text.push_str(&words.say("plan.not_safe", &[("fewest", &fewest)]));
    }
    if let Some(share) = choice.cost.break_even_utilisation {
        let key = if share <= 1.0 { "plan.break_even" } else { "plan.never_even" };
        text.push(' ');
        text.push_str(&words.say(key, &[("share", &percent(share))]));
    }
    if let Some(format) = missing_checkpoint(choice) {
        text.push(' ');
        text.push_str(&words.say("plan.checkpoint", &[("format", format)]));
    }
    if choice.spare > 0 {
        text.push(' ');
        text.push_str(&words.say("plan.of_which_spare", &[("spare", &count(choice.spare))]));
    }
    text
}

/// The format of a checkpoint that the command has only a variable for.
fn missing_checkpoint(choice: &Choice) -> Option<&str> {
    choice.command.contains("_CHECKPOINT").then_some(&*choice.weights)
}

/// `59.1 (45.0–61.2)` requests that a replica's cache holds.
pub(crate) fn seats(choice: &Choice) -> String {
    let Interval { low, likely, high } = choice.seats;
    format!("{} ({}–{})", held_tenths(likely), held_tenths(low), held_tenths(high))
}

pub(crate) fn ttft(speed: &Speed, figures: Figures) -> String {
    figures.time_estimate(ms(speed.ttft_s))
}

pub(crate) fn tpot(speed: &Speed, figures: Figures) -> String {
    figures.time_estimate(ms(speed.tpot_s))
}

/// Output tokens per second with their interval.
pub(crate) fn total(speed: &Speed) -> String {
    let Interval { low, likely, high } = speed.output_tokens_per_second;
    let whole = |rate: f64| number(rate, 0);
    if whole(low) == whole(high) {
        return whole(likely);
    }
    format!("{} ({}–{})", whole(likely), whole(low), whole(high))
}

/// Price with its day, or the word for an unknown one.
pub(crate) fn purchase(choice: &Choice, words: &Words) -> String {
    choice.cost.purchase.as_ref().map_or_else(
        || words.get("word.unknown"),
        |price| {
            let hosts = choice.cost.hosts_usd.filter(|usd| *usd > 0.0);
            let values = [("price", &*dollars(price.usd)), ("date", &*price.date)];
            let cards = words.say("sizing.dated_price", &values);
            match hosts {
                Some(usd) => words.say("plan.with_hosts", &[("cards", &cards), ("hosts", &dollars(usd))]),
                None => cards,
            }
        },
    )
}

/// An hour of renting with its offer and day.
fn hour(choice: &Choice, words: &Words) -> String {
    choice.cost.cloud_per_hour.as_ref().map_or_else(
        || words.get("word.unknown"),
        |price| {
            let offer = price.offer.clone().unwrap_or_else(|| words.get("option.any_offer"));
            words.say("plan.rent", &[("price", &*dollars(price.usd)), ("offer", &*offer), ("date", &*price.date)])
        },
    )
}

/// Dollars for a million output tokens with their interval.
pub(crate) fn million(choice: &Choice, words: &Words) -> String {
    choice.cost.usd_per_million().map_or_else(
        || words.get("word.unknown"),
        |Interval { low, likely, high }| format!("{} ({}–{})", dollars(likely), dollars(low), dollars(high)),
    )
}

/// Why a combination does not hold the target.
fn reason(reason: &Reason, words: &Words, figures: Figures) -> String {
    match reason {
        Reason::HeadsNotShared { heads } => words.say("plan.heads", &[("heads", &count(*heads))]),
        Reason::MemoryUnknown => words.get("plan.memory_unknown"),
        Reason::WeightsTooLarge { needed_bytes, usable_bytes } => {
            words.say("plan.weights_too_large", &[("needed", &gib(*needed_bytes)), ("usable", &gib(*usable_bytes))])
        }
        Reason::NoRoom { requests } => words.say("plan.no_room", &[("requests", &number(*requests, 2))]),
        Reason::SloMissed { metric, likely_s, limit_s } => words.say(
            "plan.slo_missed",
            &[
                ("metric", &*metric.to_uppercase()),
                ("likely", &figures.time(likely_s * 1e3)),
                ("limit", &figures.limit(limit_s * 1e3)),
            ],
        ),
        Reason::TooMany { replicas } => words.say("plan.too_many", &[("replicas", &count(*replicas))]),
        Reason::Refused { message } => words.say("plan.refused", &[("message", message)]),
        Reason::SpeedUnknown { message } => words.say("plan.speed_unknown", &[("message", message)]),
        _ => ABSENT.into(),
    }
}

/// The cards with no choice at all, together where they share the reason, which is that of their largest group.
pub(crate) fn left_out(plan: &FleetPlan, words: &Words, figures: Figures) -> Vec<String> {
    let asked = |rejected: &&Rejected| {
        let same = |asked: &Option<String>, own: &str| asked.as_deref().is_none_or(|asked| asked == own);
        same(&plan.target.weights, &rejected.weights) && same(&plan.target.kv_cache_dtype, &rejected.kv_cache_dtype)
    };
    let mut last: Vec<&Rejected> = Vec::new();
    for rejected in plan.rejected.iter().filter(asked) {
        let holds = |choice: &Choice| choice.as_asked && choice.gpu == rejected.gpu;
        if plan.choices.iter().any(holds) {
            continue;
        }
        match last.iter_mut().find(|other| other.gpu == rejected.gpu) {
            Some(other) if rejected.tensor_parallel > other.tensor_parallel => *other = rejected,
            Some(_) => {}
            None => last.push(rejected),
        }
    }
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for rejected in last {
        let reason = reason(&rejected.reason, words, figures);
        match groups.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, gpus)) => gpus.push(&rejected.gpu),
            None => groups.push((reason, vec![&rejected.gpu])),
        }
    }
    let sentence = |(reason, gpus): &(String, Vec<&str>)| {
        let values = [("gpus", &*gpus.join(", ")), ("reason", reason)];
        words.say("plan.left_out", &values)
    };
    groups.iter().map(sentence).collect()
}

/// A change in a few words.
pub(crate) fn change(changed: &Sensitivity, words: &Words) -> String {
    let with = |key: &str, factor: f64| words.say(key, &[("factor", &number(factor, 2))]);
    match changed.change {
        Change::Load { factor } => with("plan.change_load", factor),
        Change::Lengths { factor } => with("plan.change_lengths", factor),
        Change::Slo { factor } => with("plan.change_slo", factor),
        Change::Price { factor } => with("plan.change_price", factor),
        Change::SlowEnd => words.get("plan.change_slow"),
        Change::CardLost => words.get("plan.change_lost"),
        _ => ABSENT.into(),
    }
}

/// What the answer is then.
pub(crate) fn answer(changed: &Sensitivity, words: &Words) -> String {
    changed.answer.clone().unwrap_or_else(|| words.get("plan.nothing_holds"))
}

/// What the figures leave out.
pub(crate) fn limits(plan: &FleetPlan, words: &Words) -> String {
    let power = plan.money.usd_per_kwh.map_or_else(
        || words.get("plan.no_power"),
        |usd| words.say("plan.power", &[("usd", &number(usd, 3)), ("pue", &number(plan.money.pue, 2))]),
    );
    let hosts = dollars(plan.money.host_usd);
    words.say("plan.limits", &[("years", &number(plan.money.years, 1)), ("power", &power), ("hosts", &hosts)])
}

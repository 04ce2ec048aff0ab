//! The simple method against the reference report of 2025-11-26, section 3.

use sizing::reference::{self, Cost, Deviation};
use sizing::{Bytes, Prices, SimpleMethod, Tokens, catalogue};

fn gemma() -> &'static sizing::ModelSpec {
    catalogue::model(reference::MODEL).unwrap()
}

/// "24 GB + 1.5 GB × 50 = 75 GB + 3 GB … ~102 GB"; "~14", "~35", "~88"; 4 cards of 40 or 48 GB, 2 of 80 GB.
#[test]
fn the_report_s_figures_follow_from_its_method() {
    let method = reference::METHOD;
    assert_eq!(method.total(50), Bytes::from_gb(102.0));
    for (gb, requests) in [(24.0, 0), (48.0, 14), (80.0, 35), (160.0, 88)] {
        assert_eq!(method.max_requests(Bytes::from_gb(gb)), requests, "{gb} GB");
    }
    for (gb, cards) in [(40.0, 4), (48.0, 4), (80.0, 2)] {
        let cards_needed = method.tensor_parallel(gemma(), Bytes::from_gb(gb), 50);
        assert_eq!(cards_needed, Some(cards), "{gb} GB");
    }
    assert_eq!(method.cards_by_memory(Bytes::from_gb(48.0), 50), Some(3));
    assert_eq!(method.cards_by_memory(Bytes::new(0), 50), None);
}

/// 4096 × 48 × 2 × 4096 × 2 B = 3.0 GiB, not 1.5; gemma's width is 8 × 256; 40 of 48 layers keep 1,024 tokens; (40 − 27) /
/// 1.5 is 8, not 9; 102 GB are three cards of 40 or 48 GB by memory and five of 24 GB, where the report says N/A.
#[test]
fn its_departures_are_found_and_no_others() {
    let mut cards = Vec::new();
    let mut rest = Vec::new();
    for deviation in reference::deviations(gemma()) {
        match deviation {
            Deviation::CardsNeeded { row, by_memory, tensor_parallel } => {
                cards.push((row.gpu, row.cards_needed, by_memory, tensor_parallel));
            }
            other => rest.push(other),
        }
    }
    assert_eq!(
        cards,
        [
            ("RTX 3090", None, 5, Some(8)),
            ("RTX 4090", None, 5, Some(8)),
            ("RTX A6000", Some(4), 3, Some(4)),
            ("L40S", Some(4), 3, Some(4)),
            ("A100 40GB", Some(4), 3, Some(4)),
        ]
    );
    let [
        Deviation::FormulaProduct { stated, product },
        Deviation::KvWidth { used, actual },
        Deviation::SlidingWindow { windowed, layers, window },
        Deviation::MaxRequests { row, method },
    ] = rest[..]
    else {
        panic!("{rest:?}");
    };
    assert_eq!((stated, product), (Bytes::from_gb(1.5), Bytes::from_gib(3.0)));
    assert_eq!((used, actual), (4096, 2048));
    assert_eq!((windowed, layers, window), (40, 48, Tokens::new(1024)));
    assert_eq!((row.gpu, row.max_requests, method), ("A100 40GB", 9, 8));
}

/// 48 layers × 2 × 2048 × 2 B × 4096 tokens is 1.5 GiB: the report's number, reached by another way than its formula.
#[test]
fn the_method_fed_with_the_model_s_own_width_gives_one_and_a_half_gib() {
    let method = SimpleMethod::of(gemma(), reference::CONTEXT);
    assert_eq!(method.kv_per_request, Bytes::from_gib(1.5));
    assert_eq!(method.weights, Bytes::new(24_374_650_080));
}

/// "$30,000", "$60,000", "$32/hour … ~$23,000 a month", "$3,000": the options' prices are those of the built-in set.
#[test]
fn options_are_priced_by_the_report_s_own_set() {
    let prices = Prices::builtin();
    for option in reference::OPTIONS.iter().chain(&reference::RANKING) {
        match option.cost {
            Cost::Purchase(usd) => {
                let quote = prices.purchase(option.gpu, option.cards).unwrap();
                assert_eq!((quote.price, quote.date), (usd, "2025-11-26"));
            }
            Cost::Rent(rate) => {
                let rented = prices.rent(option.gpu, option.cards, 1).unwrap();
                assert_eq!((rented.quote.price, rented.quote.date), (rate, "2025-11-26"));
                assert!((rate.get() * 24.0 * 30.0 - 23_040.0).abs() < 1e-9);
            }
        }
    }
    for row in reference::TABLE {
        let Some((cards, usd)) = row.cards_needed.zip(row.cost) else {
            continue;
        };
        assert_eq!(prices.purchase(row.gpu, cards).unwrap().price, usd, "{}", row.gpu);
    }
}

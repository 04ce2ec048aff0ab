//! Which version a source line number belongs to.
//!
//! From vLLM's sources: the line of `kv_cache_utils.py` that logs the tokens, and that of `gpu_worker.py` that logs the
//! available memory.

const TOKENS: [(u32, &str); 29] = [
    (566, "0.8.3"),
    (634, "0.8.5"),
    (715, "0.9.1"),
    (716, "0.9.2"),
    (833, "0.10.0"),
    (849, "0.10.1"),
    (864, "0.10.2"),
    (1087, "0.11.0"),
    (1229, "0.11.2"),
    (1286, "0.12.0"),
    (1291, "0.13.0"),
    (1305, "0.14.0"),
    (1307, "0.16.0"),
    (1314, "0.17.0"),
    (1316, "0.18.0"),
    (1319, "0.19.0"),
    (1711, "0.20.0"),
    (1708, "0.20.2"),
    (1710, "0.21.0"),
    (1733, "0.22.0"),
    (1744, "0.23.0"),
    (2146, "0.25.0"),
    (2177, "0.26.0"),
    (2235, "0.27.0"),
    (1869, "0.28.0"),
    (2032, "0.29.0"),
    (2395, "0.30.0"),
    (2464, "0.31.0"),
    (2327, "0.32.0"),
];

const AVAILABLE: [(u32, &str); 18] = [
    (232, "0.9.2"),
    (276, "0.10.1"),
    (298, "0.10.2"),
    (359, "0.11.2"),
    (375, "0.13.0"),
    (356, "0.15.0"),
    (373, "0.16.0"),
    (456, "0.18.0"),
    (436, "0.19.0"),
    (508, "0.24.0"),
    (538, "0.25.0"),
    (560, "0.26.0"),
    (578, "0.28.0"),
    (625, "0.29.0"),
    (640, "0.30.0"),
    (692, "0.31.0"),
    (759, "0.32.0"),
    (358, "0.14.0"),
];

/// The newest version whose source has this file and line.
pub(super) fn version(line: &str) -> Option<&'static str> {
    let of = |file: &str, table: &[(u32, &'static str)]| {
        let (_, rest) = line.split_once(file)?;
        let digits = rest.split(']').next()?.trim();
        let number: u32 = digits.parse().ok()?;
        table.iter().find(|(at, _)| *at == number).map(|(_, version)| *version)
    };
    of("kv_cache_utils.py:", &TOKENS).or_else(|| of("gpu_worker.py:", &AVAILABLE))
}

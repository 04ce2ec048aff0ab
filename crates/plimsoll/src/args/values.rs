//! Parsers of single values.

use serde_json::{Map, Value};

/// A finite number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number = text.trim().parse().ok();
    number.filter(|x: &f64| x.is_finite() && *x > 0.0).ok_or_else(|| format!("`{text}` is no number above 0"))
}

/// A finite number of at least 0: a standard deviation.
pub(super) fn spread(text: &str) -> Result<f64, String> {
    let number = text.trim().parse().ok();
    number.filter(|x: &f64| x.is_finite() && *x >= 0.0).ok_or_else(|| format!("`{text}` is no number of 0 or more"))
}

/// `10%` or `10`, as a share.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let percent = positive(text.trim().trim_end_matches('%'))?;
    if percent < 100.0 { Ok(percent / 100.0) } else { Err(format!("`{text}` is not between 0 and 100 percent")) }
}

/// A JSON object.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|e| format!("{e}; give a JSON object, such as '{{\"top_k\": 1}}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_with_or_without_its_sign() {
        assert!(share("10%").is_ok_and(|share| (share - 0.1).abs() < 1e-12));
        assert!(share("2.5 %").is_ok_and(|share| (share - 0.025).abs() < 1e-12));
        assert!(share("15").is_ok_and(|share| (share - 0.15).abs() < 1e-12));
        for wrong in ["0", "100%", "-1", "wide", "nan"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}

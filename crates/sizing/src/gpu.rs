//! What sizing must know of a GPU: its memory, three ways, its rates and its power. Prices are another matter, see
//! [`crate::prices`].

use serde::Deserialize;

use crate::{Bytes, BytesPerSecond, Sourced};

/// A GPU type. What was not found is absent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Entry")]
pub struct GpuSpec {
    /// Short name, such as `A100 80GB`.
    pub name: String,
    /// Names that drivers and engines give it.
    pub aliases: Vec<String>,
    /// Its design; what speed is expected of a card that nobody measured depends on it.
    pub generation: Option<Generation>,
    /// Memory on the box, in decimal gigabytes.
    pub marketed: Sourced<Bytes>,
    /// Memory that a CUDA (or HIP) program sees: the engine's starting point, always less than on the box and less than
    /// `nvidia-smi` shows.
    pub cuda_visible: Option<Sourced<Bytes>>,
    /// Memory bandwidth.
    pub bandwidth: Option<Sourced<BytesPerSecond>>,
    /// Dense 16-bit tensor arithmetic with 32-bit sums, in FLOP/s.
    pub bf16_flops: Option<Sourced<f64>>,
    /// Dense fp8 tensor arithmetic, in FLOP/s.
    pub fp8_flops: Option<Sourced<f64>>,
    /// Dense 4-bit floating-point tensor arithmetic, in FLOP/s.
    pub fp4_flops: Option<Sourced<f64>>,
    /// Power limit of the board as sold, in watts.
    pub power_w: Option<Sourced<f64>>,
    /// What one card sends to the others of its machine, in one direction.
    pub link: Option<Sourced<BytesPerSecond>>,
}

/// The design of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Generation {
    /// NVIDIA, 2020: A100, RTX 3090, A10.
    Ampere,
    /// NVIDIA, 2022: L4, L40S, RTX 4090.
    Ada,
    /// NVIDIA, 2022: H100, H200, H20.
    Hopper,
    /// NVIDIA, 2024: B200, B300, RTX 5090.
    Blackwell,
    /// AMD Instinct.
    Cdna,
    /// Intel Gaudi.
    Gaudi,
}

impl GpuSpec {
    /// Whether `name` is this GPU's name or an alias; case does not matter.
    pub fn is_called(&self, name: &str) -> bool {
        let names = std::iter::once(&self.name).chain(&self.aliases);
        names.into_iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// A GPU as the catalogue's TOML writes it, units in the names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    generation: Option<Generation>,
    marketed_gb: Sourced<f64>,
    cuda_visible_gib: Option<Sourced<f64>>,
    bandwidth_gb_s: Option<Sourced<f64>>,
    bf16_tflops: Option<Sourced<f64>>,
    fp8_tflops: Option<Sourced<f64>>,
    fp4_tflops: Option<Sourced<f64>>,
    power_w: Option<Sourced<f64>>,
    link_gb_s: Option<Sourced<f64>>,
}

impl From<Entry> for GpuSpec {
    fn from(entry: Entry) -> Self {
        let rate = |gb_s: Option<Sourced<f64>>| gb_s.map(|rate| rate.map(BytesPerSecond::from_gb_per_second));
        let flops = |tera: Option<Sourced<f64>>| tera.map(|rate| rate.map(|tera| tera * 1e12));
        Self {
            name: entry.name,
            aliases: entry.aliases,
            generation: entry.generation,
            marketed: entry.marketed_gb.map(Bytes::from_gb),
            cuda_visible: entry.cuda_visible_gib.map(|gib| gib.map(Bytes::from_gib)),
            bandwidth: rate(entry.bandwidth_gb_s),
            bf16_flops: flops(entry.bf16_tflops),
            fp8_flops: flops(entry.fp8_tflops),
            fp4_flops: flops(entry.fp4_tflops),
            power_w: entry.power_w,
            link: rate(entry.link_gb_s),
        }
    }
}

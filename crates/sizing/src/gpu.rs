//! What sizing must know of a GPU: its memory, three ways, its rates and its power. Prices are another matter, see
//! [`crate::prices`].

use serde::Deserialize;

use crate::weights::WeightFormat;
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
    /// NVIDIA, 2017: V100.
    Volta,
    /// NVIDIA, 2018: T4.
    Turing,
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
    /// Intel Arc, second generation.
    Xe,
    /// Google TPU.
    Tpu,
}

impl Generation {
    /// Whether vLLM's attention backends on such a card read an fp8 KV cache: not before Ada, whose arithmetic has the format.
    pub const fn has_fp8_kv_cache(self) -> bool {
        matches!(self, Self::Ada | Self::Hopper | Self::Blackwell | Self::Cdna | Self::Gaudi)
    }

    /// Whether vLLM has kernels for weights of this format on such a card: Marlin begins with Ampere, AWQ's own with Turing,
    /// and bitsandbytes is CUDA's.
    pub const fn runs(self, weights: WeightFormat) -> bool {
        match weights {
            WeightFormat::Bits16 => true,
            WeightFormat::Float32 => !matches!(self, Self::Tpu),
            WeightFormat::Bnb4 => !matches!(self, Self::Cdna | Self::Gaudi | Self::Xe | Self::Tpu),
            WeightFormat::Awq => !matches!(self, Self::Volta | Self::Tpu),
            WeightFormat::Fp8 | WeightFormat::Int8 => !matches!(self, Self::Volta | Self::Turing),
            WeightFormat::Nvfp4 => matches!(self, Self::Ampere | Self::Ada | Self::Hopper | Self::Blackwell),
            WeightFormat::Mxfp4 => {
                matches!(self, Self::Ampere | Self::Ada | Self::Hopper | Self::Blackwell | Self::Cdna)
            }
        }
    }

    /// Whether its arithmetic lacks bf16, so that a server must be told to take fp16.
    pub const fn lacks_bf16(self) -> bool {
        matches!(self, Self::Volta | Self::Turing)
    }
}

/// Shares of what is sold, read as GiB, that a program sees of a card whose figure was not seen: least and likely. Known
/// cards lie between 92.3 % (A10G, L4) and 100 % (AMD).
const VISIBLE_SHARES: [f64; 2] = [0.92, 0.96];

/// Memory that a program sees of a card: least, likely, most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisibleMemory {
    /// Least.
    pub low: Bytes,
    /// Likely.
    pub likely: Bytes,
    /// Most.
    pub high: Bytes,
}

impl GpuSpec {
    /// Returns what a program sees of its memory: the catalogue's figure, else 92 to 100 % of what is sold.
    pub fn visible(&self) -> VisibleMemory {
        if let Some(seen) = &self.cuda_visible {
            return VisibleMemory { low: seen.value, likely: seen.value, high: seen.value };
        }
        let sold = Bytes::from_gib(self.marketed.value.as_gb());
        let [low, likely] = VISIBLE_SHARES.map(|share| sold.share(share));
        VisibleMemory { low, likely, high: sold }
    }

    /// Whether vLLM runs weights of this format on it, as far as its generation is known.
    pub fn runs(&self, weights: WeightFormat) -> bool {
        self.generation.is_none_or(|generation| generation.runs(weights))
    }

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

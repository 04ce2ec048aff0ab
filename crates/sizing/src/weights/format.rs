//! Bytes of a parameter in the formats that checkpoints are quantised to, scales included.

use std::str::FromStr;

use crate::Bytes;
use crate::model::ParameterCount;

/// A format of weights. Embeddings and the output layer stay in 16 bits, as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightFormat {
    /// bf16 or fp16.
    Bits16,
    /// float32.
    Float32,
    /// fp8, with a scale for a tensor, channel or 128 × 128 block.
    Fp8,
    /// int8, with a scale for a channel.
    Int8,
    /// AWQ and GPTQ: 4 bits, a 16-bit scale and a 4-bit zero point for every 128.
    Awq,
    /// bitsandbytes NF4 or FP4: 4 bits and a float32 scale for every 64.
    Bnb4,
    /// NVFP4: 4 bits and an fp8 scale for every 16.
    Nvfp4,
    /// MXFP4: 4 bits and an 8-bit exponent for every 32.
    Mxfp4,
}

impl WeightFormat {
    /// Bits of a parameter, times 1,000.
    const fn millibits(self) -> u64 {
        match self {
            Self::Float32 => 32_000,
            Self::Bits16 => 16_000,
            Self::Fp8 => 8_002,
            Self::Int8 => 8_016,
            // 4 + (16 + 4) / 128.
            Self::Awq => 4_156,
            // 4 + 32 / 64.
            Self::Bnb4 | Self::Nvfp4 => 4_500,
            // 4 + 8 / 32.
            Self::Mxfp4 => 4_250,
        }
    }

    /// Bytes of this many parameters.
    pub const fn bytes(self, parameters: u64) -> Bytes {
        // Thousands first, so that nothing overflows before 2^64 bytes.
        let (thousands, rest) = (parameters / 1000, parameters % 1000);
        let bits = thousands.saturating_mul(self.millibits());
        let last = (rest * self.millibits()).div_ceil(1000);
        Bytes::new(bits.saturating_add(last).div_ceil(8))
    }

    /// Bytes of a whole model, whose embeddings stay in 16 bits, and its attention too where `attention_kept`.
    pub fn model(self, parameters: ParameterCount, attention_kept: bool) -> Bytes {
        let kept = parameters.embedding + if attention_kept { parameters.attention } else { 0 };
        let embedding = kept.min(parameters.total);
        let embeddings = match self {
            Self::Float32 => Self::Float32.bytes(embedding),
            _ => Self::Bits16.bytes(embedding),
        };
        embeddings + self.bytes(parameters.total - embedding)
    }
}

/// As a checkpoint's `quantization_config` names it.
impl FromStr for WeightFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let lower = name.to_lowercase();
        let any = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        Ok(match () {
            () if any(&["nvfp4", "fp4_block"]) => Self::Nvfp4,
            () if any(&["mxfp4"]) => Self::Mxfp4,
            () if any(&["bitsandbytes", "bnb", "nf4"]) => Self::Bnb4,
            () if any(&["awq", "gptq", "w4a16", "int4", "auto-round", "autoround", "wna16"]) => Self::Awq,
            () if any(&["fp8", "f8_e4m3"]) => Self::Fp8,
            () if any(&["int8", "w8a8", "w8a16"]) => Self::Int8,
            () if any(&["bf16", "bfloat16", "fp16", "float16"]) => Self::Bits16,
            () if any(&["fp32", "float32"]) => Self::Float32,
            () => {
                return Err(UnknownFormat { name: name.to_owned() });
            }
        })
    }
}

/// A weight format whose bytes are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes of weight format `{name}` are not known\nhint: give the checkpoint's folder, or its weights in GiB")]
pub struct UnknownFormat {
    /// The name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights that vLLM printed: Qwen3-14B-AWQ 9.3619 GiB, Llama-3.3-70B in fp8 67.72 GiB. Of gpt-oss-20b the files take
    /// 13.76 GB (12.82 GiB); its attention stays in 16 bits. Parameters by closed form; embeddings of 151,936 × 5,120, 201,088 × 2,880
    /// and 128,256 × 8,192, twice.
    #[test]
    fn formats_have_the_bytes_that_servers_print() {
        for (format, total, embedding, attention, printed, tolerance) in [
            ("awq", 14_768_307_200, 2 * 151_936 * 5120, 0, 9.3619, 0.06),
            ("mxfp4", 20_907_927_360, 2 * 201_088 * 2880, 24 * 2880 * (2 * 4096 + 2 * 512), 12.82, 0.01),
            ("fp8", 70_553_706_496, 2 * 128_256 * 8192, 0, 67.72, 0.03),
        ] {
            let format: WeightFormat = format.parse().unwrap();
            let parameters = ParameterCount { total, embedding, attention };
            let weights = format.model(parameters, attention > 0).as_gib();
            assert!((weights / printed - 1.0).abs() < tolerance, "{format:?}: {weights} against {printed}");
        }
    }
}

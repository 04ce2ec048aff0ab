//! The model itself.

use super::{Bound, Interval, Load, Observation, Prediction, Refusal, System};

/// A model of one system's speed.
#[derive(Clone, Debug)]
pub struct Performance {
    weights_s: f64,
    kv_s_per_token: f64,
    compute_s_per_token: f64,
    overhead_s: f64,
    factor: f64,
}

impl Performance {
    /// From the catalogue alone: priors by engine and card.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the catalogue lacks a fact of the model or the card.
    pub fn of(system: &System<'_>) -> Result<Self, Refusal> {
        let work = system.work()?;
        let gpu = system.gpu.ok_or_else(|| Refusal::Unknown {
            what: "the card",
            of: system.model.name.clone(),
        })?;
        let unknown = |what| Refusal::Unknown {
            what,
            of: gpu.name.clone(),
        };
        let cards = f64::from(system.tensor_parallel);
        let bandwidth = gpu
            .bandwidth
            .as_ref()
            .ok_or_else(|| unknown("the memory bandwidth"))?;
        let bandwidth = bandwidth.value.get() as f64 * 0.85 * cards;
        let flops = gpu
            .bf16_flops
            .as_ref()
            .ok_or_else(|| unknown("the arithmetic rate"))?;
        let flops = flops.value * 0.7 * cards;
        let bytes = system.weights.bytes(work.parameters).get() as f64;
        let kv = system.model.kv_bytes_per_token_16_bit().get() as f64 / 2.0;
        Ok(Self {
            weights_s: bytes / bandwidth,
            kv_s_per_token: kv * f64::from(system.kv_element_bytes) / bandwidth,
            compute_s_per_token: 2.0 * work.active as f64 / flops,
            overhead_s: 80e-6 * f64::from(work.layers),
            factor: 2.5,
        })
    }

    /// What measured levels of this very system say, with what is known of it beforehand.
    ///
    /// # Errors
    /// [`Refusal::TooFew`] for fewer than two usable levels.
    pub fn calibrated(_system: &System<'_>, observations: &[Observation]) -> Result<Self, Refusal> {
        Err(Refusal::TooFew {
            observations: observations.len(),
        })
    }

    /// What was learnt on the system of this model, said of another one.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the catalogue lacks a fact of either.
    pub fn transferred(&self, _to: &System<'_>) -> Result<Self, Refusal> {
        Err(Refusal::NoLoad)
    }

    /// TTFT, TPOT and throughput under a load.
    ///
    /// # Errors
    /// [`Refusal::NoLoad`] for no load; [`Refusal::OtherRegime`] for one that the calibration cannot speak of.
    pub fn predict(&self, load: Load) -> Result<Prediction, Refusal> {
        let Load {
            concurrency,
            isl,
            osl,
        } = load;
        if ![concurrency, isl, osl]
            .iter()
            .all(|x| x.is_finite() && *x >= 1.0)
        {
            return Err(Refusal::NoLoad);
        }
        let kv = self.kv_s_per_token * concurrency * (isl + osl / 2.0);
        let compute = self.compute_s_per_token * concurrency;
        let memory = self.weights_s + kv;
        let prefill = self.overhead_s + self.weights_s.max(self.compute_s_per_token * isl);
        let step = self.overhead_s + memory.max(compute);
        let tpot = step + prefill * (concurrency - 1.0) / osl;
        let ttft = prefill + step;
        let bound = [
            (Bound::Weights, self.weights_s),
            (Bound::KvCache, kv),
            (Bound::Compute, compute),
            (Bound::Overhead, self.overhead_s),
        ];
        let (bound, _) = bound
            .into_iter()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((Bound::Overhead, 0.0));
        Ok(Prediction {
            ttft_s: Interval::by_factor(ttft, self.factor),
            tpot_s: Interval::by_factor(tpot, self.factor),
            output_tokens_per_second: Interval::by_factor(
                concurrency * osl / (ttft + (osl - 1.0) * tpot),
                self.factor,
            ),
            bound,
        })
    }
}

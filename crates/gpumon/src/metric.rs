//! The GPU metrics: one row each, with the names and units under which every source gives them. Pure.
//!
//! DCGM's names are those of `dcgm_fields.h` without `DCGM_FI_`, in both generations: DCGM 4.6.0 renamed most fields and
//! kept their ids. AMD's follow the metrics list of device-metrics-exporter, where activities are not NVIDIA's metrics of
//! similar names: `gfx` is the graphics engine, `umc` the memory controller. Columns are those of `nvidia-smi
//! --query-gpu` and `amd-smi metric --csv`. Where a source has several names for a metric, the first one wins.

use nvml_wrapper::enums::gpm::GpmMetricId;
use records::GpuSample;

/// Bytes of a mebibyte, the unit in which most sources give memory.
pub(crate) const MIB: f64 = records::units::MIB as f64;

/// A metric of [`GpuSample`].
#[derive(Clone, Copy, Debug)]
pub struct GpuMetric {
    /// Name of its field, with the unit.
    pub name: &'static str,
    /// Reads the field.
    pub get: fn(&GpuSample) -> Option<f64>,
    pub(crate) set: fn(&mut GpuSample, Option<f64>),
    pub(crate) range: Range,
    pub(crate) scope: Scope,
    /// Whether most data-centre GPUs give it, so that its absence is reported.
    pub(crate) is_common: bool,
    /// A reading of 0 means that there is no sensor.
    pub(crate) zero_is_absent: bool,
    pub(crate) dcgm: Names,
    /// Description on the agent's page; a counter's begins with "Total".
    pub(crate) help: &'static str,
    pub(crate) amd: Names,
    pub(crate) smi: Names,
    pub(crate) gpm: Option<(GpmMetricId, f64)>,
    /// Heading in the live table, and the factor from the field's unit to the heading's.
    pub live: Option<(&'static str, f64)>,
}

/// Names of a metric in one source, by preference, and the factor from the source's unit to the field's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) names: &'static [&'static str],
    pub(crate) factor: f64,
}

/// Plausible values of a metric.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Range {
    /// 0 to 100 %.
    Percent,
    /// 0 to 101 %: profiling counters exceed their full scale by rounding.
    ProfiledPercent,
    /// Up to the device's memory.
    Memory,
    /// Up to three times the enforced limit.
    Power,
    /// −10 to 150 °C.
    Celsius,
    /// Any 32-bit value but all ones.
    Clock,
    /// Any 64-bit value but all ones.
    Counter,
    /// Below ten times what the fastest GPU's links carry (NVLink 5: 1.8 TB/s).
    Rate,
}

/// Scope of a metric on a GPU divided into instances (MIG) or partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Gpu,
    Instance,
}

const NO_NAMES: Names = Names { names: &[], factor: 1.0 };

impl GpuMetric {
    const fn dcgm(self, names: &'static [&'static str], factor: f64, help: &'static str) -> Self {
        Self { dcgm: Names { names, factor }, help, ..self }
    }

    const fn amd(self, names: &'static [&'static str], factor: f64) -> Self {
        Self { amd: Names { names, factor }, ..self }
    }

    const fn smi(self, names: &'static [&'static str], factor: f64) -> Self {
        Self { smi: Names { names, factor }, ..self }
    }

    const fn gpm(self, id: GpmMetricId, factor: f64) -> Self {
        Self { gpm: Some((id, factor)), ..self }
    }

    const fn live(self, heading: &'static str, factor: f64) -> Self {
        Self { live: Some((heading, factor)), ..self }
    }

    const fn common(self) -> Self {
        Self { is_common: true, ..self }
    }

    const fn zero_is_absent(self) -> Self {
        Self { zero_is_absent: true, ..self }
    }

    /// Puts a value in the source's unit into `sample`. A value under a later name does not replace an earlier one's.
    pub(crate) fn read(&self, source: Names, name: &str, value: f64, sample: &mut GpuSample) {
        let is_first = source.names.first() == Some(&name);
        if is_first || (self.get)(sample).is_none() {
            let value = value * source.factor;
            (self.set)(sample, (value != 0.0 || !self.zero_is_absent).then_some(value));
        }
    }
}

/// The metric that a source gives under `name`.
pub(crate) fn find(source: fn(&GpuMetric) -> Names, name: &str) -> Option<&'static GpuMetric> {
    METRICS.iter().find(|metric| source(metric).names.contains(&name))
}

/// Names of the common metrics that `sample` lacks.
pub(crate) fn absent_of_common(sample: &GpuSample) -> Vec<String> {
    let absent = METRICS.iter().filter(|metric| metric.is_common && (metric.get)(sample).is_none());
    absent.map(|metric| metric.name.to_owned()).collect()
}

/// A number of a sample's field.
trait Figure: Sized {
    fn from_f64(value: f64) -> Option<Self>;
    fn to_f64(self) -> f64;
}

impl Figure for f64 {
    fn from_f64(value: f64) -> Option<Self> {
        Some(value)
    }

    fn to_f64(self) -> f64 {
        self
    }
}

impl Figure for u64 {
    fn from_f64(value: f64) -> Option<Self> {
        whole(value)
    }

    fn to_f64(self) -> f64 {
        self as f64
    }
}

/// What does not fit becomes the largest value, which the plausibility filter drops.
impl Figure for u32 {
    fn from_f64(value: f64) -> Option<Self> {
        whole(value).map(|value| Self::try_from(value).unwrap_or(Self::MAX))
    }

    fn to_f64(self) -> f64 {
        self.into()
    }
}

/// What does not fit becomes the largest value, which the plausibility filter drops.
impl Figure for i32 {
    #[expect(clippy::cast_possible_truncation, reason = "casts of floating point to integers saturate")]
    fn from_f64(value: f64) -> Option<Self> {
        value.is_finite().then(|| value.round() as Self)
    }

    fn to_f64(self) -> f64 {
        self.into()
    }
}

/// A value as a whole number, where it is one that a `u64` holds; exporters print counters as floating point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, and the fraction is below any unit that we keep"
)]
pub(crate) fn whole(value: f64) -> Option<u64> {
    (0.0..1.8e19).contains(&value).then(|| value.round() as u64)
}

macro_rules! metric {
    ($field:ident, $range:ident, $scope:ident) => {
        GpuMetric {
            name: stringify!($field),
            get: |sample| sample.$field.map(Figure::to_f64),
            set: |sample, value| sample.$field = value.and_then(Figure::from_f64),
            range: Range::$range,
            scope: Scope::$scope,
            is_common: false,
            zero_is_absent: false,
            dcgm: NO_NAMES,
            help: "",
            amd: NO_NAMES,
            smi: NO_NAMES,
            gpm: None,
            live: None,
        }
    };
}

/// Every metric of [`GpuSample`], in the order of its fields.
pub static METRICS: &[GpuMetric] = &[
    metric!(gpu_util_percent, Percent, Instance)
        .common()
        .dcgm(&["DEV_GPU_UTIL"], 1.0, "GPU utilization (in %).")
        .amd(&["gpu_gfx_activity"], 1.0)
        .smi(&["utilization.gpu", "gfx_activity", "gfx", "gfx_activity_pct"], 1.0)
        .live("util %", 1.0),
    metric!(memory_util_percent, Percent, Instance)
        .common()
        .dcgm(&["DEV_MEM_COPY_UTIL"], 1.0, "Memory utilization (in %).")
        .amd(&["gpu_umc_activity"], 1.0)
        .smi(&["utilization.memory", "umc_activity", "umc", "umc_activity_pct"], 1.0),
    metric!(memory_used_bytes, Memory, Instance)
        .common()
        .dcgm(&["DEV_FB_USED"], MIB, "Framebuffer memory used (in MiB).")
        .amd(&["gpu_used_vram"], MIB)
        .smi(&["memory.used", "used_vram", "vram_used_mib"], MIB),
    metric!(memory_reserved_bytes, Memory, Instance)
        .common()
        .dcgm(&["DEV_FB_RESERVED"], MIB, "Framebuffer memory reserved (in MiB).")
        .smi(&["memory.reserved"], MIB),
    metric!(power_average_mw, Power, Gpu)
        .common()
        .dcgm(&["DEV_POWER_USAGE", "DEV_BOARD_POWER_WATTS"], 1e3, "Power draw, averaged by the driver (in W).")
        .amd(&["gpu_average_package_power"], 1e3)
        .smi(&["power.draw", "power.draw.average", "average_socket_power"], 1e3)
        .live("avg W", 1e-3),
    metric!(power_instant_mw, Power, Gpu)
        .common()
        .dcgm(&["DEV_POWER_USAGE_INSTANT", "DEV_BOARD_POWER_RAW_WATTS"], 1e3, "Power draw at this instant (in W).")
        .amd(&["gpu_package_power", "gpu_power_usage"], 1e3)
        .smi(&["power.draw.instant", "socket_power", "socket_power_w", "current_socket_power"], 1e3)
        .live("inst W", 1e-3),
    metric!(energy_mj, Counter, Gpu)
        .common()
        .dcgm(&["DEV_TOTAL_ENERGY_CONSUMPTION"], 1.0, "Total energy consumption since the driver was loaded (in mJ).")
        .amd(&["gpu_energy_consumed"], 1e-3)
        .smi(&["total_energy_consumption"], 1e3),
    metric!(temperature_c, Celsius, Gpu)
        .common()
        .dcgm(&["DEV_GPU_TEMP", "DEV_GPU_TEMP_CELSIUS"], 1.0, "GPU temperature (in C).")
        .amd(&["gpu_junction_temperature"], 1.0)
        .smi(&["temperature.gpu", "hotspot", "temp_hotspot_c"], 1.0)
        .live("°C", 1.0),
    metric!(sm_clock_mhz, Clock, Gpu)
        .common()
        .dcgm(&["DEV_SM_CLOCK"], 1.0, "SM clock frequency (in MHz).")
        .smi(&["clocks.sm", "clocks.current.sm", "gfx_clock_mhz", "gfx_0_clk"], 1.0)
        .live("MHz", 1.0),
    metric!(memory_clock_mhz, Clock, Gpu)
        .common()
        .dcgm(&["DEV_MEM_CLOCK"], 1.0, "Memory clock frequency (in MHz).")
        .smi(&["clocks.mem", "clocks.current.memory", "mem_clock_mhz", "mem_0_clk"], 1.0),
    metric!(throttle_bits, Counter, Gpu).common().dcgm(
        &["DEV_CLOCK_THROTTLE_REASONS", "DEV_CLOCKS_EVENT_REASONS"],
        1.0,
        "Reasons for throttled clocks (bits).",
    ),
    metric!(memory_free_bytes, Memory, Instance)
        .dcgm(&["DEV_FB_FREE"], MIB, "Framebuffer memory free (in MiB).")
        .amd(&["gpu_free_vram"], MIB)
        .smi(&["memory.free", "free_vram"], MIB),
    // Cards without a sensor at their memory report 0 °C (NVIDIA/dcgm-exporter issue 460).
    metric!(memory_temperature_c, Celsius, Gpu)
        .zero_is_absent()
        .dcgm(&["DEV_MEMORY_TEMP", "DEV_MEMORY_TEMP_CELSIUS"], 1.0, "Memory temperature (in C).")
        .amd(&["gpu_memory_temperature"], 1.0)
        .smi(&["temperature.memory", "mem", "temp_mem_c"], 1.0),
    metric!(engine_active_percent, ProfiledPercent, Instance).dcgm(
        &["PROF_GR_ENGINE_ACTIVE", "PROF_GR_ENGINE_UTIL_RATIO"],
        100.0,
        "Ratio of time the graphics engine is active.",
    ),
    metric!(sm_active_percent, ProfiledPercent, Instance)
        .dcgm(&["PROF_SM_ACTIVE", "PROF_SM_UTIL_RATIO"], 100.0, "Ratio of cycles with a warp on a multiprocessor.")
        .gpm(GpmMetricId::SmUtil, 1.0)
        .live("SM %", 1.0),
    metric!(sm_occupancy_percent, ProfiledPercent, Instance)
        .dcgm(&["PROF_SM_OCCUPANCY", "PROF_SM_OCCUPANCY_RATIO"], 100.0, "Ratio of resident warps.")
        .gpm(GpmMetricId::SmOccupancy, 1.0),
    metric!(tensor_active_percent, ProfiledPercent, Instance)
        .dcgm(
            &["PROF_PIPE_TENSOR_ACTIVE", "PROF_TENSOR_UTIL_RATIO"],
            100.0,
            "Ratio of cycles with a tensor pipe active.",
        )
        .gpm(GpmMetricId::AnyTensorUtil, 1.0),
    metric!(dram_active_percent, ProfiledPercent, Instance)
        .dcgm(&["PROF_DRAM_ACTIVE", "PROF_DRAM_UTIL_RATIO"], 100.0, "Ratio of the memory's bandwidth in use.")
        .gpm(GpmMetricId::DramBwUtil, 1.0)
        .live("DRAM %", 1.0),
    metric!(pcie_rx_bytes_per_s, Rate, Gpu)
        .dcgm(&["PROF_PCIE_RX_BYTES"], 1.0, "Received over PCIe (in bytes per second).")
        .gpm(GpmMetricId::PcieRxPerSec, MIB),
    metric!(pcie_tx_bytes_per_s, Rate, Gpu)
        .dcgm(&["PROF_PCIE_TX_BYTES"], 1.0, "Sent over PCIe (in bytes per second).")
        .gpm(GpmMetricId::PcieTxPerSec, MIB),
    metric!(pcie_rx_bytes, Counter, Gpu),
    metric!(pcie_tx_bytes, Counter, Gpu),
    metric!(nvlink_rx_bytes_per_s, Rate, Gpu)
        .dcgm(&["PROF_NVLINK_RX_BYTES"], 1.0, "Received over NVLink (in bytes per second).")
        .gpm(GpmMetricId::NvlinkTotalRxPerSec, MIB),
    metric!(nvlink_tx_bytes_per_s, Rate, Gpu)
        .dcgm(&["PROF_NVLINK_TX_BYTES"], 1.0, "Sent over NVLink (in bytes per second).")
        .gpm(GpmMetricId::NvlinkTotalTxPerSec, MIB),
    metric!(nvlink_rx_bytes, Counter, Gpu),
    metric!(nvlink_tx_bytes, Counter, Gpu),
    metric!(power_violation_ns, Counter, Gpu).dcgm(
        &["DEV_POWER_VIOLATION"],
        1.0,
        "Total time throttled by the power limit (in ns).",
    ),
    metric!(thermal_violation_ns, Counter, Gpu).dcgm(
        &["DEV_THERMAL_VIOLATION"],
        1.0,
        "Total time throttled by heat (in ns).",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields of a sample that are no metrics: when, how long, which device.
    const CONTEXT: [&str; 5] = ["t_ns", "read_ns", "uuid", "power_unix_ns", "rtt_ns"];

    #[test]
    fn every_field_of_a_sample_has_one_row() {
        let mut sample = GpuSample::default();
        for metric in METRICS {
            (metric.set)(&mut sample, Some(7.0));
            assert_eq!((metric.get)(&sample), Some(7.0), "{}", metric.name);
        }
        let json = serde_json::to_value(&GpuSample { power_unix_ns: Some(7), rtt_ns: Some(7), ..sample }).unwrap();
        let fields: Vec<_> = json.as_object().unwrap().keys().filter(|key| !CONTEXT.contains(&key.as_str())).collect();
        assert_eq!(fields.len(), METRICS.len());
        for metric in METRICS {
            assert!(fields.iter().any(|field| *field == metric.name), "{}", metric.name);
        }
    }

    #[test]
    fn no_source_has_one_name_for_two_metrics() {
        for source in [|m: &GpuMetric| m.dcgm, |m: &GpuMetric| m.amd, |m: &GpuMetric| m.smi] {
            let mut names: Vec<_> = METRICS.iter().flat_map(|metric| source(metric).names).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }
}

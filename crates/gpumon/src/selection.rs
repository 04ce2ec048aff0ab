//! Which GPUs are read. Pure.
//!
//! GPUs are chosen by their ids: NVML counts them in the order of the PCI bus whatever `CUDA_VISIBLE_DEVICES` says, so a
//! number means another GPU to the engine than to us.

use records::GpuDevice;

/// Which GPUs are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Every one that is seen.
    #[default]
    All,
    /// Those whose id begins with one of these, and their parts.
    Uuids(Vec<String>),
}

impl Selection {
    /// Those whose id begins with one of `uuids`; all if there are none.
    pub fn of(uuids: &[String]) -> Self {
        if uuids.is_empty() { Self::All } else { Self::Uuids(uuids.to_vec()) }
    }

    /// Whether `device` is read.
    pub fn includes(&self, device: &GpuDevice) -> bool {
        match self {
            Self::All => true,
            Self::Uuids(chosen) => {
                let ids = [Some(&device.uuid), device.parent.as_ref()];
                ids.into_iter().flatten().any(|id| chosen.iter().any(|chosen| id.starts_with(chosen.as_str())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_chosen_by_the_beginning_of_its_id_with_its_parts() {
        let device = |uuid: &str, parent: Option<&str>| GpuDevice {
            uuid: uuid.into(),
            parent: parent.map(str::to_owned),
            ..GpuDevice::default()
        };
        let chosen = Selection::of(&["GPU-604a".to_owned()]);
        assert!(chosen.includes(&device("GPU-604ac76c", None)));
        assert!(chosen.includes(&device("MIG-1", Some("GPU-604ac76c"))));
        assert!(!chosen.includes(&device("GPU-1", None)));
        assert!(Selection::of(&[]).includes(&device("GPU-1", None)));
    }
}

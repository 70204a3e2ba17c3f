//! Where tensors live and are computed: the CPU, always, or a CUDA device where the binary was built for one.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

/// A device as named on the command line: `auto`, `cpu` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device if this binary has CUDA and the machine has such a device, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name is none of those known.
    #[error("device: found {0:?}, expected auto, cpu or cuda:N")]
    Unknown(String),
    /// CUDA was asked of a binary without CUDA.
    #[error(
        "device cuda:{0}: this binary was built without CUDA; build it with `cargo build --release --features cuda`"
    )]
    NotBuilt(usize),
    /// The machine has no CUDA device of this index.
    #[error("device cuda:{index}: this machine shows {found} CUDA devices (is the NVIDIA driver installed?)")]
    Absent {
        /// The index asked for.
        index: usize,
        /// How many devices there are.
        found: usize,
    },
}

/// A device of this machine, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceDescription {
    /// What selects it.
    pub choice: DeviceChoice,
    /// What it is.
    pub name: String,
}

impl DeviceChoice {
    /// The device itself, without automatic differentiation ([`Device::autodiff`] adds that).
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Auto => Ok(cuda_devices().into_iter().next().unwrap_or_else(Device::flex)),
            Self::Cuda(index) if !cfg!(feature = "cuda") => Err(DeviceError::NotBuilt(index)),
            Self::Cuda(index) => {
                let devices = cuda_devices();
                let found = devices.len();
                devices.into_iter().nth(index).ok_or(DeviceError::Absent { index, found })
            }
        }
    }
}

/// Every device that [`DeviceChoice::open`] can give on this machine, the one that `auto` chooses first.
pub fn devices() -> Vec<DeviceDescription> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = DeviceDescription { choice: DeviceChoice::Cpu, name: format!("CPU, {threads} threads") };
    let cuda = cuda_devices();
    let cuda = cuda.iter().enumerate().map(|(index, device)| DeviceDescription {
        choice: DeviceChoice::Cuda(index),
        name: cuda_name(device).unwrap_or_else(|| "CUDA device".to_owned()),
    });
    cuda.chain([cpu]).collect()
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> Vec<Device> {
    // Empty, not a panic, on a machine without the driver.
    Device::enumerate(burn::tensor::DeviceType::Cuda).iter().cloned().collect()
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> Vec<Device> {
    Vec::new()
}

#[cfg(feature = "cuda")]
fn cuda_name(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(feature = "cuda"))]
fn cuda_name(_: &Device) -> Option<String> {
    None
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_round_trip() {
        for choice in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda(0), DeviceChoice::Cuda(11)] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert_eq!(wrong.parse::<DeviceChoice>(), Err(DeviceError::Unknown(wrong.to_owned())));
        }
    }

    #[test]
    fn the_cpu_is_always_there() {
        assert_eq!(DeviceChoice::Cpu.open().unwrap(), Device::flex());
        assert_eq!(devices().last().unwrap().choice, DeviceChoice::Cpu);
        assert_eq!(devices()[0].choice.open(), DeviceChoice::Auto.open());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_without_cuda_says_how_to_build_it() {
        assert_eq!(DeviceChoice::Cuda(3).open(), Err(DeviceError::NotBuilt(3)));
        assert!(DeviceError::NotBuilt(3).to_string().contains("--features cuda"));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The kernel's command line.

use linux_loader::cmdline::Cmdline;

use crate::exit::VmmError;
use crate::machine::layout;

/// What every machine says to its kernel: console (the only serial port), warnings only, since each byte there is an exit; reset
/// by the keyboard controller, reset at once after a panic.
const BASE: &str = "console=ttyS0 8250.nr_uarts=1 quiet reboot=k panic=-1";

/// How the guest starts if there is a disk: the first one is the root, and holds our init beside the image's files.
const ROOT: &str = "root=/dev/vda rootfstype=erofs ro init=/.nexus/init";

/// Builds the command line for `disks` disks and `devices` virtio-mmio devices in all; `extra` comes last, so that it wins.
///
/// # Errors
/// [`VmmError::BadConfiguration`] if it gets longer than a kernel takes, or `extra` holds something other than printable ASCII.
pub fn build(disks: usize, devices: usize, extra: &str) -> Result<Cmdline, VmmError> {
    let bad = |e: linux_loader::cmdline::Error| {
        VmmError::BadConfiguration(format!(
            "--cmdline: {e}; at most {} bytes of printable ASCII fit in all",
            layout::COMMAND_LINE_MAX
        ))
    };
    let mut line = Cmdline::new(layout::COMMAND_LINE_MAX).map_err(bad)?;
    line.insert_str(BASE).map_err(bad)?;
    for index in 0..devices {
        let address = layout::virtio_address(index);
        let gsi = layout::virtio_gsi(index);
        line.insert_str(format!("virtio_mmio.device=4K@{address:#x}:{gsi}"))
            .map_err(bad)?;
    }
    if disks > 0 {
        line.insert_str(ROOT).map_err(bad)?;
    }
    if !extra.is_empty() {
        line.insert_str(extra).map_err(bad)?;
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(
        disks: usize,
        devices: usize,
        extra: &str,
    ) -> Result<String, Box<dyn std::error::Error>> {
        Ok(build(disks, devices, extra)?.as_cstring()?.into_string()?)
    }

    #[test]
    fn devices_are_announced_in_order() -> Result<(), Box<dyn std::error::Error>> {
        let line = text(1, 2, "quiet")?;
        assert!(
            line.contains("virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6")
        );
        assert!(line.ends_with("init=/.nexus/init quiet"));
        Ok(())
    }

    #[test]
    fn no_disk_means_no_root() -> Result<(), Box<dyn std::error::Error>> {
        assert!(!text(0, 1, "")?.contains("root="));
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for extra in ["x".repeat(layout::COMMAND_LINE_MAX), "bad\nline".into()] {
            assert!(matches!(
                build(1, 1, &extra),
                Err(VmmError::BadConfiguration(_))
            ));
        }
    }
}

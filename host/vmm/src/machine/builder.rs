// SPDX-License-Identifier: Apache-2.0
//! Puts a machine together.
//!
//! The order of KVM's ioctls is deliberate: every memslot before the interrupt controllers, the vCPUs and the ioeventfds.
//! The latter start grace periods inside KVM, and a memslot change waits for them, some milliseconds each time.

use std::path::Path;
use std::sync::{Arc, Mutex};

use kvm_bindings::{KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, VcpuFd, VmFd};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::bus::Bus;
use super::{Inherited, layout};
use crate::boot::{cmdline, mptable, pvh};
use crate::cli::MachineConfig;
use crate::device::block::{Disk, DiskWorker};
use crate::device::nexus::{NexusDevice, QUEUES};
use crate::device::serial::SerialPort;
use crate::device::transport::{RegisterPages, Transport, register};
use crate::device::{Lines, VirtioDevice};
use crate::exit::VmmError;
use crate::memory::{GuestRam, Memory};
use crate::vcpu::counters::Counters;
use crate::vcpu::{cpuid, registers};

/// What KVM must be able to do.
const NEEDED: [(Cap, &str); 8] = [
    (
        Cap::Irqchip,
        "in-kernel interrupt controllers (KVM_CAP_IRQCHIP)",
    ),
    (Cap::Ioeventfd, "ioeventfd (KVM_CAP_IOEVENTFD)"),
    (Cap::Irqfd, "irqfd (KVM_CAP_IRQFD)"),
    (Cap::UserMemory, "memory slots (KVM_CAP_USER_MEMORY)"),
    (
        Cap::ReadonlyMem,
        "read-only memory slots (KVM_CAP_READONLY_MEM)",
    ),
    (
        Cap::SetTssAddr,
        "a task state segment of our choice (KVM_CAP_SET_TSS_ADDR)",
    ),
    (Cap::ExtCpuid, "CPUID (KVM_CAP_EXT_CPUID)"),
    (Cap::AdjustClock, "kvm-clock (KVM_CAP_ADJUST_CLOCK)"),
];

/// A machine that is ready to run.
pub(crate) struct Built {
    /// Keeps the virtual machine; the vCPUs would do so as well.
    pub(crate) vm: VmFd,
    pub(crate) vcpus: Vec<VcpuFd>,
    pub(crate) ram: GuestRam,
    pub(crate) bus: Arc<Bus>,
    pub(crate) disks: Vec<Arc<DiskWorker>>,
    /// Kept open for KVM, which holds them by number only while they are registered.
    pub(crate) lines: Vec<Lines>,
}

/// Opens KVM and checks that it can do what a machine needs.
pub(crate) fn open_kvm() -> Result<Kvm, VmmError> {
    let kvm = Kvm::new().map_err(|error| {
        let kind = std::io::Error::from_raw_os_error(error.errno()).kind();
        match kind {
            std::io::ErrorKind::NotFound => VmmError::NoKvm,
            std::io::ErrorKind::PermissionDenied => VmmError::NoPermission,
            _ if error.errno() == libc::ENXIO || error.errno() == libc::ENODEV => VmmError::NoKvm,
            _ => VmmError::Kvm {
                what: "open /dev/kvm",
                error,
            },
        }
    })?;
    for (capability, name) in NEEDED {
        if !kvm.check_extension(capability) {
            return Err(VmmError::KvmLacks(name.into()));
        }
    }
    Ok(kvm)
}

/// Builds the machine that `config` describes.
pub(crate) fn build(config: &MachineConfig, inherited: Inherited) -> Result<Built, VmmError> {
    let kvm = open_kvm()?;
    let ram = GuestRam::new(config.memory)?;
    let entry = load_guest(&ram, config, inherited.backend.is_some())?;

    let (lines, names) = plan_devices(config, inherited.backend.is_some())?;
    let pages = RegisterPages::new(lines.len())?;
    let (devices, disks) = open_devices(config, &ram.memory, inherited.backend, &lines)?;
    let transports = devices
        .into_iter()
        .zip(&names)
        .enumerate()
        .map(|(index, (device, name))| {
            Mutex::new(Transport::new(name.clone(), pages.page(index), device))
        })
        .collect();

    let vm = kvm
        .create_vm()
        .map_err(VmmError::kvm("create a virtual machine"))?;
    add_memslots(&vm, &ram.memory, &pages)?;
    vm.set_identity_map_address(layout::KVM_IDENTITY_MAP)
        .map_err(VmmError::kvm("place the identity map"))?;
    let tss = usize::try_from(layout::KVM_TSS).unwrap_or(0);
    vm.set_tss_address(tss)
        .map_err(VmmError::kvm("place the task state segment"))?;
    vm.create_irq_chip()
        .map_err(VmmError::kvm("create the interrupt controllers"))?;
    let vcpus = create_vcpus(&kvm, &vm, config.cpus, entry)?;
    let serial_interrupt = wire(&vm, &lines)?;

    let bus = Arc::new(Bus {
        serial: Mutex::new(SerialPort::new(serial_interrupt, inherited.serial)),
        virtio: transports,
        counters: Arc::new(Counters::new(names)),
    });
    Ok(Built {
        vm,
        vcpus,
        ram,
        bus,
        disks,
        lines,
    })
}

/// Puts into memory what the guest starts from. Returns the kernel's entry point.
fn load_guest(ram: &GuestRam, config: &MachineConfig, nexus: bool) -> Result<u64, VmmError> {
    let entry = pvh::load_kernel(ram, Path::new(&config.kernel))?;
    let devices = config.disks.len() + usize::from(nexus);
    let line = cmdline::build(config.disks.len(), devices, &config.cmdline)?;
    pvh::write_start_info(ram, &line)?;
    mptable::write(&ram.memory, config.cpus)?;
    Ok(entry)
}

/// Event file descriptors and names of all virtio-mmio devices: disks first, as the root is the first of all.
fn plan_devices(
    config: &MachineConfig,
    nexus: bool,
) -> Result<(Vec<Lines>, Vec<String>), VmmError> {
    let count = config.disks.len() + usize::from(nexus);
    if count > layout::VIRTIO_MAX {
        return Err(VmmError::BadConfiguration(format!(
            "{count} devices: at most {} fit",
            layout::VIRTIO_MAX
        )));
    }
    let lines = (0..count)
        .map(|index| {
            Lines::new(if index < config.disks.len() {
                1
            } else {
                QUEUES
            })
        })
        .collect::<Result<_, _>>()
        .map_err(VmmError::system("create an eventfd"))?;
    let names = (0..config.disks.len())
        .map(|index| format!("disk{index}"))
        .chain(nexus.then(|| "nexus".into()))
        .collect();
    Ok((lines, names))
}

type Devices = (Vec<Box<dyn VirtioDevice>>, Vec<Arc<DiskWorker>>);

fn open_devices(
    config: &MachineConfig,
    memory: &Memory,
    backend: Option<std::os::unix::net::UnixStream>,
    lines: &[Lines],
) -> Result<Devices, VmmError> {
    let duplicate = |event: &EventFd| {
        event
            .try_clone()
            .map_err(VmmError::system("duplicate an eventfd"))
    };
    let mut devices: Vec<Box<dyn VirtioDevice>> = Vec::new();
    let mut disks = Vec::new();
    for (index, (path, lines)) in config.disks.iter().zip(lines).enumerate() {
        let interrupt = duplicate(&lines.interrupt)?;
        let kick = duplicate(&lines.kicks[0])?;
        let (disk, worker) = Disk::open(path, index, memory, interrupt, kick)?;
        devices.push(Box::new(disk));
        disks.push(worker);
    }
    if let (Some(stream), Some(lines)) = (backend, lines.last()) {
        let interrupt = duplicate(&lines.interrupt)?;
        let kicks = lines
            .kicks
            .iter()
            .map(duplicate)
            .collect::<Result<_, _>>()?;
        devices.push(Box::new(NexusDevice::connect(
            stream, memory, interrupt, kicks,
        )?));
    }
    Ok((devices, disks))
}

/// Guest memory, and the register pages that the guest can only read.
fn add_memslots(vm: &VmFd, memory: &Memory, pages: &RegisterPages) -> Result<(), VmmError> {
    let ram = memory.iter().map(|region| kvm_userspace_memory_region {
        guest_phys_addr: region.start_addr().0,
        memory_size: region.len(),
        userspace_addr: region.as_ptr() as u64,
        ..Default::default()
    });
    let registers = kvm_userspace_memory_region {
        flags: KVM_MEM_READONLY,
        guest_phys_addr: layout::VIRTIO_BASE,
        memory_size: pages.size(),
        userspace_addr: pages.host_address(),
        ..Default::default()
    };
    for (slot, region) in (0..).zip(ram.chain([registers])) {
        let region = kvm_userspace_memory_region { slot, ..region };
        // SAFETY: the region is one mapping of this process as a whole. The mappings live in the machine's `GuestRam` and
        // transports, which are dropped after the vCPUs; nothing but volatile accesses and system calls goes to them.
        unsafe { vm.set_user_memory_region(region) }.map_err(VmmError::kvm("add a memory slot"))?;
    }
    Ok(())
}

fn create_vcpus(kvm: &Kvm, vm: &VmFd, count: u8, entry: u64) -> Result<Vec<VcpuFd>, VmmError> {
    let supported = cpuid::supported(kvm)?;
    let mut vcpus = Vec::new();
    for id in 0..count {
        let vcpu = vm
            .create_vcpu(u64::from(id))
            .map_err(VmmError::kvm("create a vCPU"))?;
        vcpu.set_cpuid2(&cpuid::of_vcpu(&supported, id, count))
            .map_err(VmmError::kvm("set the CPU's features"))?;
        registers::set_up_common(&vcpu)?;
        if id == 0 {
            registers::set_up_boot(&vcpu, entry)?;
        }
        vcpus.push(vcpu);
    }
    Ok(vcpus)
}

/// Registers every ioeventfd and irqfd. Returns the serial console's interrupt line.
fn wire(vm: &VmFd, lines: &[Lines]) -> Result<EventFd, VmmError> {
    let irqfd = |event: &EventFd, gsi| {
        vm.register_irqfd(event, gsi)
            .map_err(VmmError::kvm("register an irqfd"))
    };
    let serial =
        EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).map_err(VmmError::system("create an eventfd"))?;
    irqfd(&serial, layout::SERIAL_GSI)?;
    for (index, lines) in lines.iter().enumerate() {
        irqfd(&lines.interrupt, layout::virtio_gsi(index))?;
        let ioeventfd = |event: &EventFd, offset: usize, value: u32| {
            let address = layout::virtio_address(index) + offset as u64;
            vm.register_ioevent(event, &IoEventAddress::Mmio(address), value)
                .map_err(VmmError::kvm("register an ioeventfd"))
        };
        for (queue, kick) in (0..).zip(&lines.kicks) {
            ioeventfd(kick, register::QUEUE_NOTIFY, queue)?;
        }
        ioeventfd(
            &lines.acknowledge,
            register::INTERRUPT_ACKNOWLEDGE,
            register::INTERRUPT_USED_BUFFER,
        )?;
    }
    Ok(serial)
}

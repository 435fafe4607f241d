// SPDX-License-Identifier: Apache-2.0
//! The I/O APIC's messages, as KVM's routing table has them: an irqfd of a line sends the line's message.

use std::io;
use std::sync::Arc;

use kvm_bindings::{
    KVM_CAP_SPLIT_IRQCHIP, KVM_IRQ_ROUTING_MSI, KvmIrqRouting, kvm_enable_cap,
    kvm_irq_routing_entry,
};
use kvm_ioctls::VmFd;

use super::layout::IO_APIC_PINS;
use crate::device::io_apic::{Message, Router, Routes};
use crate::exit::VmmError;

/// Has KVM keep the local APICs, and leave the I/O APIC to this process.
pub(super) fn split_irqchip(vm: &VmFd) -> Result<(), VmmError> {
    let capability = kvm_enable_cap {
        cap: KVM_CAP_SPLIT_IRQCHIP,
        args: [IO_APIC_PINS.into(), 0, 0, 0],
        ..Default::default()
    };
    vm.enable_cap(&capability)
        .map_err(VmmError::kvm("create the interrupt controllers"))
}

/// Tells KVM each change of the messages.
pub(super) fn router(vm: Arc<VmFd>) -> Router {
    Box::new(move |routes| {
        let entries: Vec<_> = entries(routes).collect();
        let table = KvmIrqRouting::from_entries(&entries)
            .map_err(|error| io::Error::other(format!("routing table: {error:?}")))?;
        vm.set_gsi_routing(&table)?;
        Ok(())
    })
}

fn entries(routes: &Routes) -> impl Iterator<Item = kvm_irq_routing_entry> {
    (0..)
        .zip(routes)
        .filter_map(|(gsi, route)| route.map(|message| entry(gsi, message)))
}

fn entry(gsi: u32, message: Message) -> kvm_irq_routing_entry {
    let mut entry = kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_MSI,
        ..Default::default()
    };
    entry.u.msi.address_lo = message.address;
    entry.u.msi.data = message.data;
    entry
}

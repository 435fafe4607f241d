// SPDX-License-Identifier: Apache-2.0
//! What the guest's CPUs say about themselves: all that KVM supports, with the identity of each vCPU filled in.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::{Cap, Kvm};

use crate::exit::VmmError;

const LEAF_FEATURES: u32 = 1;
const LEAF_TOPOLOGY: u32 = 0xb;
const LEAF_TOPOLOGY_V2: u32 = 0x1f;
const ECX_TSC_DEADLINE: u32 = 1 << 24;
const ECX_HYPERVISOR: u32 = 1 << 31;

/// What KVM supports on this host, with the TSC deadline timer if its local APIC has one.
pub(crate) fn supported(kvm: &Kvm) -> Result<CpuId, VmmError> {
    let mut cpuid = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(VmmError::kvm("tell the CPU's features"))?;
    let deadline = kvm.check_extension(Cap::TscDeadlineTimer);
    for entry in cpuid.as_mut_slice() {
        if entry.function == LEAF_FEATURES {
            entry.ecx |= ECX_HYPERVISOR;
            if deadline {
                entry.ecx |= ECX_TSC_DEADLINE;
            }
        }
    }
    Ok(cpuid)
}

/// `supported` as vCPU `id` of `count` shows it.
pub(crate) fn of_vcpu(supported: &CpuId, id: u8, count: u8) -> CpuId {
    let mut cpuid = supported.clone();
    for entry in cpuid.as_mut_slice() {
        match entry.function {
            // EBX: local APIC id, and how many logical CPUs the package has.
            LEAF_FEATURES => {
                entry.ebx = (entry.ebx & 0xffff) | u32::from(id) << 24 | u32::from(count) << 16;
            }
            LEAF_TOPOLOGY | LEAF_TOPOLOGY_V2 => entry.edx = u32::from(id),
            _ => {}
        }
    }
    cpuid
}

#[cfg(test)]
mod tests {
    use kvm_bindings::kvm_cpuid_entry2;

    use super::*;

    #[test]
    fn each_vcpu_has_its_id() -> Result<(), Box<dyn std::error::Error>> {
        let entries = [LEAF_FEATURES, LEAF_TOPOLOGY, 7].map(|function| kvm_cpuid_entry2 {
            function,
            ebx: 0x1234_5678,
            edx: 9,
            ..Default::default()
        });
        let supported = CpuId::from_entries(&entries).map_err(|e| format!("{e:?}"))?;
        let cpuid = of_vcpu(&supported, 3, 4);
        let [features, topology, other] = cpuid.as_slice() else {
            return Err("entries lost".into());
        };
        assert_eq!(features.ebx, 0x0304_5678);
        assert_eq!(topology.edx, 3);
        assert_eq!((other.ebx, other.edx), (0x1234_5678, 9));
        Ok(())
    }
}

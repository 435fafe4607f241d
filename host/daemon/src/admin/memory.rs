// SPDX-License-Identifier: Apache-2.0
//! The memory of a process, from `/proc/PID/smaps_rollup` (proc(5)).

use serde::Serialize;

/// Memory of a process, in KiB.
#[expect(
    clippy::struct_field_names,
    reason = "the unit belongs to the names, which the API shows"
)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Memory {
    /// All that is resident.
    rss_kib: u64,
    /// Its share of what it shares with others.
    pss_kib: u64,
    /// What is resident and its own: freed when it ends.
    private_kib: u64,
}

/// None if the process is gone or belongs to someone else.
pub(super) fn of_process(pid: u32) -> Option<Memory> {
    std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .ok()
        .map(|text| parse(&text))
}

fn parse(text: &str) -> Memory {
    let mut memory = Memory::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(kib) = value.parse::<u64>() else {
            continue;
        };
        match key {
            "Rss:" => memory.rss_kib = kib,
            "Pss:" => memory.pss_kib = kib,
            "Private_Clean:" | "Private_Dirty:" => memory.private_kib += kib,
            _ => {}
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::{Memory, of_process, parse};

    #[test]
    fn the_kernels_table() {
        let text = "55d0c8400000-7ffe2b1fe000 ---p 00000000 00:00 0    [rollup]\nRss:    2340 kB\nPss:     700 kB\n\
                    Pss_Dirty:    90 kB\nShared_Clean:   2000 kB\nPrivate_Clean:    240 kB\nPrivate_Dirty:    100 kB\n";
        assert_eq!(
            parse(text),
            Memory {
                rss_kib: 2340,
                pss_kib: 700,
                private_kib: 340
            }
        );
    }

    #[test]
    fn this_process_has_memory_and_a_missing_one_has_none() {
        let own = of_process(std::process::id()).expect("this process");
        assert!(own.private_kib > 0 && own.rss_kib >= own.private_kib);
        assert_eq!(of_process(u32::MAX), None);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Both tables.

use super::guest;
use super::language::Language;
use super::outside::{Cost, Figure};

/// A size as people say it.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..=0xf_ffff => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Processes of this machine.
pub(super) fn outside(language: &Language, figures: &[Figure]) {
    println!(
        "\n{} outside of VMs: instructions in user space, processor time, private memory, for calls the memory that one more uses; what starts is over a program that does nothing\n",
        language.name
    );
    println!(
        "{:<18} {:>35}   {:>35} {:>10}  goal",
        "", "SDK over TLS", "shim", "nexusd"
    );
    for figure in figures {
        println!(
            "{:<18} {}   {} {:>10}  {}",
            figure.what,
            cost(&figure.sdk),
            cost(&figure.shim),
            time(figure.shim.backend_ns),
            goal(figure),
        );
    }
}

/// Calls in a guest.
pub(super) fn guest(language: &Language, figures: &[guest::Figure]) {
    let name = language.name;
    println!("\n{name} in a guest: instructions of everything that a call causes on the machine\n");
    let names = guest::WAYS.map(|way| format!("{:>14}", way.name)).join("");
    println!(
        "{:<18}{names}   {:<16}   of the shim's: VM, nexusd",
        "", "shim of SDK, TLS"
    );
    for figure in figures {
        let [tls, _, shim] = figure.costs;
        let columns = figure
            .costs
            .map(|cost| format!("{:>14}", millions(cost.all)))
            .join("");
        println!(
            "{:<18}{columns}   {:<16} {:>12} {:>12}",
            figure.what,
            ratio(shim.all, tls.all),
            millions(shim.vm),
            millions(shim.nexusd),
        );
    }
}

fn cost(cost: &Cost) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let mib = cost.memory_kib as f64 / 1024.0;
    let (instructions, time) = (millions(cost.instructions), time(cost.cpu_ns));
    format!("{instructions:>12} {time:>11} {mib:>6.2} MiB")
}

fn goal(figure: &Figure) -> String {
    figure.goal.map_or_else(String::new, |goal| {
        let met = if figure.shim.instructions <= goal {
            "met"
        } else {
            "MISSED"
        };
        format!("<= {}, {met}", millions(goal))
    })
}

/// A count as people read it.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn millions(count: u64) -> String {
    format!("{:.3} M", count as f64 / 1e6)
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn time(nanoseconds: u64) -> String {
    let microseconds = nanoseconds as f64 / 1e3;
    if microseconds < 10_000.0 {
        format!("{microseconds:.0} us")
    } else {
        format!("{:.1} ms", microseconds / 1e3)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn ratio(one: u64, other: u64) -> String {
    format!("{:.1} %", one as f64 * 100.0 / other as f64)
}

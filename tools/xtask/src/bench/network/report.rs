// SPDX-License-Identifier: Apache-2.0
//! The results for people: tables, a bar for each figure, and whether targets are met.

use super::{Cost, Costs, Results};

/// What is compared: its name, how it is found, and the most that it may be of a virtio-net's.
pub(super) type Figure = (&'static str, fn(&Costs) -> &Cost, f64);

pub(super) const FIGURES: [Figure; 3] = [
    ("out, per byte", |costs| &costs.out_of_guest, 1.0 / 2.0),
    ("in, per byte", |costs| &costs.into_guest, 1.0 / 2.0),
    ("round trip", |costs| &costs.round_trip, 1.0 / 3.0),
];

/// Prints all of it.
pub(super) fn print(results: &Results) {
    table(results);
    happenings(results);
    println!();
    for figure in FIGURES {
        compare(results, figure);
    }
}

fn table(results: &Results) {
    println!(
        "\n{:<12} {:>14} {:>14} {:>18}",
        "system", "out, per byte", "in, per byte", "round trip"
    );
    for costs in results.all() {
        println!(
            "{:<12} {:>14.2} {:>14.2} {:>18.0}",
            costs.system, costs.out_of_guest.time, costs.into_guest.time, costs.round_trip.time
        );
    }
}

/// What happened meanwhile: for a MiB out, for a MiB in, for a round trip.
fn happenings(results: &Results) {
    println!(
        "\n{:<31} {:>22} {:>22} {:>22}",
        "for a MiB out, a MiB in, a trip", "switches", "exits", "interrupts"
    );
    for costs in results.all() {
        let of = |what: fn(&Cost) -> f64| {
            let [out, into, trip] = FIGURES.map(|(_, cost, _)| what(cost(costs)));
            format!("{out:.1} {into:.1} {trip:.1}")
        };
        println!(
            "{:<31} {:>22} {:>22} {:>22}",
            costs.system,
            of(|cost| cost.switches),
            of(|cost| cost.exits),
            of(|cost| cost.interrupts)
        );
    }
}

fn compare(results: &Results, (what, cost, limit): Figure) {
    let of = |costs: &Costs| cost(costs).time;
    println!("{what}, target <= {limit:.2}:");
    for other in &results.virtio_net {
        let ratio = of(&results.nexus) / of(other);
        let verdict = if ratio <= limit { "met" } else { "MISSED" };
        let floor = of(&results.process);
        let beyond = (of(&results.nexus) - floor) / (of(other) - floor);
        println!(
            "  {ratio:.2} of {}'s, {verdict}; of what it adds to no VM: {beyond:.2}",
            other.system
        );
    }
    let all = results.all();
    let most = all.into_iter().map(of).fold(0.0, f64::max);
    for costs in all {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a bar of at most 50 characters"
        )]
        let length = (of(costs) / most * 50.0).round() as usize;
        println!("  {:<12} {}", costs.system, "#".repeat(length));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The results as a picture: each system beside virtio-net with vhost, and how far Nexus is to go.

use std::path::Path;

use anyhow::{Context, Result};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::Results;
use super::report::{FIGURES, Figure};

/// Pixels.
const SIZE: (u32, u32) = (760, 340);
/// Width of a bar, of the unit that each figure has.
const BAR: f64 = 0.16;
/// Room before the first bar of a figure.
const GAP: f64 = 0.1;
const COLOURS: [RGBColor; 5] = [
    RGBColor(0x1f, 0x6f, 0xb4),
    RGBColor(0x8a, 0x8a, 0x8a),
    RGBColor(0xb8, 0xb8, 0xb8),
    RGBColor(0xc8, 0x9b, 0x3c),
    RGBColor(0x5a, 0x9e, 0x6f),
];

/// A chart on an SVG picture.
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws a bar for each system and figure, and a line for each target.
///
/// # Errors
/// If the picture cannot be written.
pub(super) fn draw(results: &Results, path: &Path) -> Result<()> {
    picture(results, path).with_context(|| format!("cannot draw {}", path.display()))
}

fn picture(results: &Results, path: &Path) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let most = FIGURES.iter().flat_map(|figure| ratios(results, figure));
    // With room for the legend.
    let most = most.fold(1.0, f64::max) * 1.3;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "cost beside virtio-net's with vhost; red: the most that Nexus is to need",
            ("sans-serif", 16),
        )
        .margin(12)
        .x_label_area_size(24)
        .y_label_area_size(40)
        .build_cartesian_2d(0.0..3.0, 0.0..most)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_max_light_lines(0)
        .draw()?;
    for (number, figure) in (0_u8..).zip(&FIGURES) {
        group(&mut chart, f64::from(number), results, figure)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

/// What each system needs, of what virtio-net with vhost needs.
fn ratios(results: &Results, (_, cost, _): &Figure) -> [f64; 5] {
    let [vhost, _] = &results.virtio_net;
    results
        .all()
        .map(|costs| cost(costs).time / cost(vhost).time)
}

/// The bars of one figure, from `left` on.
fn group(chart: &mut Chart<'_>, left: f64, results: &Results, figure: &Figure) -> Result<()> {
    let (what, _, limit) = figure;
    let mut from = left + GAP;
    for ((costs, ratio), colour) in results
        .all()
        .into_iter()
        .zip(ratios(results, figure))
        .zip(COLOURS)
    {
        let bar = Rectangle::new([(from, 0.0), (from + BAR, ratio)], colour.filled());
        let series = chart.draw_series([bar])?;
        if left == 0.0 {
            series.label(costs.system).legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled())
            });
        }
        let above = (from + BAR / 4.0, ratio + 0.08);
        let number = Text::new(format!("{ratio:.2}"), above, ("sans-serif", 13));
        chart.draw_series([number])?;
        from += BAR;
    }
    let target = PathElement::new(
        [(left + GAP, *limit), (left + GAP + BAR, *limit)],
        RED.stroke_width(3),
    );
    chart.draw_series([target])?;
    let name = Text::new((*what).to_owned(), (left + 0.35, -0.02), ("sans-serif", 14));
    chart.plotting_area().draw(&name)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::network::{Cost, Costs};

    #[test]
    fn every_system_and_its_ratios_are_in_the_picture() {
        let cost = |time| Cost {
            time,
            switches: 0.0,
            exits: 0.0,
            interrupts: 0.0,
        };
        let costs = |system, out, into, trip| Costs {
            system,
            out_of_guest: cost(out),
            into_guest: cost(into),
            round_trip: cost(trip),
        };
        let results = Results {
            nexus: costs("nexus", 1.0, 3.0, 50_000.0),
            virtio_net: [
                costs("vhost-net", 2.0, 4.0, 100_000.0),
                costs("virtio-net", 2.6, 4.4, 130_000.0),
            ],
            vsock: costs("vhost-vsock", 3.0, 3.8, 120_000.0),
            process: costs("no VM", 0.5, 0.5, 20_000.0),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.svg");
        draw(&results, &path).unwrap();
        let picture = std::fs::read_to_string(&path).unwrap();
        for text in [
            "nexus",
            "vhost-net",
            "virtio-net",
            "no VM",
            "vhost-vsock",
            "round trip",
            "0.50",
            "0.75",
            "1.20",
            "0.20",
        ] {
            assert!(picture.contains(text), "{text} is missing in {picture}");
        }
    }
}

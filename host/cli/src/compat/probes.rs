// SPDX-License-Identifier: Apache-2.0
//! What `nexus-probe` printed in a guest: scripts of socket calls, and what became of each call.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a line of the probes begins with; whatever else is on a console is passed over.
const MARK: &str = "nexus-probe: ";

#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    calls: Vec<String>,
    outcomes: Vec<String>,
}

/// A script that was played: its calls, each with its outcome.
pub(crate) type Script = Vec<(String, String)>;

/// Reads the scripts, by name, out of what a guest printed.
pub(crate) fn parse(text: &str) -> BTreeMap<String, Script> {
    let lines = text.lines().filter_map(|line| {
        let (_, json) = line.split_once(MARK)?;
        serde_json::from_str::<Line>(json).ok()
    });
    lines
        .map(|line| {
            (
                line.name,
                line.calls.into_iter().zip(line.outcomes).collect(),
            )
        })
        .collect()
}

/// The first call of each script that went differently: its name, and both outcomes if both guests came to it.
pub(crate) fn differences<'a>(
    stock: &'a BTreeMap<String, Script>,
    nexus: &'a BTreeMap<String, Script>,
) -> impl Iterator<Item = (String, Option<String>, Option<String>)> + 'a {
    let stock_alone = stock.keys().filter(|name| !nexus.contains_key(*name));
    let nexus_alone = nexus.keys().filter(|name| !stock.contains_key(*name));
    let played = |name: &String| (name.clone(), Some("played".to_owned()), None);
    let missing = stock_alone.map(played).chain(nexus_alone.map(move |name| {
        let (name, here, there) = played(name);
        (name, there, here)
    }));
    let differing = stock.iter().filter_map(|(name, there)| {
        let here = nexus.get(name)?;
        let (at, (there, here)) = there
            .iter()
            .zip(here)
            .enumerate()
            .find(|(_, (there, here))| there != here)?;
        let what = format!("{name}, call {at}: {}", there.0);
        Some((what, Some(there.1.clone()), Some(here.1.clone())))
    });
    differing.chain(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_call_of_a_script_is_named() {
        let line = |name: &str, outcome: &str| {
            format!(
                "[    0.1] nexus-probe: {{\"name\":\"{name}\",\"calls\":[\"Socket\",\"Listen\"],\"outcomes\":[\"Done\",\"{outcome}\"]}}\n"
            )
        };
        let stock = format!("noise\n{}{}", line("same", "Done"), line("other", "Done"));
        let nexus = format!("{}{}", line("same", "Done"), line("other", "Failed(22)"));
        let (stock, nexus) = (parse(&stock), parse(&nexus));
        let found: Vec<_> = differences(&stock, &nexus).collect();
        let expected = (
            "other, call 1: Listen".to_owned(),
            Some("Done".to_owned()),
            Some("Failed(22)".to_owned()),
        );
        assert_eq!(found, [expected]);
        let one_less = parse(&line("same", "Done"));
        let found: Vec<_> = differences(&one_less, &nexus).collect();
        assert_eq!(
            found,
            [("other".to_owned(), None, Some("played".to_owned()))]
        );
    }
}

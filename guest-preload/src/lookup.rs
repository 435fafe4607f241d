// SPDX-License-Identifier: Apache-2.0
//! From a name to addresses: `/etc/hosts`, localhost, DNS; the first that knows the name answers.

use crate::address::{Address, Addresses, Family, Name};
use crate::dns::{self, message::Outcome};
use crate::hosts;

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// The name does not exist.
    NoName,
    /// The name has no addresses of the families asked for.
    NoData,
    /// The server cannot say now.
    TryAgain,
    /// The server refuses to say.
    Refused,
}

/// The addresses of a name, and its canonical name.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) addresses: Addresses,
    pub(crate) canonical: Name,
}

/// Looks a name up. The addresses come in the order of `families`.
pub(crate) fn lookup(name: &Name, families: &[Family]) -> Result<Found, LookupError> {
    let mut found = Found {
        addresses: Addresses::default(),
        canonical: *name,
    };
    let mut of_hosts = Addresses::default();
    hosts::lookup(name, &mut of_hosts, &mut found.canonical);
    for family in families {
        let listed = of_hosts.as_slice().iter();
        let fitting = listed.filter(|address| address.family == *family);
        fitting.for_each(|address| found.addresses.push(*address));
    }
    if !found.addresses.is_empty() {
        return Ok(found);
    }
    if name.is_localhost() {
        for family in families {
            found.addresses.push(Address::loopback(*family));
        }
        return Ok(found);
    }
    let outcome = dns::lookup(name, families, &mut found.addresses, &mut found.canonical);
    if !found.addresses.is_empty() {
        return Ok(found);
    }
    Err(match outcome {
        Some(Outcome::NoName) => LookupError::NoName,
        Some(Outcome::Exists) => LookupError::NoData,
        Some(Outcome::Refused) => LookupError::Refused,
        Some(Outcome::TryAgain) | None => LookupError::TryAgain,
    })
}

// SPDX-License-Identifier: Apache-2.0
//! The exchange with nexusd: the queries of a lookup together on one connection.

use super::message::{self, MAX_QUERY, Outcome};
use crate::address::{Addresses, Family, Name};
use crate::libc::Allocation;
use crate::sys::Connection;

/// The guest's resolver, the address that libc's own resolver has in `/etc/resolv.conf`.
const SERVER: [u8; 4] = [169, 254, 170, 2];
const PORT: u16 = 53;
/// Longest message that TCP can carry.
const MAX_MESSAGE: usize = u16::MAX as usize;

/// Adds the addresses of a name, the families in the order given. `None` if the server cannot be asked.
pub(crate) fn lookup(
    name: &Name,
    families: &[Family],
    addresses: &mut Addresses,
    canonical: &mut Name,
) -> Option<Outcome> {
    let connection = Connection::open(SERVER, PORT)?;
    for (id, family) in (1..).zip(families) {
        send_query(&connection, id, name, *family)?;
    }
    let mut buffer = Allocation::new(MAX_MESSAGE)?;
    let mut total = Outcome::NoName;
    // RFC 7766 lets a server answer out of order, but nexusd does not, and a wrong id is an error.
    for (id, family) in (1..).zip(families) {
        let message = receive(&connection, buffer.as_mut_slice())?;
        let mut of_family = Name::default();
        let outcome =
            message::read_response(message, id, name, *family, addresses, &mut of_family)?;
        // A family without addresses may have no alias to follow either.
        if outcome == Outcome::Exists && !of_family.matches(name.as_bytes()) {
            *canonical = of_family;
        }
        total = combine(total, outcome);
    }
    Some(total)
}

/// One family's trouble is the name's, unless the other family says more.
fn combine(a: Outcome, b: Outcome) -> Outcome {
    let rank = |outcome: Outcome| match outcome {
        Outcome::NoName => 0,
        Outcome::Exists => 1,
        Outcome::Refused => 2,
        Outcome::TryAgain => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}

fn send_query(connection: &Connection, id: u16, name: &Name, family: Family) -> Option<()> {
    let mut buffer = [0; 2 + MAX_QUERY];
    let (prefix, query) = buffer.split_at_mut(2);
    let length = message::write_query(query, id, name, family)?;
    prefix.copy_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
    connection.send(buffer.get(..2 + length)?)
}

fn receive<'a>(connection: &Connection, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut prefix = [0; 2];
    connection.receive(&mut prefix)?;
    let message = buffer.get_mut(..usize::from(u16::from_be_bytes(prefix)))?;
    connection.receive(message)?;
    Some(message)
}

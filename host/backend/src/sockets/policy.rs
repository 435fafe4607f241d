// SPDX-License-Identifier: Apache-2.0
//! Where a guest may connect.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::raw::errno;
use super::reserved;
use super::rule::{EndpointRule, Ports};

/// Most addresses remembered as those of an allowed name, for one guest. The oldest gives way; its name is resolved again
/// before the next connection in any case, since clients do not keep addresses for that long.
const LEARNED_MAX: usize = 1024;

/// The endpoints that one guest may connect to. Allows nothing by default.
///
/// One value serves one VM, because it remembers what the names that the guest asked for resolved to.
#[derive(Debug, Default)]
pub struct EndpointPolicy {
    rules: Vec<EndpointRule>,
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    ports: HashMap<IpAddr, Vec<Ports>>,
    order: VecDeque<IpAddr>,
}

/// Why a guest may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The address is the host's alone: for the guest, nobody listens there.
    Reserved,
    /// No rule allows it.
    Forbidden,
}

impl Refusal {
    /// The error that connect() shows, a Linux errno.
    pub const fn errno(self) -> u16 {
        match self {
            Self::Reserved => errno(libc::ECONNREFUSED),
            Self::Forbidden => errno(libc::EACCES),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reserved => "the address belongs to the host",
            Self::Forbidden => "no endpoint rule allows it",
        })
    }
}

impl EndpointPolicy {
    /// A policy that allows what any of `rules` allows.
    pub fn new(rules: impl IntoIterator<Item = EndpointRule>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
            learned: Mutex::default(),
        }
    }

    /// Whether the guest may connect to `peer`.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(&self, peer: SocketAddr) -> Result<(), Refusal> {
        let (ip, port) = (peer.ip().to_canonical(), peer.port());
        if reserved::forbidden(ip) {
            return Err(Refusal::Reserved);
        }
        let mut rules = self
            .rules
            .iter()
            .filter(|rule| rule.ports().contains(&port));
        let named =
            rules.clone().any(|rule| rule.covers_address(ip)) || self.lock().allows(ip, port);
        if named || (rules.any(EndpointRule::covers_any) && !reserved::internal(ip)) {
            return Ok(());
        }
        Err(Refusal::Forbidden)
    }

    /// Whether the guest may resolve `name` (lower case, no final dot): a rule could let it connect there.
    pub fn resolvable(&self, name: &str) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.covers_any() || rule.covers_name(name))
    }

    /// Remembers that `name` (lower case, no final dot) has the address `ip`, so that the rules for the name cover it.
    pub fn learn(&self, name: &str, ip: IpAddr) {
        let ip = ip.to_canonical();
        let ports: Vec<_> = self
            .rules
            .iter()
            .filter(|rule| rule.covers_name(name))
            .map(|rule| rule.ports().clone())
            .collect();
        if !ports.is_empty() && !reserved::forbidden(ip) {
            self.lock().add(ip, ports);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Learned {
    fn allows(&self, ip: IpAddr, port: u16) -> bool {
        self.ports
            .get(&ip)
            .is_some_and(|ports| ports.iter().any(|ports| ports.contains(&port)))
    }

    fn add(&mut self, ip: IpAddr, ports: Vec<Ports>) {
        let known = self.ports.entry(ip).or_default();
        if known.is_empty() {
            self.order.push_back(ip);
        }
        for ports in ports {
            if !known.contains(&ports) {
                known.push(ports);
            }
        }
        if self.order.len() > LEARNED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ports.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &[&str]) -> EndpointPolicy {
        EndpointPolicy::new(
            rules
                .iter()
                .map(|rule| rule.parse().unwrap_or_else(|error| panic!("{error}"))),
        )
    }

    fn check(policy: &EndpointPolicy, peer: &str) -> Result<(), Refusal> {
        policy.check(peer.parse().unwrap_or_else(|_| panic!("{peer}")))
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        assert_eq!(
            check(&EndpointPolicy::default(), "8.8.8.8:443"),
            Err(Refusal::Forbidden)
        );
        assert!(!EndpointPolicy::default().resolvable("example.org"));
    }

    #[test]
    fn no_rule_opens_the_host() {
        let policy = policy(&["*:*", "0.0.0.0/0:*", "[::/0]:*", "*.example:*"]);
        for reserved in [
            "127.0.0.1:80",
            "127.8.9.1:80",
            "0.0.0.0:80",
            "169.254.169.254:80",
            "169.254.170.2:81",
            "255.255.255.255:1",
            "[::]:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "[::ffff:169.254.169.254]:80",
            "[::127.0.0.1]:80",
            "[fe80::1]:80",
            "[fd00:ec2::254]:80",
            "[64:ff9b::7f00:1]:80",
            "[2002:7f00:1::]:80",
            "100.100.100.200:80",
            "224.0.0.1:5",
        ] {
            assert_eq!(
                check(&policy, reserved),
                Err(Refusal::Reserved),
                "{reserved}"
            );
        }
        policy.learn("a.example", IpAddr::from([127, 0, 0, 1]));
        assert_eq!(check(&policy, "127.0.0.1:80"), Err(Refusal::Reserved));
    }

    #[test]
    fn any_host_is_no_private_host() {
        let any = policy(&["*:443"]);
        assert_eq!(check(&any, "8.8.8.8:443"), Ok(()));
        assert_eq!(check(&any, "8.8.8.8:80"), Err(Refusal::Forbidden));
        for private in [
            "10.0.0.1:443",
            "192.168.1.1:443",
            "172.31.0.1:443",
            "100.64.0.1:443",
            "[fd12::1]:443",
            "[::ffff:10.0.0.1]:443",
        ] {
            assert_eq!(check(&any, private), Err(Refusal::Forbidden), "{private}");
        }
        any.learn("rebound.example", IpAddr::from([10, 0, 0, 1]));
        assert_eq!(check(&any, "10.0.0.1:443"), Err(Refusal::Forbidden));
        assert_eq!(
            check(&policy(&["10.0.0.0/8:443"]), "[::ffff:10.0.0.1]:443"),
            Ok(())
        );
    }

    #[test]
    fn a_name_allows_what_it_resolved_to() {
        let policy = policy(&["db.corp:5432", "*.corp:80"]);
        assert!(policy.resolvable("db.corp") && !policy.resolvable("corp"));
        assert_eq!(check(&policy, "10.0.0.9:5432"), Err(Refusal::Forbidden));
        policy.learn("db.corp", IpAddr::from([10, 0, 0, 9]));
        assert_eq!(check(&policy, "10.0.0.9:5432"), Ok(()));
        assert_eq!(check(&policy, "10.0.0.9:80"), Ok(()));
        assert_eq!(check(&policy, "10.0.0.9:81"), Err(Refusal::Forbidden));
    }

    #[test]
    fn what_is_learned_is_bounded() {
        let policy = policy(&["*.corp:80"]);
        let ip = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        for n in 0..2000 {
            policy.learn("a.corp", ip(n));
            policy.learn("a.corp", ip(n));
        }
        assert_eq!(policy.lock().ports.len(), LEARNED_MAX);
        assert_eq!(policy.lock().order.len(), LEARNED_MAX);
        assert_eq!(check(&policy, "10.0.0.0:80"), Err(Refusal::Forbidden));
        assert_eq!(policy.check(SocketAddr::new(ip(1999), 80)), Ok(()));
    }
}

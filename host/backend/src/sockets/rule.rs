// SPDX-License-Identifier: Apache-2.0
//! One rule of an endpoint policy: `host:port`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::reserved;

/// Ports that a rule covers.
pub type Ports = RangeInclusive<u16>;

/// Which hosts a rule covers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// `*`: every name, and every address that is neither private nor the host's own.
    Any,
    /// An address, or a network in CIDR notation. The only way to allow private addresses by number.
    Network { ip: IpAddr, prefix: u8 },
    /// A DNS name, lower case, without the final dot.
    Name(String),
    /// `*.suffix`: every name below `suffix`, without `suffix` itself.
    Below(String),
}

/// One permission to connect, written `host:port`.
///
/// *host* is an IPv4 address, an IPv6 address in brackets, either with `/prefix`, a DNS name, `*.suffix`, or `*`; *port* is a
/// number, `first-last`, or `*`. A name allows the addresses that it was resolved to, private ones too; `*` does not
/// mean private addresses or the host's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointRule {
    host: Host,
    ports: Ports,
}

/// Why a string is not an endpoint rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There is no colon before the port.
    #[error("endpoint rule {0:?} has no port; write host:port, or host:* for all ports")]
    NoPort(String),
    /// The port is neither a number, a range nor `*`.
    #[error(
        "endpoint rule {rule:?}: {port:?} is not a port from 1 to 65535, a range first-last, or *"
    )]
    Port {
        /// The whole rule.
        rule: String,
        /// The part in question.
        port: String,
    },
    /// The host is neither address, network, name, `*.suffix` nor `*`.
    #[error(
        "endpoint rule {rule:?}: {host:?} is not an IP address (IPv6 in brackets), a network such as 10.1.0.0/16, a DNS name, *.suffix, or *"
    )]
    Host {
        /// The whole rule.
        rule: String,
        /// The part in question.
        host: String,
    },
    /// The rule names only addresses that no guest may reach.
    #[error(
        "endpoint rule {0:?} names loopback, link-local or another reserved address, which no rule can open; use an address of the network"
    )]
    Reserved(String),
}

impl EndpointRule {
    /// The ports that the rule covers.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Whether the rule names the address itself.
    pub(super) fn covers_address(&self, ip: IpAddr) -> bool {
        match &self.host {
            Host::Network {
                ip: network,
                prefix,
            } => within(ip, *network, *prefix),
            _ => false,
        }
    }

    /// Whether the rule is for any host.
    pub(super) fn covers_any(&self) -> bool {
        self.host == Host::Any
    }

    /// Whether the rule names `name`, which is in lower case and without a final dot.
    pub(super) fn covers_name(&self, name: &str) -> bool {
        match &self.host {
            Host::Name(own) => own == name,
            Host::Below(suffix) => name
                .strip_suffix(suffix.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
            _ => false,
        }
    }
}

fn within(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    // Shifting by the full width is the empty prefix, under which all addresses are equal.
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differ = ip.to_bits() ^ network.to_bits();
            differ.checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differ = ip.to_bits() ^ network.to_bits();
            differ.checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

impl FromStr for EndpointRule {
    type Err = RuleError;

    fn from_str(rule: &str) -> Result<Self, RuleError> {
        let (host, port) = rule
            .rsplit_once(':')
            .ok_or_else(|| RuleError::NoPort(rule.into()))?;
        let ports = parse_ports(port).ok_or_else(|| RuleError::Port {
            rule: rule.into(),
            port: port.into(),
        })?;
        let host = parse_host(host).ok_or_else(|| RuleError::Host {
            rule: rule.into(),
            host: host.into(),
        })?;
        if let Host::Network { ip, prefix } = host
            && prefix >= 8
            && reserved::forbidden(ip)
        {
            return Err(RuleError::Reserved(rule.into()));
        }
        Ok(Self { host, ports })
    }
}

fn parse_ports(text: &str) -> Option<Ports> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    if text == "*" {
        return Some(1..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = number(first)?..=number(last)?;
    (!ports.is_empty()).then_some(ports)
}

fn parse_host(text: &str) -> Option<Host> {
    if text == "*" {
        return Some(Host::Any);
    }
    if let Some(inner) = text.strip_prefix('[') {
        return parse_network::<Ipv6Addr>(inner.strip_suffix(']')?, 128);
    }
    if let Some(network) = parse_network::<Ipv4Addr>(text, 32) {
        return Some(network);
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(suffix) => is_name(suffix).then(|| Host::Below(suffix.into())),
        None => is_name(&name).then_some(Host::Name(name)),
    }
}

fn parse_network<A: FromStr + Into<IpAddr>>(text: &str, width: u8) -> Option<Host> {
    let (ip, prefix) = match text.split_once('/') {
        Some((ip, prefix)) => (ip, prefix.parse().ok().filter(|prefix| *prefix <= width)?),
        None => (text, width),
    };
    let ip: IpAddr = ip.parse::<A>().ok()?.into();
    match ip.to_canonical() {
        // A v4-mapped network is the IPv4 network; connections to it are checked as such.
        IpAddr::V4(v4) if ip.is_ipv6() => Some(Host::Network {
            ip: v4.into(),
            prefix: prefix.checked_sub(96)?,
        }),
        ip => Some(Host::Network { ip, prefix }),
    }
}

/// Whether `name` can be a host's name (RFC 1123, with the underscore that service names use). Names that look like
/// IPv4 addresses but are none, such as 10.1.1 and 1.2.3.400, are not: resolvers disagree about them.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && !numeric && name.split('.').all(label)
}

impl TryFrom<String> for EndpointRule {
    type Error = RuleError;

    fn try_from(rule: String) -> Result<Self, RuleError> {
        rule.parse()
    }
}

impl From<EndpointRule> for String {
    fn from(rule: EndpointRule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for EndpointRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Any => f.write_str("*")?,
            Host::Network {
                ip: IpAddr::V4(ip),
                prefix: 32,
            } => write!(f, "{ip}")?,
            Host::Network {
                ip: IpAddr::V4(ip),
                prefix,
            } => write!(f, "{ip}/{prefix}")?,
            Host::Network {
                ip: IpAddr::V6(ip),
                prefix: 128,
            } => write!(f, "[{ip}]")?,
            Host::Network {
                ip: IpAddr::V6(ip),
                prefix,
            } => write!(f, "[{ip}/{prefix}]")?,
            Host::Name(name) => f.write_str(name)?,
            Host::Below(suffix) => write!(f, "*.{suffix}")?,
        }
        match (self.ports.start(), self.ports.end()) {
            (1, &u16::MAX) => f.write_str(":*"),
            (first, last) if first == last => write!(f, ":{first}"),
            (first, last) => write!(f, ":{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> EndpointRule {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn rules_are_printed_as_they_are_read() {
        for text in [
            "10.1.2.3:80",
            "10.1.0.0/16:*",
            "[2001:db8::1]:443",
            "[2001:db8::/32]:1-1023",
            "a.example:8080",
            "*.example.org:443",
            "*:*",
        ] {
            assert_eq!(rule(text).to_string(), text);
        }
        assert_eq!(rule("A.Example.:80").to_string(), "a.example:80");
        assert_eq!(
            rule("[::ffff:10.1.0.0/112]:80").to_string(),
            "10.1.0.0/16:80"
        );
    }

    #[test]
    fn what_is_no_rule_says_which_part_is_wrong() {
        assert!(matches!(
            "example.org".parse::<EndpointRule>(),
            Err(RuleError::NoPort(_))
        ));
        for port in ["a.b:", "a.b:0", "a.b:65536", "a.b:9-1", "a.b:http"] {
            assert!(
                matches!(port.parse::<EndpointRule>(), Err(RuleError::Port { .. })),
                "{port}"
            );
        }
        for host in [
            ":80",
            "1.2.3.400:80",
            "10.1.1:80",
            "a..b:80",
            "*.*:80",
            "-a:80",
            "10.0.0.0/33:80",
            "[::1:80",
            "::1:80",
        ] {
            assert!(
                matches!(host.parse::<EndpointRule>(), Err(RuleError::Host { .. })),
                "{host}"
            );
        }
        for reserved in [
            "127.0.0.1:80",
            "127.0.0.0/8:*",
            "[::1]:80",
            "0.0.0.0:80",
            "169.254.169.254:80",
            "[fe80::1]:80",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(
                matches!(
                    reserved.parse::<EndpointRule>(),
                    Err(RuleError::Reserved(_))
                ),
                "{reserved}"
            );
        }
    }

    #[test]
    fn a_suffix_covers_what_is_below_it_only() {
        let rule = rule("*.example.org:443");
        assert!(rule.covers_name("a.example.org") && rule.covers_name("a.b.example.org"));
        assert!(
            !rule.covers_name("example.org")
                && !rule.covers_name("badexample.org")
                && !rule.covers_name(".example.org")
        );
    }

    #[test]
    fn a_network_covers_its_addresses() {
        assert!(rule("0.0.0.0/0:*").covers_address([8, 8, 8, 8].into()));
        assert!(rule("10.1.0.0/16:*").covers_address([10, 1, 255, 1].into()));
        assert!(!rule("10.1.0.0/16:*").covers_address([10, 2, 0, 1].into()));
        assert!(!rule("0.0.0.0/0:*").covers_address(Ipv6Addr::LOCALHOST.into()));
    }
}

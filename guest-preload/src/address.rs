// SPDX-License-Identifier: Apache-2.0
//! Addresses, lists of them, and names; all of fixed size, as there is no allocator.

/// Most addresses of a name that are passed on.
pub const MAX_ADDRESSES: usize = 64;
/// Longest domain name in its text form without the last dot (RFC 1035, section 2.3.4).
pub const MAX_NAME: usize = 253;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Size of an address in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }
}

/// An IPv4 or IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Which of the two.
    pub family: Family,
    /// Most significant byte first; IPv4 uses the first four, the others are zero.
    pub bytes: [u8; 16],
    /// The interface of a link-local IPv6 address; else 0.
    pub scope: u32,
}

impl Address {
    /// An IPv4 address.
    pub const fn v4([a, b, c, d]: [u8; 4]) -> Self {
        Self {
            family: Family::V4,
            bytes: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            scope: 0,
        }
    }

    /// An IPv6 address.
    pub const fn v6(bytes: [u8; 16]) -> Self {
        Self {
            family: Family::V6,
            bytes,
            scope: 0,
        }
    }

    /// The unspecified address, to listen on.
    pub const fn any(family: Family) -> Self {
        match family {
            Family::V4 => Self::v4([0; 4]),
            Family::V6 => Self::v6([0; 16]),
        }
    }

    /// The machine's own address.
    pub const fn loopback(family: Family) -> Self {
        match family {
            Family::V4 => Self::v4([127, 0, 0, 1]),
            Family::V6 => Self::v6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        }
    }

    /// An IPv4 address as IPv6 sockets see it (RFC 4291, section 2.5.5.2).
    #[must_use]
    pub const fn mapped(self) -> Self {
        match self.family {
            Family::V6 => self,
            Family::V4 => {
                let [a, b, c, d, ..] = self.bytes;
                Self::v6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
            }
        }
    }

    /// The IPv4 address that an IPv6 address maps, if it maps one.
    pub const fn unmapped(self) -> Option<Self> {
        match (self.family, self.bytes) {
            (Family::V6, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]) => {
                Some(Self::v4([a, b, c, d]))
            }
            _ => None,
        }
    }
}

/// A list of addresses, in order of preference.
#[derive(Clone, Debug)]
pub struct Addresses {
    list: [Address; MAX_ADDRESSES],
    count: usize,
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            list: [Address::any(Family::V4); MAX_ADDRESSES],
            count: 0,
        }
    }
}

impl Addresses {
    /// Adds an address, unless the list is full or has it.
    pub fn push(&mut self, address: Address) {
        if self.as_slice().contains(&address) {
            return;
        }
        if let Some(place) = self.list.get_mut(self.count) {
            *place = address;
            self.count += 1;
        }
    }

    /// The addresses.
    pub fn as_slice(&self) -> &[Address] {
        self.list.get(..self.count).unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// A domain name in text form, without the last dot. Bytes are passed as they are, whatever their encoding.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    bytes: [u8; MAX_NAME],
    length: usize,
}

impl Default for Name {
    fn default() -> Self {
        Self {
            bytes: [0; MAX_NAME],
            length: 0,
        }
    }
}

impl Name {
    /// Checks a name: labels of 1 to 63 bytes, together not too long, no spaces or control characters.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        let label_fits = |label: &[u8]| (1..=63).contains(&label.len());
        let text_fits = text.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
        if !text_fits || !text.split(|byte| *byte == b'.').all(label_fits) {
            return None;
        }
        let mut name = Self::default();
        name.append(text)?;
        Some(name)
    }

    /// Appends bytes; `None` if they do not fit.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length.checked_add(bytes.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Whether two names are the same: ASCII letters count without their case.
    pub fn matches(&self, other: &[u8]) -> bool {
        let other = other.strip_suffix(b".").unwrap_or(other);
        self.as_bytes().eq_ignore_ascii_case(other)
    }

    /// Whether the name means this machine (RFC 6761, section 6.3).
    pub fn is_localhost(&self) -> bool {
        let last = self.as_bytes().rsplit(|byte| *byte == b'.').next();
        last.is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
    }
}

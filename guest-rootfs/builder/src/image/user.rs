// SPDX-License-Identifier: Apache-2.0
//! Turns the image's USER into numbers, by the image's own `/etc/passwd` and `/etc/group`.
//!
//! Done when the image is built, so that the guest's init needs no lookup. The rules are those of container engines:
//! `user`, `uid`, `user:group`, `uid:gid` and mixtures; a number need not be listed; supplementary groups are those
//! that list the user, unless the group was given.

use serde::Serialize;

use crate::error::RootfsError;

/// Whom the function runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, ascending.
    pub(crate) groups: Vec<u32>,
    /// Home directory; `/` where the image lists none.
    pub(crate) home: String,
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Resolves `user` (empty means root).
pub(crate) fn resolve(user: &str, passwd: &[u8], group: &[u8]) -> Result<User, RootfsError> {
    let unresolved = |reason: String| RootfsError::User {
        user: user.to_owned(),
        reason,
    };
    let passwd = String::from_utf8_lossy(passwd);
    let group = String::from_utf8_lossy(group);
    let (name, group_name) = match user.split_once(':') {
        Some((name, group_name)) => (name, Some(group_name).filter(|name| !name.is_empty())),
        None => (user, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    // A name wins over a number: an account may be called "1000".
    let account = accounts(&passwd)
        .find(|account| account.name == name)
        .or_else(|| {
            let uid: u32 = name.parse().ok()?;
            accounts(&passwd).find(|account| account.uid == uid)
        });
    let uid = match &account {
        Some(account) => account.uid,
        None => name
            .parse()
            .map_err(|_| unresolved(format!("the image's /etc/passwd has no user {name:?}")))?,
    };
    let (gid, groups) = match group_name {
        Some(wanted) => {
            let listed = groups(&group).find(|(name, _, _)| *name == wanted);
            let gid = match listed {
                Some((_, gid, _)) => gid,
                None => wanted.parse().map_err(|_| {
                    unresolved(format!("the image's /etc/group has no group {wanted:?}"))
                })?,
            };
            (gid, Vec::new())
        }
        None => (
            account.as_ref().map_or(0, |account| account.gid),
            account
                .as_ref()
                .map_or_else(Vec::new, |account| memberships(&group, account.name)),
        ),
    };
    let home = account
        .map(|account| account.home)
        .filter(|home| home.starts_with('/') && !home.contains('\0'))
        .unwrap_or("/");
    Ok(User {
        uid,
        gid,
        groups,
        home: home.to_owned(),
    })
}

/// The accounts of a passwd(5) file; malformed lines are passed over.
fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some(Account {
            name: fields.next().filter(|name| !name.is_empty())?,
            uid: fields.nth(1)?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
            home: fields.nth(1)?,
        })
    })
}

/// Name, number and members of the groups of a group(5) file; malformed lines are passed over.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn memberships(group: &str, user: &str) -> Vec<u32> {
    let mut gids: Vec<u32> = groups(group)
        .filter(|(_, _, members)| members.split(',').any(|member| member.trim() == user))
        .map(|(_, gid, _)| gid)
        .collect();
    gids.sort_unstable();
    gids.dedup();
    gids
}

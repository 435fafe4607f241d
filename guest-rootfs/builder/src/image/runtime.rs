// SPDX-License-Identifier: Apache-2.0
//! What the image says about running it, made ready for the guest's init.

use oci_spec::image::ImageConfiguration;
use serde::Serialize;

use super::user::{self, User};
use crate::error::RootfsError;

/// The content of `/.nexus/image.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Runtime {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    /// `NAME=value` each.
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    #[serde(flatten)]
    pub(crate) user: User,
}

impl Runtime {
    /// Takes them from the image's configuration; `passwd` and `group` are the image's files of that name.
    pub(crate) fn new(
        image: &ImageConfiguration,
        passwd: &[u8],
        group: &[u8],
    ) -> Result<Self, RootfsError> {
        let config = image.config().as_ref();
        let list = |pick: fn(&oci_spec::image::Config) -> &Option<Vec<String>>| {
            config.and_then(|c| pick(c).clone()).unwrap_or_default()
        };
        let entrypoint = list(oci_spec::image::Config::entrypoint);
        let cmd = list(oci_spec::image::Config::cmd);
        if entrypoint
            .iter()
            .chain(&cmd)
            .next()
            .is_none_or(String::is_empty)
        {
            return Err(RootfsError::NothingToRun);
        }
        let env = list(oci_spec::image::Config::env);
        for text in entrypoint.iter().chain(&cmd).chain(&env) {
            check_text(text)?;
        }
        if let Some(bad) = env
            .iter()
            .find(|pair| pair.find('=').is_none_or(|at| at == 0))
        {
            return Err(malformed(format!("its variable {bad:?} is not NAME=value")));
        }
        let cwd = config.and_then(|c| c.working_dir().clone());
        let cwd = cwd.filter(|dir| !dir.is_empty()).unwrap_or("/".to_owned());
        check_text(&cwd)?;
        if !cwd.starts_with('/') {
            return Err(malformed(format!(
                "its working directory {cwd:?} is relative"
            )));
        }
        let user = config.and_then(|c| c.user().clone()).unwrap_or_default();
        Ok(Self {
            entrypoint,
            cmd,
            env,
            cwd,
            user: user::resolve(&user, passwd, group)?,
        })
    }
}

fn check_text(text: &str) -> Result<(), RootfsError> {
    if text.contains('\0') {
        return Err(malformed(format!("{text:?} contains a zero byte")));
    }
    Ok(())
}

fn malformed(reason: String) -> RootfsError {
    RootfsError::Document {
        what: "configuration".to_owned(),
        reason,
    }
}

// SPDX-License-Identifier: Apache-2.0
//! What to run: the image's own configuration, and what nexusd says over it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::InitError;

/// The search path of images that set none, the one of container engines.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variable by which a function keeps the SDK shims out, with the value `off`.
const SDK_SWITCH: &str = "NEXUS_SDK";

/// `/.nexus/image.json`, written by the rootfs builder.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageConfig {
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    /// `NAME=value` each.
    env: Vec<String>,
    cwd: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: String,
}

impl ImageConfig {
    /// A variable of the program: what the function has it be, else the image.
    pub(crate) fn variable<'a>(&'a self, boot: &'a BootConfig, name: &str) -> Option<&'a str> {
        let of_function = boot.env.get(name).map(String::as_str);
        of_function.or_else(|| {
            let mut pairs = self
                .env
                .iter()
                .rev()
                .filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
        })
    }

    pub(crate) fn load(path: &Path) -> Result<Self, InitError> {
        let json = std::fs::read(path).map_err(InitError::file("read", path))?;
        serde_json::from_slice(&json).map_err(|source| InitError::ImageConfig {
            path: path.to_owned(),
            source,
        })
    }
}

/// nexusd's answer to `GET /2026-11-01/boot`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct BootConfig {
    /// Over the image's environment.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// In place of the image's command.
    pub(crate) command: Option<Vec<String>>,
    /// In place of the image's entry point; the command stays, as in Lambda's image configuration.
    pub(crate) entrypoint: Option<Vec<String>>,
    /// In place of the image's working directory.
    pub(crate) cwd: Option<String>,
    /// The time, in nanoseconds since 1970.
    pub(crate) clock_ns: u64,
    #[serde(default)]
    pub(crate) hostname: String,
    /// A certificate that SDKs are to trust, as PEM.
    pub(crate) authority: Option<String>,
}

/// A program, ready to be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Not empty; the first one is the program.
    pub(crate) arguments: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

impl Program {
    /// The program of an image, with the SDK shims below `sdk` if there are any, and the variables `trust`, by which SDKs find whom to
    /// trust.
    pub(crate) fn new(
        image: ImageConfig,
        boot: BootConfig,
        sdk: Option<&str>,
        trust: Vec<(&str, String)>,
    ) -> Result<Self, InitError> {
        let mut arguments = boot.entrypoint.unwrap_or(image.entrypoint);
        let command = boot.command.unwrap_or(image.cmd);
        let handler = command.last().cloned();
        arguments.extend(command);
        if arguments.first().is_none_or(String::is_empty) {
            return Err(InitError::Program(
                "there is neither an entry point nor a command".into(),
            ));
        }
        let mut env = BTreeMap::from([
            ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
            ("HOME".to_owned(), image.home),
        ]);
        let of_image = image.env.iter().filter_map(|pair| pair.split_once('='));
        env.extend(of_image.map(|(name, value)| (name.to_owned(), value.to_owned())));
        env.extend(boot.env);
        if let Some(sdk) = sdk {
            bring_in(&mut env, sdk);
        }
        for (name, value) in trust {
            env.insert(name.to_owned(), value);
        }
        let cwd = boot.cwd.unwrap_or(image.cwd);
        // Runtimes find the function by these two: Lambda's images name the handler in their command and unpack the code into
        // their working directory.
        if let Some(handler) = handler {
            env.entry("_HANDLER".to_owned()).or_insert(handler);
        }
        env.entry("LAMBDA_TASK_ROOT".to_owned())
            .or_insert_with(|| cwd.clone());
        if let Some(bad) = env
            .keys()
            .find(|name| name.is_empty() || name.contains('='))
        {
            return Err(InitError::Program(format!(
                "it has a variable named {bad:?}"
            )));
        }
        let texts = arguments
            .iter()
            .chain(env.keys())
            .chain(env.values())
            .chain([&cwd]);
        if let Some(bad) = texts.into_iter().find(|text| text.contains('\0')) {
            return Err(InitError::Program(format!("{bad:?} contains a zero byte")));
        }
        Ok(Self {
            arguments,
            env,
            cwd,
            uid: image.uid,
            gid: image.gid,
            groups: image.groups,
        })
    }
}

/// Has Python and Node find the SDK shims below `sdk` before all else, unless the function wants its own SDK only.
fn bring_in(env: &mut BTreeMap<String, String>, sdk: &str) {
    if env.get(SDK_SWITCH).is_some_and(|value| value == "off") {
        return;
    }
    let node = format!("--require {sdk}/node/register.cjs");
    put_before(env, "PYTHONPATH", format!("{sdk}/python"), ':');
    put_before(env, "NODE_OPTIONS", node, ' ');
}

/// Puts a value before what a variable has.
fn put_before(env: &mut BTreeMap<String, String>, name: &str, value: String, separator: char) {
    let list = match env.get(name).filter(|rest| !rest.is_empty()) {
        Some(rest) => format!("{value}{separator}{rest}"),
        None => value,
    };
    env.insert(name.to_owned(), list);
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = r#"{"entrypoint": ["/usr/bin/python3", "-m", "x"], "cmd": ["app.handler"],
        "env": ["PATH=/opt/bin", "A=1", "B=x=y"], "cwd": "/var/task", "uid": 993, "gid": 990, "groups": [7],
        "home": "/home/f"}"#;

    fn program(boot: &str) -> Result<Program, InitError> {
        let image = serde_json::from_str(IMAGE).expect("the image's configuration");
        let boot = serde_json::from_str(boot).expect("the boot answer");
        Program::new(image, boot, None, Vec::new())
    }

    #[test]
    fn image_alone() {
        let program = program(r#"{"clock_ns": 1}"#).expect("a program");
        assert_eq!(
            program.arguments,
            ["/usr/bin/python3", "-m", "x", "app.handler"]
        );
        assert_eq!(program.cwd, "/var/task");
        assert_eq!(
            (program.uid, program.gid, program.groups),
            (993, 990, vec![7])
        );
        assert_eq!(program.env["PATH"], "/opt/bin");
        assert_eq!(program.env["B"], "x=y");
        assert_eq!(program.env["HOME"], "/home/f");
        assert_eq!(program.env["_HANDLER"], "app.handler");
        assert_eq!(program.env["LAMBDA_TASK_ROOT"], "/var/task");
    }

    #[test]
    fn nexusd_overrides() {
        let boot = r#"{"clock_ns": 1, "env": {"A": "2", "HOME": "/tmp"}, "command": ["other"], "cwd": "/",
            "entrypoint": null, "hostname": "h", "unknown": true}"#;
        let program = program(boot).expect("a program");
        assert_eq!(program.arguments, ["/usr/bin/python3", "-m", "x", "other"]);
        assert_eq!(program.env["A"], "2");
        assert_eq!(program.env["HOME"], "/tmp");
        assert_eq!(program.cwd, "/");
        assert_eq!(program.env["_HANDLER"], "other");
        assert_eq!(program.env["LAMBDA_TASK_ROOT"], "/");
    }

    #[test]
    fn handler_and_task_root_may_be_given() {
        let boot = r#"{"clock_ns": 1, "env": {"_HANDLER": "a.b", "LAMBDA_TASK_ROOT": "/opt"}}"#;
        let given = program(boot).expect("a program");
        assert_eq!(given.env["_HANDLER"], "a.b");
        assert_eq!(given.env["LAMBDA_TASK_ROOT"], "/opt");
        let none = program(r#"{"clock_ns": 1, "command": []}"#).expect("an entry point alone");
        assert_eq!(none.env.get("_HANDLER"), None);
    }

    #[test]
    fn the_shims_come_first_unless_they_are_not_wanted() {
        let variable = |boot: &str, name: &str| {
            let image = serde_json::from_str(IMAGE).expect("the image's configuration");
            let boot = serde_json::from_str(boot).expect("the boot answer");
            let program = Program::new(image, boot, Some("/shim"), Vec::new()).expect("a program");
            program.env.get(name).cloned()
        };
        let path = |boot: &str| variable(boot, "PYTHONPATH");
        assert_eq!(path(r#"{"clock_ns": 1}"#).as_deref(), Some("/shim/python"));
        let own =
            r#"{"clock_ns": 1, "env": {"PYTHONPATH": "/opt:/x", "NODE_OPTIONS": "--no-warnings"}}"#;
        assert_eq!(path(own).as_deref(), Some("/shim/python:/opt:/x"));
        let options = "--require /shim/node/register.cjs --no-warnings";
        assert_eq!(variable(own, "NODE_OPTIONS").as_deref(), Some(options));
        let off = r#"{"clock_ns": 1, "env": {"NEXUS_SDK": "off"}}"#;
        assert_eq!(path(off), None);
        assert_eq!(variable(off, "NODE_OPTIONS"), None);
    }

    #[test]
    fn whom_to_trust_is_known_before_it_is_said() {
        let image: ImageConfig = serde_json::from_str(IMAGE).expect("the image's configuration");
        let boot = r#"{"clock_ns": 1, "env": {"LANG": "C", "AWS_CA_BUNDLE": "/own"}}"#;
        let boot = serde_json::from_str(boot).expect("the boot answer");
        let of_image = image.env.iter().find_map(|pair| pair.strip_prefix("PATH="));
        assert_eq!(image.variable(&boot, "PATH"), of_image);
        assert_eq!(image.variable(&boot, "LANG"), Some("C"));
        assert_eq!(image.variable(&boot, "AWS_CA_BUNDLE"), Some("/own"));
        assert_eq!(image.variable(&boot, "NODE_EXTRA_CA_CERTS"), None);
        let trust = vec![("NODE_EXTRA_CA_CERTS", "/ours".to_owned())];
        let program = Program::new(image, boot, None, trust).expect("a program");
        assert_eq!(program.env["NODE_EXTRA_CA_CERTS"], "/ours");
    }

    #[test]
    fn nothing_to_run() {
        let boot = r#"{"clock_ns": 1, "command": [], "entrypoint": []}"#;
        assert!(matches!(program(boot), Err(InitError::Program(_))));
    }

    #[test]
    fn zero_bytes_and_bad_names_are_refused() {
        for boot in [
            r#"{"clock_ns": 1, "command": ["a\u0000b"]}"#,
            r#"{"clock_ns": 1, "env": {"A\u0000": "1"}}"#,
            r#"{"clock_ns": 1, "env": {"A=B": "1"}}"#,
            r#"{"clock_ns": 1, "env": {"": "1"}}"#,
        ] {
            assert!(
                matches!(program(boot), Err(InitError::Program(_))),
                "{boot}"
            );
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! What a person reads when the configuration is wrong.

use std::path::Path;
use std::time::Duration;

use super::{Config, Credentials};

/// A file that validates: two programs that every Linux machine has stand in for the VMM and the kernel.
const GOOD: &str = r#"state_dir = "/var/lib/nexus"
[listen]
invoke = "127.0.0.1:9100"
admin = "/run/nexus/admin.sock"
[vm]
vmm = "/bin/sh"
kernel = "/bin/sh"
boot_timeout_s = 5
[store]
listen = "127.0.0.1:9000"
root = "/var/lib/nexus/store"
[pool]
max_instances = 4
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("nexusd.toml")).map_err(|error| error.to_string())
}

fn error_of(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the test replaces what is not there");
    parse(&GOOD.replace(from, to)).expect_err("a wrong file is refused")
}

#[test]
fn a_good_file_gets_its_defaults() {
    let config = parse(GOOD).expect("valid");
    assert_eq!(config.worker_threads, 2);
    assert_eq!(config.vm.boot_timeout, Duration::from_secs(5));
    assert_eq!(config.gateway.region, "us-east-1");
    assert_eq!(config.gateway.credentials, Credentials::Chain);
    assert_eq!(config.gateway.read_timeout, Duration::from_secs(60));
    assert_eq!(config.pool.max_instances, 4);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error = error_of("max_instances", "max_instnaces");
    assert!(error.starts_with("nexusd.toml:13:"), "{error}");
    assert!(
        error.contains("max_instnaces") && error.contains("max_instances"),
        "{error}"
    );
}

#[test]
fn a_wrong_type_is_named_with_its_line() {
    let error = error_of("boot_timeout_s = 5", "boot_timeout_s = \"5s\"");
    assert!(error.starts_with("nexusd.toml:8:"), "{error}");
    assert!(error.contains("boot_timeout_s"), "{error}");
}

#[test]
fn no_toml_at_all() {
    let error = error_of("[vm]", "[vm");
    assert!(error.starts_with("nexusd.toml:5:"), "{error}");
}

#[test]
fn values_that_cannot_work_name_line_key_and_value() {
    for (from, to, start) in [
        (
            "\"/var/lib/nexus\"",
            "\"nexus\"",
            "nexusd.toml:1: state_dir: nexus is not an absolute",
        ),
        (
            "127.0.0.1:9100",
            "localhost",
            "nexusd.toml:3: listen.invoke: \"localhost\" is not ADDRESS:PORT",
        ),
        (
            "kernel = \"/bin/sh\"",
            "kernel = \"/no/vmlinux\"",
            "nexusd.toml:7: vm.kernel: cannot read /no/vmlinux",
        ),
        (
            "vmm = \"/bin/sh\"",
            "vmm = \"/bin\"",
            "nexusd.toml:6: vm.vmm: cannot read /bin",
        ),
        (
            "vmm = \"/bin/sh\"",
            "vmm = \"/etc/passwd\"",
            "nexusd.toml:6: vm.vmm: /etc/passwd is not executable",
        ),
        (
            "max_instances = 4",
            "max_instances = 0",
            "nexusd.toml:13: pool.max_instances: 0 is out of range",
        ),
    ] {
        let error = error_of(from, to);
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn a_socket_path_that_does_not_fit_is_refused() {
    let at = |length: usize, name: &str| format!("/{}/{name}", "x".repeat(length));
    for (path, bytes) in [(at(97, "admin.sock"), 109), (at(98, "s"), 108)] {
        let error = error_of("/run/nexus/admin.sock", &path);
        let start = format!("nexusd.toml:4: listen.admin: the path needs {bytes} bytes");
        assert!(error.starts_with(&start), "{error}");
    }
    for path in [at(95, "admin.sock"), at(97, "s")] {
        parse(&GOOD.replace("/run/nexus/admin.sock", &path)).expect("fits");
    }
}

#[test]
fn credentials_are_a_word_or_a_file() {
    let with =
        |credentials: &str| parse(&format!("{GOOD}[gateway]\ncredentials = {credentials}\n"));
    assert_eq!(
        with("\"chain\"").expect("valid").gateway.credentials,
        Credentials::Chain
    );
    let file = with("{ file = \"/etc/passwd\" }")
        .expect("valid")
        .gateway
        .credentials;
    assert_eq!(file, Credentials::File("/etc/passwd".into()));
    for wrong in [
        "\"vault\"",
        "{ file = \"/no/such/file\" }",
        "{ path = \"/etc/passwd\" }",
        "7",
    ] {
        let error = with(wrong).expect_err("refused");
        assert!(error.starts_with("nexusd.toml:15:"), "{error}");
    }
}

#[test]
fn an_endpoint_is_a_url() {
    let text = format!("{GOOD}[gateway]\nendpoint = \"minio:9000\"\n");
    let error = parse(&text).expect_err("refused");
    assert!(
        error.starts_with("nexusd.toml:15: gateway.endpoint:"),
        "{error}"
    );
}

#[test]
fn stores_that_functions_name_by_their_urls() {
    let with = |endpoint: &str| {
        let store = format!(
            "[gateway.stores.minio]\nendpoint = \"{endpoint}\"\nregion = \"garage\"\ncredentials = \"chain\"\naddressing = \"virtual\"\n"
        );
        parse(&format!("{GOOD}{store}"))
    };
    let config = with("http://minio.internal:9000/").expect("valid");
    let store = &config.gateway.stores[0];
    assert_eq!(
        (store.name.as_str(), store.endpoint.as_str()),
        ("minio", "http://minio.internal:9000")
    );
    assert!(store.virtual_hosts && store.region == "garage");
    for (endpoint, why) in [
        ("minio.internal:9000", "is not a URL"),
        ("http://127.0.0.1:9000", "a function's own"),
        ("http://[::1]:9000", "a function's own"),
        ("http://[::ffff:127.0.0.1]:9000", "a function's own"),
        ("http://169.254.170.2", "a function's own"),
        ("http://localhost:9000", "a function's own"),
        ("https://10.0.0.5", "names only"),
        ("https://s3.eu-west-1.amazonaws.com", "Amazon's names"),
    ] {
        let error = with(endpoint).expect_err("it is refused");
        assert!(
            error.starts_with("nexusd.toml:15: gateway.stores") && error.contains(why),
            "{error}"
        );
    }
    let keyless = "[gateway.stores.minio]\nendpoint = \"http://minio\"\n";
    let error = parse(&format!("{GOOD}{keyless}")).expect_err("it is refused");
    assert!(error.contains("credentials"), "{error}");
}

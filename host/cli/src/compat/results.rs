// SPDX-License-Identifier: Apache-2.0
//! What a test command printed, test by test: the forms of Python's unittest, Go, Rust, TAP and curl.

use std::collections::BTreeMap;

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// As it should.
    Pass,
    /// Not run.
    Skip,
    /// Not as it should.
    Fail,
}

impl Verdict {
    /// Its name in reports.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Fail => "fail",
        }
    }
}

/// Verdicts by the names of tests.
pub(crate) type Results = BTreeMap<String, Verdict>;

/// Reads the results out of what a command printed. What is no result is passed over.
pub(crate) fn parse(text: &str) -> Results {
    let mut results = Results::new();
    // A test whose name was printed before what it printed itself.
    let mut begun: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_end();
        if let Some((name, verdict)) = whole(line) {
            results.insert(name, verdict);
        } else if let Some((name, rest)) = line.split_once(" ... ").or_else(|| begin(line)) {
            match word(rest) {
                Some(verdict) => {
                    results.insert(test_name(name), verdict);
                }
                None => begun = Some(test_name(name)),
            }
        } else if let Some(verdict) = word(line).or_else(|| curl_verdict(line))
            && let Some(name) = begun.take()
        {
            results.insert(name, verdict);
        }
    }
    results
}

/// A line that says both name and verdict: Go's and TAP's.
fn whole(line: &str) -> Option<(String, Verdict)> {
    let line = line.trim_start();
    for (prefix, verdict) in [
        ("--- PASS: ", Verdict::Pass),
        ("--- FAIL: ", Verdict::Fail),
        ("--- SKIP: ", Verdict::Skip),
    ] {
        if let Some(rest) = line.strip_prefix(prefix) {
            let name = rest.split(' ').next().unwrap_or(rest);
            return Some((name.into(), verdict));
        }
    }
    let (rest, verdict) = match line.strip_prefix("not ok ") {
        Some(rest) => (rest, Verdict::Fail),
        None => (line.strip_prefix("ok ")?, Verdict::Pass),
    };
    let number = rest.split(' ').next().unwrap_or(rest);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let name = rest
        .get(number.len()..)?
        .trim_start()
        .trim_start_matches("- ");
    let (name, directive) = name.split_once(" # ").unwrap_or((name, ""));
    let skipped = directive.to_ascii_uppercase().starts_with("SKIP");
    let name = if name.is_empty() { number } else { name };
    Some((name.into(), if skipped { Verdict::Skip } else { verdict }))
}

/// A line that begins a test and does not say how it went: unittest's if the test prints something, and curl's.
fn begin(line: &str) -> Option<(&str, &str)> {
    if let Some(name) = line.strip_suffix(" ...") {
        return Some((name, ""));
    }
    let number = line.strip_prefix("test ")?.split("...[").next()?;
    (line.contains("...[") && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| (&line[..5 + number.len()], ""))
}

fn test_name(text: &str) -> String {
    // Rust says `test name`, curl `test 0123`: a number alone would say too little.
    match text.strip_prefix("test ") {
        Some(name) if name.bytes().all(|byte| byte.is_ascii_digit()) => text.into(),
        Some(name) => name.into(),
        None => text.into(),
    }
}

/// unittest's and Rust's words.
fn word(text: &str) -> Option<Verdict> {
    let first = text.split([' ', ',']).next().unwrap_or(text);
    match first {
        "ok" if !text.contains(" - ") => Some(Verdict::Pass),
        "expected" if text == "expected failure" => Some(Verdict::Pass),
        "FAIL" | "ERROR" | "FAILED" => Some(Verdict::Fail),
        "unexpected" if text == "unexpected success" => Some(Verdict::Fail),
        "skipped" | "ignored" => Some(Verdict::Skip),
        _ => None,
    }
}

/// curl's: dots and letters for what it compared, then the verdict.
fn curl_verdict(line: &str) -> Option<Verdict> {
    if line.contains(" OK (") {
        return Some(Verdict::Pass);
    }
    (line.contains(" FAILED") || line.starts_with("FAILED")).then_some(Verdict::Fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, Verdict)]) {
        let expected: Results = expected
            .iter()
            .map(|(name, verdict)| ((*name).to_owned(), *verdict))
            .collect();
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn unittest() {
        check(
            "test_a (m.C.test_a) ... ok\n\
             test_b (m.C.test_b) ... something printed\n\
             ok\n\
             test_c (m.C.test_c)\n\
             A docstring. ... skipped 'no such thing'\n\
             test_d (m.C.test_d) ... FAIL\n\
             test_e (m.C.test_e) ... expected failure\n\
             Ran 5 tests in 0.1s\n\nOK\n",
            &[
                ("test_a (m.C.test_a)", Verdict::Pass),
                ("test_b (m.C.test_b)", Verdict::Pass),
                ("A docstring.", Verdict::Skip),
                ("test_d (m.C.test_d)", Verdict::Fail),
                ("test_e (m.C.test_e)", Verdict::Pass),
            ],
        );
    }

    #[test]
    fn go() {
        check(
            "=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- FAIL: TestB/sub (0.01s)\n--- SKIP: TestC (0.00s)\nFAIL\n",
            &[
                ("TestA", Verdict::Pass),
                ("TestB/sub", Verdict::Fail),
                ("TestC", Verdict::Skip),
            ],
        );
    }

    #[test]
    fn rust() {
        check(
            "running 3 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, slow\ntest result: FAILED. 1 passed\n",
            &[
                ("a::b", Verdict::Pass),
                ("c", Verdict::Fail),
                ("d", Verdict::Skip),
            ],
        );
    }

    #[test]
    fn tap() {
        check(
            "1..3\nok 1 - first\nnot ok 2 - second\nok 3 - third # SKIP no network\nok 4\n",
            &[
                ("first", Verdict::Pass),
                ("second", Verdict::Fail),
                ("third", Verdict::Skip),
                ("4", Verdict::Pass),
            ],
        );
    }

    #[test]
    fn curl() {
        check(
            "test 0001...[HTTP GET]\n--pd---e-v- OK (1   out of 2, remaining: 00:01)\n\
             test 0002...[HTTP GET with user]\n\nprotocol FAILED!\n",
            &[("test 0001", Verdict::Pass), ("test 0002", Verdict::Fail)],
        );
    }
}

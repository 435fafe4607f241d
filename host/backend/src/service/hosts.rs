// SPDX-License-Identifier: Apache-2.0
//! Names of hosts at which AWS's SDKs look for services when nobody tells them otherwise.

/// What follows the alias of a multi-region access point of S3 in its host's name, but for the partition's suffix.
pub(crate) const ACCESS_POINTS: &str = ".accesspoint.s3-global";

/// Whether `name` is one of them: the endpoint of a service in a region, S3's in any of its forms with a bucket before it, or
/// one of the few that have no region (AWS General Reference, "Service endpoints"). Names of what customers make (databases,
/// load balancers, APIs of their own) are none.
pub(crate) fn is_service(name: &str) -> bool {
    let Some(rest) = name
        .strip_suffix(".amazonaws.com")
        .or_else(|| name.strip_suffix(".amazonaws.com.cn"))
    else {
        return false;
    };
    let labels: Vec<&str> = rest.split('.').collect();
    if labels.iter().any(|label| !is_label(label)) {
        return false;
    }
    let s3 = labels.iter().rposition(|label| is_s3(label));
    if let Some(s3) = s3
        && let Some(after) = labels.get(s3 + 1..)
        && is_place(after)
    {
        return true;
    }
    match labels.as_slice() {
        // The last are EventBridge's global endpoints.
        ["sts"] | [_, "mrap", "accesspoint", "s3-global"] | [_, _, "endpoint", "events"] => true,
        [service, region] => is_region(region) && !is_region(service),
        ["api" | "data" | "runtime" | "streams", service, region] => {
            is_region(region) && !is_region(service)
        }
        _ => false,
    }
}

/// Whether a text looks like a region's name: `eu-west-1`, `us-gov-east-1`.
pub(crate) fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number = parts.next().unwrap_or_default();
    let words: Vec<&str> = parts.collect();
    let is_word = |word: &&str| word.len() >= 2 && word.bytes().all(|c| c.is_ascii_lowercase());
    (1..=2).contains(&number.len())
        && number.bytes().all(|c| c.is_ascii_digit())
        && words.len() >= 2
        && words.iter().all(is_word)
        // A part of the world has two letters.
        && words.last().is_some_and(|part| part.len() == 2)
}

/// S3's own label, with its region in the old form, or that of `us-east-1` alone.
fn is_s3(label: &str) -> bool {
    match label.strip_prefix("s3") {
        Some("" | "-external-1") => true,
        Some(region) => region.strip_prefix('-').is_some_and(is_region),
        None => false,
    }
}

/// What may follow S3's label.
fn is_place(labels: &[&str]) -> bool {
    match labels {
        [] => true,
        [region] | ["dualstack", region] => is_region(region),
        _ => false,
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::is_service;

    #[test]
    fn services_and_nothing_else() {
        for name in [
            "s3.amazonaws.com",
            "my.bucket.s3.amazonaws.com",
            "b.s3.eu-west-1.amazonaws.com",
            "b.s3.dualstack.eu-west-1.amazonaws.com",
            "s3-eu-west-1.amazonaws.com",
            "s3-external-1.amazonaws.com",
            "s3.cn-north-1.amazonaws.com.cn",
            "dynamodb.us-east-1.amazonaws.com",
            "streams.dynamodb.us-east-1.amazonaws.com",
            "sqs.us-gov-east-1.amazonaws.com",
            "sts.amazonaws.com",
            "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com",
            "abcde.veo.endpoint.events.amazonaws.com",
        ] {
            assert!(is_service(name), "{name}");
        }
        for name in [
            "amazonaws.com",
            "example.com",
            "s3.amazonaws.com.example.com",
            "x.execute-api.us-east-1.amazonaws.com",
            "db.abc.us-east-1.rds.amazonaws.com",
            "x.us-east-1.elb.amazonaws.com",
            "ec2-1-2-3-4.compute-1.amazonaws.com",
            "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com",
            "1234.dkr.ecr.us-east-1.amazonaws.com",
            "b.s3-website.eu-west-1.amazonaws.com",
            "b.s3-website-eu-west-1.amazonaws.com",
            "b.s3-accesspoint.eu-west-1.amazonaws.com",
            "a..s3.amazonaws.com",
            "S3.amazonaws.com",
        ] {
            assert!(!is_service(name), "{name}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The object store from outside, through curl's own implementation of S3's signature.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::Testbed;
use crate::daemon::run;

impl Testbed {
    /// Creates a bucket.
    pub fn create_bucket(&self, bucket: &str) -> Result<()> {
        run(self.curl(bucket).args(["-X", "PUT"])).map(drop)
    }

    /// Puts a file into a bucket.
    pub fn put_object(&self, bucket: &str, key: &str, file: &Path) -> Result<()> {
        run(self.curl(&format!("{bucket}/{key}")).arg("-T").arg(file)).map(drop)
    }

    /// Gets an object into a file.
    pub fn get_object(&self, bucket: &str, key: &str, file: &Path) -> Result<()> {
        run(self.curl(&format!("{bucket}/{key}")).arg("-o").arg(file)).map(drop)
    }

    fn curl(&self, path: &str) -> Command {
        let keys = self.keys();
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "120",
            "--aws-sigv4",
            "aws:amz:us-east-1:s3",
        ]);
        curl.arg("--user")
            .arg(format!("{}:{}", keys.access, keys.secret));
        curl.args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        curl.arg(format!("http://{}/{path}", self.store_address()));
        curl
    }
}

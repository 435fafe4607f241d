// SPDX-License-Identifier: Apache-2.0
//! Reads the small tables in `/etc` line by line.

use core::ffi::CStr;

use crate::sys::File;

/// Longest line in bytes; longer ones are passed over, as no real table has them.
const MAX_LINE: usize = 4096;

/// Calls `visit` with each line of a file, less its comment, until it returns false. A missing file has no lines.
pub(crate) fn for_each(path: &CStr, mut visit: impl FnMut(&[u8]) -> bool) {
    let Some(file) = File::open(path) else {
        return;
    };
    let mut buffer = [0; MAX_LINE];
    let mut filled = 0;
    let mut skipping = false;
    loop {
        let Some(count) = buffer.get_mut(filled..).and_then(|rest| file.read(rest)) else {
            return;
        };
        if count == 0 {
            break;
        }
        filled += count;
        let mut start = 0;
        while let Some(rest) = buffer.get(start..filled)
            && let Some(length) = rest.iter().position(|byte| *byte == b'\n')
        {
            let line = rest.get(..length).unwrap_or_default();
            if !core::mem::take(&mut skipping) && !visit(without_comment(line)) {
                return;
            }
            start += length + 1;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        if filled == buffer.len() {
            filled = 0;
            skipping = true;
        }
    }
    // The last line may lack its end.
    if let Some(line) = buffer
        .get(..filled)
        .filter(|line| !line.is_empty() && !skipping)
    {
        visit(without_comment(line));
    }
}

fn without_comment(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'#').next().unwrap_or_default()
}

/// The words of a line.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

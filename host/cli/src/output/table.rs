// SPDX-License-Identifier: Apache-2.0
//! Tables: columns as wide as their widest cell.

/// Lays out `rows` under `head`.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: [&str; N]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let rows = rows
        .iter()
        .map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(head)).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up() {
        let rows = [
            ["thumbnail".into(), "1".into(), "é".into()],
            ["f".into(), "22".into(), "x".into()],
        ];
        assert_eq!(
            table(["NAME", "N", "C"], &rows),
            "NAME       N   C\nthumbnail  1   é\nf          22  x\n"
        );
    }
}

//! What the program that downloads files prints, as it shows in the log of a download.

use std::time::Duration;

use time::OffsetDateTime;

/// `2026-11-22 21:57:55`.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let ((hour, minute, second), month) = (now.to_hms(), u8::from(now.month()));
    let (year, day) = (now.year(), now.day());
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `350K`, `1.5M`: with one digit after the point below ten.
fn short(bytes: u64) -> String {
    let units = [("", 0), ("K", 10), ("M", 20), ("G", 30), ("T", 40)];
    let fits = |(_, shift): &&(&str, u32)| bytes >> shift > 0;
    let (unit, shift) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    let tenths = (u128::from(bytes) * 10) >> shift;
    if *shift > 0 && tenths < 100 {
        format!("{}.{}{unit}", tenths / 10, tenths % 10)
    } else {
        format!("{}{unit}", (tenths + 5) / 10)
    }
}

/// The line about length and type.
pub(crate) fn length(bytes: u64, kind: Option<&str>) -> String {
    let kind = kind.map_or_else(String::new, |kind| format!(" [{kind}]"));
    match short(bytes) {
        same if same == bytes.to_string() => format!("Length: {bytes}{kind}"),
        short => format!("Length: {bytes} ({short}){kind}"),
    }
}

/// The lines of progress: one for every 32 MiB, a dot for each MiB.
pub(crate) fn progress(bytes: u64, took: Duration) -> Vec<String> {
    let rows = bytes.div_ceil(32 << 20).max(1);
    let seconds = took.as_secs_f64().max(0.001);
    let row = |row: u64| {
        let dots = (bytes.saturating_sub(row * (32 << 20)) >> 20).min(32);
        let clusters: String = (0..4)
            .map(|cluster: u64| {
                let count = dots.saturating_sub(cluster * 8).min(8);
                let count = usize::try_from(count).unwrap_or_default();
                format!(" {:<8}", ".".repeat(count))
            })
            .collect();
        let done = ((row + 1) * (32 << 20)).min(bytes);
        let percent = (done * 100).checked_div(bytes).unwrap_or(100);
        let rate = rate(bytes, seconds)
            .replace(" MB/s", "M")
            .replace(" KB/s", "K");
        let end = if row + 1 == rows {
            format!("={seconds:.3}s")
        } else {
            " 0s".to_owned()
        };
        format!("{:>6}K{clusters}{percent:>3}% {rate:>5}{end}", row * 32_768)
    };
    (0..rows).map(row).collect()
}

/// `594 MB/s`.
#[expect(clippy::cast_precision_loss, reason = "a rate is a rough figure")]
fn rate(bytes: u64, seconds: f64) -> String {
    let kib = bytes as f64 / 1024.0 / seconds;
    if kib >= 1024.0 {
        format!("{:.0} MB/s", kib / 1024.0)
    } else {
        format!("{kib:.0} KB/s")
    }
}

/// The line at the end of a good download.
pub(crate) fn saved(file: &str, bytes: u64, took: Duration) -> String {
    let rate = rate(bytes, took.as_secs_f64().max(0.001));
    format!("{} ({rate}) - '{file}' saved [{bytes}/{bytes}]", now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_twice() {
        let iso = Some("application/x-iso9660-image");
        assert_eq!(
            length(358_400, iso),
            "Length: 358400 (350K) [application/x-iso9660-image]"
        );
        assert_eq!(length(1_572_864, None), "Length: 1572864 (1.5M)");
        assert_eq!(length(900, None), "Length: 900");
    }

    #[test]
    fn progress_has_a_dot_for_each_mebibyte() {
        let took = Duration::from_secs(1);
        let blank = " ".repeat(36);
        let one = progress(358_400, took);
        assert_eq!(one, [format!("     0K{blank}100%  350K=1.000s")]);
        let lines = progress(40 << 20, took);
        let full = " ........".repeat(4);
        assert_eq!(lines[0], format!("     0K{full} 80%   40M 0s"));
        let part = format!(" ........{}", " ".repeat(27));
        assert_eq!(lines[1], format!(" 32768K{part}100%   40M=1.000s"));
    }
}

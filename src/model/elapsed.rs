//! Writes durations for people, rounded to one unit. The printers of the date libraries give every unit, as `2h 13m 5s`.

/// Returns a duration in its largest fitting unit: `12 s`, `3 min`, `2 h`, `5 d`.
pub fn format_duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5_999 => format!("{} min", seconds / 60),
        6_000..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Returns how long ago something was: `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`.
pub fn format_ago(ms: i64) -> String {
    format!("{} ago", format_duration(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_time_uses_the_largest_fitting_unit() {
        let expected = [
            (-5, "0 s ago"),
            (12_400, "12 s ago"),
            (180_000, "3 min ago"),
            (7_200_000, "2 h ago"),
            (432_000_000, "5 d ago"),
        ];
        for (ms, text) in expected {
            assert_eq!(format_ago(ms), text);
        }
    }
}

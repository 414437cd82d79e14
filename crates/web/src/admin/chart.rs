//! Charts as SVG, drawn on the server: colours come from the style sheet, and the numbers are in a table beside them.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::view::Bucket;
use super::words;

/// One kind of thing in a chart.
struct Series {
    /// Its class in the style sheet.
    class: &'static str,
    of: fn(&Bucket) -> u64,
}

/// What clients did, from below.
const TRIES: [Series; 4] = [
    Series { class: "c-good", of: |bucket| bucket.sign_ins },
    Series { class: "c-bad", of: |bucket| bucket.failures },
    Series { class: "c-stop", of: |bucket| bucket.stopped },
    Series { class: "c-other", of: |bucket| bucket.other },
];
const BLOCKS: [Series; 2] =
    [Series { class: "c-block", of: |bucket| bucket.blocks }, Series { class: "c-free", of: |bucket| bucket.releases }];

const WIDTH: f64 = 720.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 22.0;

/// What clients did over time.
pub(super) fn tries(buckets: &[Bucket], zone: &TimeZone) -> String {
    bars(buckets, &TRIES, 180.0, zone, "What clients did over time")
}

/// Blocks and releases over time.
pub(super) fn blocks(buckets: &[Bucket], zone: &TimeZone) -> String {
    bars(buckets, &BLOCKS, 110.0, zone, "Blocks and releases over time")
}

/// The smallest of 2, 4, 6, 10, 20, 40 … that is not less: each has a half that is a whole number.
fn ceiling(most: u64) -> u64 {
    let mut step = 1;
    loop {
        for factor in [2, 4, 6, 10] {
            if step * factor >= most {
                return step * factor;
            }
        }
        step *= 10;
        if step > u64::MAX / 100 {
            return most;
        }
    }
}

fn bars(buckets: &[Bucket], series: &[Series], height: f64, zone: &TimeZone, name: &str) -> String {
    let sum = |bucket: &Bucket| series.iter().map(|one| (one.of)(bucket)).sum::<u64>();
    let top = ceiling(buckets.iter().map(sum).max().unwrap_or(0).max(4));
    let (inner_width, inner_height) = (WIDTH - LEFT - 4.0, height - BOTTOM - 8.0);
    let each = inner_width / buckets.len().max(1) as f64;
    let mut svg = format!("<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{name}\">");
    for part in 0..=2_u32 {
        let y = 8.0 + inner_height * f64::from(part) / 2.0;
        let value = top * u64::from(2 - part) / 2;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" x=\"{:.1}\" \
             y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            words::number(value)
        );
    }
    for (place, bucket) in buckets.iter().enumerate() {
        let x = LEFT + each * place as f64;
        let mut y = 8.0 + inner_height;
        for one in series {
            let value = (one.of)(bucket);
            if value == 0 {
                continue;
            }
            let tall = inner_height * value as f64 / top as f64;
            y -= tall;
            let _ = write!(
                svg,
                "<rect class=\"{}\" x=\"{:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{tall:.2}\"/>",
                one.class,
                x + each * 0.12,
                each * 0.76
            );
        }
    }
    label_times(&mut svg, buckets, each, height, zone);
    svg.push_str("</svg>");
    svg
}

fn label_times(svg: &mut String, buckets: &[Bucket], each: f64, height: f64, zone: &TimeZone) {
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { return };
    let is_days = last.time.since(first.time).as_secs() > 2 * 86_400;
    let every = (buckets.len() / 6).max(1);
    for (place, bucket) in buckets.iter().enumerate().step_by(every) {
        let moment = words::moment(bucket.time, zone);
        let label = if is_days { moment.get(5..10) } else { moment.get(11..16) }.unwrap_or_default();
        let x = LEFT + each * place as f64;
        let _ = write!(svg, "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\">{label}</text>", height - 6.0);
    }
}

#[cfg(test)]
mod tests {
    use fairban_types::Time;

    use super::*;

    #[test]
    fn bars_are_as_tall_as_their_numbers() {
        for (most, top) in [(0, 2), (1, 2), (3, 4), (5, 6), (9, 10), (11, 20), (51, 60), (1001, 2000)] {
            assert_eq!(ceiling(most), top);
        }
        let bucket = |n| Bucket {
            time: Time::from_secs(n),
            sign_ins: 0,
            failures: 5,
            stopped: 5,
            other: 0,
            blocks: 0,
            releases: 0,
        };
        let svg = tries(&[bucket(0), bucket(1)], &TimeZone::UTC);
        assert_eq!(svg.matches("class=\"c-bad\"").count(), 2);
        assert_eq!(svg.matches("height=\"75.00\"").count(), 4, "half of 150 each: {svg}");
        assert!(!svg.contains("style="));
    }
}

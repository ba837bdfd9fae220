//! Workers over time, drawn. Pure.

use std::fmt::Write;

use super::workers::{Point, Workers};

/// The text chart's columns and rows.
const COLUMNS: usize = 64;
const ROWS: u32 = 8;
/// Eighths of a character's height.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The picture's size in pixels, and the room around the curves.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 56.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 40.0;

/// A chart of block characters: each column shows the most workers of its time.
pub(crate) fn text(workers: &Workers) -> String {
    let top = workers.maximum.max(workers.peak).max(1);
    let columns = columns(&workers.series, workers.seconds);
    let mut text = String::from("workers\n");
    for row in (0..ROWS).rev() {
        let label = match row {
            _ if row == ROWS - 1 => format!("{top:>4}"),
            0 => "   0".to_owned(),
            _ => "    ".to_owned(),
        };
        let _ = write!(text, "{label} │");
        for &up in &columns {
            // In eighths of a row, and at least one where there is a worker at all.
            let eighths = (up * ROWS * 8).div_ceil(top);
            let here = eighths.saturating_sub(row * 8).min(8);
            text.push(BLOCKS[here as usize]);
        }
        text = text.trim_end().to_owned();
        text.push('\n');
    }
    let end = format!("{:.0} s", workers.seconds);
    let _ = writeln!(text, "     └{}", "─".repeat(COLUMNS));
    let _ = writeln!(text, "      0 s{end:>width$}", width = COLUMNS - 3);
    text
}

/// The most workers in each column's time. A time without a look at them shows what was before.
fn columns(series: &[Point], seconds: f64) -> Vec<u32> {
    let mut columns = vec![None; COLUMNS];
    for point in series {
        // A cast from a float saturates.
        let column = ((point.at / seconds.max(f64::MIN_POSITIVE)) * COLUMNS as f64) as usize;
        let cell = &mut columns[column.min(COLUMNS - 1)];
        *cell = Some(cell.map_or(point.up, |most: u32| most.max(point.up)));
    }
    let mut before = 0;
    columns
        .into_iter()
        .map(|most| {
            before = most.unwrap_or(before);
            before
        })
        .collect()
}

/// A picture: workers (left scale) and waiting messages (right scale).
pub(crate) fn svg(workers: &Workers) -> String {
    let seconds = workers.seconds.max(1.0);
    let most_workers = f64::from(workers.maximum.max(workers.peak).max(1));
    let most_ready = workers.series.iter().filter_map(|point| point.ready).max().unwrap_or(0).max(1) as f64;
    let x = |at: f64| LEFT + at / seconds * (WIDTH - LEFT - RIGHT);
    let y = |part: f64| HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
    let up = steps(workers.series.iter().map(|point| (x(point.at), y(f64::from(point.up) / most_workers))));
    let waiting = workers.series.iter().filter_map(|point| Some((point.at, point.ready? as f64)));
    let waiting = steps(waiting.map(|(at, ready)| (x(at), y(ready / most_ready))));
    let (bottom, right) = (y(0.0), WIDTH - RIGHT);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{LEFT}" y="20" fill="#3b6fb6">worker processes</text>
<text x="{right}" y="20" fill="#b4531f" text-anchor="end">messages waiting</text>
<path d="M{LEFT} {bottom}H{right}" stroke="#98a2b3"/>
<path d="{waiting}" fill="none" stroke="#b4531f" stroke-width="1.5"/>
<path d="{up}" fill="none" stroke="#3b6fb6" stroke-width="2"/>
<g fill="#475467">
<text x="{}" y="{}" text-anchor="end">{most_workers}</text>
<text x="{}" y="{bottom}" text-anchor="end">0</text>
<text x="{}" y="{}">{most_ready}</text>
<text x="{LEFT}" y="{}">0 s</text>
<text x="{right}" y="{}" text-anchor="end">{seconds:.0} s</text>
</g>
</svg>
"##,
        LEFT - 8.0,
        TOP + 4.0,
        LEFT - 8.0,
        right + 8.0,
        TOP + 4.0,
        bottom + 20.0,
        bottom + 20.0,
    )
}

/// A path that stays level from each point to the next.
fn steps(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        // Writing to a text cannot fail.
        let _ = if path.is_empty() { write!(path, "M{x:.1} {y:.1}") } else { write!(path, "H{x:.1}V{y:.1}") };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(points: &[(f64, u32)]) -> Workers {
        let point =
            |&(at, up): &(f64, u32)| Point { at, up, consuming: Some(up), ready: Some(u64::from(up) * 10) };
        Workers {
            maximum: 25,
            peak: points.iter().map(|point| point.1).max().unwrap_or(0),
            peak_consuming: None,
            seconds: points.last().map_or(0.0, |point| point.0),
            worker_seconds: 0.0,
            series: points.iter().map(point).collect(),
        }
    }

    #[test]
    fn the_text_chart_goes_up_and_down() {
        let text = text(&workers(&[(0.0, 0), (8.0, 1), (16.0, 25), (48.0, 12), (56.0, 0), (64.0, 0)]));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], format!("  25 │{}{}", " ".repeat(16), "█".repeat(32)));
        assert_eq!(lines[8], format!("   0 │{}{}{}", " ".repeat(8), "▃".repeat(8), "█".repeat(40)));
        assert!(lines[10].ends_with("64 s"), "{text}");
        assert_eq!(lines[10].chars().count(), 6 + COLUMNS);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let text = text(&workers(&[]));
        assert!(!text.contains(&BLOCKS[1..]), "{text}");
        assert!(svg(&workers(&[])).contains("</svg>"));
    }

    #[test]
    fn the_picture_has_both_curves() {
        let svg = svg(&workers(&[(0.0, 0), (1.0, 25), (2.0, 0)]));
        assert_eq!(svg.matches("fill=\"none\"").count(), 2);
        assert!(svg.contains("M48.0 280.0H396.0V36.0H744.0V280.0"), "{svg}");
    }
}

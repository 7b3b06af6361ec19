//! The chart in docs/performance.md: the drain of each reader as dots on a logarithmic axis.

/// The name of a reader, and the ratios of its wall time and CPU to those of the raw reader, or
/// `None` if it lost messages.
pub(crate) type Dots = (String, Option<(f64, f64)>);

/// The height of a row, in pixels like all lengths here.
const ROW: usize = 46;
/// People who cannot tell red from green see the difference too.
const WALL: &str = "#0072b2";
const CPU: &str = "#e67800";

/// An SVG with a white background, since the page may be dark.
pub(crate) fn svg(readers: &[Dots]) -> String {
    let ratios = readers.iter().filter_map(|(_, ratios)| *ratios);
    // Leaves room for the figures to the right of the last dot.
    let most = 5.0 * ratios.map(|(wall, cpu)| wall.max(cpu)).fold(10.0, f64::max);
    // The names are in the first 250 pixels. The axis starts at 0.8.
    let x = |ratio: f64| 250.0 + 710.0 * (ratio / 0.8).ln() / (most / 0.8).ln();
    let bottom = ROW * (readers.len() + 1);
    let height = bottom + ROW;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='960' height='{height}' \
         font-family='sans-serif' font-size='15'>\n\
         <rect width='100%' height='100%' fill='white'/>\n"
    );
    svg += &text(14.0, 28, "black", "Drain of 64-byte messages, in multiples of the raw reader");
    for tick in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0] {
        if tick < most {
            let x = x(tick);
            svg += &format!("<path d='M{x:.0} {ROW}V{bottom}' stroke='#ddd'/>\n");
            svg += &text(x - 8.0, bottom + 22, "black", &format!("{tick}×"));
        }
    }
    for (row, (name, ratios)) in readers.iter().enumerate() {
        let y = ROW * (row + 1) + ROW / 2;
        svg += &text(14.0, y + 5, "black", name);
        let Some((wall, cpu)) = *ratios else {
            svg += &text(x(1.0), y + 5, "black", "lost messages");
            continue;
        };
        // The sizes differ, so that both are visible in the same place.
        for (ratio, radius, colour) in [(wall, 7, WALL), (cpu, 5, CPU)] {
            let x = x(ratio);
            svg += &format!("<circle cx='{x:.0}' cy='{y}' r='{radius}' fill='{colour}'/>\n");
        }
        let figures = format!("wall {wall:.2} <tspan dx='8' fill='{CPU}'>CPU {cpu:.2}</tspan>");
        svg += &text(x(wall.max(cpu)) + 16.0, y + 5, WALL, &figures);
    }
    svg + "</svg>\n"
}

fn text(x: f64, y: usize, colour: &str, text: &str) -> String {
    format!("<text x='{x:.0}' y='{y}' fill='{colour}'>{text}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_has_its_dots() {
        let reader = |name: &str, ratios| (name.to_owned(), ratios);
        let readers = [
            reader("raw reader", Some((1.0, 1.0))),
            reader("subscriber", Some((1.15, 2.5))),
            reader("subscriber --json", None),
            reader("python", Some((11.08, 50.86))),
        ];
        let svg = svg(&readers);
        for name in ["raw reader", "lost messages", "wall 1.15", "CPU 50.86"] {
            assert!(svg.contains(name), "{name}: {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 6);
    }
}

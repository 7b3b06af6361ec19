//! The chart in docs/performance.md: the drain of each reader as dots on a logarithmic axis.

use anyhow::anyhow;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// One reader.
pub(crate) struct Dots {
    pub name: String,
    /// Wall time and CPU as ratios to the raw reader; `None` if messages were lost.
    pub ratios: Option<(f64, f64)>,
}

const WIDTH: u32 = 960;
/// The left end of the axis.
const LEAST: f64 = 0.8;
/// Pixels for the names to the left of it.
const NAMES: i32 = 230;
const ROW: u32 = 46;
const FONT: (&str, u32) = ("sans-serif", 15);
/// Also different for people who cannot tell red from green.
const WALL: RGBColor = RGBColor(0, 114, 178);
const CPU: RGBColor = RGBColor(230, 120, 0);

/// An SVG with a white background, since the page may be dark.
pub(crate) fn svg(readers: &[Dots]) -> anyhow::Result<String> {
    let mut svg = String::new();
    // The errors of plotters borrow the drawing area.
    draw(&mut svg, readers).map_err(|error| anyhow!("cannot draw the chart: {error}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, readers: &[Dots]) -> Result<(), Box<dyn std::error::Error>> {
    let ratios = readers.iter().filter_map(|it| it.ratios);
    let most = ratios.map(|(wall, cpu)| wall.max(cpu)).fold(10.0, f64::max);
    let area =
        SVGBackend::with_string(svg, (WIDTH, ROW * (readers.len() as u32 + 3))).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Drain of 64-byte messages, in multiples of the raw reader", ("sans-serif", 19))
        .margin(14)
        .x_label_area_size(34)
        .y_label_area_size(NAMES)
        .build_cartesian_2d((LEAST..most * 5.0).log_scale(), 0.0..readers.len().max(1) as f64)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .label_style(FONT)
        .light_line_style(BLACK.mix(0.05));
    mesh.x_label_formatter(&|ratio| format!("{ratio}×")).draw()?;

    for (row, reader) in readers.iter().rev().enumerate() {
        let y = row as f64 + 0.5;
        let text = |x, text: String, colour: &RGBColor, pixels| {
            let style = FONT.into_font().color(colour).pos(Pos::new(HPos::Left, VPos::Center));
            EmptyElement::at((x, y)) + Text::new(text, (pixels, 0), style)
        };
        let plot = chart.plotting_area();
        plot.draw(&text(LEAST, reader.name.clone(), &BLACK, 10 - NAMES))?;
        let Some((wall, cpu)) = reader.ratios else {
            plot.draw(&text(1.0, "lost messages".to_owned(), &BLACK, 0))?;
            continue;
        };
        // Of different sizes, so that both can be seen in the same place.
        plot.draw(&Circle::new((wall, y), 7, WALL.filled()))?;
        plot.draw(&Circle::new((cpu, y), 5, CPU.filled()))?;
        let right = wall.max(cpu);
        plot.draw(&text(right, format!("wall {wall:.2}"), &WALL, 16))?;
        plot.draw(&text(right, format!("CPU {cpu:.2}"), &CPU, 92))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_has_its_dots() {
        let reader = |name: &str, ratios| Dots { name: name.to_owned(), ratios };
        let readers = [
            reader("raw reader", Some((1.0, 1.0))),
            reader("subscriber", Some((1.15, 2.5))),
            reader("subscriber --json", None),
            reader("python", Some((11.08, 50.86))),
        ];
        let svg = svg(&readers).unwrap();
        for name in ["raw reader", "lost messages", "wall 1.15", "CPU 50.86"] {
            assert!(svg.contains(name), "{name}: {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 6);
    }
}

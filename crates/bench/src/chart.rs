//! The chart in docs/performance.md: the drain of each reader as dots on a logarithmic axis.

use anyhow::anyhow;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// One reader.
pub struct Dots {
    pub name: String,
    /// Wall time and CPU as ratios to the raw reader; `None` if messages were lost.
    pub ratios: Option<(f64, f64)>,
}

const WIDTH: u32 = 960;
const ROW: u32 = 46;
const FONT: (&str, u32) = ("sans-serif", 15);
/// Also different for people who cannot tell red from green.
const WALL: RGBColor = RGBColor(0, 114, 178);
const CPU: RGBColor = RGBColor(230, 120, 0);

/// An SVG with a white background, since the page may be dark.
pub fn svg(readers: &[Dots]) -> anyhow::Result<String> {
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
        .y_label_area_size(230)
        .build_cartesian_2d((0.7..most * 1.5).log_scale(), 0.0..readers.len().max(1) as f64)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().y_labels(0).label_style(FONT).light_line_style(WHITE);
    mesh.x_label_formatter(&|ratio| format!("{ratio}×")).draw()?;

    let text = |horizontal| FONT.into_font().color(&BLACK).pos(Pos::new(horizontal, VPos::Center));
    for (row, reader) in readers.iter().rev().enumerate() {
        let y = row as f64 + 0.5;
        let dot = |x, colour: RGBColor| Circle::new((x, y), 6, colour.filled());
        let at = |x, label: String, pixels| {
            EmptyElement::at((x, y)) + Text::new(label, (pixels, 0), text(HPos::Left))
        };
        chart.plotting_area().draw(&at(0.7, reader.name.clone(), -230))?;
        let Some((wall, cpu)) = reader.ratios else {
            chart.plotting_area().draw(&at(1.0, "lost messages".to_owned(), 0))?;
            continue;
        };
        let line = PathElement::new([(wall, y), (cpu, y)], BLACK.mix(0.3).stroke_width(2));
        chart.plotting_area().draw(&line)?;
        chart.plotting_area().draw(&dot(wall, WALL))?;
        chart.plotting_area().draw(&dot(cpu, CPU))?;
    }
    Ok(())
}

//! Shapes and words of the picture. What they look like stands in the style sheet, for light and for dark pages.

use std::fmt::Write;

/// The colours: paper, ink, faint ink; then a pair a kind of region, fill and edge.
const STYLE: &str = "
  .paper { fill: #ffffff; stroke: #d8dee4; }
  text { font: 12px ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328; }
  .mode { font-size: 26px; font-weight: 700; }
  .arch { font-size: 13px; fill: #656d76; }
  .shape, .note, .level, .heading { fill: #57606a; }
  .heading { font-weight: 600; }
  .name { font-size: 13px; font-weight: 600; }
  .size { font-size: 12px; }
  .told { font-size: 12px; font-style: italic; }
  .address { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
  .faint { font-size: 11px; fill: #6e7781; }
  .on { font-size: 12px; font-weight: 600; }
  .zoom { fill: #8c959f; fill-opacity: 0.14; }
  .rule { stroke: #d8dee4; }
  rect { stroke-width: 1; }
  .user { fill: #c8e1ff; stroke: #5a9de0; }
  .kernel { fill: #e6e1f5; stroke: #8a75c9; }
  .aperture { fill: #d3f0d8; stroke: #56a868; }
  .selfmap { fill: #ffe0b8; stroke: #d18a2c; }
  .dynamic { fill: #ead9fb; stroke: #9a63d0; }
  .image { fill: #ffd3d6; stroke: #d5616c; }
  .gap { fill: url(#unused); stroke: #c3cad2; }
  .hatch { stroke: #c3cad2; }
  .leaf { fill: #8fb8e8; stroke: #5a9de0; }
  .table { fill: none; stroke: #8c959f; stroke-dasharray: 3 2; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .arch, .shape, .note, .level, .heading { fill: #9198a1; }
    .faint { fill: #848d97; }
    .rule { stroke: #30363d; }
    .user { fill: #123a63; stroke: #4a8fd6; }
    .kernel { fill: #322a52; stroke: #8a75c9; }
    .aperture { fill: #173f22; stroke: #4fa463; }
    .selfmap { fill: #54370c; stroke: #d18a2c; }
    .dynamic { fill: #3d2559; stroke: #a371d8; }
    .image { fill: #5a2028; stroke: #d5616c; }
    .gap { stroke: #3d444d; }
    .hatch { stroke: #3d444d; }
    .leaf { fill: #2b5f97; stroke: #4a8fd6; }
  }
";

/// The beginning, with paper of its own: it is readable whatever is behind it.
pub fn begin(width: u32, height: u32) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">"
    );
    out.push_str("<!-- Made by `just atlas` from mm/src/layout.rs and mm/src/formats.rs. -->\n");
    out.push_str("<title>The address spaces of pml2, pml3, pml4 and pml5</title>\n");
    let _ = writeln!(out, "<style>{STYLE}</style>");
    out.push_str("<defs><pattern id=\"unused\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">");
    out.push_str("<line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"7\" stroke-width=\"2\"/></pattern></defs>\n");
    let _ = writeln!(
        out,
        "<rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>",
        width - 1,
        height - 1
    );
    out
}

/// Words that begin at a place.
pub fn text(out: &mut String, (x, y): (u32, u32), class: &str, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>");
}

/// Words that end at a place.
pub fn text_end(out: &mut String, (x, y): (u32, u32), class: &str, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{words}</text>");
}

/// Words that run upwards, centred on a place.
pub fn upright(out: &mut String, (x, y): (u32, f64), class: &str, words: &str) {
    let x = x + 4;
    let _ = writeln!(
        out,
        "<text class=\"{class}\" text-anchor=\"middle\" transform=\"translate({x} {y:.1}) rotate(-90)\">{words}</text>"
    );
}

/// A rectangle.
pub fn band(out: &mut String, class: &str, (x, y): (u32, f64), (width, height): (u32, f64)) {
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height:.1}\" rx=\"2\"/>"
    );
}

/// A surface between corners.
pub fn polygon(out: &mut String, class: &str, corners: &[(u32, f64)]) {
    let points: Vec<String> = corners.iter().map(|(x, y)| format!("{x},{y:.1}")).collect();
    let _ = writeln!(out, "<polygon class=\"{class}\" points=\"{}\"/>", points.join(" "));
}

/// A thin line.
pub fn line(out: &mut String, from: (u32, u32), to: (u32, u32)) {
    let _ = writeln!(out, "<line class=\"rule\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", from.0, from.1, to.0, to.1);
}

//! Product pictures: one file of `motifs/` a kind of thing, its colours and its variation chosen by a seed. No input is ever
//! copied into a picture, so it can't carry anything but what its file says.
//!
//! A file is a whole picture in sample colours. Its colours are `var(--main)`, shades of it (`--dark`, `--light`), `--accent`,
//! `--contrast` (what shows on the main colour), `--ground` and `--floor`; a line `<g class="variation-N">…</g>` is kept in a
//! third of the pictures.

use std::borrow::Cow;

use rust_embed::Embed;

/// Path prefix of the pictures.
pub const PREFIX: &str = "/demo/images/";

/// Colours by name, as titles say them. A seed's remainder by `COLOUR_SLOTS` is the index.
pub const COLOURS: [(&str, &str); 22] = [
    ("black", "#2b2d33"),
    ("graphite", "#545a66"),
    ("silver", "#b9c0ca"),
    ("white", "#f4f3ef"),
    ("cream", "#efe2c6"),
    ("sand", "#d8c19a"),
    ("tan", "#c08a56"),
    ("brown", "#7d5236"),
    ("burgundy", "#7f2d41"),
    ("red", "#c8443f"),
    ("coral", "#ee7f69"),
    ("rust", "#bf5f34"),
    ("mustard", "#dca73a"),
    ("olive", "#7c8046"),
    ("green", "#3f8260"),
    ("teal", "#2f8e92"),
    ("blue", "#3d74b8"),
    ("navy", "#2b4068"),
    ("lilac", "#a993c9"),
    ("pink", "#e5a6b5"),
    ("gold", "#d6b25e"),
    ("sky", "#8fbbdc"),
];
/// Seeds leave room for more colours.
const COLOUR_SLOTS: u64 = 32;
/// Soft backgrounds, each with the shade of its floor.
const BACKGROUNDS: [(&str, &str); 7] = [
    ("#f3ece2", "#e4d8c6"),
    ("#e6eef0", "#d0dfe3"),
    ("#ece8f3", "#dad3e8"),
    ("#e9f0e4", "#d5e2cb"),
    ("#f6e7e2", "#ead2c9"),
    ("#f5efd9", "#e8ddb9"),
    ("#e7ebf3", "#d2d9e8"),
];
const ACCENTS: [&str; 5] = ["#f0b44c", "#e5674c", "#4b9c94", "#5b82c4", "#f4f3ef"];

/// A seed that draws in the named colour (the first one if there is no such colour), in one of many variations.
pub fn seed(colour: &str, variation: u64) -> u64 {
    let index = COLOURS.iter().position(|(name, _)| *name == colour).unwrap_or(0) as u64;
    (variation % 1_000_000) * COLOUR_SLOTS + index
}

/// The path of a picture.
pub fn path(motif: &str, seed: u64) -> String {
    format!("{PREFIX}{motif}/{seed}.svg")
}

/// The picture at a path, with or without [`PREFIX`]: `watch/42.svg`. `None` for any other path.
pub fn from_path(path: &str) -> Option<String> {
    let (motif, file) = path.strip_prefix(PREFIX).unwrap_or(path).split_once('/')?;
    svg(motif, file.strip_suffix(".svg")?.parse().ok()?)
}

/// The drawings.
#[derive(Embed)]
#[folder = "images/motifs/"]
struct Motifs;

/// A product picture, 200 × 200, under 3 KB; `None` for an unknown motif.
pub fn svg(motif: &str, seed: u64) -> Option<String> {
    let file = Motifs::get(&format!("{motif}.svg"))?;
    Some(fill(std::str::from_utf8(&file.data).ok()?, seed))
}

/// Puts a seed's colours and tilt into a drawing and leaves out the other variations and the sample colours. The colours
/// are written out, because not everything that shows pictures knows `var()`.
fn fill(drawing: &str, seed: u64) -> String {
    let variation = seed / COLOUR_SLOTS;
    let main = nth(&COLOURS, seed % COLOUR_SLOTS).map_or("#888888", |(_, hex)| hex);
    // A light object on a light ground is lost: the ground moves on until they differ.
    let (ground, floor) = (0..BACKGROUNDS.len() as u64)
        .filter_map(|step| nth(&BACKGROUNDS, (variation / 3 + step) % BACKGROUNDS.len() as u64))
        .find(|(ground, _)| (luminance(ground) - luminance(main)).abs() > 0.04)
        .unwrap_or(("#e7ebf3", "#d2d9e8"));
    let accent = nth(&ACCENTS, variation / 7 % ACCENTS.len() as u64).unwrap_or("#f0b44c");
    let contrast = if luminance(main) > 0.55 { "#2b2d33" } else { "#f7f5f0" };
    let tilt = nth(&["-2", "0", "2"], variation / 5 % 3).unwrap_or("0");
    let lines: String = drawing.lines().filter_map(|line| of_variation(line.trim(), variation % 3)).collect();
    without_style(&lines)
        .replace("rotate(0 100 100)", &format!("rotate({tilt} 100 100)"))
        .replace("var(--main)", main)
        .replace("var(--dark)", &shade(main, 0.74))
        .replace("var(--light)", &shade(main, 1.22))
        .replace("var(--accent)", accent)
        .replace("var(--contrast)", contrast)
        .replace("var(--ground)", ground)
        .replace("var(--floor)", floor)
}

/// The line, shown, or `None` where it belongs to another variation.
fn of_variation(line: &str, variation: u64) -> Option<Cow<'_, str>> {
    let Some(group) = line.strip_prefix("<g class=\"variation-") else { return Some(line.into()) };
    let (tag, content) = group.split_once('>')?;
    tag.starts_with(&variation.to_string()).then(|| format!("<g>{content}").into())
}

/// The picture without its first `style`, the sample colours of the root.
fn without_style(svg: &str) -> String {
    let after =
        svg.split_once(" style=\"").and_then(|(before, rest)| Some((before, rest.split_once('"')?.1)));
    after.map_or_else(|| svg.to_owned(), |(before, rest)| format!("{before}{rest}"))
}

fn nth<T: Copy>(list: &[T], index: u64) -> Option<T> {
    list.get(usize::try_from(index).ok()?).copied()
}

fn channels(hex: &str) -> [f64; 3] {
    let value = u32::from_str_radix(hex.trim_start_matches('#'), 16).unwrap_or(0);
    [16, 8, 0].map(|shift| f64::from((value >> shift) & 0xff))
}

/// Relative brightness in 0…1 (Rec. 709 weights on the encoded values: enough to tell light from dark).
fn luminance(hex: &str) -> f64 {
    let [red, green, blue] = channels(hex);
    (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255.0
}

/// Darker (factor < 1) or, towards white, lighter (factor > 1).
fn shade(hex: &str, factor: f64) -> String {
    let [red, green, blue] = channels(hex).map(|channel| {
        let changed =
            if factor <= 1.0 { channel * factor } else { channel + (255.0 - channel) * (factor - 1.0) };
        changed.round().clamp(0.0, 255.0) as u8
    });
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn motifs() -> impl Iterator<Item = String> {
        Motifs::iter().map(|file| file.strip_suffix(".svg").unwrap().to_owned())
    }

    fn drawing(motif: &str) -> String {
        String::from_utf8(Motifs::get(&format!("{motif}.svg")).unwrap().data.into_owned()).unwrap()
    }

    /// Opening and closing tags match and attributes are quoted: enough of XML for what is written here.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        let mut rest = svg;
        while let Some((text, after)) = rest.split_once('<') {
            let Some((tag, next)) = after.split_once('>') else { return false };
            if text.contains(['&', '>']) || tag.matches('"').count() % 2 == 1 || tag.contains('<') {
                return false;
            }
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap());
            }
            rest = next;
        }
        open.is_empty() && rest.trim().is_empty()
    }

    #[test]
    fn every_picture_is_well_formed_small_and_its_own() {
        assert!(motifs().count() >= 42);
        for motif in motifs() {
            let drawing = drawing(&motif);
            assert!(is_well_formed(&drawing), "{motif}");
            let mut seen = std::collections::HashSet::new();
            for variation in 0..12 {
                for (colour, hex) in COLOURS {
                    let svg = fill(&drawing, seed(colour, variation));
                    assert!(is_well_formed(&svg), "{motif}: {svg}");
                    assert!(!svg.contains("var(") && !svg.contains("--"), "{motif}: an unknown name: {svg}");
                    assert!(svg.len() < 3_000, "{motif}: {} bytes", svg.len());
                    assert!(svg.contains(hex) || svg.contains(&shade(hex, 0.74)), "{motif} ignores {colour}");
                    seen.insert(svg);
                }
            }
            assert!(seen.len() > 12 * COLOURS.len() / 2, "{motif}: only {} pictures", seen.len());
        }
    }

    #[test]
    fn a_path_leads_back_to_its_picture_and_nothing_else_is_served() {
        let seed = seed("teal", 77);
        assert_eq!(from_path(&path("mug", seed)), svg("mug", seed));
        assert_eq!(from_path("mug/7.svg"), svg("mug", 7));
        for bad in [
            "mug/7.png",
            "mug",
            "mug/../../etc/passwd.svg",
            "../1.svg",
            "<b>/1.svg",
            "mug/-1.svg",
            "nothing/1.svg",
            "",
        ] {
            assert_eq!(from_path(bad), None, "{bad}");
        }
    }
}

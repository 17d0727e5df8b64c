//! `tidings config`.

use super::say;
use tidings_core::config::Layered;

/// A table of every setting; an invalid configuration is printed all the same, and then said to be.
pub fn print(layered: &Layered) -> anyhow::Result<()> {
    let settings = layered.settings();
    let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or(0);
    let values = settings.iter().map(|setting| setting.value.chars().count()).max().unwrap_or(0).min(48);
    for setting in &settings {
        say(&format!("{:<width$}  {:<values$}  {}", setting.key, setting.value, setting.layer.name()))?;
    }
    layered.build()?;
    Ok(())
}

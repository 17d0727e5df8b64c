//! The words of a message: a title of one line and a body of one sentence, from a template, in the user's language.

mod check;
mod cldr;
pub mod context;
mod defaults;
mod filters;
pub mod item_language;
pub mod languages;
pub mod locale;
mod samples;
mod shapes;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod trial;
mod variables;

pub use check::Position;
pub use context::{ItemVariables, Reader, TemplateContext};
pub use defaults::defaults;
pub use item_language::ItemLanguage;
pub use languages::is_language_tag;
pub use template::{Rendered, Template, TemplateError, Templates, Text, Variant};
pub use text::{Content, MAX_BODY_CHARS, MAX_TITLE_CHARS, shorten};
pub use trial::{check_sources, validate};
pub use variables::VariablesError;

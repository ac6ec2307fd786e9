//! Logging as core reads it: one JSON object a line on stderr.
//!
//! Nothing is formatted that core would throw away: the level is the one that core itself applies.

use std::{
    fmt::{Debug, Write as _},
    io::{self, Write as _},
};

use serde_json::{Map, Value as Json};
use time::OffsetDateTime;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// Core splits lines that are longer than this and takes the parts for raw text.
const LONGEST_LINE: usize = 60_000;

/// The longest text in a line that was too long.
const LONGEST_TEXT: usize = 8_000;

/// Starts logging, if core wants any of it.
pub(super) fn install(name: &str, setting: impl Fn(&str) -> Option<String>) {
    let Some(level) = level(name, setting) else {
        return;
    };
    let subscriber = tracing_subscriber::registry().with(Hclog {
        level,
        write: Box::new(|line| {
            // A log that cannot be written stops nothing.
            let _ = io::stderr().lock().write_all(line);
        }),
    });
    // Only a second provider in one process could have set another.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The most detailed level that core shows of this provider.
fn level(name: &str, setting: impl Fn(&str) -> Option<String>) -> Option<Level> {
    let own = format!("TF_LOG_PROVIDER_{}", name.to_uppercase());
    let level = [own.as_str(), "TF_LOG_PROVIDER", "TF_LOG"]
        .into_iter()
        .find_map(setting)?;
    match level.to_uppercase().as_str() {
        "OFF" => None,
        "ERROR" => Some(Level::ERROR),
        "WARN" => Some(Level::WARN),
        "INFO" => Some(Level::INFO),
        "DEBUG" => Some(Level::DEBUG),
        // Core takes `JSON`, and what it does not know, for the most detailed level.
        _ => Some(Level::TRACE),
    }
}

/// Where a line goes.
type Write = Box<dyn Fn(&[u8]) + Send + Sync>;

struct Hclog {
    level: Level,
    write: Write,
}

/// The fields of a span, kept for the events inside it.
struct Fields(Map<String, Json>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Hclog {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // The libraries below tell every HTTP/2 frame.
        // The calls to the API have a target of their own, so that they are easy to find.
        let target = metadata.target();
        let ours = target.starts_with(env!("CARGO_PKG_NAME")) || target.starts_with("pmoves::");
        *metadata.level()
            <= if ours {
                self.level
            } else {
                self.level.min(Level::WARN)
            }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.into())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        attributes.record(&mut fields);
        let span = context.span(id).expect("the registry knows its spans");
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields(Map::new());
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(fields)) = span.extensions().get() {
                line.0.extend(fields.clone());
            }
        }
        event.record(&mut line);
        (self.write)(&line.complete(event.metadata(), OffsetDateTime::now_utc()));
    }
}

impl Fields {
    /// The line. Core panics unless `@message`, `@level` and `@timestamp` are texts.
    fn complete(mut self, metadata: &Metadata<'_>, now: OffsetDateTime) -> Vec<u8> {
        let message = self.0.remove("message").unwrap_or_default();
        let fixed = [
            ("@level", metadata.level().as_str().to_lowercase()),
            (
                "@message",
                message.as_str().map_or_else(String::new, Into::into),
            ),
            ("@module", metadata.target().replace("::", ".")),
            ("@timestamp", timestamp(now)),
        ];
        self.0
            .extend(fixed.map(|(name, text)| (name.to_owned(), text.into())));
        let mut line = self.line();
        if line.len() > LONGEST_LINE {
            for value in self.0.values_mut() {
                if let Json::String(text) = value {
                    text.truncate(text.floor_char_boundary(LONGEST_TEXT));
                }
            }
            line = self.line();
        }
        line
    }

    fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(&self.0).expect("a JSON object can be written");
        line.push(b'\n');
        line
    }

    fn put(&mut self, field: &Field, value: impl Into<Json>) {
        let name = field.name().trim_start_matches("r#");
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Only a broken `Debug` fails, and then what it wrote so far is kept.
        let _ = write!(text, "{value:?}");
        self.put(field, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }
}

/// Exactly six digits of a second: core takes any other form for raw text.
fn timestamp(at: OffsetDateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.microsecond(),
    )
}

#[cfg(test)]
mod tests;

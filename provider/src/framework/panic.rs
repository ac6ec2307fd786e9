//! Panics as failures: what was saved before one is kept, and the practitioner reads where it was.
//!
//! Does not try to go on with the work that panicked.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    io::Write as _,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    pin::pin,
    task::Poll,
};

use super::{Failure, codec::REPORT};

/// A panic that was stopped.
#[derive(Debug)]
pub struct Panic {
    /// What it said, and where it was if [`report`] is the hook.
    pub text: String,
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static REPORTED: RefCell<Option<(String, Backtrace)>> = const { RefCell::new(None) };
}

/// Runs a future to its end or to its panic, which goes to the log with a backtrace.
pub async fn guarded<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(future);
    let end = std::future::poll_fn(|cx| {
        let outer = GUARDED.replace(true);
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        GUARDED.set(outer);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err((payload, REPORTED.take()))),
        }
    });
    end.await.map_err(|(payload, report)| {
        let (text, backtrace) = match report {
            Some((text, backtrace)) => (text, backtrace.to_string()),
            None => (said(payload.as_ref()).to_owned(), String::new()),
        };
        tracing::error!(backtrace, "the provider panicked: {text}");
        Panic { text }
    })
}

/// The panic hook of the process.
///
/// A stderr line that begins with `panic: ` makes some cores declare the whole plugin crashed, so
/// only a panic that ends the process prints one.
pub fn report(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let text = format!("{} ({place})", said(info.payload()));
    let backtrace = Backtrace::force_capture();
    if GUARDED.get() {
        REPORTED.replace(Some((text, backtrace)));
    } else if tokio::task::try_id().is_some() {
        tracing::error!(%backtrace, "a task of the provider panicked: {text}");
    } else {
        // Nothing is left to do if this fails too.
        let _ = writeln!(std::io::stderr(), "panic: {text}\n\n{backtrace}");
    }
}

impl From<Panic> for Failure {
    fn from(panic: Panic) -> Self {
        Self::new(format!("the provider panicked: {}. {REPORT}", panic.text))
    }
}

fn said(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_says_where_it_was() {
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(report));
        let panic = guarded(async { panic!("no {}", "way") }).await;
        std::panic::set_hook(quiet);
        let text = match panic {
            Ok(never) => never,
            Err(panic) => Failure::from(panic).detail,
        };
        let place = "the provider panicked: no way (provider/src/framework/panic.rs:";
        assert!(text.starts_with(place), "{text}");
        assert_eq!(guarded(async { 1 }).await.unwrap(), 1);
    }
}

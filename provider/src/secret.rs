//! A value that is not printed.
//!
//! Does not promise to wipe memory: the same bytes pass through serde, msgpack and TLS buffers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Hides a value from `Debug` and has no `Display`; serialises as the value itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does not compile if a secret can be displayed: there would be two functions to choose from.
    #[test]
    fn a_secret_is_not_printed() {
        trait Displayed<A> {
            fn chosen() {}
        }
        impl<T> Displayed<()> for T {}
        impl<T: fmt::Display> Displayed<u8> for T {}
        <Secret<&str> as Displayed<_>>::chosen();

        let secret = Some(Secret::new("sentinel"));
        assert_eq!(format!("{secret:?}"), "Some(***)");
    }
}

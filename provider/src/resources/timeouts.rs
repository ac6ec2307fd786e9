//! The `timeouts` attribute of every resource.

use serde::{Deserialize, Serialize};

use crate::framework::{Model, duration};

/// How long operations may take, as durations such as `90s` or `1h30m`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Timeouts {
    /// For making it. Default `30m`.
    #[attr(check(duration::check))]
    pub create: Option<String>,
    /// For reading it. Default `2m`.
    #[attr(check(duration::check))]
    pub read: Option<String>,
    /// For changing it. Default `30m`.
    #[attr(check(duration::check))]
    pub update: Option<String>,
    /// For destroying it. Default `10m`.
    #[attr(check(duration::check))]
    pub delete: Option<String>,
}

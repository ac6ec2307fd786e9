//! The `startup` attribute of guests.

use serde::{Deserialize, Serialize};

use crate::{framework::Model, pve::PropertyString};

/// When a guest starts and stops among the guests of its node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Startup {
    /// Place in the order: the lowest starts first and stops last.
    #[attr(open, range(0, 999_999_999))]
    pub order: Option<i64>,
    /// Seconds between its start and that of the next guest.
    #[attr(open, range(0, 999_999_999))]
    pub up_delay: Option<i64>,
    /// Seconds that it may take to shut down.
    #[attr(open, range(0, 999_999_999))]
    pub down_delay: Option<i64>,
}

impl Startup {
    /// As Proxmox VE takes it; nothing if nothing is set.
    pub(in crate::resources) fn value(&self) -> Option<PropertyString> {
        let value = PropertyString::default()
            .with("order", self.order)
            .with("up", self.up_delay)
            .with("down", self.down_delay);
        (!value.is_empty()).then_some(value)
    }

    /// As Proxmox VE tells it.
    pub(in crate::resources) fn parse(raw: &str) -> Option<Self> {
        let value = PropertyString::parse(raw, Some("order")).ok()?;
        Some(Self {
            order: value.number("order"),
            up_delay: value.number("up"),
            down_delay: value.number("down"),
        })
    }
}

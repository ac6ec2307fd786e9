//! What the provider says of bad input.

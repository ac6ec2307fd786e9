//! `pmoves_image`.

//! (opens in a moment)

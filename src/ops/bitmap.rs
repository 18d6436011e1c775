//! What the bitmap commands mean.

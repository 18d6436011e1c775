//! Bitmap commands as calls.

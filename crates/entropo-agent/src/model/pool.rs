//! Several models as one.

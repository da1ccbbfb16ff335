//! Models of the protocols in this module.

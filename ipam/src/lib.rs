//! Address management: which address a port gets.

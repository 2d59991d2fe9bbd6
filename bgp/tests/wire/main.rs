//! The codec from outside: captured messages, the mistakes of other speakers, damaged messages, any values.

mod damage;
mod mistakes;
mod support;
mod values;
mod vectors;

//! Sessions: two peers on a link that is not always good, and one peer against bytes.

mod link;
mod pairs;
mod restarts;
mod single;

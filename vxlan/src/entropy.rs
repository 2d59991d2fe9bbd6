//! The outer UDP source port, from which the underlay's ECMP and NIC queues learn that flows differ
//! (RFC 7348 section 5).

/// The outer source port for a flow with this hash, 32768 to 65535.
///
/// RFC 7348 recommends the dynamic range from 49152; the wider one gives one bit more of entropy.
#[must_use]
pub const fn source_port(flow_hash: u32) -> u16 {
    0x8000 | ((flow_hash ^ (flow_hash >> 16)) & 0x7fff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_ports_that_follow_both_halves_of_the_hash() {
        assert_eq!(source_port(0), 32768);
        assert_eq!(source_port(u32::MAX), 32768);
        assert_eq!(source_port(0x0000_7fff), 65535);
        assert_ne!(source_port(0x0001_0000), source_port(0x0002_0000));
    }
}
